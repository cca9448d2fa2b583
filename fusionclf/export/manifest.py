"""preprocessing.json of an export: how pictures and titles become its tensors, for people and for the runtime."""

from collections.abc import Collection
from importlib.metadata import version
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, model_validator
from torch import Tensor

from fusionclf.batches.cache import MOST_COVERS
from fusionclf.batches.transforms import STATISTICS, cover_size
from fusionclf.catalog.attributes import BUCKETS
from fusionclf.catalog.conversion import WORKED_PIXELS
from fusionclf.catalog.fields import TITLE as TITLE_FIELD
from fusionclf.catalog.fields import Fields
from fusionclf.config import PicturesConfig, Section
from fusionclf.errors import RunError
from fusionclf.export.tensor_model import HAS_PICTURE, HAS_TITLE, PICTURES, POOLING, TITLE
from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH, NAME_MATCH_FEATURES
from fusionclf.models.open_vocabulary.name_words import LANGUAGE

FILES = {"onnx": "model.onnx", "torch": "model.pt2"}
SENTENCES = {"onnx": "sentences.onnx", "torch": "sentences.pt2"}
DESCRIPTION, TOKENIZER = "preprocessing.json", "tokenizer"
OUTPUT = "probabilities"

HASHED = (
    "the title in lower case; runs of two or more white-space characters become one space",
    "character n-grams: each word between white space with one space on either side; all its runs of `smallest` to "
    "`largest` characters; a word shorter than a length n counts whole, once, and is then done",
    "word n-grams: the words are what the regular expression \\w+ finds; 1 to `words` of them joined by one space, "
    "with the character U+0000 before",
    "each n-gram, in UTF-8, to h: MurmurHash3 of 32 bits, signed, seed 0; its number is abs(h) modulo `buckets`",
    "per title: the distinct numbers (`ids`) and how often each occurs (`counts`, float32), in any order, both padded "
    "with 0 to the batch's longest; at least one column",
)
TOKENS = (
    "the tokenizer in `tokenizer`, with its special tokens, cut to `longest` tokens",
    "`input_ids` and `attention_mask` (1 for a token, 0 for padding), padded to the batch's longest",
)
PRESENCE = ("`present` (float32): 1 where the product has the field, 0 where it is missing",)
CATEGORY = (
    "`id`: 0 where the field is missing; with `edges`, 1 + the number of edges up to the number in the cell",
    f"without edges, h modulo {BUCKETS - 1} plus 1, for the MurmurHash3 of 32 bits, unsigned, seed 0, of the cell in "
    "UTF-8, without blanks at its ends, case-folded",
)
EMBEDDING = ("these tokens through the model in `sentences`: one vector of length 1",)
COMPARED = (
    "a row of features for each class, in the order of `figures`, from the words of the title and of the class's name "
    "and synonyms, and their embeddings by the model in `sentences`; "
    "fusionclf.models.open_vocabulary.name_match_features computes them"
)


EXPORT_AGAIN = "export again"
FileName = Annotated[str, Field(pattern=r"^\w[\w.-]{0,99}$")]  # below the export's folder, never a path


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("a class occurs twice")
    return names


class Input(Section):
    """A tensor that goes in. A dimension that is a text may be of any length."""

    name: str
    dtype: Literal["float32", "int64", "bool"]
    shape: tuple[int | str, ...]


class Output(Section):
    """Probabilities that come out, (batch, classes)."""

    name: str
    task: str
    classes: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_each_once)]


class PictureSteps(Section):
    """How a picture is prepared."""

    height: int = Field(ge=16, le=4096)
    width: int = Field(ge=16, le=4096)
    fit: Literal["crop", "stretch"]
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    cover: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    steps: tuple[str, ...]

    def settings(self) -> PicturesConfig:
        """What describe_pictures was given.

        Raises:
            RunError: pictures are normalised in a way that is not known here.
        """
        known = [name for name, values in STATISTICS.items() if values == (self.mean, self.std)]
        if not known:
            raise RunError(
                f"{DESCRIPTION}: of another version (mean {self.mean}, std {self.std}); export again"
            )
        values = {
            "height": self.height, "width": self.width, "fit": self.fit, "interpolation": self.interpolation,
            "normalisation": known[0],
        }  # fmt: skip
        settings = PicturesConfig.model_validate(values)
        if cover_size(settings) != self.cover:
            raise RunError(
                f"{DESCRIPTION}: pictures.cover={self.cover} does not fit height and width; export again"
            )
        return settings


class TitleSteps(Section):
    """How a title, or another field, is prepared for one encoder, whose inputs begin with `prefix`."""

    kind: Literal["hashed", "tokens", "embedding", "present", "category"]
    prefix: str
    field: str = Field(default=TITLE_FIELD, description="`title`, or a further text or attribute")
    buckets: int = Field(default=0, ge=0, le=2**26)
    smallest: int = Field(default=0, ge=0, le=8)
    largest: int = Field(default=0, ge=0, le=8)
    words: int = Field(default=0, ge=0, le=4)
    longest: int = Field(default=0, ge=0, le=2**20)
    dim: int = Field(default=0, ge=0)
    edges: tuple[float, ...] = Field(default=(), max_length=64, description="of bins; empty for categories")
    steps: tuple[str, ...]

    @model_validator(mode="after")
    def _can_be_read(self) -> "TitleSteps":
        by_letters = 1 <= self.smallest <= self.largest
        if self.kind == "hashed" and not (self.buckets and (by_letters or (self.words and not self.largest))):
            raise ValueError("hashed titles need buckets, and smallest up to largest or words")
        if self.kind in ("tokens", "embedding") and self.longest < 4:
            raise ValueError("tokens need longest=4 or more")
        return self


class Names(Section):
    """The classes whose names titles are compared with."""

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    synonyms: tuple[tuple[str, ...], ...]
    counted: int
    language: str = LANGUAGE
    figures: tuple[str, ...]
    steps: str

    @model_validator(mode="after")
    def _of_the_same_classes(self) -> "Names":
        if not len(self.classes) == len(self.paths) == len(self.synonyms) or not (
            0 <= self.counted <= len(self.classes)
        ):
            raise ValueError("classes, paths and synonyms need one length, counted up to it")
        return self


class Description(Section):
    """All of preprocessing.json."""

    format: Literal[1] = 1
    kind: Literal["onnx", "torch"]
    model: FileName
    sentences: FileName | None
    tokenizer: FileName | None
    variant: str
    part: str
    fusionclf: str
    inputs: Annotated[tuple[Input, ...], Field(min_length=1)]
    outputs: Annotated[tuple[Output, ...], Field(min_length=1)]
    pictures: PictureSteps | None
    titles: tuple[TitleSteps, ...]
    names: Names | None
    missing: str
    paths: dict[str, tuple[str, ...]]
    ids: dict[str, str] = Field(default={}, description="of classes that have one in a taxonomy")
    check: dict[str, Any] = Field(default={}, description="how far it is from its original")

    def fields(self) -> Fields:
        """The further texts and attributes that the export reads."""
        kinds = {steps.field: steps.kind for steps in self.titles if steps.field != TITLE_FIELD}
        attributes = tuple(name for name, kind in kinds.items() if kind == "category")
        return Fields(tuple(name for name in kinds if name not in attributes), attributes)

    @model_validator(mode="after")
    def _goes_together(self) -> "Description":
        kinds = {steps.kind for steps in self.titles}
        if self.tokenizer is None and kinds & {"tokens", "embedding"}:
            raise ValueError("titles are read as tokens, and there is no tokenizer")
        if ("embedding" in kinds or self.names is not None) != (self.sentences is not None):
            raise ValueError("sentences must be given where titles are embedded, and nowhere else")
        return self


DESCRIBED = TypeAdapter(Description)


def describe_inputs(examples: dict[str, Tensor]) -> tuple[Input, ...]:
    """Name, type and shape of each; the first dimension is the batch, and a title is as long as it is."""
    found = []
    for name, example in examples.items():
        shape: list[int | str] = ["batch", *example.shape[1:]]
        if has_length(name):
            shape[1] = "length"
        if name == POOLING:
            shape[1] = PICTURES
        if name == PICTURES and POOLING in examples:
            shape[0] = PICTURES
        dtype = str(example.dtype).removeprefix("torch.")
        found.append(Input.model_validate({"name": name, "dtype": dtype, "shape": tuple(shape)}))
    return tuple(found)


def has_length(name: str) -> bool:
    """Whether an input's second dimension differs from batch to batch."""
    return name.endswith(("ids", "counts", "attention_mask", POOLING))


def describe_pictures(settings: PicturesConfig, inputs: Collection[str] = ()) -> PictureSteps:
    """The steps of PictureTransform.evaluation, and of its `pooling` where that is one of the model's inputs."""
    height, width = cover_size(settings)
    mean, std = STATISTICS[settings.normalisation]
    first = [
        "decode the first frame to 8-bit RGB and turn it upright by its EXIF orientation; transparent becomes white, "
        "16-bit grey loses its lower 8 bits; 32-bit and floating-point grey is scaled by the narrowest of 0 to 1 "
        "(floating point), 0 to 255, 0 to 65535 and its own range that holds it",
        f"if it has more than {WORKED_PIXELS // 10**6} megapixels: reduced by the least whole factor that brings it "
        "below, each pixel the mean of a square; a JPEG first by libjpeg's decoding at 1/2, 1/4 or 1/8",
        f"if it is larger than {height} x {width} (height x width) both ways, or has more than {MOST_COVERS} times its "
        f"area: Pillow's BILINEAR to the size that just covers {height} x {width}, or to {MOST_COVERS} times its area "
        "where that is smaller, shape kept, sides rounded",
        "divide by 255",
    ]
    resize = f"{settings.interpolation}, antialiased, corners not aligned (torch.nn.functional.interpolate), "
    resize += "cut to 0..1"
    if settings.fit == "stretch":
        first.append(f"resize to {settings.height} x {settings.width}, shape not kept: {resize}")
    else:
        first.append(
            f"resize to the size that just covers {height} x {width}, shape kept, sides rounded down: {resize}"
        )
        first.append(f"cut {settings.height} x {settings.width} out of the centre")
    last = ["subtract `mean`, divide by `std`, channel by channel; a missing picture is all 0"]
    if POOLING in inputs:
        last.append(
            f"`{PICTURES}` holds all pictures of all products, product by product; `{POOLING}` has a row for each "
            "product and a column for each picture: 1 / n for each of the product's n pictures, 0 elsewhere; a product "
            "without a picture has one that is all 0"
        )
    return PictureSteps(
        height=settings.height, width=settings.width, fit=settings.fit,
        interpolation=settings.interpolation, cover=(height, width), mean=mean, std=std, steps=(*first, *last),
    )  # fmt: skip


def describe_titles(readers: list[dict[str, Any]]) -> tuple[TitleSteps, ...]:
    """Each reader with its steps."""
    steps = {
        "hashed": HASHED, "tokens": TOKENS, "embedding": (*TOKENS, *EMBEDDING), "present": PRESENCE,
        "category": CATEGORY,
    }  # fmt: skip
    return tuple(TitleSteps(**reader, steps=steps[reader["kind"]]) for reader in readers)


def describe_names(names: Any) -> Names | None:
    """The classes whose names titles are compared with; None for a model that does not compare them."""
    if names is None:
        return None
    return Names(
        classes=names.names, paths=names.paths, synonyms=names.synonyms, counted=names.weighted_by,
        language=names.language, figures=NAME_MATCH_FEATURES, steps=COMPARED,
    )  # fmt: skip


def describe_missing(examples: dict[str, Tensor]) -> str:
    """What to give where a picture or a title is missing."""
    if HAS_PICTURE not in examples:
        return f"{next(iter(examples))} must be there: the model reads nothing else"
    name_match = f"{TITLE}{NAME_MATCH}"
    also = f", {name_match} as of an empty title" if name_match in examples else ""
    return f"{HAS_PICTURE} false with {PICTURES} 0; {HAS_TITLE} false with an empty title{also}; one must be there"


def fusionclf_version() -> str:
    return version("fusionclf")
