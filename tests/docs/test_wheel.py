"""The wheel contains all that the commands need."""

import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.docs.pages import ROOT


def call(words: list[str | Path], folder: Path, **environment: str) -> str:
    """A command's output; it runs outside of the checkout."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [*map(str, words)], cwd=folder, env=kept | environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from a copy of what the build reads."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("fusionclf", "baselines", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-q",
        "-w",
        out,
        source,
    ]
    call(build, out)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheel. Its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install"]
    call([*pip, "--no-deps", "--no-index", "-q", wheel], folder)
    return folder / "bin"


def test_wheel_holds_settings_and_templates(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder, inside in (
        ("configs", "fusionclf/configs"),
        ("fusionclf", "fusionclf"),
        ("baselines", "baselines"),
    ):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert f"{inside}/{file.relative_to(ROOT / folder)}" in names


@pytest.mark.slow
def test_installed_wheel_compares_runs(installed: Path, tmp_path: Path) -> None:
    call([installed / "fusionclf", "data", "sample", "sample", "--products", "200"], tmp_path)
    for name in ("majority", "linear"):
        call([installed / "fusionclf", "baseline", name, "--data", "sample", "--out", name], tmp_path)
    call([installed / "fusionclf", "compare", "majority", "linear", "--out", "report"], tmp_path)
    assert "data:image/jpeg" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    where = (
        "import fusionclf; from fusionclf.config.shipped import find_config;"
        "print(fusionclf.__file__, find_config('fusion-frozen'))"
    )
    package, settings = call([installed / "python", "-c", where], tmp_path).split()
    assert package.startswith(str(installed.parent)) and settings.startswith(str(installed.parent))
