"""The download, with kagglehub replaced."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from fusionclf.catalog import download as download_module
from fusionclf.catalog import download_catalog
from fusionclf.errors import CatalogError


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """What kagglehub leaves: the catalog, and a copy of it one folder deeper."""
    root = tmp_path / "cache/versions/1"
    for folder in (root, root / "myntradataset"):
        (folder / "images").mkdir(parents=True)
        (folder / "images/1.jpg").write_text(f"picture of {folder.name}")
        (folder / "styles.csv").write_text("id\n1\n")
    (root / "styles").mkdir()
    (root / "styles/1.json").write_text("{}")
    return root


def use(monkeypatch: pytest.MonkeyPatch, answer: Path | Exception) -> list[str]:
    requested: list[str] = []

    def dataset_download(handle: str) -> str:
        requested.append(handle)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=dataset_download))  # pyright: ignore
    return requested


@pytest.mark.parametrize(
    ("version", "handle"),
    [
        ("small", "paramaggarwal/fashion-product-images-small"),
        ("full", "paramaggarwal/fashion-product-images-dataset"),
    ],
)
def test_the_catalog_is_laid_out(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, version: str, handle: str
) -> None:
    requested = use(monkeypatch, archive)
    dest = download_catalog(tmp_path / "data/new", version=version)
    assert requested == [handle]
    assert sorted(str(p.relative_to(dest)) for p in dest.rglob("*")) == [
        "images",
        "images/1.jpg",
        "styles.csv",
    ]
    assert (dest / "images/1.jpg").read_text() == "picture of 1"
    assert (archive / "styles.csv").exists()


def test_files_are_copied_where_they_cannot_be_linked(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    use(monkeypatch, archive)
    monkeypatch.setattr(download_module.os, "link", refuse)
    dest = download_catalog(tmp_path / "new")
    assert (dest / "images/1.jpg").read_text() == "picture of 1"
    assert (dest / "images/1.jpg").stat().st_ino != (archive / "images/1.jpg").stat().st_ino


def test_the_full_archive_keeps_its_table_deeper(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (archive / "styles.csv").unlink()
    use(monkeypatch, archive)
    assert (download_catalog(tmp_path / "new") / "images/1.jpg").read_text() == "picture of myntradataset"


def test_without_kagglehub_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)  # pyright: ignore
    with pytest.raises(CatalogError, match=r'pip install "fusionclf\[download\]"'):
        download_catalog(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error", [ConnectionError("no route\nto host"), ValueError(""), RuntimeError("401 Client Error.")]
)
def test_where_kaggle_gives_nothing_the_page_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    use(monkeypatch, error)
    with pytest.raises(CatalogError) as caught:
        download_catalog(tmp_path / "new")
    message = str(caught.value)
    assert "https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-small" in message
    assert "\n" not in message
    assert (str(error).split("\n")[0] or "ValueError") in message
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_archive_version_or_folder_is_refused(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested = use(monkeypatch, archive)
    with pytest.raises(CatalogError, match="unknown version 'smal': did you mean 'small'"):
        download_catalog(tmp_path / "new", version="smal")
    with pytest.raises(CatalogError, match="holds files already"):
        download_catalog(archive)
    assert requested == []
    use(monkeypatch, archive / "styles")
    with pytest.raises(CatalogError, match=r"holds no styles\.csv with images/ beside it"):
        download_catalog(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_installed_kagglehub_has_what_is_called() -> None:
    kagglehub: ModuleType = pytest.importorskip("kagglehub")
    assert callable(kagglehub.dataset_download)
