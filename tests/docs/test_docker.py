"""Dockerfile and compose.yaml: what they name is there, and their commands are commands."""

import re
import shlex

import pytest
import yaml

from tests.docs.pages import ROOT, read
from tests.docs.test_pages import find_command

DOCKERFILE = read(ROOT / "Dockerfile").replace("\\\n", " ")
INSTRUCTIONS = [tuple(line.split(maxsplit=1)) for line in DOCKERFILE.splitlines() if line[:1].isupper()]
COMPOSE = yaml.safe_load(read(ROOT / "compose.yaml"))["services"]["fusionclf"]


def texts(name: str) -> list[str]:
    return [text for instruction, text in INSTRUCTIONS if instruction == name]


def check_command(words: list[str]) -> None:
    command, rest = find_command(words)
    with command.make_context(command.name, rest) as context:
        assert context.params["host"] == "0.0.0.0" and context.params["log_format"] == "json"


def test_copied_files_exist_and_are_not_ignored() -> None:
    kept = {line[1:] for line in read(ROOT / ".dockerignore").splitlines() if line.startswith("!")}
    copied = [source for text in texts("COPY") for source in text.split()[:-1]]
    assert set(copied) == kept and all((ROOT / source).exists() for source in copied)


def test_the_server_is_not_root_and_is_checked() -> None:
    names = [name for name, _ in INSTRUCTIONS]
    (user,), (check,) = texts("USER"), texts("HEALTHCHECK")
    assert user == "fusionclf" and f"--create-home {user}" in texts("RUN")[0]
    assert names.index("RUN") < names.index("USER") < names.index("ENTRYPOINT")
    (code,) = re.findall(r'CMD \["python", "-c", "(.*)"\]', check)
    compile(code, "HEALTHCHECK", "exec")
    assert "/health" in code and f":{texts('EXPOSE')[0]}/" in code


@pytest.mark.parametrize("source", ["Dockerfile", "compose.yaml"])
def test_the_commands_parse(source: str) -> None:
    assert yaml.safe_load(texts("ENTRYPOINT")[0]) == ["fusionclf"]
    if source == "Dockerfile":
        check_command(yaml.safe_load(texts("CMD")[0]))
    else:
        check_command(shlex.split(re.sub(r"\$\{\w+:-(.*?)\}", r"\1", COMPOSE["command"])))


def test_compose_is_reached_from_this_machine_alone() -> None:
    assert COMPOSE["ports"] == ["127.0.0.1:8000:8000"]
    assert all(volume.endswith(":/model:ro") for volume in COMPOSE["volumes"])
    assert COMPOSE["read_only"] and COMPOSE["tmpfs"] == ["/tmp"]
    assert "FUSIONCLF_CACHE=/tmp/" in texts("ENV")[0]
