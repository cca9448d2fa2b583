"""Kaggle's Fashion Product Images through kagglehub (extra `download`)."""

import importlib.util
import shutil
from pathlib import Path

from fusionclf.errors import CatalogError, did_you_mean

DATASETS = {
    "small": "paramaggarwal/fashion-product-images-small",
    "full": "paramaggarwal/fashion-product-images-dataset",
}


def download_catalog(dest: Path, version: str = "small") -> Path:
    """Download a catalog and lay it out as DEST/styles.csv and DEST/images.

    Args:
        dest: folder to make; must not hold anything.
        version: small (60×80 pixels, 0.3 GB) or full (1080×1440, 25 GB).

    Raises:
        CatalogError: kagglehub is missing or cannot reach Kaggle, or `dest` holds files.
    """
    dest = Path(dest)
    if version not in DATASETS:
        raise CatalogError(f"unknown version {version!r}: {did_you_mean(version, DATASETS)}")
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise CatalogError(f"{dest}: is there already; give a new or empty folder")
    if importlib.util.find_spec("kagglehub") is None:
        raise CatalogError('kagglehub is not installed; pip install "fusionclf[download]"')
    import kagglehub

    page = f"https://www.kaggle.com/datasets/{DATASETS[version]}"
    try:
        folder = Path(kagglehub.dataset_download(DATASETS[version]))
    except Exception as error:  # kagglehub documents no base class of what it raises
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise CatalogError(
            f"Kaggle cannot be reached ({reason}); download {page} by hand and unpack it"
        ) from error
    _lay_out(folder, dest)
    return dest


def _lay_out(folder: Path, dest: Path) -> None:
    """Copy styles.csv and images/ from wherever the archive keeps them."""
    tables = sorted(folder.rglob("styles.csv"), key=lambda path: len(path.parts))
    if not tables or not (tables[0].parent / "images").is_dir():
        raise CatalogError(
            f"{folder}: the download holds no styles.csv with images/ beside it; see Kaggle's page"
        )
    try:
        shutil.copytree(tables[0].parent / "images", dest / "images")
        shutil.copyfile(tables[0], dest / "styles.csv")  # last: a folder with it is complete
    except OSError as error:
        raise CatalogError(
            f"{dest}: cannot be written ({error}); free space or choose another folder"
        ) from error
