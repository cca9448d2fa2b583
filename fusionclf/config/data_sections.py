"""The settings of a catalog, its split and its pictures."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from fusionclf.errors import SettingsError


class Section(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _split_commas(value: Any) -> Any:
    """A list from the text `a,b`; an empty list from "" and null."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


def _patterns(value: Any) -> Any:
    """The text {file}, where YAML reads `{file}` as a mapping; of a list, its items with commas between."""
    if isinstance(value, dict) and len(value) == 1 and list(value.values()) == [None]:
        return f"{{{next(iter(value))}}}"
    if isinstance(value, list | tuple) and value:
        items = [_patterns(item) for item in value]
        return ",".join(items) if all(isinstance(item, str) for item in items) else value
    return value


NameList = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]
GROUPINGS = (
    "title",
    "picture",
    "near_picture",
)  # what split.group_by means by these names; others are columns


Normalisation = Literal["imagenet", "inception", "clip", "none"]
Interpolation = Literal["bilinear", "bicubic"]
CHOSEN = (
    "height",
    "width",
    "fit",
    "normalisation",
    "interpolation",
)  # what PictureSettings leaves to the catalog and the encoder


def _none_for_auto(value: Any) -> Any:
    return None if value == "auto" else value


class CatalogConfig(Section):
    """The columns of a catalog's file; the defaults are the Kaggle layout."""

    file: str = Field(
        default="styles.csv", description="table below the catalog's folder: CSV, Parquet or JSON lines"
    )
    delimiter: Literal["auto", "comma", "semicolon", "tab", "bar"] = Field(
        default="auto", description="separator of a CSV file; auto: recognised from its first rows"
    )
    encoding: str = Field(
        default="auto", description="of a text file, such as utf-8, utf-16 or cp1252; auto: recognised"
    )
    id: str = Field(
        default="id", description="column of the product id; an id in `picture` cannot contain / or \\"
    )
    picture: Annotated[str | None, BeforeValidator(_patterns)] = Field(
        default="images/{id}.jpg",
        description="path of the picture in the catalog's folder, or several, separated by commas; {column} is "
        "replaced by the product's cell, or by each item of a list in it; null: no pictures",
    )
    picture_separator: str | None = Field(
        default=None,
        description="separator of the paths in a cell with several pictures; null: one path per cell, or a JSON list",
    )
    title: str | None = Field(
        default="productDisplayName", description="column of the title; null: no titles"
    )
    text: NameList = Field(default=(), description="columns of further texts, such as a description")
    attributes: NameList = Field(
        default=(), description="columns that models read as categories or numbers, such as brand and price"
    )
    label: str = Field(default="articleType", description="column of the class to predict")
    label_separator: str | None = Field(
        default=None,
        description="separator of the steps of a label that is a path, such as >; a JSON list of steps or of a path is "
        "read, too. Without catalog.categories, the steps above the class become the categories level_1, level_2, … "
        "null: the cell is the class",
    )
    label_level: int | None = Field(
        default=None,
        ge=1,
        description="which step of the path is the class, from 1 at the top; null: the last one",
    )
    label_list: str | None = Field(
        default=None,
        min_length=1,
        description="for several labels per product: the separator of the labels in a cell, such as |; a JSON list is "
        "read, too; json: only JSON lists. null: one label per product",
    )
    categories: NameList = Field(
        default=("masterCategory", "subCategory"),
        description="category columns, the coarsest first; default: none if label_separator or label_list is set",
    )
    metadata: NameList = Field(
        default=("gender", "baseColour", "season", "usage"), description="further columns to keep"
    )
    year: str | None = Field(default="year", description="column of the year; null: no years")
    missing_picture: Literal["drop", "keep"] = Field(
        default="drop", description="what to do with rows without an existing picture"
    )
    join_spellings: bool = Field(
        default=False,
        description="join labels and categories that differ only in case, blanks or Unicode form, under the most "
        "frequent spelling",
    )

    @model_validator(mode="before")
    @classmethod
    def _path_has_its_own_categories(cls, values: Any) -> Any:
        """No categories by default where the label is a path, whose steps take their place, or a list of labels."""
        if not isinstance(values, dict) or "categories" in values:
            return values
        own = values.get("label_separator") or values.get("label_list")
        return {**values, "categories": ()} if own else values

    @model_validator(mode="after")
    def _level_is_of_a_path(self) -> "CatalogConfig":
        if self.label_level is not None and not self.label_separator:
            raise ValueError(f"label_level={self.label_level} needs catalog.label_separator, such as >")
        return self

    @model_validator(mode="after")
    def _list_is_no_path(self) -> "CatalogConfig":
        if self.label_list and self.label_separator:
            raise ValueError(
                "give either label_list (several labels per product) or label_separator (a path)"
            )
        if self.label_list and self.categories:
            raise ValueError(
                f"categories={','.join(self.categories)}: a product with several labels has no single category path; "
                "leave categories out, or label_list"
            )
        return self


class SplitConfig(Section):
    """How products are divided into parts (frequent classes, rest) and into train, validation and test."""

    rule: Literal["year_parity", "random", "column"] = Field(
        default="year_parity", description="how train and test rows are divided"
    )
    swap: bool = Field(default=False, description="exchange train and test")
    top_k: int = Field(default=20, ge=1, description="number of most frequent classes in the first part")
    validation_fraction: float = Field(
        default=0.2, gt=0, lt=1, description="share of train rows used for validation"
    )
    test_fraction: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="share of test rows (rule random); 0: none, for a model that is evaluated elsewhere",
    )
    column: str | None = Field(
        default=None,
        description="column with train, validation or test (rule column); catalog.metadata need not name it",
    )
    group_by: NameList = Field(
        default=(),
        description="keep products in one subset that have the same title, the same picture, a nearly equal picture "
        "(near_picture), or the same cell of a column, such as a style number; rename a column with the name of one "
        "of these three",
    )
    near_distance: int = Field(
        default=4,
        ge=0,
        le=32,
        description="near_picture: largest number of bits in which the 64-bit hashes of two pictures differ",
    )
    unseen_fraction: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of classes, drawn at random, whose products are all test products, to measure the accuracy "
        "on classes without a training row",
    )
    seed: int = Field(
        default=0, ge=0, description="seed of random test and validation rows, and of unseen classes"
    )
    same_as: str | None = Field(
        default=None,
        description="run folder, or split.json: each product keeps its subset of that run, even if its label has "
        "changed; new products join the subset of their group, or else train. The other settings of split are those "
        "of that run; only top_k and group_by may be set",
    )

    @property
    def group_columns(self) -> tuple[str, ...]:
        """The columns whose cells keep products together."""
        return tuple(name for name in self.group_by if name not in GROUPINGS)

    @property
    def columns_read(self) -> tuple[str, ...]:
        """The columns of the file by which products are divided and kept together."""
        rule = [self.column] if self.rule == "column" and self.column and not self.same_as else []
        return tuple(dict.fromkeys([*rule, *self.group_columns]))

    @model_validator(mode="after")
    def _column_is_named(self) -> "SplitConfig":
        if self.rule == "column" and not self.column:
            raise ValueError("rule 'column' needs split.column=NAME")
        return self


class PictureLoading(Section):
    """How pictures become tensors."""

    crop_scale: float = Field(
        default=0.5, gt=0, le=1, description="smallest share of the area that a random crop covers"
    )
    flip: bool = Field(default=True, description="flip half of the training pictures")
    unreadable: Literal["error", "drop"] = Field(
        default="error", description="what to do with pictures that cannot be decoded"
    )


class PicturesConfig(PictureLoading):
    """How pictures become tensors, each value chosen."""

    height: int = Field(default=224, ge=16, le=4096)
    width: int = Field(default=224, ge=16, le=4096)
    fit: Literal["crop", "stretch"] = "crop"
    normalisation: Normalisation = "imagenet"
    interpolation: Interpolation = "bilinear"


class PictureSettings(PictureLoading):
    """How pictures become tensors.

    Values that are null or `auto` are chosen when a run begins, from the catalog's pictures and the picture encoder's
    weights; the run's config.yaml holds the chosen values.
    """

    height: Annotated[int | None, BeforeValidator(_none_for_auto)] = Field(
        default=None,
        ge=16,
        le=4096,
        description="height of the model's input in pixels; null: chosen from the catalog's pictures, at most the size "
        "that the encoder's weights were trained with; if only one side is given, the other follows from the shape of "
        "the catalog's pictures",
    )
    width: Annotated[int | None, BeforeValidator(_none_for_auto)] = Field(
        default=None,
        ge=16,
        le=4096,
        description="width of the model's input in pixels; null: chosen like height",
    )
    fit: Literal["auto", "crop", "stretch"] = Field(
        default="auto",
        description="crop: short side to 1.15 x size, then the centre; stretch: the whole picture; auto: stretch",
    )
    normalisation: Literal["auto"] | Normalisation = Field(
        default="auto",
        description="mean and standard deviation of each channel: imagenet; inception: 0.5 and 0.5 (Inception, "
        "EfficientNet-Lite, many vision transformers); clip; none: 0 and 1; auto: those that the encoder's weights "
        "were trained with",
    )
    interpolation: Literal["auto"] | Interpolation = Field(
        default="auto",
        description="how a whole picture is resized; auto: like the preprocessor of an encoder of transformers, "
        "otherwise bilinear",
    )

    @property
    def chosen(self) -> PicturesConfig:
        """These settings with every value chosen, as in a run's config.yaml.

        Raises:
            SettingsError: one is null or `auto`.
        """
        values = self.model_dump()
        if values["interpolation"] == "auto":  # in a run from before there was a choice
            values["interpolation"] = "bilinear"
        if still := [name for name in CHOSEN if values[name] in (None, "auto")]:
            raise SettingsError(
                f"pictures.{still[0]} is not chosen yet; give a value, such as 224 for the height"
            )
        return PicturesConfig.model_validate(values)
