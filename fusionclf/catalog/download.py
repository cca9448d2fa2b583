"""Kaggle's Fashion Product Images through kagglehub (extra `download`)."""

import os
import shutil
from pathlib import Path

from fusionclf.catalog.folders import new_folder
from fusionclf.errors import CatalogError, did_you_mean

DATASETS = {
    "small": "paramaggarwal/fashion-product-images-small",
    "full": "paramaggarwal/fashion-product-images-dataset",
}


def download_catalog(dest: Path, version: str = "small") -> Path:
    """Download a catalog and lay it out as DEST/styles.csv and DEST/images.

    Args:
        dest: folder to create; it must not exist, or be empty.
        version: small (60×80 pixels, 0.3 GB) or full (1080×1440, 25 GB).

    Returns:
        `dest`.

    Raises:
        CatalogError: kagglehub is missing or cannot reach Kaggle, or `dest` holds files.
    """
    if version not in DATASETS:
        raise CatalogError(f"unknown version {version!r}: {did_you_mean(version, DATASETS)}")
    dest = Path(dest)
    with new_folder(dest) as folder:
        _lay_out(_fetch(DATASETS[version]), folder)
    return dest


def _fetch(dataset: str) -> Path:
    """kagglehub's own folder of a data set; it stores what it has fetched."""
    try:
        import kagglehub  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise CatalogError('kagglehub is not installed; run: pip install "fusionclf[download]"') from error
    try:
        return Path(kagglehub.dataset_download(dataset))
    except Exception as error:  # the errors of kagglehub and its dependencies share no base class
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise CatalogError(
            f"{dataset}: Kaggle gave no data ({reason}); check the network, or fetch "
            f"https://www.kaggle.com/datasets/{dataset} in a browser and unpack it"
        ) from error


def _lay_out(source: Path, folder: Path) -> None:
    """Copy styles.csv and images/ from the folder of the archive that holds both."""
    tables = sorted(source.rglob("styles.csv"), key=lambda path: (len(path.parts), path))
    table = next((path for path in tables if (path.parent / "images").is_dir()), None)
    if table is None:
        raise CatalogError(
            f"{source}: holds no styles.csv with images/ beside it; Kaggle's archive has changed"
        )
    shutil.copytree(table.parent / "images", folder / "images", copy_function=_link_or_copy)
    shutil.copyfile(table, folder / "styles.csv")


def _link_or_copy(source: str, target: str) -> None:
    """A second name for the same file, which takes no space, where the file system allows one."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
