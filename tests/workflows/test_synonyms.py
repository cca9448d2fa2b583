"""`fusionclf classes synonyms`: a draft of a catalog, of a file of classes, and of a run."""

from pathlib import Path

import pytest

from fusionclf.catalog import make_split, read_catalog, read_synonyms
from fusionclf.catalog.drafting import Endpoint
from fusionclf.config import RunConfig, SplitConfig
from fusionclf.console import SILENT
from fusionclf.errors import FusionclfError
from fusionclf.models.variants.fusion import FusionParams
from fusionclf.workflows.settings import begin_run, with_location
from fusionclf.workflows.synonyms import ClassSource, draft_file
from tests.cli.test_cli import call
from tests.small import write_catalog

ROWS = [
    f"{n},Men,Accessories,Headwear,{'Hats and Caps' if n % 2 else 'Belts'},Blue,Summer,{2010 + n % 5},Casual,"
    f"Acme {'Straw Boater' if n % 2 else 'Leather Belt'}"
    for n in range(40)
]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return write_catalog(tmp_path / "catalog", ROWS)


def test_a_catalog_gets_a_file_that_training_reads(catalog: Path, tmp_path: Path) -> None:
    out = tmp_path / "synonyms.yaml"
    draft = draft_file(ClassSource(data=catalog, overrides=("split.rule=random",)), out, console=SILENT)
    assert read_synonyms(out) == draft.names
    assert {"hat", "cap"} <= set(draft.names["Hats and Caps"])
    assert (
        "# - straw boater  # titles: 16 of 16 train rows" in out.read_text()
    )  # four of twenty are test rows


def test_a_file_of_classes_needs_no_catalog(tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("Toys > Kites & Gliders\nBelts\n")
    draft = draft_file(ClassSource(classes=tmp_path / "new.txt"), tmp_path / "out.yaml", console=SILENT)
    assert set(draft.names) == {"Kites & Gliders", "Belts"} and "kite" in draft.names["Kites & Gliders"]


def test_a_run_knows_its_catalog_and_split(catalog: Path, tmp_path: Path) -> None:
    spec = SplitConfig(rule="random")
    settings = RunConfig[FusionParams](variant="fusion", data=str(catalog), split=spec, model=FusionParams())
    products = read_catalog(catalog)
    (tmp_path / "run").mkdir()
    begin_run(tmp_path / "run", with_location(settings, products), make_split(products, spec))
    draft = draft_file(ClassSource(run=tmp_path / "run"), tmp_path / "out.yaml", console=SILENT)
    assert "cap" in draft.names["Hats and Caps"] and draft.terms["Hats and Caps"]


def test_a_file_that_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out.yaml").write_text("Mine: [own]\n")
    (tmp_path / "new.txt").write_text("Kites\n")
    source = ClassSource(classes=tmp_path / "new.txt")
    with pytest.raises(FusionclfError, match="exists already; give another file, or --overwrite"):
        draft_file(source, tmp_path / "out.yaml", console=SILENT)
    draft_file(source, tmp_path / "out.yaml", overwrite=True, console=SILENT)
    assert set(read_synonyms(tmp_path / "out.yaml")) == {"Kites"}


def test_a_model_that_cannot_be_reached_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("Kites\n")
    endpoint = Endpoint("http://127.0.0.1:9/v1", "tiny", seconds=2.0, backoff=0.0)
    with pytest.raises(FusionclfError, match="ConnectError; check the URL"):
        draft_file(
            ClassSource(classes=tmp_path / "new.txt"),
            tmp_path / "out.yaml",
            endpoint=endpoint,
            console=SILENT,
        )
    assert not (tmp_path / "out.yaml").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "missing --data, --run or --classes"),
        ("--data {0} --run {0}", "--data, --run: give only one"),
        ("--run {0}/none", "no run folder"),
        ("--classes {0}/none.txt", "cannot be read"),
        ("--data {0} --endpoint http://localhost:1/v1", "--endpoint: needs --model"),
        ("--data {0} --model tiny", "--model: needs --endpoint"),
        ("--data {0} --endpoint file:///x --model tiny", "give http:// or https://"),
    ],
)
def test_bad_options_are_one_line(words: str, message: str, tmp_path: Path) -> None:
    command = f"classes synonyms --out {tmp_path}/out.yaml {words.format(tmp_path)}".split()
    result = call(*command)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert message in result.stderr and not (tmp_path / "out.yaml").exists()


def test_the_command_prints_examples(tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("Hats and Caps\n")
    result = call("classes", "synonyms", "--classes", f"{tmp_path}/new.txt", "--out", f"{tmp_path}/out.yaml")
    error = " ".join(result.stderr.split())
    assert "names drafted for 1 of 1 classes (Hats and Caps: hat)" in error and "model.synonyms=" in error
