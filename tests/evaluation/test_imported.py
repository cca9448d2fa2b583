"""Other programs' predictions: what is refused, and what the frames of a run hold."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fusionclf.catalog import Catalog, Split
from fusionclf.config import CatalogConfig
from fusionclf.errors import PredictionError
from fusionclf.evaluation import imported
from fusionclf.evaluation.given_predictions import GivenPredictions, read_given
from fusionclf.evaluation.imported import ImportedPredictions, Others, import_given
from fusionclf.evaluation.metrics import run_metrics, score
from fusionclf.evaluation.predictions import make_predictions, write_predictions
from fusionclf.evaluation.ranks import has_probabilities
from fusionclf.evaluation.read_predictions import read_predictions

TEST = ["07", "08", "09", "10", "11", "12", "13", "14"]
TRUTH = ["Dresses", "Dresses", "Watches", "Watches", "Ties", "Ties", "Nail (Polish)", "Nail (Polish)"]
CLASSES = ("Dresses", "Nail (Polish)", "Ties", "Watches")


@pytest.fixture
def labels() -> pd.DataFrame:
    """Labels of all test products, of which the last two are wrong."""
    return pd.DataFrame({"id": TEST, "label": [*TRUTH[:6], "Ties", "Watches"]})


def ranks(labels: pd.DataFrame) -> pd.DataFrame:
    """The same labels with a second one and probabilities."""
    second = ["Ties" if name != "Ties" else "Dresses" for name in labels["label"]]
    cells = {"label_1": labels["label"], "prob_1": 0.6, "label_2": second, "prob_2": 0.3}
    return pd.DataFrame({"id": labels["id"], **cells})


def all_classes(labels: pd.DataFrame) -> pd.DataFrame:
    shares = {name: np.where(labels["label"] == name, 0.7, 0.1) for name in CLASSES}
    return pd.DataFrame({"id": labels["id"], **shares})


class Importing:
    """Imports a table of predictions of the small catalog."""

    def __init__(self, folder: Path, catalog: Catalog, split: Split) -> None:
        self.folder, self.catalog, self.split = folder, catalog, split

    def __call__(self, table: pd.DataFrame, others: Others = "refuse") -> ImportedPredictions:
        table.to_csv(self.folder / "given.csv", index=False)
        return self.file(self.folder / "given.csv", others)

    def file(self, path: Path, others: Others = "refuse") -> ImportedPredictions:
        given = read_given(path, ("id",), ("label",), self.split.class_names(None))
        return import_given(given, self.catalog, self.split, others)

    def refused(self, table: pd.DataFrame) -> str:
        with pytest.raises(PredictionError) as caught:
            self(table)
        return str(caught.value)


@pytest.fixture
def importing(tmp_path: Path, catalog: Catalog, split: Split) -> Importing:
    return Importing(tmp_path, catalog, split)


def test_labels_alone_have_no_calibration_and_no_top5(importing: Importing, labels: pd.DataFrame) -> None:
    frame = importing(labels).test
    found = score(frame)
    assert (found["n"], found["top1"], found["top5"], found["ece"]) == (8, 75.0, None, None)
    assert not has_probabilities(frame) and not frame["prob_label"].notna().to_numpy().any()
    whole = run_metrics("llm", {"joint": frame})
    assert whole["intervals"]["joint"]["top5"] is None and whole["per_class"]["joint"][0]["top5"] is None


def test_best_classes_keep_their_order_and_no_other(importing: Importing, labels: pd.DataFrame) -> None:
    table = ranks(labels).assign(prob_1=0.45, prob_2=0.45)
    frame = importing(table).test
    assert frame["label_1"].tolist() == labels["label"].tolist()
    assert frame["label_2"].tolist() == table["label_2"].tolist()
    assert frame["label_3"].isna().tolist() == [True] * 8 and frame["prob_2"].tolist() == [0.45] * 8
    assert frame["prob_label"].tolist() == [0.45] * 6 + [0.0, 0.0]
    assert score(frame)["top5"] is None and score(frame)["ece"] is not None


def test_a_column_a_class_gives_every_metric(importing: Importing, labels: pd.DataFrame) -> None:
    table = all_classes(labels).drop(columns="Nail (Polish)").assign(note="seen")
    rest = table[["Dresses", "Ties", "Watches"]]
    frame = importing(table.assign(**rest.div(rest.sum(axis=1), axis=0).round(3))).test
    found = score(frame)
    assert (found["top1"], found["top5"], found["unseen"]) == (75.0, 100.0, 0.0)
    assert found["ece"] is not None and frame["prob_label"].iloc[-1] == 0.0


@pytest.mark.parametrize("make", [lambda labels: labels, ranks, all_classes])
def test_written_frames_are_read_again(
    importing: Importing, labels: pd.DataFrame, make, tmp_path: Path
) -> None:
    frame = importing(make(labels)).test
    write_predictions(tmp_path / "joint.parquet", frame)
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "joint.parquet", CLASSES), frame)


def test_json_lines_with_lists_are_the_best_classes(
    importing: Importing, labels: pd.DataFrame, tmp_path: Path
) -> None:
    lines: list[dict[str, object]] = [
        {"id": row["id"], "labels": [row["label_1"], row["label_2"]], "probabilities": [0.6, 0.3]}
        for row in ranks(labels).to_dict("records")
    ]
    lines[0] = {"id": lines[0]["id"], "labels": [TRUTH[0]], "probabilities": [0.9]}
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, lines)))
    frame = importing.file(tmp_path / "x.jsonl").test
    assert frame["prob_1"].tolist() == [0.9] + [0.6] * 7
    assert frame["label_2"].isna().tolist() == [True] + [False] * 7


def test_other_products_are_refused_ignored_or_held_out(importing: Importing, labels: pd.DataFrame) -> None:
    more = pd.concat([labels, pd.DataFrame({"id": ["03", "01"], "label": ["Watches", "Ties"]})])
    message = importing.refused(more)
    assert "2 of 10 rows are of no test product" in message and "'03'" in message and "--others" in message
    ignored = importing(more, "ignore")
    assert (len(ignored.test), ignored.held_out, ignored.ignored) == (8, None, 2)
    held_out = importing(more, "held-out").held_out
    assert held_out is not None and held_out["id"].tolist() == ["01", "03"]
    assert held_out["label_1"].tolist() == ["Ties", "Watches"]


def test_ids_that_do_not_fit_are_counted_with_examples(importing: Importing, labels: pd.DataFrame) -> None:
    assert "1 of 8 rows are of no product of the catalog ('99'" in importing.refused(
        labels.assign(id=[*TEST[:-1], "99"])
    )
    assert "lacks 3 of 8 test products ('12', '13', '14')" in importing.refused(labels.iloc[:5])
    assert "1 of 9 rows have the id of an earlier row" in importing.refused(
        pd.concat([labels, labels.iloc[:1]])
    )


def test_unknown_label_is_refused_with_the_near_class(importing: Importing, labels: pd.DataFrame) -> None:
    message = importing.refused(labels.assign(label=["Dress", *TRUTH[1:]]))
    assert "1 of 8 rows have a label that is no class" in message and "did you mean 'Dresses'?" in message
    assert "1 of 8 rows have no label" in importing.refused(labels.assign(label=["", *TRUTH[1:]]))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"Ties": 0.5}, "do not add up to 1"),
        ({"Ties": -0.1}, "have a probability that is none ('07': -0.1"),
        ({"Ties": "?"}, "no number"),
    ],
)
def test_probabilities_that_are_none_are_refused(
    importing: Importing, labels: pd.DataFrame, changes: dict[str, object], fault: str
) -> None:
    message = importing.refused(all_classes(labels).assign(**changes))
    assert "8 of 8 rows" in message and fault in message


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"prob_2": 0.7}, "add up to more than 1"),
        ({"prob_1": 0.2}, "do not have the most likely class first"),
        ({"label_2": [*TRUTH[:6], "Ties", "Watches"]}, "have a class twice"),
    ],
)
def test_ranks_that_are_none_are_refused(
    importing: Importing, labels: pd.DataFrame, changes: dict[str, object], fault: str
) -> None:
    assert fault in importing.refused(ranks(labels).assign(**changes))


def test_near_names_are_sought_for_shown_rows_alone(
    importing: Importing, labels: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    sought: list[str] = []
    monkeypatch.setattr(imported, "near_name", lambda name, classes: sought.append(name))
    message = importing.refused(labels.assign(label=[f"Kites {n}" for n in range(8)]))
    assert "8 of 8 rows have a label that is no class" in message and message.count("'Kites") == 3
    assert sought == ["Kites 0", "Kites 1", "Kites 2"]


def test_labels_of_thousands_of_classes_are_checked_fast() -> None:
    classes = [f"class {n}" for n in range(5000)]
    cells = np.array([f"class {n}" for n in range(5000)] * 20, object).reshape(-1, 5)
    ids = np.arange(len(cells)).astype(str).astype(object)
    given = GivenPredictions(Path("given.csv"), "labels", ids, cells, None)
    started = time.process_time()
    imported._check_labels(given, classes)
    assert time.process_time() - started < 3  # comparing all pairs: a minute


@pytest.mark.parametrize("make", [lambda labels: labels, ranks, all_classes])
def test_a_few_products_at_a_time_give_the_same(
    importing: Importing, labels: pd.DataFrame, make, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = importing(make(labels)).test
    sizes: list[int] = []

    def counted(context: pd.DataFrame, *others: Any) -> pd.DataFrame:
        sizes.append(len(context))
        return make_predictions(context, *others)

    monkeypatch.setattr(imported, "PAIRS_AT_ONCE", 3 * len(CLASSES))
    monkeypatch.setattr(imported, "make_predictions", counted)
    pd.testing.assert_frame_equal(importing(make(labels)).test, whole)
    assert sizes == [3, 3, 2]


@pytest.mark.parametrize("share", [0.45, 0.0])
def test_tied_classes_have_the_path_of_the_first_one(
    share: float, labels: pd.DataFrame, tmp_path: Path, catalog: Catalog, split: Split
) -> None:
    kinds = {"Dresses": "Clothes", "Nail (Polish)": "Care", "Ties": "Extras", "Watches": "Jewellery"}
    table = catalog.table.assign(kind=[kinds[name] for name in catalog.table["label"]])
    shop = replace(catalog, columns=CatalogConfig(categories=("kind",)), table=table)
    tied = ranks(labels).assign(prob_1=share, prob_2=share)
    frame = Importing(tmp_path, shop, split)(tied).test
    assert frame["category_1"].tolist() == [kinds[name] for name in labels["label"]]
    assert frame["category_prob_1"].tolist() == pytest.approx([share] * 8, abs=1e-9)
    assert frame["path_prob"].tolist() == pytest.approx([share] * 8, abs=1e-9)
    assert frame["prob_label"].tolist() == [share] * 6 + [0.0, 0.0]


def test_a_rise_by_rounding_is_levelled(importing: Importing, labels: pd.DataFrame, tmp_path: Path) -> None:
    frame = importing(ranks(labels).assign(prob_1=0.3, prob_2=0.3 + 1e-10)).test
    assert frame["prob_2"].tolist() == [0.3] * 8
    write_predictions(tmp_path / "joint.parquet", frame)
    assert len(read_predictions(tmp_path / "joint.parquet", CLASSES)) == 8


def test_file_without_predictions_names_its_columns(importing: Importing, labels: pd.DataFrame) -> None:
    assert "no predictions among its columns (id, klass)" in importing.refused(
        labels.rename(columns={"label": "klass"})
    )
    assert "no column of ids; call it 'id' (found: sku, label)" in importing.refused(
        labels.rename(columns={"id": "sku"})
    )
