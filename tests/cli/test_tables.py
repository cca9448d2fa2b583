"""`--data` as a folder or as a table of any format, on the command line."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.cli.test_cli import ROWS, call, refused, write_catalog

WORDS = ("split.top_k=2",)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A catalog whose table has tabs, another name and UTF-16."""
    data = write_catalog(tmp_path / "shop", ROWS)
    content = (data / "styles.csv").read_text().replace(",", "\t")
    (data / "shop.tsv").write_text(content, "utf-16")
    (data / "styles.csv").unlink()
    return data


def test_a_folders_only_table_and_the_table_itself_are_one(shop: Path, tmp_path: Path) -> None:
    table = shop / "shop.tsv"
    line = f"catalog: {table} (CSV, tabs, UTF-16; 10 columns)"
    for number, given in enumerate((table, shop)):
        checked = call("data", "check", given, *WORDS)
        assert checked.exit_code == 0 and checked.stderr.splitlines()[0] == line
        run = tmp_path / f"run{number}"
        made = call("baseline", "nb", "--data", given, "--out", run, *WORDS)
        assert made.exit_code == 0 and made.stderr.count(line) == 1, made.output
        settings = yaml.safe_load((run / "config.yaml").read_text())
        assert (settings["data"], settings["catalog"]["file"]) == (str(shop), "shop.tsv")
        assert settings["catalog"]["encoding"] == "auto"
        again = call("baseline", "nb", "--data", given, "--out", run, "--resume", *WORDS)
        assert again.exit_code == 0 and "finished already" in again.stderr
    runs = (tmp_path / "run0", tmp_path / "run1")
    compared = call("compare", *runs, "--out", tmp_path / "report", "--data", table)
    assert compared.exit_code == 0, compared.output


def test_several_tables_are_named_and_refused(shop: Path) -> None:
    (shop / "other.jsonl").write_text('{"id": 1}\n')
    line = refused("data", "check", shop, *WORDS)
    assert f"holds 2 tables (other.jsonl, shop.tsv); give one: --data {shop / 'other.jsonl'}" in line
    assert call("data", "check", shop, "catalog.file=shop.tsv", *WORDS).exit_code == 0


def test_parquet_and_json_lines_give_the_products_of_csv(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "shop", ROWS)
    table = pd.read_csv(data / "styles.csv")  # ids and years are numbers
    table.to_parquet(data / "t.parquet")
    table.to_json(data / "t.jsonl.gz", orient="records", lines=True)
    found = {}
    for name in ("styles.csv", "t.parquet", "t.jsonl.gz"):
        result = call("data", "check", data / name, "--json", *WORDS)
        assert result.exit_code == 0, result.output
        found[name] = json.loads(result.stdout)
    assert found["t.parquet"] == found["t.jsonl.gz"] == found["styles.csv"]


def test_an_unclear_table_is_refused_with_the_setting(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "shop", ROWS)
    content = (data / "styles.csv").read_text().replace("Shirt", "Żółta bluzka z długim rękawem")
    (data / "styles.csv").write_text(content, "cp1250")
    line = refused("data", "check", data, *WORDS)
    assert "its encoding is unclear; it may be" in line and "windows-1250" in line
    assert "set catalog.encoding, such as catalog.encoding=" in line
    assert call("data", "check", data, "catalog.encoding=cp1250", *WORDS).exit_code == 0
