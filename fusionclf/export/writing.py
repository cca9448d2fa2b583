"""A run's network → files of ONNX or torch.export, and their description."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from fusionclf.config import PicturesConfig
from fusionclf.errors import PredictionError
from fusionclf.export.manifest import (
    DESCRIPTION,
    FILES,
    OUTPUT,
    SENTENCES,
    TOKENIZER,
    Description,
    Output,
    describe_inputs,
    describe_missing,
    describe_names,
    describe_pictures,
    describe_titles,
    fusionclf_version,
    has_length,
)
from fusionclf.export.tensor_model import SentenceModel, TensorModel, sentence_encoder
from fusionclf.files import write_json
from fusionclf.models.onnx_graph import quiet_export
from fusionclf.prediction import Predictor
from fusionclf.prediction.network import NetworkModel

Kind = Literal["onnx", "torch"]


def in_float32(run: Path, part: str, model: NetworkModel) -> NetworkModel:
    """A copy of the model, added classes included, that computes in float32 on the CPU."""
    train = model.settings.train.model_copy(update={"precision": "fp32", "engine": "torch"})
    copied = NetworkModel(run / "model", part, model.settings.model_copy(update={"train": train}), "cpu")
    copied.load_picture_network()
    return copied


def write_export(
    folder: Path,
    kind: Kind,
    run: Path,
    predictor: Predictor,
    network: NetworkModel,
    *,
    several_pictures: bool = False,
) -> dict[str, Any]:
    """Write the model, its sentence encoder, its tokenizer and their description.

    Args:
        folder: where to write.
        kind: of export.
        run: the run folder, whose tokenizer is copied.
        predictor: has the part and the category paths.
        network: the exported model. The export changes it, so it must not be used afterwards.
        several_pictures: whether the exported model takes several pictures of a product.

    Returns:
        The description's content.

    Raises:
        PredictionError: the model cannot be exported, or onnx is not installed.
    """
    settings, original = network.settings, network.model
    names, sentences = getattr(original, "class_names", None), sentence_encoder(original)
    shown = settings.pictures.chosen if original.image is not None else PicturesConfig()
    tensors = TensorModel(original, network.temperatures, (shown.height, shown.width), several_pictures)
    if any(reader["kind"] in ("tokens", "embedding") for reader in tensors.readers):
        shutil.copytree(run / "model" / "text", folder / TOKENIZER)
    outputs = [
        Output(name=OUTPUT if not n else f"{OUTPUT}_{n}", task=task, classes=network.tasks[task])
        for n, task in enumerate(tensors.tasks)
    ]
    if sentences is not None:
        _save(SentenceModel(sentences), folder / SENTENCES[kind], kind, ["sentence"])
    _save(tensors, folder / FILES[kind], kind, [output.name for output in outputs])
    description = Description(
        kind=kind, model=FILES[kind], sentences=SENTENCES[kind] if sentences is not None else None,
        tokenizer=TOKENIZER if (folder / TOKENIZER).is_dir() else None, variant=settings.variant, part=predictor.part,
        fusionclf=fusionclf_version(), inputs=describe_inputs(tensors.inputs), outputs=tuple(outputs),
        pictures=describe_pictures(shown, tensors.inputs) if original.image is not None else None,
        titles=describe_titles(tensors.readers), names=describe_names(names),
        missing=describe_missing(tensors.inputs),
        paths={name: tuple(path) for name, path in predictor.paths.items()}, ids=predictor.ids,
    ).model_dump(mode="json", exclude=None if predictor.ids else {"ids"})  # fmt: skip
    write_json(folder / DESCRIPTION, description)
    return description


def _save(module: torch.nn.Module, file: Path, kind: Kind, outputs: Sequence[str]) -> None:
    """Trace a module for any batch size and any length of title, and write it."""
    inputs: dict[str, Tensor] = module.inputs  # pyright: ignore[reportAssignmentType]
    any_size = torch.export.Dim.DYNAMIC
    dims = tuple({0: any_size, **({1: any_size} if has_length(name) else {})} for name in inputs)
    try:
        with quiet_export(), torch.no_grad():
            program = torch.export.export(
                module, tuple(inputs.values()), dynamic_shapes={"tensors": dims}, strict=False
            )
            if kind == "torch":
                program._example_inputs = None  # would be written, and loaded, as a pickle
                torch.export.save(program, file)
                return
            graph = torch.onnx.export(
                program, (), input_names=list(inputs), output_names=list(outputs), verbose=False
            )
            assert graph is not None
            graph.save(file, external_data=False)
    except ImportError as error:
        raise PredictionError("onnx is not installed; pip install onnx onnxscript") from error
    except Exception as error:  # each layer of the exporters has exceptions of its own
        reason = " ".join(str(error).split())[:160]
        raise PredictionError(
            f"this model cannot be exported as {kind} ({type(error).__name__}: {reason}); try the other --format"
        ) from error
