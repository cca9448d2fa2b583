"""`fusionclf push`: a finished run → a model repository of the Hugging Face hub."""

from pathlib import Path

from fusionclf.console import Console, size_text
from fusionclf.hub import check_repository_name, collect_files, other_files, upload
from fusionclf.report.model_card import CARD


def push(
    run: Path, repo: str, *, private: bool = False, dry_run: bool = False, console: Console | None = None
) -> list[str]:
    """Upload a finished run, in one commit, without product ids, titles, predictions, checkpoints and logs.

    Args:
        run: the run folder.
        repo: such as "me/fashion-fusion"; made if it does not exist.
        private: make it private, and refuse one that is public.
        dry_run: only list the files.
        console: where progress goes.

    Returns:
        The files' paths in the repository.

    Raises:
        RunError: the name is not valid, the run is not finished, or the hub refuses or cannot be reached.
    """
    console = console or Console()
    check_repository_name(repo)
    files = collect_files(run, repo)
    if others := other_files(run, files):
        console.warn(
            f"{run / 'model'}: {len(others)} files that belong to no run are not uploaded: {', '.join(others[:3])}"
        )
    total = 0
    for path, content in files.items():
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        total += size
        console.info(f"{path}  {size_text(size)}")
    console.info(f"{len(files)} files, {size_text(total)}, to {repo}{' (private)' if private else ''}")
    if dry_run:
        console.info("nothing was uploaded (--dry-run)")
    else:
        console.info(f"wrote {upload(files, run, repo, private)}; choose its license in {CARD}")
    return list(files)
