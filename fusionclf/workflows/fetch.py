"""`fusionclf data fetch`: the pictures that a catalog names by URLs, into a folder below the catalog."""

import os
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from fusionclf.catalog.fetched import FOLDER
from fusionclf.catalog.fetching import FetchLimits, FetchReport, fetch_pictures
from fusionclf.catalog.fetching.fetch import FAILED, host_of, missing_urls
from fusionclf.catalog.records import picture_urls
from fusionclf.config import CatalogConfig
from fusionclf.console import Console, size_text
from fusionclf.errors import CatalogError, quoted
from fusionclf.files import locked_folder, sweep_below

AGENT = f"fusionclf/{version('fusionclf')}"


@dataclass(frozen=True)
class FetchRequest:
    """What to download.

    Attributes:
        data: the catalog.
        columns: its settings.
        limit: at most so many pictures; None for all.
        limits: of bytes, time and connections.
    """

    data: Path
    columns: CatalogConfig
    limit: int | None = None
    limits: FetchLimits = field(default_factory=FetchLimits)


def fetch(request: FetchRequest, console: Console) -> bool:
    """Download a catalog's pictures that are not there yet; whether all are there now.

    Raises:
        CatalogError: the catalog cannot be read, names no URL, or its folder of pictures lies elsewhere.
        RunError: another command is fetching, or the disk cannot be written.
    """
    root, urls = picture_urls(request.data, request.columns)
    if not urls:
        picture = quoted(request.columns.picture or "null")
        raise CatalogError(
            f"{request.data}: no cell of catalog.picture={picture} is a URL; name the "
            "column of URLs, such as catalog.picture={image_url}"
        )
    folder = root / FOLDER
    _check_inside(root, folder)
    with locked_folder(folder):
        sweep_below(folder)
        wanted = missing_urls(folder, urls)
        chosen = wanted[: request.limit]
        _announce(console, len(urls) - len(wanted), chosen, request.limits)
        with console.bar("fetch pictures", len(chosen)) as step:
            report = fetch_pictures(folder, chosen, request.limits, AGENT, step)
    _report(console, request, folder, report)
    return not report.failed


def _check_inside(root: Path, folder: Path) -> None:
    """Refuse a link out of the catalog: that of an unpacked one could lead to any folder."""
    target = Path(os.path.realpath(folder))
    if not target.is_relative_to(os.path.realpath(root)):
        raise CatalogError(
            f"{folder}: is a link to {target}, outside the catalog; remove the link, or move the whole catalog there"
        )


def _announce(console: Console, there: int, urls: list[str], limits: FetchLimits) -> None:
    """What will be requested, and the limits, before it is."""
    hosts = Counter(map(host_of, urls))
    shown = ", ".join(f"{quoted(host)} {count:,}" for host, count in hosts.most_common(3))
    more = ", …" if len(hosts) > 3 else ""
    console.info(
        f"{len(urls):,} pictures to fetch{f' ({shown}{more})' if urls else ''}, {there:,} are there; at most "
        f"{size_text(limits.picture_bytes)} each, {size_text(limits.total_bytes)} in all, "
        f"{limits.host_connections} connections a host"
    )


def _report(console: Console, request: FetchRequest, folder: Path, report: FetchReport) -> None:
    console.info(f"wrote {folder}: {report.fetched:,} pictures, {size_text(report.bytes)}")
    for reason, urls in sorted(report.reasons.items(), key=lambda item: -item[1].count):
        more = ", …" if urls.count > len(urls.examples) else ""
        console.warn(f"{urls.count:,} not fetched, {reason}: {', '.join(map(quoted, urls.examples))}{more}")
    if report.failed:
        console.info(f"{folder / FAILED} lists all; the same command tries them again")
    else:
        console.info(f"next: fusionclf data check {request.data} with the same settings")
