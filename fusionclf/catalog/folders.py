"""Folders that are made whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusionclf.errors import CatalogError
from fusionclf.runfolder import UMASK


@contextmanager
def making_folder(dest: Path) -> Iterator[Path]:
    """A folder beside `dest` to fill; it becomes `dest` when the block ends well and is removed when not.

    Raises:
        CatalogError: `dest` is a file or holds files, or cannot be written.
    """
    dest = dest.absolute()
    try:
        if dest.is_symlink() or (dest.exists() and not dest.is_dir()):
            raise CatalogError(f"{dest}: exists and is no folder; give a new folder")
        if dest.is_dir() and any(dest.iterdir()):
            raise CatalogError(f"{dest}: holds files already; give a new or empty folder")
        dest.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=dest.parent, prefix=f".{dest.name}."))
    except OSError as error:
        raise CatalogError(f"{dest}: cannot be made ({error.strerror}); choose another folder") from error
    try:
        yield aside
        # mkdtemp makes the folder private; give it what the umask would have given.
        aside.chmod(0o777 & ~UMASK)
        if dest.is_dir():
            dest.rmdir()  # empty, as was seen above
        os.replace(aside, dest)
    except OSError as error:
        raise CatalogError(f"{dest}: cannot be written ({error}); choose another folder") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
