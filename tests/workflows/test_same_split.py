"""split.same_as on the command line: after corrections a second run is made on the first one's split."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from fusionclf.catalog import Split
from fusionclf.config import RunConfig
from fusionclf.console import SILENT, Console
from fusionclf.errors import RunError, SettingsError
from fusionclf.hub import collect_files
from fusionclf.models.variants.fusion import FusionParams
from fusionclf.prediction import load
from fusionclf.workflows.baseline import run_baseline
from fusionclf.workflows.data import check_settings, data_check
from fusionclf.workflows.import_predictions import ImportRequest, import_predictions
from fusionclf.workflows.settings import ExistingRun, load_run_settings
from fusionclf.workflows.synonyms import ClassSource, draft_file
from tests.small import write_catalog

NAMES = ("Shirts", "Jeans", "Belts")
RANDOM = ("split.rule=random", "split.seed=5", "split.group_by=title")


def rows(labels: dict[int, str]) -> list[str]:
    return [
        f"{n},Men,Apparel,Topwear,{labels.get(n, NAMES[n % 3])},Blue,Fall,2011,Casual,{NAMES[n % 3]} {n}"
        for n in range(45)
    ]


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Catalogs and runs: `second` is on a corrected catalog whose catalog.yaml names another split."""
    folder = tmp_path_factory.mktemp("shops")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_catalog(folder / "shop", rows({}))
        run_baseline("majority", Path("shop"), Path("first"), overrides=RANDOM, console=SILENT)
        write_catalog(folder / "corrected", rows({0: "Jeans", 4: "Belts"}))
        (folder / "corrected" / "catalog.yaml").write_text("split: {rule: random, seed: 1}\n")
        train_second()
    return folder


@pytest.fixture
def shop(shops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them, which is the working folder."""
    monkeypatch.chdir(shutil.copytree(shops, tmp_path / "shops"))
    return Path()


def train_second(*words: str, console: Console = SILENT, **options: Any) -> None:
    overrides = words or ("split.same_as=first",)
    run_baseline(
        "majority", Path("corrected"), Path("second"), overrides=overrides, console=console, **options
    )


def subsets(run: Path) -> dict[str, str]:
    ids = Split.load(run / "split.json").ids
    return {product: name for part in ids.values() for name, own in part.items() for product in own}


def test_a_second_run_keeps_the_split(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_second(console=Console(), existing=ExistingRun(overwrite=True))
    assert subsets(shop / "second") == subsets(shop / "first")
    assert "split: each product keeps its subset of first\n" in capsys.readouterr().err
    spec = yaml.safe_load((shop / "second" / "config.yaml").read_text())["split"]
    assert (spec["rule"], spec["seed"], spec["group_by"]) == ("random", 5, ["title"])
    assert spec == json.loads((shop / "second" / "split.json").read_text())["spec"]
    assert "each product keeps its subset of the run first" in (shop / "second" / "README.md").read_text()


def test_another_seed_beside_it_is_refused(shop: Path) -> None:
    with pytest.raises(SettingsError, match=r"split\.seed=6: has no effect with split\.same_as"):
        train_second("split.same_as=first", "split.seed=6", existing=ExistingRun(overwrite=True))
    assert (shop / "second" / "metrics.json").is_file()


def test_all_commands_work_when_the_first_run_is_gone(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = subsets(shop / "first")
    shutil.rmtree(shop / "first")
    assert load(shop / "second").predict(titles=["Belts 2"]).labels[0]
    assert data_check(shop / "corrected", "second/config.yaml", (), as_json=False, console=Console())
    assert "keeps its subset of second\n" in capsys.readouterr().err
    answers = shop / "answers.csv"
    tested = [product for product, subset in wanted.items() if subset == "test"]
    pd.DataFrame({"id": tested, "label": "Belts"}).to_csv(answers, index=False)
    own = ("split.same_as=second",)
    request = ImportRequest(answers, "mine", shop / "corrected", shop / "import", overrides=own)
    import_predictions(request, console=SILENT)
    assert subsets(shop / "import") == wanted
    with pytest.raises(SettingsError, match=r"no run folder .*any run with that split will do"):
        train_second(existing=ExistingRun(overwrite=True))


def test_a_run_is_resumed_by_its_own_split(shop: Path) -> None:
    shutil.rmtree(shop / "first")
    (shop / "second" / "metrics.json").unlink()
    train_second("split.same_as=second", existing=ExistingRun(resume=True))
    assert (shop / "second" / "metrics.json").is_file()
    (shop / "second" / "metrics.json").unlink()
    with pytest.raises(RunError, match=r"begun with other settings \(split\.top_k: 20 there, 2 now\)"):
        train_second("split.same_as=second", "split.top_k=2", existing=ExistingRun(resume=True))


def test_an_uploaded_run_does_not_name_the_first_one(shop: Path) -> None:
    files = collect_files(shop / "second", "me/shop")
    for name in ("config.yaml", "split.json"):
        text = files[name]
        assert isinstance(text, bytes) and b"same_as" in text and b"first" not in text


def test_names_are_drafted_without_the_first_run(shop: Path) -> None:
    shutil.rmtree(shop / "first")
    draft = draft_file(ClassSource(run=shop / "second"), shop / "names.yaml", console=SILENT)
    assert set(draft.names) == set(NAMES)


def test_settings_of_a_run_stand_for_its_own_split(shop: Path) -> None:
    assert check_settings(shop / "corrected", "second/config.yaml", ()).split.same_as == "second"
    (shop / "mine.yaml").write_text("split: {same_as: first}\n")
    schema = RunConfig[FusionParams]
    settings = load_run_settings(schema, "fusion", shop / "corrected", shop / "mine.yaml", ())
    assert (settings.split.same_as, settings.split.seed) == ("first", 5)
