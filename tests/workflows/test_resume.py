"""--resume refuses a changed catalog and other settings, of a finished run as of one that was stopped."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from fusionclf.config import BaselineConfig, CatalogConfig, RunConfig, SplitConfig
from fusionclf.console import SILENT
from fusionclf.errors import RunError
from fusionclf.models.variants.fusion import FusionParams
from fusionclf.workflows import study as workflow
from fusionclf.workflows.baseline import run_baseline
from fusionclf.workflows.finished import check_finished
from fusionclf.workflows.settings import ExistingRun, begin_run, read_divided
from fusionclf.workflows.train import TrainOptions, train

COLUMNS = CatalogConfig(
    picture=None, title="title", text=("description",), attributes=("brand",), label="label", categories=(),
    metadata=("material",), year=None,
)  # fmt: skip
SPEC = SplitConfig(rule="column", column="fold", top_k=2, group_by=("style",))
NETWORK = ("model.text.buckets=1024", "model.text.dim=8", "train.epochs=1")
RESUME = ExistingRun(resume=True)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A catalog of two classes whose column `fold` says how it is divided."""
    numbers = range(12)
    names = ("title", "description", "brand", "material", "colour", "style", "note")
    cells = {name: [f"{name} {n}" for n in numbers] for name in names}
    folds = [("train", "validation", "test")[n // 2 % 3] for n in numbers]
    labels = [("Shirts", "Jeans")[n % 2] for n in numbers]
    (tmp_path / "shop").mkdir()
    table = pd.DataFrame({"id": numbers, "label": labels, "fold": folds, **cells})
    table.to_csv(tmp_path / "shop" / "styles.csv", index=False)
    return tmp_path / "shop"


def correct(catalog: Path, column: str, cell: str) -> None:
    """Write another cell in the first row, which is a train row."""
    table = pd.read_csv(catalog / "styles.csv")
    table.loc[0, column] = cell
    table.to_csv(catalog / "styles.csv", index=False)


def begin(catalog: Path, run: Path) -> None:
    """Begin a run that reads every column but `note`; `colour` is one that it predicts, too."""
    settings = BaselineConfig(variant="nb", data=str(catalog), catalog=COLUMNS, split=SPEC)
    _, split = read_divided(catalog, COLUMNS, SPEC, further=("colour",))
    run.mkdir(exist_ok=True)
    begin_run(run, settings, split)


@pytest.mark.parametrize(
    ("column", "cell"),
    [("label", "Jeans"), *((name, "new") for name in ("title", "material", "description", "brand", "colour", "style"))],
)  # fmt: skip
def test_a_corrected_cell_is_a_changed_catalog(column: str, cell: str, shop: Path, tmp_path: Path) -> None:
    begin(shop, tmp_path / "run")
    written = (tmp_path / "run" / "split.json").read_bytes()
    correct(shop, column, cell)
    with pytest.raises(RunError, match=r"run: .*\(the catalog has changed\); use --overwrite, or another"):
        begin(shop, tmp_path / "run")
    assert (tmp_path / "run" / "split.json").read_bytes() == written


def test_a_column_that_is_not_read_may_change(shop: Path, tmp_path: Path) -> None:
    begin(shop, tmp_path / "run")
    written = (tmp_path / "run" / "split.json").read_bytes()
    correct(shop, "note", "new")
    begin(shop, tmp_path / "run")
    assert (tmp_path / "run" / "split.json").read_bytes() == written


def test_a_finished_baseline_with_other_settings(sample_dir: Path, tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    first = run_baseline("majority", sample_dir, run, console=SILENT)
    table = sample_dir / "styles.csv"
    assert run_baseline("majority", table, run, existing=RESUME, console=SILENT) == first
    with pytest.raises(RunError, match=r"run: begun with other settings \(split\.top_k: 20 there, 3 now\)"):
        run_baseline(
            "majority", sample_dir, run, overrides=("split.top_k=3",), existing=RESUME, console=SILENT
        )
    (tmp_path / "link").symlink_to(sample_dir)
    assert run_baseline("majority", tmp_path / "link", run, existing=RESUME, console=SILENT) == first
    shutil.copytree(sample_dir, other)
    with pytest.raises(RunError, match=r"begun with other settings \(data: '.*' there, '.*other' now\)"):
        run_baseline("majority", other, run, existing=RESUME, console=SILENT)


def test_a_finished_training_with_other_settings(sample_dir: Path, tmp_path: Path) -> None:
    options = TrainOptions(existing=RESUME, console=SILENT)
    run = tmp_path / "run"
    first = train("text", sample_dir, run, overrides=NETWORK, cpu=True, options=options)
    assert train("text", sample_dir, run, overrides=NETWORK, cpu=True, options=options) == first
    words = (*NETWORK[:2], "train.epochs=3")
    with pytest.raises(RunError, match=r"run: begun with other settings \(train\.epochs: 1 there, 3 now\)"):
        train("text", sample_dir, run, overrides=words, cpu=True, options=options)


@pytest.fixture
def chosen(sample_dir: Path, tmp_path: Path) -> tuple[Path, RunConfig[FusionParams]]:
    """A run that chose its vocabulary and its picture settings, and the settings that it was begun with."""
    given = RunConfig[FusionParams](variant="fusion", data=str(sample_dir), model=FusionParams())
    values = given.model_dump(mode="json")
    values["model"]["vocabulary"] = "open"
    values["pictures"] |= {"height": 224, "width": 160, "fit": "stretch", "normalisation": "clip"}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "run", given


def test_what_a_finished_run_chose_may_be_left_out(chosen: tuple[Path, RunConfig[FusionParams]]) -> None:
    check_finished(*chosen)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": FusionParams(vocabulary="closed")}, r"model\.vocabulary: 'open' there, 'closed' now"),
        ({"pictures": {"width": 48}}, r"pictures\.width: 160 there, 48 now"),
        ({"train": {"patience": 3}}, r"train\.patience: None there, 3 now"),
    ],
)
def test_what_a_finished_run_chose_is_compared(
    changes: dict[str, object], message: str, chosen: tuple[Path, RunConfig[FusionParams]]
) -> None:
    run, given = chosen
    settings = RunConfig[FusionParams].model_validate({**given.model_dump(), **changes})
    with pytest.raises(RunError, match=message):
        check_finished(run, settings)


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    """A study of one training."""
    runs = {"small": {"config": "text-sample", "set": list(NETWORK)}}
    (tmp_path / "runs.yaml").write_text(yaml.safe_dump(runs))
    return tmp_path / "runs.yaml"


def test_a_study_keeps_finished_runs(
    sample_dir: Path, tmp_path: Path, listing: Path, started: list[str]
) -> None:
    runs = tmp_path / "study" / "runs"
    run_baseline("majority", sample_dir, runs / "majority", console=SILENT)
    small = TrainOptions(workflow.config_folder() / "text-sample.yaml", console=SILENT)
    train("text", sample_dir, runs / "small", overrides=NETWORK, cpu=True, options=small)
    workflow.study(sample_dir, tmp_path / "study", configs=str(listing), console=SILENT)
    assert started == ["nb-reference", "nb", "linear"]
    listing.write_text(listing.read_text().replace("epochs=1", "epochs=2"))
    with pytest.raises(RunError, match=r"small: begun with other settings \(train\.epochs: 1 there, 2 now\)"):
        workflow.study(sample_dir, tmp_path / "study", configs=str(listing), console=SILENT)
    assert started == ["nb-reference", "nb", "linear"]


def test_a_study_refuses_finished_runs_of_other_data(
    shop: Path, tmp_path: Path, listing: Path, started: list[str]
) -> None:
    words = ("catalog.picture=null", "catalog.title=title", "catalog.label=label", "catalog.categories=",
             "catalog.metadata=", "catalog.year=null", "split.rule=column", "split.column=fold")  # fmt: skip
    out, run = tmp_path / "study", tmp_path / "study" / "runs" / "majority"
    run_baseline("majority", shop, run, overrides=words, console=SILENT)
    with pytest.raises(
        RunError, match=r"majority: begun with other settings \(split\.top_k: 20 there, 3 now"
    ):
        workflow.study(shop, out, configs=str(listing), overrides=(*words, "split.top_k=3"), console=SILENT)
    correct(shop, "label", "Jeans")
    with pytest.raises(RunError, match=r"majority: .*the catalog has changed.*--out"):
        workflow.study(shop, out, configs=str(listing), overrides=words, console=SILENT)
    assert started == []
