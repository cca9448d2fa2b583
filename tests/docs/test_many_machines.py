"""The Python code of docs/how-to/many-machines.md runs on Ray, on this machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import fusionclf
from fusionclf.catalog import Catalog
from tests.docs.pages import DOCS, ROOT, read
from tests.runs import Runs

CODE = re.findall(
    r"^```python\n(.*?)^```", read(DOCS / "how-to" / "many-machines.md"), re.MULTILINE | re.DOTALL
)


@pytest.fixture
def work(runs: Runs, sample: Catalog, tmp_path: Path) -> Path:
    """A folder with runs/fusion, shop, and products in two files, one of them without an id."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "fusion").symlink_to(runs("fusion"))
    (tmp_path / "shop").symlink_to(sample.root)
    (tmp_path / "products").mkdir()
    table = sample.table[["id", "title"]].iloc[:60].set_axis(["id", "productDisplayName"], axis=1)
    table.loc[table.index[45], "id"] = None
    for number in (0, 1):
        table.iloc[30 * number : 30 * number + 30].to_parquet(tmp_path / "products" / f"{number}.parquet")
    return tmp_path


@pytest.mark.slow
def test_the_page_predicts_with_two_ray_workers(work: Path) -> None:
    pytest.importorskip("ray")
    start = "import ray\nray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)\n"
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([start, *CODE])],
        cwd=work, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = pd.concat(map(pd.read_parquet, sorted((work / "answers").glob("*.parquet"))), ignore_index=True)
    predict = fusionclf.predict_batches(work / "runs/fusion", pictures=work / "shop", top_k=3)
    expected = predict(pd.read_parquet(work / "products"))
    both = [table.sort_values(["reason", "id"]).reset_index(drop=True) for table in (found, expected)]
    pd.testing.assert_frame_equal(*both, check_dtype=False, atol=1e-5)
    assert found["reason"].value_counts().to_dict() == {"": 59, "no id": 1}
