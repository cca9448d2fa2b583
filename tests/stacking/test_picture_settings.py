"""Picture settings that are null or `auto`: by the catalog's pictures and the encoder's weights."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fusionclf.catalog import read_catalog
from fusionclf.catalog.picture_sizes import PictureSizes
from fusionclf.config import CatalogConfig, PictureSettings, RunConfig, load_settings
from fusionclf.config.shipped import find_config
from fusionclf.console import Console
from fusionclf.errors import SettingsError
from fusionclf.models import find_variant
from fusionclf.models.encoder_input import EncoderInput
from fusionclf.stacking.picture_settings import choose_pictures, resolve_pictures
from tests.small import write_catalog

LITE = EncoderInput("lite", 224, 1, "inception")
KAGGLE = PictureSizes(256, 80, 60, 1.0)
ROW = "{},Men,Apparel,Topwear,Shirts,Blue,Summer,2012,Casual,Shirt {}"


def chosen(sizes: PictureSizes, encoder: EncoderInput = LITE, **given: Any) -> tuple[Any, ...]:
    """Height, width, fit and normalisation."""
    settings = PictureSettings.model_validate(given)
    found, _ = choose_pictures(settings, sizes, encoder)
    assert not set(found) & {name for name in given if given[name] not in (None, "auto")}
    pictures = PictureSettings.model_validate({**settings.model_dump(), **found}).chosen
    return pictures.height, pictures.width, pictures.fit, pictures.normalisation


@pytest.mark.parametrize(("height", "width", "same", "expected"), [
    (64, 48, 1.0, (128, 96)), (64, 64, 1.0, (128, 128)), (100, 100, 1.0, (160, 160)),
    (400, 400, 1.0, (224, 224)), (1440, 1080, 1.0, (224, 168)), (256, 206, 0.98, (224, 184)),
    (1080, 1440, 1.0, (168, 224)), (300, 3000, 1.0, (112, 224)), (400, 300, 0.5, (224, 224)), (5, 5, 1.0, (32, 32)),
])  # fmt: skip
def test_size_and_shape_follow_the_catalogs_pictures(
    height: int, width: int, same: float, expected: tuple[int, int]
) -> None:
    assert chosen(PictureSizes(9, height, width, same)) == (*expected, "stretch", "inception")


@pytest.mark.parametrize(("config", "expected"), [
    ("image-cpu", (128, 96)), ("image-frozen", (224, 168)), ("multitask-cpu", (128, 96)),
    ("multitask-frozen", (224, 168)), ("fusion-cpu", (128, 96)), ("fusion-frozen", (128, 96)),
    ("fusion-closed-cpu", (128, 96)), ("fusion-closed-frozen", (128, 96)),
])  # fmt: skip
def test_kaggles_catalog_keeps_its_sizes(config: str, expected: tuple[int, int]) -> None:
    schema = RunConfig[find_variant(config.partition("-")[0]).params]
    settings = load_settings(schema, find_config(config), variant=config.partition("-")[0], data="catalog")
    found = chosen(KAGGLE, **settings.pictures.model_dump())
    assert found == (*expected, "stretch", "inception")


def test_weights_with_other_statistics_keep_their_own() -> None:
    assert chosen(KAGGLE, EncoderInput("clip", 224, 1, "clip"))[3] == "clip"
    assert chosen(KAGGLE, EncoderInput("resnet", 224, 1, "imagenet"))[3] == "imagenet"
    assert chosen(KAGGLE, EncoderInput("unknown", 224, 1, None))[3] == "imagenet"


def test_an_encoder_of_one_size_gets_that_size() -> None:
    fixed = EncoderInput("vit", 224, 224, "inception")
    assert chosen(KAGGLE, fixed)[:2] == (224, 224)
    assert chosen(KAGGLE, fixed, height=448)[:2] == (448, 224)
    assert chosen(PictureSizes(9, 20, 10, 1.0), EncoderInput("inception", 299, 75))[:2] == (75, 75)


def test_without_a_readable_picture_the_weights_decide() -> None:
    assert chosen(PictureSizes()) == (224, 224, "stretch", "inception")


@pytest.mark.parametrize(("given", "expected"), [
    ({"height": 64}, (64, 48, "stretch", "inception")), ({"width": 64}, (88, 64, "stretch", "inception")),
    ({"height": 32, "width": 32, "fit": "crop"}, (32, 32, "crop", "inception")),
    ({"normalisation": "imagenet"}, (128, 96, "stretch", "imagenet")),
    ({"height": "auto", "width": None, "fit": "auto"}, (128, 96, "stretch", "inception")),
])  # fmt: skip
def test_a_value_of_the_user_stays(given: dict[str, Any], expected: tuple[Any, ...]) -> None:
    assert chosen(KAGGLE, **given) == expected


class Lines(Console):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(f"warning: {text}")


def resolved(
    folder: Path, sizes: list[tuple[int, int]], *words: str, variant: str = "image", begun: Any = None
) -> tuple[RunConfig[Any], list[str]]:
    """The settings on a catalog whose pictures have these widths and heights, and what is printed."""
    write_catalog(folder, [ROW.format(n, n) for n in range(len(sizes))], pictures=False)
    for number, size in enumerate(sizes):
        Image.new("RGB", size).save(folder / "images" / f"{number}.jpg")
    settings = load_settings(RunConfig[find_variant(variant).params], None, words, variant=variant, data="c")
    out = Lines()
    catalog = read_catalog(folder, CatalogConfig())
    return resolve_pictures(find_variant(variant), settings, catalog, begun, out), out.lines


LITE_WORDS = ("model.image.library=timm", "model.image.backbone=tf_efficientnet_lite0")
DPN_WORDS = ("model.image.library=timm", "model.image.backbone=dpn68")


def test_each_choice_is_printed_with_its_reason(tmp_path: Path) -> None:
    found, lines = resolved(tmp_path / "c", [(60, 80)] * 5, *LITE_WORDS)
    assert found.pictures.model_dump(exclude={"crop_scale", "flip", "unreadable"}) == {
        "height": 128, "width": 96, "fit": "stretch", "normalisation": "inception",
        "interpolation": "bilinear",
    }  # fmt: skip
    assert lines == [
        "pictures.height=128 pictures.width=96 pictures.fit=stretch pictures.normalisation=inception "
        "pictures.interpolation=bilinear: the catalog's pictures are 80 x 60 in the median (height x width), 100 % of "
        "5 sampled pictures have the same shape; tf_efficientnet_lite0 was trained at 224 x 224; its normalisation is "
        "inception"
    ]


def test_pictures_of_several_shapes_get_a_square(tmp_path: Path) -> None:
    sizes = [(300, 400), (400, 300), (400, 400), (200, 500), (300, 400)]
    found, lines = resolved(tmp_path / "c", sizes, *LITE_WORDS, "pictures.crop_scale=0.7")
    shown = found.pictures.chosen
    assert (shown.height, shown.width, shown.normalisation, shown.crop_scale) == (224, 224, "inception", 0.7)
    assert "40 % of 5 sampled pictures have the same shape, so a square" in lines[0]


def test_a_resumed_run_uses_the_values_it_began_with(tmp_path: Path) -> None:
    begun = {"height": 224, "width": 200, "fit": "crop", "normalisation": "imagenet", "flip": True}
    found, lines = resolved(tmp_path / "c", [(60, 80)] * 5, *LITE_WORDS, "pictures.width=96", begun=begun)
    shown = found.pictures.chosen
    assert (shown.height, shown.width, shown.fit, shown.normalisation) == (224, 96, "crop", "imagenet")
    assert lines == [
        "pictures.height=224 pictures.fit=crop pictures.normalisation=imagenet pictures.interpolation=bilinear: as the "
        "run was begun"
    ]


def test_unknown_statistics_of_weights_are_warned_about(tmp_path: Path) -> None:
    found, lines = resolved(tmp_path / "c", [(60, 80)] * 5, *DPN_WORDS)
    assert found.pictures.normalisation == "imagenet"
    assert (
        "warning: dpn68: its weights were trained with a normalisation that fusionclf does not know"
        in lines[0]
    )
    _, lines = resolved(tmp_path / "d", [(60, 80)] * 5, *DPN_WORDS, "pictures.normalisation=imagenet")
    assert not any(line.startswith("warning") for line in lines)


def test_a_model_without_pictures_leaves_them_unset(tmp_path: Path) -> None:
    found, lines = resolved(tmp_path / "c", [(60, 80)] * 5, variant="text")
    assert found.pictures == PictureSettings() and lines == []
    with pytest.raises(SettingsError, match=r"pictures\.height is not chosen yet"):
        _ = found.pictures.chosen


def test_what_is_given_in_full_reads_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusionclf.stacking.picture_settings.sample_sizes", lambda _: pytest.fail("was read"))
    words = ("pictures.height=40", "pictures.width=30", "pictures.fit=crop", "pictures.normalisation=none",
             "pictures.interpolation=bicubic")  # fmt: skip
    found, lines = resolved(tmp_path / "c", [(60, 80)] * 5, *words)
    assert (found.pictures.height, found.pictures.fit, lines) == (40, "crop", [])
