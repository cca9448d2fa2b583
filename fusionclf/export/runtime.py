"""Runs an exported model: prepares products as preprocessing.json says, and computes by ONNX Runtime or torch."""

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from fusionclf.batches import (
    HashedNGrams,
    HashedTitles,
    PictureCache,
    PictureTransform,
    Tokeniser,
    in_weighted_batches,
)
from fusionclf.catalog.attributes import attribute_ids
from fusionclf.catalog.fields import TITLE as TITLE_FIELD
from fusionclf.catalog.fields import field_table, have_texts, main_texts
from fusionclf.errors import PredictionError, RunError
from fusionclf.export.manifest import (
    DESCRIBED,
    DESCRIPTION,
    EXPORT_AGAIN,
    Description,
    TitleSteps,
)
from fusionclf.export.tensor_model import HAS_PICTURE, HAS_TITLE, PICTURES, POOLING, TITLE
from fusionclf.models.field_encoders import ID, PRESENT, present
from fusionclf.models.layers.embedding_cache import EmbeddingCache
from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH_FEATURES, ClassNames
from fusionclf.prediction import Predictor
from fusionclf.prediction.model import FixedClasses
from fusionclf.runfolder import one_line, read_json_as

BATCH = 128
RAW = ("weight_", "tensor_")  # names of payloads that are a tensor's bytes
MARKS = ("archive_format", "archive_version", "byteorder")
Arrays = dict[str, np.ndarray]
Session = Callable[[Arrays], list[np.ndarray]]
Rows = Callable[[np.ndarray], Arrays]


def open_exported(folder: str | Path) -> Predictor:
    """The model of an export, with `predict` as of `fusionclf.load`.

    Raises:
        RunError: the folder holds no export, or one that is damaged or of another version.

    >>> from fusionclf.export import open_exported
    >>> open_exported("fusion-onnx").predict(["shoe.jpg"], ["Blue Running Shoes"]).labels[0][0]
    'Sports Shoes'
    """
    model = ExportedModel(Path(folder))
    return Predictor(model, model.description.part, model.description.paths, ids=model.description.ids)


class ExportedModel(FixedClasses):
    """The model of a Predictor, computed by an exported model.

    Args:
        folder: what `fusionclf export` made.
        threads: of the computation; None for as many as torch has.

    Attributes:
        description: preprocessing.json.
        classes, cover, reads_titles, fields: as of NetworkModel.

    Raises:
        RunError: see `open_exported`.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        self.description = read_json_as(folder / DESCRIPTION, DESCRIBED, EXPORT_AGAIN)
        known = self.description
        self._pictures = known.pictures and known.pictures.settings()
        if known.names is not None and known.names.figures != NAME_MATCH_FEATURES:
            raise RunError(f"{folder}: uses other name-match features than this version; export again")
        threads = threads or torch.get_num_threads()
        self._run = open_session(folder, known.model, known.kind, [i.name for i in known.inputs], threads)
        self.classes = known.outputs[0].classes
        self.cover = known.pictures and known.pictures.cover
        self.reads_titles = bool(known.titles)
        self.fields = known.fields()
        self._tokeniser = _tokeniser(folder, known)
        self._sentences: Session | None = None
        self.embed_texts = self._embed
        self._names: ClassNames | None = None
        if known.sentences is not None and (own := known.names) is not None:
            inputs = ["input_ids", "attention_mask"]
            self._sentences = open_session(folder, known.sentences, known.kind, inputs, threads)
            self.embed_texts = EmbeddingCache(self._embed)
            self._names = ClassNames(
                own.classes, own.paths, self.embed_texts, own.synonyms, own.counted, own.language
            )
        self._try(folder)

    def _try(self, folder: Path) -> None:
        """Raises RunError where its files do not go together: tried on one title without a picture."""
        nothing = PictureCache(np.zeros(0, np.uint8), np.zeros(1, np.int64), np.zeros((1, 2), np.int32))
        try:
            product = field_table(["a title"], {key: [""] for key in self.fields.names})
            tensors = self.tensors(nothing, product)(np.arange(1))
            if set(tensors) != {each.name for each in self.description.inputs}:
                raise ValueError(f"the inputs are {', '.join(tensors)}")
            outputs = self._run(tensors)
        except Exception as error:  # what tokenizers, ONNX Runtime and torch raise has no common root
            raise RunError(one_line(f"its files do not fit ({error}); {EXPORT_AGAIN}", folder)) from error
        widths = [values.shape for values in outputs]
        wanted = [(1, len(output.classes)) for output in self.description.outputs]
        if widths != wanted:
            raise RunError(
                f"{folder}: its outputs have the shapes {widths}, {DESCRIPTION} says {wanted}; {EXPORT_AGAIN}"
            )

    def probabilities(self, pictures: PictureCache | None, fields: pd.DataFrame) -> np.ndarray:
        """(n, K) probabilities of n products."""
        return self.task_probabilities(pictures, fields)["label"]

    @property
    def tasks(self) -> dict[str, tuple[str, ...]]:
        """Task → names of its classes, in the order of the outputs."""
        return {output.task: output.classes for output in self.description.outputs}

    def task_probabilities(
        self, pictures: PictureCache | None, fields: pd.DataFrame
    ) -> dict[str, np.ndarray]:
        """Task → (n, K) probabilities of n products."""
        outputs = self.outputs(pictures, fields)
        return {task: values.astype(np.float64) for task, values in zip(self.tasks, outputs, strict=True)}

    def outputs(self, pictures: PictureCache | None, fields: pd.DataFrame) -> list[np.ndarray]:
        """(n, K) probabilities of n products for each output."""
        tensors = self.tensors(pictures, fields)
        counts = np.ones(len(fields), np.int64)
        if pictures is not None:
            counts = np.bincount(pictures.read_places(np.arange(len(fields)))[1], minlength=len(fields))
        parts = [
            self._run(tensors(rows)) for rows in in_weighted_batches(np.arange(len(fields)), counts, BATCH)
        ]
        if not parts:
            return [np.zeros((0, len(output.classes)), np.float32) for output in self.description.outputs]
        return [np.concatenate(values) for values in zip(*parts, strict=True)]

    def tensors(self, pictures: PictureCache | None, fields: pd.DataFrame) -> Rows:
        """What goes into the model for some of the products: (b,) rows → input name → array."""
        readers: list[Rows] = []
        if self._pictures is not None:
            assert pictures is not None, "this model reads pictures"
            shown = PictureTransform(pictures, self._pictures)
            readers.append(lambda rows: {PICTURES: shown.evaluation(rows).contiguous().numpy()})
            if POOLING in [i.name for i in self.description.inputs]:
                readers.append(lambda rows: {POOLING: _pooling(shown, rows)})
            elif shown.pooling(np.arange(len(fields))) is not None:
                raise PredictionError(
                    "this export takes one picture of a product; export a run whose catalog has several again"
                )
        readers += [self._title_reader(steps, fields) for steps in self.description.titles]
        if self._names is not None:
            compared = self._names.compare(main_texts(fields, self.fields.text))
            readers.append(lambda rows: _arrays(compared.batch(rows), TITLE))
        if HAS_PICTURE in [i.name for i in self.description.inputs]:
            assert pictures is not None
            there = have_texts(fields)
            readers.append(lambda rows: {HAS_PICTURE: pictures.readable(rows), HAS_TITLE: there[rows]})
        return lambda rows: {name: array for read in readers for name, array in read(rows).items()}

    def _embed(self, texts: list[str], longest: int | None = None) -> np.ndarray:
        """(n, D) sentence embeddings of length 1; of `longest` tokens of each text, by default as of a title."""
        assert self._sentences is not None and self._tokeniser is not None
        table = self._tokeniser(texts, longest)
        order = np.argsort(table.lengths(), kind="stable")  # like lengths waste no padding
        found: np.ndarray | None = None
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            values = self._sentences(_arrays(table.batch(rows)))[0]
            found = np.zeros((len(texts), values.shape[1]), np.float32) if found is None else found
            found[rows] = values
        return found if found is not None else np.zeros((0, 0), np.float32)

    def _title_reader(self, steps: TitleSteps, fields: pd.DataFrame) -> Rows:
        titles = fields[steps.field].tolist()
        if steps.kind == "present":
            there = present(titles)
            return lambda rows: {f"{steps.prefix}{PRESENT}": there[rows]}
        if steps.kind == "category":
            ids = attribute_ids(titles, np.array(steps.edges))
            return lambda rows: {f"{steps.prefix}{ID}": ids[rows]}
        longest = steps.longest if steps.field != TITLE_FIELD else None
        if steps.kind == "hashed":
            table = HashedNGrams(steps.buckets, steps.smallest, steps.largest, steps.words)(titles)
            return lambda rows: _arrays(HashedTitles.padded(table, rows), steps.prefix)
        if steps.kind == "embedding":
            embeddings = self.embed_texts(titles, longest)
            return lambda rows: {f"{steps.prefix}embedding": embeddings[rows]}
        assert self._tokeniser is not None
        tokens = self._tokeniser(titles, longest)
        return lambda rows: _arrays(tokens.batch(rows), steps.prefix)


def _pooling(shown: PictureTransform, rows: np.ndarray) -> np.ndarray:
    """(B, P) share of each picture in its product."""
    shares = shown.pooling(rows)
    return np.eye(len(rows), dtype=np.float32) if shares is None else shares.numpy()


def _arrays(tensors: Mapping[str, torch.Tensor], prefix: str = "") -> Arrays:
    return {f"{prefix}{name}": tensor.numpy() for name, tensor in tensors.items()}


def _tokeniser(folder: Path, known: Description) -> Tokeniser | None:
    longest = [steps.longest for steps in known.titles if steps.kind in ("tokens", "embedding")]
    if known.tokenizer is None or not longest:
        return None
    from transformers import AutoTokenizer

    place = folder / known.tokenizer
    if not place.is_dir():
        raise RunError(f"{place}: no tokenizer there; {EXPORT_AGAIN}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a damaged folder has transformers raise errors of many kinds
        raise RunError(one_line(f"no tokenizer ({error}); {EXPORT_AGAIN}", place)) from error
    return Tokeniser(tokenizer, longest[0])


def open_session(folder: Path, name: str, kind: str, inputs: Sequence[str], threads: int) -> Session:
    """A function that runs one exported file on named arrays.

    Raises:
        RunError: the file is missing, damaged, or leads out of the folder.
        PredictionError: what runs it is not installed.
    """
    file = folder / name
    if Path(name).name != name or not file.is_file():
        raise RunError(f"{file}: not there; export again")
    return _onnx_session(file, threads) if kind == "onnx" else _torch_session(file, inputs)


def _onnx_session(file: Path, threads: int) -> Session:
    try:
        import onnxruntime
    except ImportError as error:
        raise PredictionError("onnxruntime is not installed; pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own exception classes have no common root
        raise RunError(one_line(f"cannot be used ({error}); {EXPORT_AGAIN}", file)) from error

    def run(arrays: Arrays) -> list[np.ndarray]:
        found: Any = session.run(None, arrays)
        return list(found)

    return run


def _torch_session(file: Path, inputs: Sequence[str]) -> Session:
    refuse_pickles(file)
    try:
        module = torch.export.load(file).module()
    except Exception as error:  # whatever the archive's reader raises
        raise RunError(one_line(f"cannot be used ({error}); {EXPORT_AGAIN}", file)) from error

    def run(arrays: Arrays) -> list[np.ndarray]:
        with torch.inference_mode():
            found = module(*(torch.from_numpy(np.ascontiguousarray(arrays[name])) for name in inputs))
        return [values.numpy() for values in found]

    return run


def refuse_pickles(file: Path) -> None:
    """Raise RunError where an archive of torch.export holds more than a graph and raw weights.

    torch.export.load would unpickle weights that say so, custom objects, example inputs and files of older layouts,
    and run compiled code.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            faulty = [entry.filename for entry in archive.infolist() if not _is_raw(archive, entry)]
    except Exception as error:  # zipfile and the configurations in it raise errors of many kinds
        raise RunError(one_line(f"no archive of torch.export ({error}); {EXPORT_AGAIN}", file)) from error
    if faulty:
        raise RunError(f"{file}: holds {faulty[0]!r}, which could run code and is never loaded; export again")


def _is_raw(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    folder, _, name = entry.filename.partition("/")
    if name.endswith(("_weights_config.json", "_constants_config.json")):
        payloads = json.loads(archive.read(entry))["config"].values()
        return all(not p["use_pickle"] and p["path_name"].startswith(RAW) for p in payloads)
    if name.startswith(("data/weights/", "data/constants/", "models/", ".data/")) or name in MARKS:
        return bool(folder)
    return name.startswith("data/sample_inputs/") and entry.file_size == 0
