"""Which runs a study starts."""

from pathlib import Path

import pandas as pd
import pytest

from fusionclf.workflows import study as workflow


def test_reference_runs_on_the_kaggle_layout(
    sample_dir: Path, tmp_path: Path, started: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    workflow.study(sample_dir, tmp_path / "study", configs="sample")
    assert started[:4] == ["majority", "nb-reference", "nb", "linear"]
    assert "left out" not in capsys.readouterr().err


def write_layout(layout: str, table: pd.DataFrame, folder: Path) -> Path:
    """A table that no bare `pd.read_csv` reads, or that has a column of its own."""
    file = folder / ("styles.csv" if layout in ("semicolons", "cp1252", "sparse") else f"styles.{layout}")
    if layout == "parquet":
        table.to_parquet(file)
    elif layout == "jsonl":
        table.to_json(file, orient="records", lines=True)
    elif layout == "cp1252":
        table.assign(usage="Été à la plage").to_csv(file, index=False, encoding="cp1252")
    else:
        own = table.assign(note="") if layout == "sparse" else table
        own.to_csv(file, index=False, sep=";" if layout == "semicolons" else ",")
    return file


@pytest.mark.parametrize("layout", ["parquet", "jsonl", "semicolons", "cp1252", "sparse"])
def test_reference_is_left_out_of_another_layout(
    layout: str, sample_dir: Path, tmp_path: Path, started: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(sample_dir / "styles.csv", dtype="str", on_bad_lines="skip", keep_default_na=False)
    file = write_layout(layout, table, tmp_path)
    workflow.study(file, tmp_path / "study", configs="sample", overrides=("catalog.missing_picture=keep",))
    assert started[:3] == ["majority", "nb", "linear"]
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "left out" in line)
    assert line.startswith(f"nb-reference left out: {file.name} ")
