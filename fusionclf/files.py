"""Write files and folders so that a kill, a full disk or a second command cannot damage them.

Everything is written beside its target under a partial name, then renamed. A command locks its output first, and
removes the partial files of a killed command.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from fusionclf.errors import RunError

LOCK = ".lock"
PARTIAL = ".partial"
PARTIAL_NAME = re.compile(r"\..+\.[a-z0-9_]{8}\.partial")  # of NAME: .NAME.xxxxxxxx.partial
# The umask can only be read by setting it, which must not happen while another thread creates a file.
UMASK = os.umask(0o077)
os.umask(UMASK)
_locks: dict[Path, os.stat_result] = {}  # lock files that this process holds


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; renamed to `path` when the block succeeds, removed when it fails.

    Raises:
        RunError: it cannot be written, or the locked output that it belongs to was removed.
    """
    with replacing_all(path) as (aside,):
        yield aside


@contextmanager
def replacing_all(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """A path beside each of `paths` to write to; all are renamed when the block succeeds, none when it fails.

    Raises:
        RunError: one cannot be written, or the locked output that it belongs to was removed.
    """
    asides: list[Path] = []
    try:
        for path in paths:
            asides.append(_make_aside(path))
        yield tuple(asides)
        for aside, path in zip(asides, paths, strict=True):
            check_present(path)
            # mkstemp creates a private file; give it the permissions of an ordinary one.
            aside.chmod(0o666 & ~UMASK)
        for aside, path in zip(asides, paths, strict=True):
            os.replace(aside, path)
    except BaseException as error:
        for aside in asides:
            with suppress(OSError):
                aside.unlink()
        if not isinstance(error, OSError | SafetensorError):
            raise
        check_present(paths[0])
        reason = getattr(error, "strerror", None) or error
        shown = (
            paths[0] if len(paths) == 1 else f"{paths[0].parent}: {', '.join(path.name for path in paths)}"
        )
        raise RunError(
            f"{shown}: cannot be written ({reason}); free space or choose another folder"
        ) from error


def _make_aside(path: Path) -> Path:
    check_present(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}); choose another output folder"
        ) from error
    os.close(handle)
    return Path(name)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def json_text(value: Any) -> str:
    """As `write_json` writes it. Raises ValueError where a number is not finite."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    write_text(path, json_text(value))


def write_all(folder: Path, texts: Mapping[str, str]) -> None:
    """Write several files of a folder: all appear, or none. Hold its lock."""
    files = [folder / name for name in texts]
    sweep(*files)
    with replacing_all(*files) as asides:
        for aside, text in zip(asides, texts.values(), strict=True):
            aside.write_text(text, encoding="utf-8")


@contextmanager
def replacing_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A folder beside `folder` to fill; renamed to `folder` when the block succeeds, removed when it fails.

    Args:
        folder: the folder to make. Hold its lock (`locked_output`).
        overwrite: replace one that is not empty; it is gone only when the new one is in its place.

    Raises:
        RunError: it cannot be written, or holds files already.
    """
    try:
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=PARTIAL))
    except OSError as error:
        raise RunError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from error
    try:
        yield aside
        check_present(folder)
        # mkdtemp creates a private folder; give it the permissions of an ordinary one.
        aside.chmod(0o777 & ~UMASK)
        earlier = _earlier(folder)
        if overwrite and folder.exists():
            os.replace(folder, earlier)
        os.replace(aside, folder)
        shutil.rmtree(earlier, ignore_errors=True)
    except OSError as error:
        check_present(folder)
        raise RunError(f"{folder}: cannot be written ({error}); choose another folder") from error
    finally:
        if aside.exists():
            shutil.rmtree(aside, ignore_errors=True)


def _earlier(folder: Path) -> Path:
    """Where `replacing_folder` puts the old folder until the new one is in place."""
    return folder.with_name(f".{folder.name}.earlier")


def remove(path: Path) -> None:
    """Remove a file or a folder; a folder is renamed first, so that a kill never leaves half of it in its place."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    aside = tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
    os.replace(path, aside)
    shutil.rmtree(aside, ignore_errors=True)


def is_partial(path: Path) -> bool:
    """Whether a file or folder has a partial name."""
    return PARTIAL_NAME.fullmatch(path.name) is not None


def sweep(*paths: Path) -> None:
    """Remove the partial files that killed commands left beside some outputs. Hold the lock."""
    for path in paths:
        own = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}\.partial")
        for left in _entries(path.parent):
            if own.fullmatch(left.name):
                _discard(left)


def sweep_below(folder: Path) -> None:
    """Remove the partial files that killed commands left below a folder. Hold the lock."""
    for left in [path for path in folder.rglob(f".*{PARTIAL}") if is_partial(path)]:
        _discard(left)


def _discard(left: Path) -> None:
    if left.is_dir() and not left.is_symlink():
        shutil.rmtree(left, ignore_errors=True)
    else:
        left.unlink(missing_ok=True)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other commands from writing to a folder; it is created, and removed again if it stays empty.

    Raises:
        RunError: another command has locked it, or it cannot be created.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder}: is a file; give a folder")
    with _locked(folder.absolute() / LOCK, folder):
        yield


@contextmanager
def locked_output(path: Path) -> Iterator[None]:
    """Keep other commands from writing a file, or a folder that appears at once; the lock file lies beside it.

    Raises:
        RunError: another command has locked it, or its parent folder cannot be created.
    """
    with _locked(path.absolute().with_name(f".{path.absolute().name}{LOCK}"), path):
        earlier = _earlier(path)
        if earlier.is_dir():  # a command was killed while it replaced the folder
            shutil.rmtree(earlier, ignore_errors=True) if path.exists() else os.replace(earlier, path)
        sweep(path)
        yield


@contextmanager
def _locked(file: Path, output: Path) -> Iterator[None]:
    if file in _locks:
        yield
        return
    lock = FileLock(file, blocking=False, thread_local=False)
    made: list[Path] = []
    try:
        try:
            check_present(file)
            _make_folder(file.parent, made)
            lock.acquire()
        except Timeout:
            raise RunError(
                f"{output}: another command is writing to it; wait until it ends, or choose another output"
            ) from None
        except OSError as error:
            raise RunError(
                f"{output}: cannot be made ({error.strerror}); choose another output folder"
            ) from error
        _locks[file] = file.stat()
        try:
            yield
        finally:
            if _is_held(file):
                file.unlink(missing_ok=True)
            del _locks[file]
            lock.release()
    finally:
        for folder in reversed(made):
            with suppress(OSError):  # it is no longer empty
                folder.rmdir()


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Create a folder and its missing parents; `made` collects the ones created."""
    if not folder.is_dir():
        _make_folder(folder.parent, made)
        with suppress(FileExistsError):
            folder.mkdir()
            made.append(folder)
    if not folder.is_dir():
        raise NotADirectoryError(0, f"{folder} is a file")


def is_locked(folder: Path) -> bool:
    """Whether a command is writing to a folder."""
    try:
        wait_until_free(folder, timeout=0)
    except Timeout:
        return True
    return False


def wait_until_free(folder: Path, timeout: float = -1) -> None:
    """Wait until no command is writing to a folder. Raises filelock.Timeout after `timeout` seconds; -1: never."""
    if (folder / LOCK).exists():
        with FileLock(folder / LOCK, timeout=timeout):
            (folder / LOCK).unlink(missing_ok=True)  # a killed command left it, or this lock created it again


def _is_held(file: Path) -> bool:
    """Whether a lock file is still the one that this process locked."""
    try:
        return os.path.samestat(file.stat(), _locks[file])
    except OSError:
        return False


def check_present(path: Path) -> None:
    """Raise RunError where `path` belongs to an output that this process locked and that was removed since then."""
    place = path.absolute()
    for file in list(_locks):
        if place.is_relative_to(file.parent) and not _is_held(file):
            raise RunError(
                f"{file.parent}: was removed or moved while this command wrote to it; run the command again"
            )
