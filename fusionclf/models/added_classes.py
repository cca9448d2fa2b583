"""Classes that are added to a trained open-vocabulary model: by name, and by examples where there are any.

No weight that other classes use is changed, so their logits stay what they were.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
from pydantic import AfterValidator, Field, TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from typing_extensions import TypedDict

from fusionclf.catalog.label_paths import own_step, whole_path
from fusionclf.errors import RunError
from fusionclf.files import replacing
from fusionclf.models.open_vocabulary.prototypes import Prototypes
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.models.registry import Model
from fusionclf.models.stacked_classifier import StackedClassifier
from fusionclf.run_schema import Count, Part, Text
from fusionclf.runfolder import one_line, parse_json_as

ADDED = "added.safetensors"  # vectors by part, number and kind; names, places, synonyms and counts in the metadata
REMOVE = "remove the file and add the classes again"


class AddedEntry(TypedDict):
    """What the metadata say of an added class."""

    name: Annotated[Text, Field(min_length=1)]
    place: list[Text]
    synonyms: list[Text]
    count: Count


def _named_once(entries: list[AddedEntry]) -> list[AddedEntry]:
    if len({entry["name"] for entry in entries}) != len(entries):
        raise ValueError("a class was added twice")
    return entries


IDS = TypeAdapter(dict[Part, dict[Text, Text]])
LISTING = TypeAdapter(dict[Part, Annotated[list[AddedEntry], AfterValidator(_named_once)]])


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
        id: in the taxonomy that it is from; "" without one.
    """

    name: str
    place: tuple[str, ...] = ()
    title_prototype: Tensor | None = None
    feature_prototype: Tensor | None = None
    count: int = 0
    synonyms: tuple[str, ...] = ()
    id: str = ""

    @property
    def called(self) -> str:
        """What titles are compared with: the name; of one that is a whole path, the end and the category above it."""
        own = own_step(self.name, self.place)
        return own if own == self.name else f"{self.place[-1]} {own}"

    @property
    def text(self) -> str:
        """Name and place as the model reads them, nearest category first."""
        return ", ".join(reversed(whole_path(self.name, self.place)))


def add_classes(model: Model, added: Sequence[AddedClass]) -> None:
    """Widen an open-vocabulary model by classes, after those that it has.

    Raises:
        RunError: the model has a closed vocabulary.
    """
    head = model.head if isinstance(model, StackedClassifier) else None
    if not isinstance(head, StackedHead) or not head.allows_unseen:
        raise RunError(
            "this model cannot predict new classes; train fusion with an open vocabulary (--config fusion-frozen)"
        )
    assert isinstance(model, StackedClassifier) and model.class_names is not None
    if not added:
        return
    for new in added:
        _check_vectors(new, head.prototypes)
    more = len(added)
    label = model.base.heads["label"]
    assert isinstance(label, nn.Linear)
    model.base.heads["label"] = _wider(label, more)
    model.linear_text_model.added += more  # no table of n-grams for thousands of classes
    head.probe.linear = _wider(head.probe.linear, more)
    first = len(head.counts)
    head.counts = _padded(head.counts, more)
    prototypes = head.prototypes
    for buffer in ("available", "title", "features"):
        setattr(prototypes, buffer, _padded(getattr(prototypes, buffer), more))
    for number, new in enumerate(added, start=first):
        prototypes.available[number] = new.count > 0
        if new.title_prototype is not None:
            prototypes.title[number] = new.title_prototype
        if new.feature_prototype is not None:
            prototypes.features[number] = new.feature_prototype
    names, texts, synonyms = zip(*((new.called, new.text, new.synonyms) for new in added), strict=True)
    model.set_class_names(model.class_names.with_more(names, texts, synonyms))
    head.add_names(model.linear_text_model.title_scores(list(names)))


def _check_vectors(new: AddedClass, prototypes: Prototypes) -> None:
    """Raises RunError where the vectors of a class are not of the model's widths."""
    pairs = ((new.title_prototype, prototypes.title), (new.feature_prototype, prototypes.features))
    for vector, own in pairs:
        fits = vector is None or (
            vector.shape == own.shape[1:] and vector.dtype == own.dtype and bool(vector.isfinite().all())
        )
        if not fits:
            raise RunError(f"the vectors of the added class {new.name!r} do not fit the model; add it again")


def _padded(values: Tensor, more: int) -> Tensor:
    return torch.cat([values.detach(), values.new_zeros(more, *values.shape[1:])])


def _frozen(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


def _wider(layer: nn.Linear, more: int) -> nn.Linear:
    wider = nn.Linear(layer.in_features, layer.out_features + more, layer.bias is not None)
    wider.weight = _frozen(_padded(layer.weight, more))
    if layer.bias is not None:
        wider.bias = _frozen(_padded(layer.bias, more))
    return wider


@dataclass(frozen=True)
class AddedToPart:
    """What was added to a part's model.

    Attributes:
        classes: in order.
        ids: class → its id in a taxonomy; the model's own classes may have one, too.
    """

    classes: list[AddedClass] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)


def read_added(folder: Path, part: str) -> list[AddedClass]:
    """The classes that were added to a part's model, in order.

    Raises:
        RunError: the file is damaged.
    """
    return read_all_added(folder).get(part, AddedToPart()).classes


def read_class_ids(folder: Path, part: str) -> dict[str, str]:
    """Class → its id, of those of a part's model that have one.

    Raises:
        RunError: the file is damaged.
    """
    return read_all_added(folder).get(part, AddedToPart()).ids


def read_all_added(folder: Path) -> dict[str, AddedToPart]:
    """What was added to every part.

    Raises:
        RunError: the file is damaged.
    """
    file = folder / ADDED
    if not file.exists():
        return {}
    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}
    except (OSError, SafetensorError) as error:
        raise RunError(one_line(f"cannot be used ({error}); {REMOVE}", file)) from error
    listing = parse_json_as(metadata.get("classes", "{}"), LISTING, file, REMOVE)
    ids = parse_json_as(metadata.get("ids", "{}"), IDS, file, REMOVE)
    found = {}
    for part, entries in listing.items():
        own = ids.get(part, {})
        classes = [
            AddedClass(
                entry["name"], tuple(entry["place"]), tensors.pop(f"{part}.{n}.title", None),
                tensors.pop(f"{part}.{n}.features", None), entry["count"], tuple(entry["synonyms"]),
                own.get(entry["name"], ""),
            )
            for n, entry in enumerate(entries)
        ]  # fmt: skip
        found[part] = AddedToPart(classes, own)
    if tensors:
        raise RunError(one_line(f"{min(tensors)}: is of no added class; {REMOVE}", file))
    return found


def write_added(
    folder: Path, part: str, added: Sequence[AddedClass], ids: Mapping[str, str] | None = None
) -> None:
    """Keep the added classes of a part beside its model; those of other parts stay.

    Names and vectors are in one file, so that a cut never gives a class the vectors of another.

    Args:
        folder: the run's model folder.
        part: of the split.
        added: all of its added classes.
        ids: of the model's own classes, where they have some.
    """
    own = {**(ids or {}), **{new.name: new.id for new in added if new.id}}
    kept = read_all_added(folder) | {part: AddedToPart(list(added), own)}
    tensors = {}
    for name, of_part in kept.items():
        for n, new in enumerate(of_part.classes):
            for kind, vector in (("title", new.title_prototype), ("features", new.feature_prototype)):
                if vector is not None:
                    tensors[f"{name}.{n}.{kind}"] = vector.cpu().contiguous()
    entries = {
        name: [
            {"name": new.name, "place": list(new.place), "synonyms": list(new.synonyms), "count": new.count}
            for new in of_part.classes
        ]
        for name, of_part in kept.items()
    }
    metadata = {"classes": json.dumps(entries)}
    if with_ids := {name: of_part.ids for name, of_part in kept.items() if of_part.ids}:
        metadata["ids"] = json.dumps(with_ids)
    with replacing(folder / ADDED) as aside:
        save_file(tensors, aside, metadata)
