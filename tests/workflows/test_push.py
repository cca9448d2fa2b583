"""`fusionclf push`, against a small stand-in for the hub on this machine."""

import base64
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import close_session, constants
from typer.testing import CliRunner

import fusionclf
from fusionclf.cli import app
from fusionclf.console import Console
from fusionclf.errors import RunError
from fusionclf.hub import collect_files
from fusionclf.models.added_classes import AddedClass, write_added
from fusionclf.workflows.push import push as upload
from tests.runs import Runs

Push = Callable[..., tuple[int, str]]
TOKEN = "hf_of_the_test"


class Hub(ThreadingHTTPServer):
    """Takes repositories and commits, as the hub's HTTP interface does, and remembers them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.private = False
        self.files: dict[str, bytes] = {}
        self.created: list[dict[str, Any]] = []


class Answer(BaseHTTPRequestHandler):
    server: Hub  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self.reply({"id": "me/shop", "private": self.server.private, "tags": [], "siblings": []})

    def do_POST(self) -> None:
        body = self.body()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.reply({"error": "Invalid token"}, 401)
        if self.path == "/api/repos/create":
            self.server.created.append(json.loads(body))
            return self.reply({"url": f"{self.address()}/me/shop", "id": "me/shop"})
        if self.path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            return self.reply(
                {
                    "files": [
                        {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files
                    ]
                }
            )
        if self.path.endswith("/commit/main"):
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.server.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            address = f"{self.address()}/me/shop/commit/abc"
            return self.reply({"commitUrl": address, "commitOid": "abc", "success": True})
        return self.reply({"errors": [], "warnings": []})  # validate-yaml

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def reply(self, value: Any, status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def run(runs: Runs) -> Path:
    return runs("linear")


@pytest.fixture
def push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Push]:
    """The command, with this machine's own login out of reach; it returns exit code and standard error."""
    for name in os.environ:
        if name.startswith("HF_") or name == "HUGGING_FACE_HUB_TOKEN" or "proxy" in name.lower():
            monkeypatch.delenv(name)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "home/token"))
    close_session()  # its client may know a proxy

    def call(run: Path, port: int, *words: str, token: str | None = TOKEN) -> tuple[int, str]:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
        command = ["push", "--run", str(run), "--repo", "me/shop", *words]
        done = CliRunner().invoke(app, command, env={"HF_TOKEN": token})
        assert done.stdout == ""
        return done.exit_code, done.stderr

    yield call
    close_session()


@pytest.mark.slow
def test_uploaded_run_loads_and_holds_no_product_data(
    run: Path, hub: Hub, push: Push, sample_dir: Path, tmp_path: Path
) -> None:
    code, message = push(run, hub.server_port)
    assert code == 0, message
    assert hub.created[0]["name"] == "shop" and hub.created[0]["organization"] == "me"
    assert f"{hub.server_port}/me/shop/commit/abc" in message
    models = {f"model/{path.name}" for path in (run / "model").iterdir()}
    assert set(hub.files) == {"README.md", "config.yaml", "metrics.json", "split.json", *models}
    assert all(path in message for path in hub.files)
    for path, content in hub.files.items():
        (tmp_path / "got" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "got" / path).write_bytes(content)
    ours, theirs = (
        fusionclf.load(folder).predict(titles=["Red Shirt"]) for folder in (run, tmp_path / "got")
    )
    assert ours.labels == theirs.labels
    assert 'snapshot_download("me/shop")' in hub.files["README.md"].decode()
    config = yaml.safe_load(hub.files["config.yaml"])
    assert config["data"] == sample_dir.name
    split, whole = json.loads(hub.files["split.json"]), json.loads((run / "split.json").read_text())
    assert "ids" not in split and split["sha256"] == whole["sha256"]
    assert split["counts"]["rest"]["test"] == len(whole["ids"]["rest"]["test"])
    assert str(sample_dir.parent).encode() not in b"".join(hub.files.values())


def test_card_lists_added_classes(run: Path, tmp_path: Path) -> None:
    assert b"Added classes" not in bytes(collect_files(run, "me/shop")["README.md"])  # type: ignore[arg-type]
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    write_added(copy / "model", "joint", [AddedClass("Kite <b>"), AddedClass("Sledge", count=5)])
    files = collect_files(copy, "me/shop")
    card = files["README.md"]
    assert isinstance(card, bytes) and "model/added.safetensors" in files
    section = card.decode().partition("## Added classes\n")[2]
    assert "Kite &lt;b&gt;, known by its name\n" in section
    assert "Sledge, known by 5 examples\n" in section


def test_dry_run_uploads_nothing(run: Path, hub: Hub, push: Push) -> None:
    code, message = push(run, hub.server_port, "--dry-run", token=None)
    assert code == 0
    assert "model/joint.skops" in message and "nothing was uploaded" in message
    assert not hub.files and not hub.created


def test_unknown_files_are_not_uploaded_but_listed(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    for name in (".joint.skops.abcdefgh.partial", "notes.txt", "text/.env"):
        (copy / "model" / name).parent.mkdir(exist_ok=True)
        (copy / "model" / name).touch()
    files = upload(copy, "me/shop", dry_run=True)
    assert files == upload(run, "me/shop", dry_run=True, console=Console(quiet=True))
    message = " ".join(capsys.readouterr().err.split())
    assert (
        "3 files that belong to no run are not uploaded: model/.joint.skops.abcdefgh.partial, model/notes"
        in message
    )


def test_incomplete_model_is_not_uploaded(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / "model" / "rest.skops").unlink()
    with pytest.raises(RunError, match=r"rest\.safetensors: no such file; train again"):
        upload(copy, "me/shop", dry_run=True, console=Console(quiet=True))


@pytest.mark.parametrize("name", ["bad repo!!", "a/b/c", "me/shop.git", ""])
def test_dry_run_refuses_an_invalid_repository_name(name: str, run: Path) -> None:
    with pytest.raises(RunError, match=f"^--repo {name!r}: "):
        upload(run, name, dry_run=True, console=Console(quiet=True))


def test_private_run_is_not_pushed_to_a_public_repository(run: Path, hub: Hub, push: Push) -> None:
    code, message = push(run, hub.server_port, "--private")
    assert code == 2 and "public" in message.splitlines()[-1]
    assert not hub.files
    hub.private = True
    assert push(run, hub.server_port, "--private")[0] == 0
    assert hub.created[-1]["visibility"] == "private"
    assert hub.files


def test_hub_refusal_is_one_line(run: Path, hub: Hub, push: Push) -> None:
    code, message = push(run, hub.server_port, token=None)
    assert code == 2 and message.splitlines()[-1].startswith("error: no token")
    code, message = push(run, hub.server_port, token="hf_wrong")
    assert code == 2 and "401" in message.splitlines()[-1] and "hf auth login" in message.splitlines()[-1]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        code, message = push(run, taken.getsockname()[1])
    assert code == 2 and "cannot be reached" in message.splitlines()[-1]
    assert "Traceback" not in message
    code, message = push(run, hub.server_port, "--repo", "a/b/c")
    assert code == 2 and "a/b/c" in message.splitlines()[-1]


def test_symbolic_link_is_refused(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "copy")
    (tmp_path / "secret").write_text("secret")
    for name in ("README.md", "model/more.json"):
        (copy / name).unlink(missing_ok=True)
        (copy / name).symlink_to(tmp_path / "secret")
        with pytest.raises(RunError, match=rf"{name}: is a symbolic link"):
            upload(copy, "me/shop", dry_run=True, console=Console(quiet=True))
        (copy / name).unlink()


@pytest.mark.parametrize("name", ["metrics.json", "split.json", "config.yaml", "model/labels.json"])
def test_damaged_run_is_not_uploaded(name: str, run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / name).write_text('{"parts": 7}')
    with pytest.raises(RunError, match=rf"{name}: .*train again with --overwrite"):
        upload(copy, "me/shop", dry_run=True, console=Console(quiet=True))


def test_unfinished_run_is_not_uploaded(tmp_path: Path, hub: Hub, push: Push) -> None:
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    code, message = push(tmp_path, hub.server_port)
    assert code == 2 and "not finished (no metrics.json)" in message
