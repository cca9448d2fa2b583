"""A trained model on disk: safetensors, class names, and what its encoders of transformers need."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from fusionclf.catalog.fields import Fields
from fusionclf.errors import FusionclfError, RunError
from fusionclf.files import write_json
from fusionclf.models.aligned_encoders import AlignedImageEncoder, NameEncoder
from fusionclf.models.backbones import build_image_encoder
from fusionclf.models.building import building_stored
from fusionclf.models.first_weights import without_first_weights
from fusionclf.models.open_vocabulary.name_words import LANGUAGE
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.models.packing import packed_shapes, read_packed
from fusionclf.models.registry import Model, Variant
from fusionclf.models.stacked_classifier import StackedClassifier
from fusionclf.models.text_encoders import TransformerEncoder
from fusionclf.models.weights import load_weights, save_weights, stored_checksum
from fusionclf.run_schema import read_labels
from fusionclf.runfolder import AGAIN, one_line

Learn = Callable[[StackedClassifier, list[str], list[str]], None]
TEXT, IMAGE = "text", "image"  # folders of a transformer's configuration and tokenizer


def save_model(
    folder: Path,
    part: str,
    model: Model,
    classes: dict[str, tuple[str, ...]],
    temperatures: Mapping[str, float],
    multilabel: Mapping[str, Any] | None = None,
) -> None:
    """Write `folder`/PART.safetensors, configurations of transformers, and the part's entry in labels.json.

    Args:
        folder: the run's model folder.
        part: name of the stage.
        model: the trained model.
        classes: class names per task, in the order of the heads' outputs.
        temperatures: task → what divides its logits before the softmax.
        multilabel: further keys of the entry, where a product can have several labels.
    """
    save_weights(folder / f"{part}.safetensors", model.state_dict(), packed=True)
    for module in model.modules():
        if isinstance(module, TransformerEncoder):
            module.save_configuration(folder / TEXT)
        elif isinstance(module, AlignedImageEncoder | NameEncoder):
            module.save_configuration(folder / IMAGE)
    labels: dict[str, Any] = dict(read_labels(folder)) if (folder / "labels.json").is_file() else {}
    labels[part] = {"classes": classes, "temperature": temperatures["label"], **(multilabel or {})}
    if further := {task: value for task, value in temperatures.items() if task != "label"}:
        labels[part]["temperatures"] = further
    if isinstance(model, StackedClassifier) and model.class_names is not None:
        names = model.class_names
        labels[part] |= {"paths": names.paths, "synonyms": names.synonyms}
        if names.language != LANGUAGE:
            labels[part]["language"] = names.language
    write_json(folder / "labels.json", labels)  # last: a part that it names is whole


def load_model(
    folder: Path,
    part: str,
    variant: Variant,
    params: Any,
    fields: Fields = Fields(),  # noqa: B008  frozen
    *,
    learn: Learn = lambda model, titles, pictures: None,
    pictures_later: bool = False,
) -> Model:
    """The model that `save_model` wrote, in evaluation mode.

    Args:
        folder: the run's model folder.
        part: name of the stage.
        variant: the kind of model.
        params: the run's settings below `model`.
        fields: the further texts and attributes that it was trained with.
        learn: called with the model, and with what titles and pictures are compared with, before that is embedded.
        pictures_later: leave the picture network out, where that is possible, until `fill_picture_network`.

    Raises:
        RunError: a file is missing, damaged, or of another model.
    """
    labels = read_labels(folder, part)[part]
    counts = {task: len(names) for task, names in labels["classes"].items()}
    file = folder / f"{part}.safetensors"
    shapes = read_shapes(file)
    own = _without_downloads(params, folder)
    later = _picture_width(shapes) if pictures_later else None
    try:
        with without_first_weights(shapes), building_stored(later):
            model = variant.model(own, counts, fields)
    except KeyError as error:
        raise RunError(
            one_line(f"{part}.classes: no task {error}; {AGAIN}", folder / "labels.json")
        ) from error
    except (ValueError, RuntimeError, FusionclfError) as error:
        message = f"no model can be built of its settings, classes and encoders ({error}); {AGAIN}"
        raise RunError(one_line(message, folder)) from error
    weights = load_weights(file)
    if lacks_picture_network(model):
        prefix = _picture_prefix(model)
        weights = {name: values for name, values in weights.items() if not name.startswith(prefix)}
    _assign(model, weights, file)
    model.eval()
    for module in model.modules():
        if isinstance(module, TransformerEncoder):
            _try_encoder(module, folder / TEXT)
    if isinstance(model, StackedClassifier) and isinstance(model.head, StackedHead):
        _name_classes(model, labels, learn)
    return model


def _name_classes(model: StackedClassifier, labels: Mapping[str, Any], learn: Learn) -> None:
    """Compare titles with what labels.json says that classes are called."""
    names = labels["classes"]["label"]
    paths, synonyms = labels.get("paths", names), labels.get("synonyms", [])
    called = [*names, *(text for own in synonyms for text in own)]
    learn(model, [*called, *paths], called)
    model.name_classes(names, paths, synonyms or None, labels.get("language", LANGUAGE))


def lacks_picture_network(model: Model) -> bool:
    """Whether `load_model` left the picture network out."""
    return model.image is not None and isinstance(model.image.network, nn.Identity)


def picture_weights(model: Model, folder: Path, part: str, checksum: str | None) -> dict[str, Tensor]:
    """The stored weights of the picture network that `load_model` left out.

    Args:
        model: as `load_model` gave it.
        folder: the run's model folder.
        part: name of the stage.
        checksum: of its weights when the model was loaded, as of `read_checksum`.

    Raises:
        RunError: as of `load_model`, or the run was trained again since the model was loaded.
    """
    prefix, file = _picture_prefix(model), folder / f"{part}.safetensors"
    stored = load_weights(file)
    if read_checksum(file) != checksum:  # after it was read, so that no other weights are taken for those
        raise RunError(f"{file}: was trained again since it was loaded; load it again")
    return {name.removeprefix(prefix): values for name, values in stored.items() if name.startswith(prefix)}


def fill_picture_network(
    model: Model, folder: Path, part: str, params: Any, weights: Mapping[str, Tensor]
) -> None:
    """Build the picture network that `load_model` left out, with its stored weights.

    Raises:
        RunError: as of `load_model`.
    """
    assert model.image is not None
    file = folder / f"{part}.safetensors"
    with without_first_weights(read_shapes(file)), building_stored():
        network = build_image_encoder(**_without_downloads(params, folder).image.model_dump()).network
    _assign(network, weights, file)
    model.image.network = network.eval()


def _picture_prefix(model: Model) -> str:
    """What the names of the picture network's weights begin with."""
    return next(f"{name}.network." for name, module in model.named_modules() if module is model.image)


def _picture_width(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Width of the features of a picture encoder beside a text encoder, by stored tensors; None where none tells it."""
    for name in ("missing.image", "base.missing.image"):
        if name in shapes:
            return shapes[name][0]
    # A stacked model without a fuser: its base model reads the picture alone.
    alone = not any(name.startswith(("base.fuser.", "base.text.")) for name in shapes)
    head = shapes.get("base.heads.label.weight")
    return head[1] if alone and head is not None else None


def _assign(module: nn.Module, weights: Mapping[str, Tensor], file: Path) -> None:
    """Give a module that was built without first weights those of a file, which are not copied.

    Raises:
        RunError: they are those of another module.
    """
    dtypes = {name: values.dtype for name, values in module.state_dict().items()}
    own = {name: values.to(dtypes.get(name, values.dtype)) for name, values in weights.items()}
    _load_state(module, own, file, assign=True)


def fill_model(model: nn.Module, file: Path) -> None:
    """Give a model the weights of a safetensors file.

    Raises:
        RunError: the file is missing or damaged, or is of another model.
    """
    _load_state(model, load_weights(file), file)


def _load_state(module: nn.Module, weights: Mapping[str, Tensor], file: Path, assign: bool = False) -> None:
    try:
        module.load_state_dict(weights, assign=assign)
    except RuntimeError as error:  # its first line names the module, the second what is wrong
        reason = " ".join(str(error).splitlines()[1:2] or [str(error)])
        message = f"is of other settings or of another version of fusionclf ({reason.strip()}); {AGAIN}"
        raise RunError(one_line(message, file)) from error


def read_checksum(file: Path) -> str | None:
    """The checksum that a file of weights was written with; None for one without.

    Raises:
        RunError: the file is missing or damaged.
    """
    read_shapes(file)
    return stored_checksum(file)


def read_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Name → shape of each tensor of a safetensors file, from its header alone.

    Raises:
        RunError: the file is missing or damaged.
    """
    if not file.is_file():
        raise RunError(f"{file}: no such file; {AGAIN}")
    try:
        with safe_open(file, "pt") as opened:
            stored = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}
            return packed_shapes(stored, read_packed(opened.metadata()))
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise RunError(one_line(f"cannot be used ({error}); {AGAIN}", file)) from error


def _try_encoder(encoder: TransformerEncoder, folder: Path) -> None:
    """Raises RunError where a stored tokenizer and its network do not go together."""
    network, tokenizer = encoder.network, encoder.tokeniser.tokenizer
    try:
        if max(tokenizer.get_vocab().values()) >= network.config.vocab_size:  # pyright: ignore
            raise ValueError("its tokenizer knows more tokens than its network")
        encoder.compute(["a title", ""])
    except Exception as error:  # whatever a damaged tokenizer or configuration leads to
        raise RunError(one_line(f"the title encoder cannot be used ({error}); {AGAIN}", folder)) from error


def _without_downloads(params: Any, folder: Path) -> Any:
    """The same settings, but with empty encoders: all weights come from the saved file."""
    changes = {}
    if hasattr(params, "image"):
        image = {"weights": "none"}
        if params.image.library == "transformers":
            image["backbone"] = _existing(folder / IMAGE, "picture encoder")
        changes["image"] = params.image.model_copy(update=image)
    if hasattr(params, "text") and params.text.kind != "hashed":
        text = {"model": _existing(folder / TEXT, "title encoder"), "pretrained": False}
        changes["text"] = params.text.model_copy(update=text)
    return params.model_copy(update=changes)


def _existing(folder: Path, what: str) -> str:
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder, which holds the {what}; {AGAIN}")
    return str(folder)
