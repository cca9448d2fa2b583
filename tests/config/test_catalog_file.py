"""Settings of catalog.yaml that mean nothing without another one."""

from pathlib import Path

import pytest

from fusionclf.config import described_values

BELONGING = {
    "label": {"label_list": "'|'", "label_separator": "'>'", "label_level": "2"},
    "picture": {"picture_separator": "';'"},
}


def described(folder: Path, given: dict[str, str], *words: str) -> dict[str, str]:
    lines = "".join(f"  {name}: {value}\n" for name, value in given.items())
    (folder / "catalog.yaml").write_text(f"catalog:\n  title: name\n{lines}", encoding="utf-8")
    return described_values(folder, {}, words)["catalog"]


@pytest.mark.parametrize(
    ("main", "given"),
    [
        ("label", ("label_list",)),
        ("label", ("label_separator", "label_level")),
        ("picture", ("picture_separator",)),
    ],
)
def test_a_new_column_leaves_out_what_belongs_to_the_old(
    tmp_path: Path, main: str, given: tuple[str, ...]
) -> None:
    values = {name: BELONGING[main][name] for name in given}
    assert set(described(tmp_path, values)) == {"title", *given}
    assert set(described(tmp_path, values, "catalog.title=titel")) == {"title", *given}
    assert set(described(tmp_path, values, f"catalog.{main}={{kind}}")) == {"title"}
