"""A trained model on disk: safetensors, class names, and what its encoders of transformers need."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from fusionclf.catalog.fields import Fields
from fusionclf.errors import FusionclfError, RunError
from fusionclf.files import write_json
from fusionclf.models.aligned_encoders import AlignedImageEncoder, NameEncoder
from fusionclf.models.open_vocabulary.name_words import LANGUAGE
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.models.registry import Model, Variant
from fusionclf.models.stacked_classifier import StackedClassifier
from fusionclf.models.text_encoders import TransformerEncoder
from fusionclf.models.weights import load_weights, save_weights
from fusionclf.run_schema import read_labels
from fusionclf.runfolder import AGAIN, one_line

TEXT, IMAGE = "text", "image"  # folders of a transformer's configuration and tokenizer


def save_model(
    folder: Path,
    part: str,
    model: Model,
    classes: dict[str, tuple[str, ...]],
    temperatures: Mapping[str, float],
) -> None:
    """Write `folder`/PART.safetensors, configurations of transformers, and the part's entry in labels.json.

    Args:
        folder: the run's model folder.
        part: name of the stage.
        model: the trained model.
        classes: class names per task, in the order of the heads' outputs.
        temperatures: task → what divides its logits before the softmax.
    """
    save_weights(folder / f"{part}.safetensors", model.state_dict())
    for module in model.modules():
        if isinstance(module, TransformerEncoder):
            module.save_configuration(folder / TEXT)
        elif isinstance(module, AlignedImageEncoder | NameEncoder):
            module.save_configuration(folder / IMAGE)
    labels: dict[str, Any] = dict(read_labels(folder)) if (folder / "labels.json").is_file() else {}
    labels[part] = {"classes": classes, "temperature": temperatures["label"]}
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
) -> Model:
    """The model that `save_model` wrote, in evaluation mode.

    Args:
        folder: the run's model folder.
        part: name of the stage.
        variant: the kind of model.
        params: the run's settings below `model`.
        fields: the further texts and attributes that it was trained with.

    Raises:
        RunError: a file is missing, damaged, or of another model.
    """
    labels = read_labels(folder, part)[part]
    counts = {task: len(names) for task, names in labels["classes"].items()}
    file = folder / f"{part}.safetensors"
    shapes = read_shapes(file)
    own = _without_downloads(params, folder)
    try:
        with no_larger_than(shapes):
            model = variant.model(own, counts, fields)
    except KeyError as error:
        raise RunError(
            one_line(f"{part}.classes: no task {error}; {AGAIN}", folder / "labels.json")
        ) from error
    except (ValueError, RuntimeError, FusionclfError) as error:
        message = f"no model can be built of its settings, classes and encoders ({error}); {AGAIN}"
        raise RunError(one_line(message, folder)) from error
    fill_model(model, file)
    model.eval()
    for module in model.modules():
        if isinstance(module, TransformerEncoder):
            _try_encoder(module, folder / TEXT)
    if isinstance(model, StackedClassifier) and isinstance(model.head, StackedHead):
        names = labels["classes"]["label"]
        language = labels.get("language", LANGUAGE)
        model.name_classes(names, labels.get("paths", names), labels.get("synonyms"), language)
    return model


def fill_model(model: nn.Module, file: Path) -> None:
    """Give a model the weights of a safetensors file.

    Raises:
        RunError: the file is missing or damaged, or is of another model.
    """
    weights = load_weights(file)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:  # its first line names the module, the second what is wrong
        reason = " ".join(str(error).splitlines()[1:2] or [str(error)])
        message = f"is of other settings or of another version of fusionclf ({reason.strip()}); {AGAIN}"
        raise RunError(one_line(message, file)) from error


def read_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Name → shape of each tensor of a safetensors file, from its header alone.

    Raises:
        RunError: the file is missing or damaged.
    """
    if not file.is_file():
        raise RunError(f"{file}: no such file; {AGAIN}")
    try:
        with safe_open(file, "pt") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}
    except (OSError, SafetensorError) as error:
        raise RunError(one_line(f"cannot be used ({error}); {AGAIN}", file)) from error


@contextmanager
def no_larger_than(shapes: Mapping[str, tuple[int, ...]]) -> Iterator[None]:
    """Within the block a model that is far larger than stored tensors cannot be built.

    A parameter is refused before it is initialised, when its memory is reserved but not yet filled.

    Args:
        shapes: name → shape of each stored tensor.

    Raises:
        ValueError: more or larger parameters were made than are stored.
    """
    # Parameters that are replaced while a model is built, such as a backbone's classifier, count, too.
    tensors, numbers = 10 * len(shapes) + 1000, 2 * sum(map(math.prod, shapes.values())) + 2**26

    def refuse_large(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal tensors, numbers
        tensors, numbers = tensors - 1, numbers - (0 if parameter is None else parameter.numel())
        if min(tensors, numbers) < 0:
            raise ValueError("the settings ask for a far larger model than is stored")

    hook = register_module_parameter_registration_hook(refuse_large)
    try:
        yield
    finally:
        hook.remove()


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
