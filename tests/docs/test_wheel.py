"""The wheel contains all that the commands need, and the README's Python runs on what its demo leaves."""

import os
import re
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, code_blocks, read


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


@pytest.fixture(scope="module")
def demo(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `demo/`, as `fusionclf demo` of the installed wheel leaves it, and `output.txt`."""
    folder = tmp_path_factory.mktemp("elsewhere")
    words = ["demo", "--out", "demo", "--products", "200"]
    output = call([installed / "fusionclf", *words], folder, OMP_NUM_THREADS="1")
    (folder / "output.txt").write_text(output)
    return folder


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
def test_installed_wheel_generates_a_catalog(installed: Path, tmp_path: Path) -> None:
    call([installed / "fusionclf", "data", "sample", "sample", "--products", "200"], tmp_path)
    assert (tmp_path / "sample" / "styles.csv").is_file()
    where = "import fusionclf; print(fusionclf.__file__)"
    assert str(installed.parent) in call([installed / "python", "-c", where], tmp_path)


@pytest.mark.slow
def test_installed_wheel_runs_the_demo(demo: Path) -> None:
    names = {"majority", "nb", "nb-reference", "linear", "image", "multitask", "text", "fusion"}
    assert {run.name for run in (demo / "demo" / "runs").iterdir()} == names
    assert "data:image/jpeg" in (demo / "demo" / "report" / "report.html").read_text(encoding="utf-8")
    output = (demo / "output.txt").read_text()
    named, of = map(int, re.findall(r"fusion predicts (\d+) of their (\d+) test products right", output)[0])
    assert of / 3 <= named <= of
    found, listed = map(int, re.findall(r"(\d+) of the catalog's 8 are among the (\d+)", output)[0])
    assert 4 <= found <= listed <= 16
    assert (demo / "demo" / "explanation" / "explanation.png").is_file()
    assert (demo / "demo" / "label-issues" / "audit.html").is_file()
    assert output.count("(CSV, commas, UTF-8; 10 columns)") == 1  # not once a run


@pytest.mark.slow
def test_readme_python_runs(demo: Path, installed: Path) -> None:
    (code,) = code_blocks(read(ROOT / "README.md"), "python")
    some = next((demo / "demo" / "catalog" / "images").glob("*.jpg"))  # the README's demo has more products
    call([installed / "python", "-c", code.replace("7811", some.stem)], demo, OMP_NUM_THREADS="1")
    assert (demo / "report" / "report.html").is_file()
    assert (demo / "explanation" / "explanation.png").is_file()
