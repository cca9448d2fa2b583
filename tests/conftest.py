"""Fixtures of all tests: the real catalog where there is one, the sample catalog, and the shared folder of caches."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
import torch
from filelock import FileLock
from hypothesis import settings

from benchmarks.tiny_bert import write_tiny_bert
from fusionclf.catalog import generate_sample
from tests.browser import browser
from tests.runs import runs, sample, titles
from tests.tags import tags_dir, tags_run
from tests.tiny_clip import write_tiny_clip

__all__ = ["browser", "runs", "sample", "tags_dir", "tags_run", "titles"]
ROOT = Path(__file__).resolve().parents[1]
settings.register_profile("fusionclf", deadline=None)  # a busy machine is no failure
settings.load_profile("fusionclf")
LONG = ("docs", "workflows", "export", "training", "prediction")  # folders whose tests take longest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first: where several processes share the tests, short ones fill the end."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.fixture(scope="module", autouse=True)
def _short_collections() -> None:
    """Exempt imported modules from garbage collection: every training collects, which took half a second each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    """Each test draws the same random numbers, alone or after others."""
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes share. It holds the caches, so that tests never touch the user's cache."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    os.environ["FUSIONCLF_CACHE"] = str(folder / "cache")
    return folder


@pytest.fixture(scope="session")
def real_catalog_dir() -> Path:
    """The real catalog (Fashion Product Images, small): $FUSIONCLF_DATA, data/fashion-small, or unpacked."""
    if named := os.environ.get("FUSIONCLF_DATA"):
        folder = Path(named)
        if not (folder / "styles.csv").is_file():
            pytest.fail(f"FUSIONCLF_DATA={named}: holds no styles.csv")
        return folder
    if (ROOT / "data/fashion-small/styles.csv").is_file():
        return ROOT / "data/fashion-small"
    unpack = ROOT.parent / "shared/data/unpack.py"
    if not unpack.is_file():
        pytest.skip("there is no real catalog: set FUSIONCLF_DATA to its folder")
    folder = Path(platformdirs.user_cache_dir("fusionclf", ensure_exists=True)) / "fashion-small"
    with FileLock(f"{folder}.lock"):  # tests run in several processes
        subprocess.run([sys.executable, str(unpack), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def sample_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample catalog: 600 products, seed 0. Read-only."""
    return generate_sample(tmp_path_factory.mktemp("sample") / "catalog", products=600, seed=0)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformers encoder of two small layers, with its tokenizer, in a folder."""
    return write_tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP that was trained on pictures of coloured shapes, in a folder."""
    return write_tiny_clip(tmp_path_factory.mktemp("clip"))
