"""`fusion`: a product's class from its picture and its title: a base model, a linear text model, and a head."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from fusionclf.catalog.fields import Fields
from fusionclf.config import Section
from fusionclf.errors import SettingsError, did_you_mean
from fusionclf.models.aligned_encoders import PROMPT, build_name_encoder
from fusionclf.models.backbones import ImageEncoderParams, build_image_encoder
from fusionclf.models.classifier import ProductClassifier, linear_heads
from fusionclf.models.field_encoders import FieldReaders, TitleAndFields
from fusionclf.models.fusers import MissingModality, find_fuser, fuser_names
from fusionclf.models.linear_text_model import LinearTextModel
from fusionclf.models.open_vocabulary.picture_match import PictureMatch
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.models.registry import Variant, register
from fusionclf.models.stacked_classifier import StackedClassifier, WeightedSum
from fusionclf.models.text_backbones import TextEncoderParams, build_text_encoder, build_transformer
from fusionclf.models.text_encoders import TransformerEncoder, sentence_encoder

LATE = "late"  # no fuser: the base model reads only the picture


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class FusionParams(Section):
    """Settings of the fusion of picture and title."""

    image: ImageEncoderParams = ImageEncoderParams()
    text: TextEncoderParams = TextEncoderParams()
    fuser: str = Field(
        default="concat",
        description=f"{', '.join(fuser_names())}: the base model reads picture and title; late: it reads only the "
        "picture, and the linear text model reads the title",
    )
    hidden: int = Field(default=512, ge=1, description="width of the hidden layer of both modalities")
    image_gain: float = Field(default=0.2, gt=0, description="factor of the picture's normalised features")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="on the features before the heads")
    modality_dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="share of training products whose picture or title is hidden, so that the model learns to use "
        "either alone",
    )
    wide: bool = Field(
        default=True,
        description="add a linear text model: an SVM on the title's n-grams (needs text.kind=hashed or both)",
    )
    vocabulary: Literal["auto", "closed", "named", "open"] = Field(
        default="auto",
        description="open: classes without a training row are scored by their names (needs text.kind=both and wide); "
        "named: only classes with training rows, also by their names (same needs); closed: without names; "
        "auto: the first of open, named and closed whose needs are met",
    )
    unseen_share: float | None = Field(
        default=None,
        gt=0,
        le=0.5,
        description="open: expected share of products whose class has no training row; null: each such class is taken "
        "to be as frequent as the median seen class, and target precisions allow for half of the products",
    )
    paths: bool = Field(
        default=True, description="open, named: compare titles with the categories of a class, too"
    )
    synonyms: str | None = Field(
        default="auto",
        description="open, named: other names of the classes; drafted: from class names, train titles and WordNet "
        "(extra synonyms); a YAML file, or the name of one of configs/synonyms (fashion); auto: one of these if it "
        "covers at least 80 % of the classes, else drafted; null: none",
    )
    prompts: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(PROMPT,),
        min_length=1,
        description="open, named, with image.library=transformers: text that is compared with a picture, in which the "
        "class name replaces {}; the embeddings of several are averaged",
    )
    label_weight: float = Field(default=1.0, gt=0, description="factor of the label's loss")
    auxiliary: dict[str, float] = Field(
        default={},
        description="further columns of the catalog's table to predict: column → factor of its loss",
    )

    @field_validator("fuser")
    @classmethod
    def _is_registered(cls, name: str) -> str:
        if name not in (LATE, *fuser_names()):
            raise ValueError(did_you_mean(name, [*fuser_names(), LATE]))
        return name

    @field_validator("prompts")
    @classmethod
    def _has_a_name(cls, prompts: tuple[str, ...]) -> tuple[str, ...]:
        for prompt in prompts:
            if prompt.count("{}") != 1:
                raise ValueError(f"{prompt!r}: needs {{}} once, for the name, as in {PROMPT!r}")
        return prompts

    def resolve_auto(self, trained: int) -> "FusionParams":
        """With `vocabulary=auto` replaced by the widest vocabulary that can be trained.

        Args:
            trained: how many classes of a stage have training rows, in that with the fewest.
        """
        if self.vocabulary != "auto":
            return self
        fits = [kind for kind in ("open", "named") if trained >= LEAST_CLASSES[kind] and self.uses_names]
        return self.model_copy(update={"vocabulary": [*fits, "closed"][0]})

    @property
    def uses_names(self) -> bool:
        """Whether classes are scored by their names; for `auto`, whether they can be."""
        if self.vocabulary == "auto":
            return self.text.kind == "both" and self.wide
        return self.vocabulary != "closed"


LEAST_CLASSES = {"open": 3, "named": 2}  # with training rows: two must be left where one is held out


def build(
    params: FusionParams,
    classes: dict[str, int],
    fields: Fields = Fields(),  # noqa: B008  frozen
) -> ProductClassifier | StackedClassifier:
    """A base model of picture and text, with or without the stacked head.

    Args:
        params: settings.
        classes: number of classes of each task, auxiliary columns included.
        fields: names of further texts and attributes.

    Raises:
        SettingsError: settings contradict each other.
    """
    _check(params)
    build_base = _build_late if params.fuser == LATE else _build_early
    return build_base(params, classes, fields)


def _check(params: FusionParams) -> None:
    if params.wide and params.text.kind == "transformer":
        raise SettingsError(
            "model.wide=true reads n-grams: set model.text.kind=hashed or both, or model.wide=false"
        )
    if params.fuser == LATE and not params.wide:
        raise SettingsError("model.fuser=late: the linear text model reads the title; set model.wide=true")
    if params.uses_names and (params.text.kind != "both" or not params.wide):
        raise SettingsError(
            f"model.vocabulary={params.vocabulary} compares titles with class names by a sentence encoder: "
            "set model.text.kind=both model.wide=true"
        )
    regions = params.image.regions
    if (params.fuser != LATE and find_fuser(params.fuser).needs_regions) != (regions > 1):
        raise SettingsError(
            f"model.image.regions={regions}, model.fuser={params.fuser}: attention needs a grid of 2 or more regions "
            "a side, the other fusers 1"
        )


def _build_late(params: FusionParams, classes: dict[str, int], fields: Fields) -> StackedClassifier:
    """The base model reads the picture, the linear text model the title and further fields."""
    image = build_image_encoder(**params.image.model_dump())
    weights = {"label": params.label_weight, **params.auxiliary}
    sentences = None
    if params.text.kind == "both":
        sentences = build_transformer(params.text.model, params.text.pretrained, True, params.text.longest)
    readers = FieldReaders(fields, sentences, params.text.longest_text) if fields else None
    linear = LinearTextModel(
        params.text.buckets, classes["label"], params.text.words, sentences, readers=readers
    )
    heads = linear_heads(image.dim, {task: classes[task] for task in weights})
    base = ProductClassifier(image, None, None, heads, weights, params.dropout)
    return _stacked(params, base, linear, image.dim, sentences)


def _build_early(
    params: FusionParams, classes: dict[str, int], fields: Fields
) -> ProductClassifier | StackedClassifier:
    """The base model reads picture and title; with `wide`, the linear text model is beside it."""
    image = build_image_encoder(**params.image.model_dump())
    weights = {"label": params.label_weight, **params.auxiliary}
    frozen = params.text.frozen or params.uses_names
    text = build_text_encoder(params.text.model_copy(update={"frozen": frozen}), fields)
    readers = text.readers if isinstance(text, TitleAndFields) else None
    sentences = None
    if params.uses_names:
        sentences = sentence_encoder(text.title if isinstance(text, TitleAndFields) else text)
    linear = None
    if params.wide:
        linear = LinearTextModel(
            params.text.buckets, classes["label"], params.text.words, sentences, shared=True, readers=readers
        )
    more = {"regions": params.image.regions} if params.image.regions > 1 else {}
    fuser = find_fuser(params.fuser)(
        image.dim, text.dim, params.hidden, params.dropout, params.image_gain, **more
    )
    heads = linear_heads(fuser.dim, {task: classes[task] for task in weights})
    missing = MissingModality(image.dim, text.dim, params.modality_dropout)
    base = ProductClassifier(image, text, fuser, heads, weights, params.dropout, missing)
    if linear is None:
        return base
    return _stacked(params, base, linear, fuser.dim, sentences)


def _stacked(
    params: FusionParams,
    base: ProductClassifier,
    linear: LinearTextModel,
    dim: int,
    sentences: TransformerEncoder | None,
) -> StackedClassifier:
    """A base model whose features have this width, with the linear text model and a head for both."""
    if not params.uses_names:
        return StackedClassifier(base, linear, WeightedSum())
    assert sentences is not None
    match = None
    if params.image.library == "transformers":
        pretrained = params.image.weights != "none"
        match = PictureMatch(build_name_encoder(params.image.backbone, pretrained, params.prompts))
    head = StackedHead(
        len(linear.bias), dim, sentences.dim, params.paths, params.vocabulary != "named", params.unseen_share
    )
    return StackedClassifier(base, linear, head, match)


register(
    Variant(
        "fusion", FusionParams, build, ("picture", "title"), None,
        "picture + title → class; can predict classes without training rows", reads_fields=True,
    )
)  # fmt: skip
