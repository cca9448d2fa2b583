"""Downloads from a local server: what arrives, what is tried again, what is refused, and how it goes on."""

import csv
import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import httpx2
import pytest

from fusionclf.catalog.fetched import MANIFEST, read_fetched, stem_of
from fusionclf.catalog.fetching import FetchLimits, FetchReport, fetch_pictures
from fusionclf.catalog.fetching.addresses import is_public
from fusionclf.catalog.fetching.download import download
from fusionclf.catalog.fetching.fetch import FAILED, missing_urls
from tests.picture_server import PictureServer, picture, picture_server

LIMITS = FetchLimits(
    picture_bytes=50_000, seconds=0.6, tries=3, backoff=0.01, longest_wait=2.0,
    is_allowed=lambda address: address == "127.0.0.1",
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[PictureServer]:
    with picture_server() as running:
        yield running


def fetched(folder: Path, urls: list[str], limits: FetchLimits = LIMITS) -> FetchReport:
    folder.mkdir(exist_ok=True)
    return fetch_pictures(folder, missing_urls(folder, urls), limits, "test")


def reason_of(folder: Path, url: str, limits: FetchLimits = LIMITS) -> str:
    report = fetched(folder, [url], limits)
    assert report.fetched == 0 and list(folder.glob("*.*")) != []
    assert [path.name for path in folder.iterdir() if stem_of(url) in path.name] == []
    return report.failed[url]


def test_pictures_are_stored_under_their_urls_hash(server: PictureServer, tmp_path: Path) -> None:
    urls = [server.url("good/a"), server.url("jpeg/b?x=1&y=ü"), server.url("to/good/c")]
    report = fetched(tmp_path, [*urls, urls[0]])
    assert (report.fetched, report.failed) == (3, {})
    found = read_fetched(tmp_path)
    assert [found[url] for url in urls] == [
        stem_of(urls[0]) + ".png",
        stem_of(urls[1]) + ".jpg",
        stem_of(urls[2]) + ".png",
    ]
    assert (tmp_path / found[urls[0]]).read_bytes() == picture(1)
    assert server.requests["good/a"] == 1
    assert missing_urls(tmp_path, urls) == [] and not (tmp_path / FAILED).exists()


@pytest.mark.parametrize("path", [
    "once/a", "busy/0", "busy/1", "busy/Wed, 21 Oct 2015 07:28:00 GMT",
    "busy/Wed, 21 Oct 99999999999 07:28:00 GMT",
])  # fmt: skip
def test_a_fault_that_passes_is_tried_again(server: PictureServer, tmp_path: Path, path: str) -> None:
    url = server.url(path.replace(" ", "%20"))
    assert fetched(tmp_path, [url]).failed == {}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing/a", "HTTP 404"),
        ("busy/9999", "HTTP 503"),
        ("slow/a", "too slow: more than 0.6 s"),
        ("drip/a", "too slow: more than 0.6 s"),
        ("later/later/later/later/later/good/x", "too slow"),
        ("large/a", "too large: 1000000000 bytes, at most 50,000 are read"),
        ("long/a", "too large: more than 50,000 bytes"),
        ("text/a", "not a picture that is read: not a picture in a supported format"),
        ("cut/a", "connection failed"),
        ("to/to/to/to/to/to/to/good/x", "too many redirects"),
        ("to/http://127.0.0.2:9/x.png", "private address: 127.0.0.2 is 127.0.0.2"),
        ("to/file:///etc/passwd", "not a valid URL"),
    ],
)
def test_what_cannot_be_fetched_has_a_reason(
    server: PictureServer, tmp_path: Path, path: str, reason: str
) -> None:
    url = server.url(path)
    assert reason_of(tmp_path, url).startswith(reason)
    with (tmp_path / FAILED).open(encoding="utf-8", newline="") as stream:
        assert [row["url"] for row in csv.DictReader(stream)] == [url]


@pytest.mark.parametrize(("url", "reason"), [
    ("ftp://127.0.0.1/a.png", "not http or https"),
    ("data:image/png;base64,AAAA", "not http or https"),
    ("http://[::1/a", "not a valid URL"),
    ("http://x.example:99999999999999999999/a.jpg", "not a valid URL: port 99999999999999999999"),
    ("http://127.0.0.1:65537/a.jpg", "not a valid URL: port 65537 is above 65535"),
    ("http://127.0.0.1:1/a.png", "connection failed"),
])  # fmt: skip
def test_urls_without_a_server_have_a_reason(tmp_path: Path, url: str, reason: str) -> None:
    assert reason_of(tmp_path, url).startswith(reason)


def test_a_jpeg_that_pillow_cannot_open_is_stored(server: PictureServer, tmp_path: Path) -> None:
    url = server.url("cropped/a")
    assert fetched(tmp_path, [url]).failed == {}
    assert read_fetched(tmp_path)[url] == stem_of(url) + ".jpg"


def test_an_unexpected_error_fails_its_url_alone(
    server: PictureServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [server.url(f"good/u{'x' * n}") for n in range(5)]

    def broken(client: httpx2.Client, url: str, limits: FetchLimits, stopped: Event) -> tuple[bytes, str]:
        if url == urls[2]:
            raise struct.error("unpack requires\na buffer")
        return download(client, url, limits, stopped)

    monkeypatch.setattr("fusionclf.catalog.fetching.fetch.download", broken)
    report = fetched(tmp_path, urls)
    assert report.fetched == 4
    assert report.failed == {urls[2]: "unexpected error: error('unpack requires\\na buffer')"}
    assert urls[2] in (tmp_path / FAILED).read_text()
    assert read_fetched(tmp_path).keys() == set(urls) - {urls[2]}


def test_the_body_of_a_redirect_stays_unread(server: PictureServer, tmp_path: Path) -> None:
    url = server.url("heavy/good/e")
    assert fetched(tmp_path, [url]).failed == {}


def test_private_hosts_are_refused_unless_allowed(server: PictureServer, tmp_path: Path) -> None:
    strict = replace(LIMITS, is_allowed=is_public)
    assert reason_of(tmp_path, server.url("good/private"), strict).startswith("private address: 127.0.0.1 is")
    assert server.requests["good/private"] == 0


def test_a_name_is_resolved_once_and_its_address_checked(
    server: PictureServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is public when it is looked up first, and private the next time, is never connected to."""
    answers = iter(["93.184.215.14", "127.0.0.1"])
    connected: list[object] = []

    def resolve(host: str, port: int, **_: object) -> list[tuple]:
        assert host == "shop.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connect(address: object, *_: object, **__: object) -> socket.socket:
        connected.append(address)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    url = f"http://shop.example:{server.server_address[1]}/good/rebound"
    limits = replace(LIMITS, is_allowed=is_public, tries=2)
    assert reason_of(tmp_path, url, limits).startswith("private address: shop.example is 127.0.0.1")
    assert connected == [("93.184.215.14", server.server_address[1])]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True), ("2606:4700::1111", True), ("10.1.2.3", False), ("169.254.169.254", False),
        ("192.168.0.1", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False), ("::1", False),
        ("fe80::1%eth0", False), ("fd00::1", False), ("::ffff:127.0.0.1", False), ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False), ("::10.0.0.1", False), ("::ffff:0:10.0.0.1", False), ("64:ff9b:1::a00:1", False),
        ("fec0::1", False), ("64:ff9b::5db8:d70e", True), ("no address", False),
    ],
)  # fmt: skip
def test_addresses_of_private_networks_are_not_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_few_connections_go_to_one_host(server: PictureServer, tmp_path: Path) -> None:
    server.most_open = 0
    urls = [server.url(f"good/{'x' * n}") for n in range(30)]
    assert fetched(tmp_path, urls, replace(LIMITS, host_connections=2)).fetched == 30
    assert 1 <= server.most_open <= 2


def test_a_total_limit_leaves_the_rest_for_later(server: PictureServer, tmp_path: Path) -> None:
    urls = [server.url(f"good/t{'x' * n}") for n in range(5)]
    limits = replace(LIMITS, total_bytes=len(picture()) + 1, connections=1)
    report = fetched(tmp_path, urls, limits)
    assert report.fetched == 2 and report.reasons["total limit reached"].count == 3
    assert fetched(tmp_path, urls).fetched == 3


def test_a_killed_download_goes_on_with_what_is_missing(server: PictureServer, tmp_path: Path) -> None:
    urls = [server.url(f"good/k{'x' * n}") for n in range(4)]
    assert fetched(tmp_path, urls[:2]).fetched == 2
    found = read_fetched(tmp_path)
    (tmp_path / found[urls[0]]).unlink()
    with (tmp_path / MANIFEST).open("a") as stream:
        stream.write(json.dumps({"url": urls[3], "file": f"{stem_of(urls[3])}.png"})[:-9])  # half a line
    (tmp_path / f"{stem_of(urls[3])}.png").write_bytes(b"of a killed command")
    assert missing_urls(tmp_path, urls) == [urls[0], urls[2], urls[3]]
    assert fetched(tmp_path, urls).fetched == 3
    assert read_fetched(tmp_path).keys() == set(urls)
    assert (tmp_path / f"{stem_of(urls[3])}.png").read_bytes() == picture(4)
    assert server.requests["good/kx"] == 1


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "other.png", 7, None])
def test_a_manifest_names_files_of_its_folder_alone(tmp_path: Path, name: object) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"url": "http://a/b", "file": name}) + "\n[]\n7\n")
    assert read_fetched(tmp_path) == {}
