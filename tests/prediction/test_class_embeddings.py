"""Class names are embedded once, whatever the number of starts; a picture network is built for the first picture."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fusionclf
from fusionclf.batches import cached_features
from fusionclf.batches.kept_texts import KeptTexts
from fusionclf.models import StackedClassifier
from fusionclf.models.storage import lacks_picture_network
from fusionclf.models.text_encoders import TransformerEncoder
from fusionclf.prediction import Predictor
from fusionclf.prediction.network import NetworkModel
from tests.changes import train_again
from tests.runs import Runs

TITLES = ["Women Red Dress", "Men Blue Shirt"]


def network(predictor: Predictor) -> NetworkModel:
    model = predictor.model
    assert isinstance(model, NetworkModel)
    return model


@pytest.mark.slow
def test_names_are_embedded_at_the_first_start_alone(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, embedded = runs("open"), []
    compute = TransformerEncoder.compute

    def counting(self: TransformerEncoder, titles: list[str], longest: int | None = None) -> np.ndarray:
        embedded.append(len(titles))
        return compute(self, titles, longest)

    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path))
    monkeypatch.setattr("fusionclf.prediction.class_embeddings.LEAST_STORED", 10)
    monkeypatch.setattr(TransformerEncoder, "compute", counting)
    answers = []
    for _ in range(2):
        answers.append(fusionclf.load(run, device="cpu").predict(titles=TITLES).to_frame())
        embedded.append(0)
    first, second = embedded[: embedded.index(0)], embedded[embedded.index(0) + 1 :]
    assert sum(first) > sum(second) + 10
    assert answers[0].equals(answers[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["open", "fusion"])
def test_a_picture_network_is_built_for_the_first_picture(name: str, runs: Runs) -> None:
    model = fusionclf.load(runs(name), device="cpu")
    alone = model.predict(titles=TITLES)
    assert lacks_picture_network(network(model).model)
    picture = Image.new("RGB", (40, 40), (200, 30, 30))
    both = model.predict([picture, None], TITLES)
    assert not lacks_picture_network(network(model).model)
    assert both.picture_status == ["used", "missing"]
    # The product without a picture is answered as it was before the network was there.
    assert both.labels[1] == alone.labels[1]
    assert np.allclose(both.probabilities[1], alone.probabilities[1], atol=1e-3)
    assert not np.allclose(both.probabilities[0], alone.probabilities[0], atol=1e-3)


@pytest.mark.slow
def test_names_that_training_kept_are_not_embedded(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, looked_up = runs("open"), []
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path))
    monkeypatch.setattr("fusionclf.prediction.class_embeddings.LEAST_STORED", 10)

    def kept(self: KeptTexts, texts: list[str], longest: int) -> tuple[np.ndarray, np.ndarray]:
        looked_up.extend(texts)
        return np.ones(len(texts), bool), np.zeros((len(texts), 1), np.float32)

    def computed(self: TransformerEncoder, titles: list[str], longest: int | None = None) -> np.ndarray:
        assert not set(looked_up) & set(titles)
        return np.zeros((len(titles), 1), np.float32)

    monkeypatch.setattr(KeptTexts, "find", kept)
    monkeypatch.setattr(TransformerEncoder, "compute", computed)
    fusionclf.load(run, device="cpu")
    assert len(looked_up) > 10


@pytest.mark.slow
def test_names_have_the_key_of_the_loaded_weights(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counting(kind: str, key: str, *given: Any) -> Any:
        keys.append(key)
        return cached_features(kind, key, *given)

    run, keys = Path(shutil.copytree(runs("open"), tmp_path / "run")), list[str]()
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("fusionclf.prediction.class_embeddings.LEAST_STORED", 1)
    monkeypatch.setattr("fusionclf.prediction.class_embeddings.cached_features", counting)
    predictor = fusionclf.load(run, device="cpu")
    for again in (False, True):
        if again:
            train_again(run)
        own = network(predictor)
        assert isinstance(own.model, StackedClassifier) and own.model.linear_text_model.sentences is not None
        own.model.linear_text_model.sentences.embedder = None
        own._embeddings.learn(own.model, ["red shirt"], [])
    assert keys[-1] == keys[-2]
