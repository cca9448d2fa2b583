"""Commands import what they use: packages that take long to import stay out where nothing needs them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.runs import Runs

SLOW = {"torch", "transformers", "torchvision", "timm", "sklearn", "skops", "scipy.stats", "accelerate"}
CODE = """
import sys
from fusionclf.cli import app
app(["predict", "--run", sys.argv[1], "--title", "Women Red Dress", "--cpu"], standalone_mode=False)
print(sorted(set(sys.argv[2].split(",")) & set(sys.modules)))
"""


def imported(run: Path) -> list[str]:
    """Those of SLOW that a prediction of one title imports."""
    words = [sys.executable, "-c", CODE, str(run), ",".join(SLOW)]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    return eval(found.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_linear_prediction_imports_neither_torch_nor_sklearn(runs: Runs) -> None:
    assert imported(runs("linear")) == []


@pytest.mark.slow
def test_a_fusion_prediction_of_a_title_imports_torch_alone(runs: Runs) -> None:
    assert set(imported(runs("open"))) <= {"torch", "accelerate"}


@pytest.mark.slow
def test_fitting_a_baseline_imports_no_torch(sample_dir: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom fusionclf.cli import app\napp(sys.argv[1:], standalone_mode=False)\n"
        "print('skops' in sys.modules, 'torch' in sys.modules)\n"
        "from sklearn.externals.array_api_compat import torch\nprint(hasattr(torch, 'asarray'))"
    )
    words = ["baseline", "majority", "--data", str(sample_dir), "--out", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-2:] == ["True False", "True"]
