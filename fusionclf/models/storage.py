"""A trained model on disk: safetensors, class names, and what its title encoder needs."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from fusionclf.errors import RunError
from fusionclf.files import replacing, write_json
from fusionclf.models.encoders import TransformerEncoder
from fusionclf.models.product import ProductClassifier
from fusionclf.models.registry import Variant
from fusionclf.runfolder import read_json

LONGEST_REASON = 160  # characters: a model may lack very many weights


def save_model(
    folder: Path, part: str, model: ProductClassifier, classes: dict[str, tuple[str, ...]], temperature: float
) -> None:
    """Write `folder`/PART.safetensors, a transformer's configuration, and the part's entry in labels.json.

    Args:
        folder: the run's model folder.
        part: name of the stage.
        model: the trained model.
        classes: class names per task, in the order of the heads' outputs.
        temperature: divides the logits before the softmax.
    """
    with replacing(folder / f"{part}.safetensors") as aside:
        save_file({name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}, aside)
    for module in model.modules():
        if isinstance(module, TransformerEncoder):
            module.save_configuration(folder / "text")
    labels = read_json(folder / "labels.json") if (folder / "labels.json").is_file() else {}
    labels[part] = {"classes": classes, "temperature": temperature}
    if model.names is not None:
        labels[part] |= {"paths": model.names.paths, "synonyms": model.names.synonyms}
    write_json(folder / "labels.json", labels)  # last: a part that it names is whole


def load_model(folder: Path, part: str, variant: Variant, params: Any) -> ProductClassifier:
    """The model that `save_model` wrote, in evaluation mode.

    Args:
        folder: the run's model folder.
        part: name of the stage.
        variant: the kind of model.
        params: the run's settings below `model`.

    Raises:
        RunError: a file is missing, damaged, or of another model.
    """
    labels = read_json(folder / "labels.json")
    if part not in labels:
        raise RunError(f"{folder}: no model of part {part!r}; there are: {', '.join(labels)}")
    counts = {task: len(names) for task, names in labels[part]["classes"].items()}
    model = variant.build(_without_downloads(params, folder / "text"), counts)
    file = folder / f"{part}.safetensors"
    try:
        weights = load_file(file)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"{file}: cannot be used ({str(error).splitlines()[0]}); train again with --overwrite"
        ) from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:  # its first line names the module, the second what is wrong
        reason = " ".join(str(error).splitlines()[1].split())[:LONGEST_REASON]
        raise RunError(
            f"{file}: is of other settings or of another version of fusionclf ({reason}); train again with --overwrite"
        ) from error
    model.eval()
    if model.vocabulary is not None:
        known = labels[part]
        model.name_classes(known["classes"]["label"], known["paths"], known.get("synonyms"))
    return model


def _without_downloads(params: Any, text_folder: Path) -> Any:
    """The same settings, but with empty encoders: all weights come from the saved file."""
    changes = {}
    if hasattr(params, "image"):
        changes["image"] = params.image.model_copy(update={"weights": "none"})
    if hasattr(params, "text") and params.text.kind != "hashed":
        changes["text"] = params.text.model_copy(update={"model": str(text_folder), "pretrained": False})
    return params.model_copy(update=changes)
