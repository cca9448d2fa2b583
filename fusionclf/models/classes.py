"""Classes that are added to a trained open-vocabulary model: by name, and by examples where there are any.

No weight that other classes use is changed, so their logits stay what they were.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fusionclf.errors import RunError
from fusionclf.models.product import ProductClassifier
from fusionclf.models.wide import UNSEEN_SCORE
from fusionclf.runfolder import read_json, replacing

ADDED = "added.safetensors"  # vectors by part, number and kind; names, places, synonyms and counts in the metadata
EARLIER_LISTING = "added.json"


@dataclass(frozen=True)
class AddedClass:
    """A class that no training row had.

    Attributes:
        name: what it is called.
        place: its categories, coarsest first; may be empty.
        title_prototype: (Dt,) mean of its examples' titles, or None.
        feature_prototype: (D,) mean of its examples' features, or None.
        count: how many examples there were.
        synonyms: what else it is called; may be empty.
    """

    name: str
    place: tuple[str, ...] = ()
    title_prototype: Tensor | None = None
    feature_prototype: Tensor | None = None
    count: int = 0
    synonyms: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Name and place as the model reads them, nearest category first."""
        return ", ".join((self.name, *reversed(self.place)))


def add_classes(model: ProductClassifier, added: Sequence[AddedClass]) -> None:
    """Widen an open-vocabulary model by classes, after those that it has.

    Raises:
        RunError: the model's vocabulary is closed.
    """
    vocabulary = model.vocabulary
    if vocabulary is None or not vocabulary.takes_new or model.wide is None or model.names is None:
        raise RunError("this model cannot name new classes; train fusion with model.vocabulary=open")
    if not added:
        return
    more = len(added)
    head = model.heads["label"]
    assert isinstance(head, nn.Linear)
    model.heads["label"] = _wider(head, more)
    wide = model.wide
    wide.scores.table.weight = _frozen(_padded(wide.scores.table.weight, more, dim=1))
    wide.scores.table.embedding_dim += more
    wide.bias = _frozen(_padded(wide.bias, more, fill=UNSEEN_SCORE))
    if wide.dense is not None:
        wide.dense = _wider(wide.dense, more)
    if model.title_network is not None:
        of_title = model.title_network.heads["label"]
        assert isinstance(of_title, nn.Linear)
        model.title_network.heads["label"] = _wider(of_title, more)
    vocabulary.probe.linear = _wider(vocabulary.probe.linear, more)
    first = len(vocabulary.seen)
    for buffer in ("seen", "examples", "title_prototypes", "feature_prototypes"):
        setattr(vocabulary, buffer, _padded(getattr(vocabulary, buffer), more))
    for number, new in enumerate(added, start=first):
        vocabulary.examples[number] = new.count > 0
        if new.title_prototype is not None:
            vocabulary.title_prototypes[number] = new.title_prototype
        if new.feature_prototype is not None:
            vocabulary.feature_prototypes[number] = new.feature_prototype
    model.names = model.names.with_more(
        [new.name for new in added], [new.text for new in added], [new.synonyms for new in added]
    )


def _padded(values: Tensor, more: int, dim: int = 0, fill: float = 0.0) -> Tensor:
    shape = [*values.shape]
    shape[dim] = more
    return torch.cat([values.detach(), values.new_full(shape, fill)], dim=dim)


def _frozen(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


def _wider(layer: nn.Linear, more: int) -> nn.Linear:
    wider = nn.Linear(layer.in_features, layer.out_features + more, layer.bias is not None)
    wider.weight = _frozen(_padded(layer.weight, more))
    if layer.bias is not None:
        wider.bias = _frozen(_padded(layer.bias, more))
    return wider


def read_added(folder: Path, part: str) -> list[AddedClass]:
    """The classes that were added to a part's model, in order.

    Raises:
        RunError: the file is damaged.
    """
    return read_all_added(folder).get(part, [])


def read_all_added(folder: Path) -> dict[str, list[AddedClass]]:
    """The added classes of every part.

    Raises:
        RunError: the file is damaged.
    """
    file = folder / ADDED
    if not file.is_file():
        return {}
    try:
        with safe_open(file, "pt") as opened:
            listing = (opened.metadata() or {}).get("classes")
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}
        parts = json.loads(listing) if listing else _earlier_listing(folder)
        return {
            part: [
                AddedClass(
                    str(entry["name"]), tuple(map(str, entry["place"])), tensors.get(f"{part}.{n}.title"),
                    tensors.get(f"{part}.{n}.features"), int(entry["count"]),
                    tuple(map(str, entry.get("synonyms", ()))),
                )
                for n, entry in enumerate(entries)
            ]
            for part, entries in parts.items()
        }  # fmt: skip
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"{file}: added classes cannot be read ({error}); remove it and add them again"
        ) from error


def _earlier_listing(folder: Path) -> dict[str, Any]:
    """What earlier versions kept in a file of its own."""
    file = folder / EARLIER_LISTING
    return read_json(file) if file.is_file() else {}


def write_added(folder: Path, part: str, added: Sequence[AddedClass]) -> None:
    """Keep the added classes of a part beside its model; those of other parts stay.

    Names and vectors are in one file, so that a cut never gives a class the vectors of another.
    """
    kept = read_all_added(folder) | {part: list(added)}
    tensors = {}
    for name, classes in kept.items():
        for n, new in enumerate(classes):
            for kind, vector in (("title", new.title_prototype), ("features", new.feature_prototype)):
                if vector is not None:
                    tensors[f"{name}.{n}.{kind}"] = vector.cpu().contiguous()
    entries = {
        name: [
            {"name": new.name, "place": list(new.place), "synonyms": list(new.synonyms), "count": new.count}
            for new in classes
        ]
        for name, classes in kept.items()
    }
    with replacing(folder / ADDED) as aside:
        save_file(tensors, aside, {"classes": json.dumps(entries)})
    (folder / EARLIER_LISTING).unlink(missing_ok=True)
