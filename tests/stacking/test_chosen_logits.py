"""Logits → predictions: the same in chunks as at once."""

import numpy as np
import pandas as pd
import pytest

from fusionclf.evaluation import CategoryGraph
from fusionclf.evaluation.predictions import CONTEXT
from fusionclf.stacking import chosen_logits
from fusionclf.stacking.chosen_logits import ChosenLogits


def test_predictions_in_chunks_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, names = np.random.default_rng(0), tuple("abcde")
    columns: dict[str, object] = dict.fromkeys(CONTEXT, 0)
    context = pd.DataFrame(columns | {"id": [str(n) for n in range(9)], "label": list("abcdeabcd")})
    status = pd.DataFrame({"picture_status": ["used"] * 9, "title_status": ["missing"] * 8 + ["used"]})
    graph = CategoryGraph(("label",), names, tuple((name,) for name in names), (1,) * 5)
    logits = ChosenLogits(generator.normal(size=(20, 6)), np.arange(9) * 2, [0, 2, 3, 4, 5], 2.0)
    whole = logits.predictions(context, names, status, graph)
    monkeypatch.setattr(chosen_logits, "PAIRS_AT_ONCE", 12)
    chunks = logits.predictions(context, names, status, graph)
    pd.testing.assert_frame_equal(whole, chunks)
    expected = np.exp(logits.logits[4, [0, 2, 3, 4, 5]] / 2)
    assert whole["prob_1"].tolist()[2] == pytest.approx(expected.max() / expected.sum())
    none = ChosenLogits(logits.logits, np.zeros(0, np.int64), [0, 2, 3, 4, 5], 2.0)
    assert len(none.predictions(context.head(0), names, status.head(0), graph)) == 0
