"""Settings from YAML files and key=value words: text stays as written, every fault is one line."""

import os
from pathlib import Path
from typing import Any

import pytest

from fusionclf.config import CatalogConfig, RunConfig, build_settings, dump_yaml, load_settings, read_yaml
from fusionclf.errors import SettingsError
from fusionclf.models import find_variant
from fusionclf.run_schema import read_config
from fusionclf.workflows.settings import find_config

SCHEMA = RunConfig[find_variant("fusion").params]


def settings(*words: str, file: Path | None = None) -> RunConfig[Any]:
    return load_settings(SCHEMA, file, words, variant="fusion", data="catalog")


def settings_file(folder: Path, text: str) -> Path:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("text", ["No", "on", "007", "1e5", "1_000", "2020-01-01", "1:30", "0x1F", "~x", "null",
                                  "Name: EN", "a # b", "{sku}", "[sku]", "*", "&a", "!x", "%x", "@x", "'No'", "Größe",
                                  " padded "])  # fmt: skip
def test_a_column_on_the_command_line_is_text(text: str) -> None:
    assert settings(f"catalog.id={text}").catalog.id == text
    assert settings(f"catalog.label={text}").catalog.label == text


@pytest.mark.parametrize("pattern", ["{sku}.jpg", "{file}", "{type}/{sku}.jpg", "images/{No}.jpg"])
def test_a_picture_pattern_needs_no_quotes_in_a_word(pattern: str) -> None:
    assert settings(f"catalog.picture={pattern}").catalog.picture == pattern


@pytest.mark.parametrize(("text", "expected"), [("No", "No"), ("null", None), ("~", None), ("", None)])
def test_null_means_none_only_where_none_is_allowed(text: str, expected: str | None) -> None:
    assert settings(f"catalog.year={text}").catalog.year == expected
    assert settings(f"model.synonyms={text}").model.synonyms == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("", ()), ("null", ()), ("No", ("No",)), ("No,007", ("No", "007")), ("a: b, c", ("a: b", "c")),
    ("[No, 007]", ("No", "007")), ("['a,b', c]", ("a,b", "c")), ("[]", ()),
])  # fmt: skip
def test_a_list_on_the_command_line_holds_texts(text: str, expected: tuple[str, ...]) -> None:
    assert settings(f"catalog.metadata={text}").catalog.metadata == expected


def test_numbers_truth_values_and_mappings_are_still_read() -> None:
    found = settings("train.epochs=3", "split.swap=true", "train.clip_norm=null", "model.dropout=1e-1",
                     "train.optimiser={name: adamw, learning_rate: 0.1}", "stage2.epochs=5", "train.ema_decay=0.9",
                     "train.progressive=[{epochs: 1, height: 64, width: 48}]",
                     "model.auxiliary={No: 0.5, 007: 1}", "catalog={id: No, year: null}")  # fmt: skip
    assert (found.train.epochs, found.split.swap, found.train.clip_norm) == (3, True, None)
    assert (found.model.dropout, found.train.ema_decay) == (0.1, 0.9)
    assert (found.train.optimiser.name, found.train.optimiser.learning_rate) == ("adamw", 0.1)
    assert (found.second_stage.epochs, found.train.progressive[0].height) == (5, 64)
    assert found.model.auxiliary == {"No": 0.5, "007": 1.0}
    assert (found.catalog.id, found.catalog.year) == ("No", None)


def test_a_file_keeps_text_as_it_is_written(tmp_path: Path) -> None:
    text = (
        "catalog: {id: No, title: 'Name: EN', label: 007, year: 1e5, categories: [on, 2020-01-01], metadata: 'a, b'}\n"
        "model:\n  auxiliary:\n    No: 0.5\nsplit:\n  seed: 0010\ntrain:\n  compile: yes\n"
    )
    found = settings(file=settings_file(tmp_path, text))
    assert (found.catalog.id, found.catalog.title, found.catalog.label) == ("No", "Name: EN", "007")
    assert (found.catalog.year, found.catalog.categories) == ("1e5", ("on", "2020-01-01"))
    assert (found.catalog.metadata, found.model.auxiliary) == (("a", "b"), {"No": 0.5})
    assert (found.split.seed, found.train.compile) == (10, True)


def test_null_in_a_file_is_none_and_in_quotes_text(tmp_path: Path) -> None:
    assert settings(file=settings_file(tmp_path, "catalog: {year: null}")).catalog.year is None
    assert settings(file=settings_file(tmp_path, "catalog: {year: 'null'}")).catalog.year == "null"
    with pytest.raises(SettingsError, match=r"catalog\.id=None: is text; .* in quotes"):
        settings(file=settings_file(tmp_path, "catalog: {id: null}"))


@pytest.mark.parametrize("pattern", ["{sku}.jpg", "{type}/{sku}.jpg"])
def test_a_pattern_in_a_file_needs_quotes_and_is_told_so(pattern: str, tmp_path: Path) -> None:
    quoted = settings_file(tmp_path, f"catalog:\n  picture: '{pattern}'\n")
    assert settings(file=quoted).catalog.picture == pattern
    with pytest.raises(SettingsError, match=r"mine\.yaml: line 2: .*in quotes, such as '\{id\}\.jpg'"):
        settings(file=settings_file(tmp_path, f"catalog:\n  picture: {pattern}\n"))


WORDS = ("catalog.id=No", "catalog.label=1e5", "catalog.title=null", "catalog.metadata=007,2020-01-01",
         "catalog.picture={No}.jpg", "model.auxiliary={007: 0.25}", "stage2={epochs: 5, clip_norm: 1e-3}",
         "stage2.optimiser.name=adam", "stage3.compile=true", "train.optimiser.learning_rate=0.00001",
         "split.column==")  # fmt: skip


def test_what_a_run_keeps_reads_back_to_the_same_settings(tmp_path: Path) -> None:
    before = settings(*WORDS)
    file = settings_file(tmp_path, dump_yaml(before))
    assert settings(file=file) == before
    assert build_settings(SCHEMA, read_yaml(file)) == before
    assert read_yaml(file) == before.model_dump(mode="json")


def test_numbers_of_later_stages_are_kept_as_numbers() -> None:
    found = settings("stage2.epochs=5", "stage2.compile=true", "stage2.optimiser={learning_rate: 1e-3}")
    assert found.stage2 == {"epochs": 5, "compile": True, "optimiser": {"learning_rate": 0.001}}


REFUSED = {
    "a date": "split:\n  seed: 2020-13-45",
    "a tag": "split:\n  seed: !!int x",
    "a python tag": "split: !!python/object/apply:os.system [ls]",
    "a text tag": "catalog:\n  id: !!str 007",
    "5,000 digits": f"split:\n  seed: {'9' * 5000}",
    "500 brackets": "split: " + "[" * 500,
    "100,000 brackets": "split: " + "[" * 100_000,
    "deep blocks": "\n".join(" " * n + "a:" for n in range(500)),
    "an alias": "split: &a {seed: 1}\ntrain: *a",
    "itself inside": "split: &a [*a]",
    "an alias bomb": "a: &a [x]\n" + "\n".join(f"{n}: &{n} [*a, *a, *a]" for n in range(30)),
    "NUL": "split:\n  seed: \0",
    "an escape": "catalog:\n  id: \x1b[31m",
    "tabs": "split:\n\tseed: 1",
    "a merge key": "split: {<<: {seed: 1}}",
    "a key twice": "split:\n  seed: 1\n  seed: 2",
    "a section twice": "split: {seed: 1}\nsplit: {seed: 2}",
    "a list as key": "? [a, b]\n: 1",
    "two documents": "split: {seed: 1}\n---\nsplit: {seed: 2}",
    "a list": "- split",
    "a text": "split",
    "an open quote": "split: 'a",
    "a lone surrogate": 'catalog: {id: "\\ud800"}',
    "no character": 'catalog: {id: "\\UFFFFFFFF"}',
    "a version": f"%YAML 1.{'9' * 5000}\n---\nsplit: {{seed: 1}}",
    "infinity": "train: {optimiser: {learning_rate: .inf}}",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_bad_file_raises_a_settings_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        settings(file=settings_file(tmp_path, text))


@pytest.mark.parametrize(("text", "expected"), [
    ("split:\n  seed: 1\n  seed: 2", r"line 3: key 'seed' is given twice"),
    ("split: &a {seed: 1}", r"line 1: anchors and aliases"),
    ("a: 1\nsplit: !!map {}", r"line 2: tags"),
    ("split: " + "[" * 500, r"line 1: nested more than 20 levels deep"),
    ("a: \0", r"U\+0000 is not allowed"),
    ("a: 1\n---\nb: 2", "more than one document"),
])  # fmt: skip
def test_a_fault_of_a_file_names_line_and_remedy(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=expected):
        settings(file=settings_file(tmp_path, text))


@pytest.mark.parametrize("word", ["=x", "a..b=1", "a.b", "", ".", ".=1", "seed", "train.=1", ".train=1",
                                  "train.epochs＝3", "train.epochs:3"])  # noqa: RUF001  # fmt: skip
def test_a_malformed_word_shows_how_one_is_written(word: str) -> None:
    with pytest.raises(SettingsError, match=r"a setting is written key\.path=value, such as train\.epochs=3"):
        settings(word)


@pytest.mark.parametrize("word", ["split.seed=2020-13-45", "split.seed=!!int x", f"split.seed={'9' * 5000}",
                                  f"split={'[' * 500}", "split={seed: 1, seed: 2}", "split=&a [*a]", "split={seed: 1",
                                  "split.seed={<<: {}}", f"stage2.{'a.' * 3000}b=1", f"{'a.' * 3000}b=1",
                                  "catalog.id=\udcff", "catalog={id: \udcff}", "catalog.id=",
                                  "train.progressive.0.epochs=1", "stage2=[1]", "model.auxiliary.a.b=1"])  # fmt: skip
def test_a_bad_word_raises_a_settings_error(word: str) -> None:
    with pytest.raises(SettingsError):
        settings(word)


@pytest.mark.parametrize("word", ["train.epochs={No}.jpg", "train.epochs=", "train.epochs=null", "split.swap=a: b",
                                  "train.optimiser.learning_rate=[", "scheme={", "train.patience=!!int 3"])  # fmt: skip
def test_a_bad_number_is_refused_as_it_was_typed(word: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        settings(word)
    path, _, value = word.partition("=")
    assert str(refusal.value).startswith(f"setting {path}={value or None!r}: ")


def test_a_key_that_is_not_unicode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not UTF-8 text"):
        settings("spl\udcffit.seed=1")
    with pytest.raises(SettingsError, match=r"line 1: .* is not Unicode text"):
        settings(file=settings_file(tmp_path, '"spl\\ud800it": 1'))


def test_a_look_alike_letter_in_a_key_is_made_visible() -> None:
    with pytest.raises(SettingsError, match=r"unknown setting 'tr\\u0430in': did you mean 'train'"):
        settings("tr\u0430in.epochs=3")


def test_a_settings_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    with large.open("wb") as stream:
        stream.truncate(100_000_000)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(bytes(range(128, 256)))
    for file, expected in ((large, "larger than 1 MiB"), (binary, "not UTF-8"), (tmp_path, "is a folder"),
                           (tmp_path / "none.yaml", "no settings file")):  # fmt: skip
        with pytest.raises(SettingsError, match=expected):
            settings(file=find_config(str(file)))


@pytest.mark.parametrize("name", ["x" * 10_000, "a\0b", "", "/", "\ud800"])
def test_a_name_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="settings file"):
        find_config(name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    file = settings_file(tmp_path, "seed: 1")
    file.chmod(0)
    with pytest.raises(SettingsError, match="Permission denied"):
        settings(file=file)


def test_a_column_pattern_alone_in_braces_is_text(tmp_path: Path) -> None:
    file = settings_file(tmp_path, "picture: {file}")
    assert build_settings(CatalogConfig, read_yaml(file)).picture == "{file}"


def test_scheme_joint_is_single_stage_with_a_warning() -> None:
    with pytest.warns(FutureWarning, match="use scheme=single_stage"):
        assert settings("scheme=joint").scheme == "single_stage"


def test_config_file_of_scheme_joint_is_read_without_warning(tmp_path: Path) -> None:
    written = dump_yaml(settings("scheme=single_stage")).replace("single_stage", "joint")
    (tmp_path / "config.yaml").write_text(written)
    assert read_config(tmp_path) == settings("scheme=single_stage").model_dump(mode="json")
