"""New folders that appear whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusionclf.errors import CatalogError, RunError
from fusionclf.files import locked_output, replacing_folder


@contextmanager
def new_folder(dest: Path) -> Iterator[Path]:
    """A folder beside `dest` to fill; it becomes `dest` when the block succeeds, and is removed when it fails.

    Raises:
        CatalogError: `dest` is a file or holds files, another command writes it, or it cannot be written.
    """
    dest = dest.absolute()
    try:
        with locked_output(dest):
            if dest.is_symlink() or (dest.exists() and not dest.is_dir()):
                raise CatalogError(f"{dest}: exists and is not a folder; give a new folder")
            if dest.is_dir() and any(dest.iterdir()):
                raise CatalogError(f"{dest}: holds files already; give a new or empty folder")
            with replacing_folder(dest) as aside:
                yield aside
    except RunError as error:
        raise CatalogError(str(error)) from error
