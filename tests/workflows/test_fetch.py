"""`fusionclf data fetch`, and commands on a catalog whose cells are URLs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fusionclf.catalog import read_catalog
from fusionclf.catalog.fetched import read_fetched
from fusionclf.cli import app
from fusionclf.config import CatalogConfig
from fusionclf.prediction.io.readers import ProductTable
from tests.picture_server import PictureServer, picture_server

WORDS = ("catalog.file=t.csv", "catalog.picture={image}", "catalog.title=title", "catalog.label=kind",
         "catalog.categories=", "catalog.metadata=", "catalog.year=", "catalog.picture_separator=|")  # fmt: skip
COLUMNS = CatalogConfig(
    file="t.csv", picture="{image}", title="title", label="kind", categories=(), metadata=(), year=None,
    picture_separator="|",
)  # fmt: skip


@pytest.fixture
def server() -> Iterator[PictureServer]:
    with picture_server() as running:
        yield running


def shop(folder: Path, cells: list[str]) -> Path:
    folder.mkdir()
    rows = [f'{n},A {n},B{n % 2},"{cell}"' for n, cell in enumerate(cells)]
    (folder / "t.csv").write_text("\n".join(["id,title,kind,image", *rows]) + "\n", encoding="utf-8")
    return folder


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["data", *map(str, words)])


def test_every_command_reads_what_was_fetched(server: PictureServer, tmp_path: Path) -> None:
    one, two, three = (server.url(f"good/{name}") for name in ("a", "bb", "ccc"))
    data = shop(tmp_path / "shop", [one, f"{two}|{three}", one])
    before = call("check", data, *WORDS)
    assert before.exit_code == 2 and "download the pictures by `fusionclf data fetch`" in before.output
    done = call("fetch", "--data", data, "--allow-private", *WORDS)
    assert done.exit_code == 0, done.output
    assert "3 pictures to fetch ('127.0.0.1:" in done.stderr and "wrote" in done.stderr
    assert server.requests["good/a"] == 1
    catalog = read_catalog(data, COLUMNS)
    assert len(catalog) == 3 and all(path.is_file() for own in catalog.all_picture_paths() for path in own)
    assert len(catalog.all_picture_paths()[1]) == 2 and catalog.read_report.corrected_paths.count == 0
    names = read_fetched(data / "pictures")
    for pictures in (None, data, data / "pictures"):
        source = (
            data / "t.csv" if pictures is None else shop(tmp_path / f"in-{pictures.name}", [one]) / "t.csv"
        )
        chunk = next(ProductTable(source, COLUMNS, pictures=pictures).chunks(10))
        assert Path(str(chunk.pictures[0])).name == names[one] and chunk.missing.count == 0
    again = call("fetch", "--data", data, "--allow-private", *WORDS)
    assert again.exit_code == 0 and "0 pictures to fetch, 3 are there" in again.stderr


def test_what_failed_is_told_and_the_exit_code_is_1(server: PictureServer, tmp_path: Path) -> None:
    data = shop(tmp_path / "shop", [server.url("good/a"), server.url("missing/a"), server.url("missing/b")])
    private = call("fetch", "--data", data, *WORDS)
    assert private.exit_code == 1 and "3 not fetched, private address" in private.stderr
    done = call("fetch", "--data", data, "--allow-private", *WORDS)
    assert done.exit_code == 1 and "2 not fetched, HTTP 404: 'http://127.0.0.1:" in done.stderr
    assert len((data / "pictures/failed.csv").read_text().splitlines()) == 3
    assert len(read_catalog(data, COLUMNS)) == 1


def test_a_limit_fetches_the_first_pictures(server: PictureServer, tmp_path: Path) -> None:
    data = shop(tmp_path / "shop", [server.url(f"good/{'x' * n}") for n in range(5)])
    assert call("fetch", "--data", data, "--allow-private", "--limit", 2, *WORDS).exit_code == 0
    assert server.requests.keys() == {"good/", "good/x"}


def test_a_catalog_without_urls_names_the_setting(tmp_path: Path) -> None:
    data = shop(tmp_path / "shop", ["a.jpg"])
    done = call("fetch", "--data", data, *WORDS)
    assert done.exit_code == 2 and "name the column of URLs" in done.stderr


def test_a_folder_of_pictures_outside_is_refused(server: PictureServer, tmp_path: Path) -> None:
    data = shop(tmp_path / "shop", [server.url("good/a")])
    (tmp_path / "mine").mkdir()
    (data / "pictures").symlink_to("../mine")
    done = call("fetch", "--data", data, "--allow-private", *WORDS)
    assert done.exit_code == 2 and "outside the catalog; remove the link, or move the whole" in done.stderr
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_linked_folder_of_the_catalog_is_filled(server: PictureServer, tmp_path: Path) -> None:
    data = shop(tmp_path / "shop", [server.url("good/a")])
    (data / "images").mkdir()
    (data / "pictures").symlink_to("images")
    (tmp_path / "link").symlink_to(data)
    done = call("fetch", "--data", tmp_path / "link", "--allow-private", *WORDS)
    assert done.exit_code == 0 and len(read_fetched(data / "images")) == 1


@pytest.mark.parametrize("content", ["alias ls='ls -l'", None])
def test_a_linked_manifest_is_refused(server: PictureServer, tmp_path: Path, content: str | None) -> None:
    data, target = shop(tmp_path / "shop", [server.url("good/a")]), tmp_path / ".bashrc"
    if content is not None:
        target.write_text(content)
    (data / "pictures").mkdir()
    (data / "pictures/fetched.jsonl").symlink_to("../../.bashrc")
    done = call("fetch", "--data", data, "--allow-private", *WORDS)
    assert done.exit_code == 2 and "fetched.jsonl: is a link" in done.stderr
    assert (target.read_text() if target.exists() else None) == content


@pytest.mark.slow
def test_a_killed_command_is_resumed(server: PictureServer, tmp_path: Path) -> None:
    data = shop(tmp_path / "shop", [server.url(f"good/{'x' * n}") for n in range(300)])
    command = [sys.executable, "-m", "fusionclf", "data", "fetch", "--data", data, "--allow-private", *WORDS]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        until = time.monotonic() + 30
        while len(read_fetched(data / "pictures")) < 20 and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(running.pid, signal.SIGKILL)
    before = read_fetched(data / "pictures")
    assert 20 <= len(before) < 300
    requests = dict(server.requests)
    assert call("fetch", "--data", data, "--allow-private", *WORDS).exit_code == 0
    assert len(read_catalog(data, COLUMNS)) == 300
    assert not any(data.joinpath("pictures").glob(".*"))
    repeated = [
        path for path, count in server.requests.items() if count > requests.get(path, 0) and path in requests
    ]
    assert len(repeated) <= 16  # those that were on their way
