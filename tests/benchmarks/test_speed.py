"""The speed page: made of the benchmarks' tables, in miniature."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import speed, speed_commands
from benchmarks.encoders import operations
from benchmarks.speed import RESULTS, ROOT, SECTIONS, page
from tests.runs import Runs


def test_the_speed_page_is_that_of_the_results() -> None:
    found = json.loads((ROOT / RESULTS).read_text(encoding="utf-8")) if (ROOT / RESULTS).is_file() else {}
    assert (ROOT / speed.PAGE).read_text(encoding="utf-8") == page(found), (
        "run python benchmarks/speed.py --page"
    )


@pytest.mark.parametrize("name", SECTIONS)
def test_the_script_of_a_section_takes_its_words(name: str) -> None:
    given = dict.fromkeys(("before", "catalog", "work", "rounds"), "1")
    words = [word.format(**given) for word in SECTIONS[name].words]
    script = (ROOT / words[0]).read_text(encoding="utf-8")
    assert all(f'"{word}"' in script for word in words if word.startswith("--"))
    assert ('"--markdown"' in script) == SECTIONS[name].writes


def test_measured_sections_are_kept_and_others_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "count.py"
    script.write_text("import sys; open(sys.argv[-1], 'a').write(f'| {sys.argv[1]} |\\n')")
    section = speed.Section("A table", "Of nothing.", (str(script), "{catalog}"))
    monkeypatch.setattr(speed, "SECTIONS", {"one": section, "other": section})
    words = [str(tmp_path), "data", str(tmp_path / "work"), "--only", "one", "--out", str(tmp_path)]
    for _ in range(2):  # the second time from WORK
        speed.main(words)
        text = (tmp_path / "docs/SPEED.md").read_text(encoding="utf-8")
        assert text.count("Not measured yet.") == 1 and text.count("| data/fashion-small |") == 1
    (tmp_path / "work/one.json").write_text('{"where": "", "table": "| other |"}')
    speed.main(["--page", "--out", str(tmp_path)])
    assert "| other |" not in (tmp_path / "docs/SPEED.md").read_text(encoding="utf-8")
    script.write_text("raise SystemExit(3)")
    with pytest.raises(SystemExit, match="other: the benchmark ended with 3"):
        speed.main([*words[:3], "--only", "other", "--out", str(tmp_path)])


@pytest.mark.slow
def test_commands_are_compared_in_miniature(runs: Runs, sample_dir: Path, tmp_path: Path) -> None:
    for name, run in (("linear", "linear"), ("fusion", "linear")):  # a network would take a minute
        shutil.copytree(runs(run), tmp_path / name)
    words = [
        str(ROOT),
        str(sample_dir),
        str(tmp_path),
        "--rounds",
        "1",
        "--only",
        "start;title, linear;linear",
    ]
    done = subprocess.run(
        [sys.executable, "benchmarks/speed_commands.py", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 5 and all(line.count("|") == 9 for line in lines)
    assert 0.2 < float(lines[3].split("|")[6]) < 5  # the ratio of a checkout to itself
    assert len((tmp_path / "products.csv").read_text().splitlines()) > 100
    assert set(speed_commands.SHOWN) == set(speed_commands.COMMANDS)


def test_operations_of_an_encoder_are_counted() -> None:
    left, right = torch.ones(2, 3), torch.ones(3, 4)
    assert operations(lambda: left @ right) == 2 * 2 * 3 * 4
