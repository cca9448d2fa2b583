"""Encoders of further fields: shapes, missing cells, and fields that are hidden in training."""

import numpy as np
import pandas as pd
import torch

from fusionclf.catalog.attributes import BUCKETS
from fusionclf.catalog.fields import Fields, field_table
from fusionclf.models.field_encoders import HIDDEN_SHARE, FieldReaders, FieldsEncoder, tensor_names
from fusionclf.models.text_encoders import HashedNGramEncoder

FIELDS = Fields(("story",), ("maker", "price.eur"))


def encoder() -> FieldsEncoder:
    torch.manual_seed(0)
    return FieldsEncoder(HashedNGramEncoder(64, 8), FieldReaders(FIELDS, None), words_dim=4)


def table(count: int = 40) -> pd.DataFrame:
    price = [f"{n * 10}.50" for n in range(count)]
    return field_table(
        [f"item {n}" for n in range(count)],
        {"story": ["boils water"] * count, "maker": ["Aqua", "Lumo"] * (count // 2), "price.eur": price},
    )


def features(model: FieldsEncoder, fields: pd.DataFrame) -> torch.Tensor:
    return model(model.prepare_fields(fields).batch(np.arange(len(fields))))


def test_a_missing_field_is_zeros_and_others_stay() -> None:
    model, fields = encoder().eval(), table()
    model.fit_fields(fields)
    whole = features(model, fields)
    assert whole.shape == (40, model.dim) == (40, 8 + 4 + 2 * 16)
    without = features(model, fields.assign(maker=""))
    assert torch.equal(without[:, :12], whole[:, :12]) and torch.equal(without[:, 28:], whole[:, 28:])
    assert (without[:, 12:28] == 0).all() and (whole[:, 12:28] != 0).any()
    assert (features(model, fields.assign(story=" "))[:, 8:12] == 0).all()


def test_numbers_fall_into_bins_and_words_into_buckets() -> None:
    model, fields = encoder(), table()
    model.fit_fields(fields)
    price, maker = (model.readers.attributes[name] for name in ("price.eur", "maker"))
    assert len(price.known_edges) == 7 and maker.known_edges == []
    assert price.ids(["0", "1e9", "€ 395,50", "", "unknown"]).tolist() == [1, 0, 8, 0, 0]
    ids = maker.ids(["Aqua", " aqua", "Lumo", ""])
    assert ids[0] == ids[1] != ids[2] and ids[3] == 0 and (0 < ids[:3]).all() and (ids < BUCKETS).all()


def test_each_further_field_is_hidden_for_a_share_in_training() -> None:
    model, fields = encoder().train(), table(2000)
    model.fit_fields(fields)
    hidden = (features(model, fields)[:, 12:28] == 0).all(dim=1).float().mean()
    assert abs(hidden - HIDDEN_SHARE) < 0.05


def test_names_of_tensors_are_plain_and_distinct() -> None:
    names = tensor_names(["price", "price (EUR)", "price [EUR]", "a.b", "a_b", "größe"])
    assert len(set(names.values())) == 6
    assert all(name.isascii() and name.isidentifier() for name in names.values())
