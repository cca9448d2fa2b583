"""Many pictures of URLs → files below one folder: resumable, with few connections a host, and a report."""

import csv
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from fusionclf.catalog.counted_examples import CountedExamples
from fusionclf.catalog.fetched import FetchedWriter, read_fetched, stem_of
from fusionclf.catalog.fetching.download import FetchError, FetchLimits, StoppedError, download, open_client
from fusionclf.errors import FusionclfError
from fusionclf.files import replacing
from fusionclf.runfolder import guarded

FAILED = "failed.csv"
AT_ONCE = 4096  # URLs that are handed to threads together
Progress = Callable[[int, int], None]


@dataclass
class FetchReport:
    """What a download did.

    Attributes:
        fetched: pictures that it stored.
        bytes: theirs.
        failed: URL → why it has no picture.
        reasons: kind of fault → how many, with examples.
    """

    fetched: int = 0
    bytes: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, CountedExamples] = field(default_factory=lambda: defaultdict(CountedExamples))

    def add_failed(self, url: str, error: FetchError) -> None:
        """Note a picture that cannot be had."""
        self.failed[url] = str(error)
        self.reasons[error.reason].add(lambda: url)


def missing_urls(folder: Path, urls: Iterable[str]) -> list[str]:
    """Those of some URLs, each once, whose picture is not in a folder yet."""
    known = read_fetched(folder)
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
    return [url for url in dict.fromkeys(urls) if known.get(url) not in names]


def host_of(url: str) -> str:
    """The host of a URL, "" where it has none."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def fetch_pictures(
    folder: Path, urls: Sequence[str], limits: FetchLimits, agent: str, progress: Progress | None = None
) -> FetchReport:
    """Download pictures into a folder; hold its lock.

    A picture appears whole under its name, and only then in the manifest: a command that was killed goes on with the
    others.

    Args:
        folder: where they go, with the manifest and failed.csv.
        urls: each once, from `missing_urls`.
        limits: of bytes, time and connections.
        agent: the User-Agent that is sent.
        progress: called with the number of URLs that are done and in all.

    Raises:
        CatalogError: the manifest is a link.
        RunError: the disk cannot be written.
    """
    report = FetchReport()
    with open_client(limits, agent) as client, FetchedWriter(folder) as manifest:
        fetcher = _Fetcher(client, folder, limits)
        with ThreadPoolExecutor(limits.connections, thread_name_prefix="fetch") as pool:
            try:
                for url, result in fetcher.run(pool, _by_turns(urls)):
                    try:
                        name, size = result.result()
                        manifest.add(url, name, size)
                        report.fetched, report.bytes = report.fetched + 1, report.bytes + size
                    except FetchError as error:
                        report.add_failed(url, error)
                    if progress is not None:
                        progress(report.fetched + len(report.failed), len(urls))
            finally:
                fetcher.stopped.set()
    _write_failed(folder / FAILED, report)
    return report


class _Fetcher:
    """Downloads single pictures on many threads.

    Args:
        client: shared by all threads.
        folder: where the files go.
        limits: of bytes and connections.
    """

    def __init__(self, client: httpx2.Client, folder: Path, limits: FetchLimits) -> None:
        self.client, self.folder, self.limits = client, folder, limits
        self.stopped = threading.Event()
        self._left, self._lock = limits.total_bytes, threading.Lock()
        self._hosts: dict[str, threading.Semaphore] = {}

    def run(
        self, pool: ThreadPoolExecutor, urls: Iterator[str]
    ) -> Iterator[tuple[str, Future[tuple[str, int]]]]:
        """Each URL with its finished work, in the order in which they end."""
        while some := list(islice(urls, AT_ONCE)):
            work = {pool.submit(self._fetch, url): url for url in some}
            for done in as_completed(work):
                yield work[done], done

    def _fetch(self, url: str) -> tuple[str, int]:
        """The name of a picture's file, and its size."""
        with self._lock:
            host = self._hosts.setdefault(host_of(url), threading.Semaphore(self.limits.host_connections))
        with host:
            if self.stopped.is_set():
                raise StoppedError("stopped")
            if self._left <= 0:
                raise FetchError("total limit reached", f"{self.limits.total_bytes:,} bytes; run it again")
            content, suffix = self._download(url)
        with self._lock:
            self._left -= len(content)
        name = f"{stem_of(url)}{suffix}"
        with replacing(self.folder / name) as aside:
            aside.write_bytes(content)
        return name, len(content)

    def _download(self, url: str) -> tuple[bytes, str]:
        """As `download`; an error of another kind, which a server can cause in a library, fails this URL alone."""
        try:
            return download(self.client, url, self.limits, self.stopped)
        except FusionclfError:
            raise
        except Exception as error:
            raise FetchError("unexpected error", repr(error)[:100]) from error


def _by_turns(urls: Sequence[str]) -> Iterator[str]:
    """The URLs, one of each host in turn, so that no host keeps all connections waiting."""
    by_host: dict[str, deque[str]] = defaultdict(deque)
    for url in urls:
        by_host[host_of(url)].append(url)
    waiting = deque(by_host.values())
    while waiting:
        own = waiting.popleft()
        yield own.popleft()
        if own:
            waiting.append(own)


def _write_failed(file: Path, report: FetchReport) -> None:
    """All failures as CSV; no file where there is none."""
    if not report.failed:
        file.unlink(missing_ok=True)
        return
    with replacing(file) as aside, aside.open("w", encoding="utf-8", newline="", errors="replace") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["url", "reason"])
        writer.writerows((guarded(url), reason) for url, reason in report.failed.items())
