"""Studies that a file lists."""

from pathlib import Path

import pytest

from fusionclf.config import RunConfig, load_settings
from fusionclf.config.shipped import config_folder
from fusionclf.config.studies import StudyRun, trained_runs
from fusionclf.errors import SettingsError
from fusionclf.models import find_variant


def test_the_ablation_lists_runs_whose_settings_hold() -> None:
    runs = trained_runs("ablation", seeds=1)
    assert {run.name for run in runs} >= {
        "picture",
        "title",
        "closed-late",
        "named-late",
        "open-attention",
        "open-late-without-graph",
        "open-late-without-synonyms",
    }
    check_settings(runs)


def test_the_attributes_list_runs_whose_settings_hold() -> None:
    runs = trained_runs("attributes", seeds=1)
    assert [run.name for run in runs] == ["picture", "fusion", "fusion-class-alone"]
    check_settings(runs)


def check_settings(runs: list[StudyRun]) -> None:
    for run in runs:
        variant = find_variant(run.command[1])
        settings = load_settings(
            RunConfig[variant.params], run.config, run.overrides, variant=variant.name, data="x"
        )
        assert settings.scheme == "single_stage", run.name


def test_each_run_of_a_file_has_its_seeds(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("small: {config: fusion-sample, set: [train.epochs=1]}\n")
    runs = trained_runs(str(file), seeds=2)
    assert [(run.name, run.overrides) for run in runs] == [
        ("small", ("train.epochs=1",)),
        ("small-seed1", ("train.epochs=1", "seed=1")),
    ]
    assert runs[0].command == ("train", "fusion") and runs[0].config == config_folder() / "fusion-sample.yaml"


def test_names_and_words_of_a_listing_are_text(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "007: {config: text-sample, set: [seed=1, catalog.id=No]}\n2020-01-01: {config: text-sample, set: }\n"
    )
    assert [(run.name, run.overrides) for run in trained_runs(str(file), seeds=1)] == [
        ("007", ("seed=1", "catalog.id=No")),
        ("2020-01-01", ()),
    ]


@pytest.mark.parametrize("configs", ["**", "[", "x" * 5000, "no\udcffne", "a/**/b"])
def test_a_set_that_no_file_can_have_is_refused(configs: str) -> None:
    with pytest.raises(SettingsError, match="no settings files for --configs"):
        trained_runs(configs, seeds=1)


def test_a_variant_in_a_settings_file_must_be_text(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("variant: [text]\n")
    with pytest.raises(SettingsError, match=r"mine\.yaml: variant="):
        trained_runs(str(tmp_path), seeds=1)


def test_a_set_is_found_where_a_folder_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "text-mine.yaml").write_text("train: {epochs: 1}\n")
    monkeypatch.chdir(tmp_path)
    assert "image" in {run.name for run in trained_runs("sample", seeds=1)}
    assert {run.name for run in trained_runs("./sample", seeds=1)} == {"text-mine"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("small: {set: [a=1]}", "small: give config"),
        ("small: {config: fusion-sample, seed: 1}", "small: give config"),
        ("../up: {config: fusion-sample}", "cannot name a folder"),
        ("small: {config: fusion-smaple}", "did you mean 'fusion-sample'"),
        ("small: {config: fusion-sample, set: seed=1}", "small: give config"),
        ("small: {config: fusion-sample, set: {seed: 1}}", "small: give config"),
        ("small: {config: fusion-sample, set: [seed: 1]}", "small: give config"),
        ("small: {config: [fusion-sample]}", "small: give config"),
        ("small: {config: null}", "small: give config"),
        ("small: {config: fusion-sample}\nsmall: {config: text-sample}", "key 'small' is given twice"),
        ("- small", "holds list"),
    ],
)
def test_a_bad_listing_is_one_line(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(SettingsError, match=problem):
        trained_runs(str(tmp_path / "mine.yaml"), seeds=1)
