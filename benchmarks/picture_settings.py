"""Size, shape and normalisation of pictures, by cross-validation on the train rows of catalogs of several shops.

    python -m benchmarks.picture_settings OUT flipkart=data/flipkart magento=data/magento fashion=data/fashion-small \
        emoji=data/emoji,catalog.title=libelle,catalog.label=famille

Each argument is NAME=FOLDER; words for `describe` may follow after commas. A catalog is copied below OUT (its files as
links) and described there. Features of frozen EfficientNet-Lite0 are computed once for each setting and kept below OUT,
so the command can be resumed. A logistic regression on them is scored in five folds; products of one title, and those
that the split keeps together, share a fold. It prints a table of each setting's accuracy, its difference to what `auto`
chooses with one standard error, and its pixels as a multiple of those, which computation grows with.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from torch.nn import functional as F

from benchmarks.catalogs import copied, fusionclf
from fusionclf.batches import PictureTransform, cover_size, decode_pictures
from fusionclf.catalog import open_picture
from fusionclf.catalog.groups import TITLE, product_groups
from fusionclf.catalog.picture_sizes import PictureSizes, sample_sizes
from fusionclf.config import PicturesConfig, PictureSettings, RunConfig
from fusionclf.models import find_variant
from fusionclf.models.backbones import ImageEncoderParams, build_image_encoder
from fusionclf.models.encoder_input import encoder_input
from fusionclf.stacking.picture_settings import choose_pictures
from fusionclf.workflows.settings import load_run_settings, read_divided

ENCODER = ImageEncoderParams(library="timm", backbone="tf_efficientnet_lite0", weights="offline", frozen=True)
LONGER = (96, 128, 160, 224, 288)  # sides that are tried
MOST_ENLARGED = 3.5  # longer sides beyond this multiple of the pictures' own are left out
MOST_ROWS = 2500
FOLDS, BATCH = 5, 32
AUTO = "auto"


@dataclass(frozen=True)
class Products:
    """Train rows with pictures, of classes with two groups at least.

    Attributes:
        files: the P different pictures.
        place: (N,) the picture of each product.
        labels, groups: (N,).
    """

    files: list[Path]
    place: np.ndarray
    labels: np.ndarray
    groups: np.ndarray


def read_products(data: Path) -> tuple[Products, PictureSizes]:
    """Up to MOST_ROWS train rows of a described catalog, and the sizes of its pictures."""
    settings = load_run_settings(RunConfig[find_variant("image").params], "image", data, None, ())
    catalog, split = read_divided(data, settings.catalog, settings.split)
    groups = product_groups(catalog, (TITLE, *settings.split.group_by))
    rows = np.sort(split.rows(catalog, None, "train", "validation"))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False))
    labels, groups = catalog.table["label"].to_numpy(str)[rows], groups[rows]
    counts = {label: len(set(groups[labels == label])) for label in set(labels)}
    paths = catalog.picture_paths(rows)
    used = np.array(
        [path is not None and counts[label] > 1 for path, label in zip(paths, labels, strict=True)]
    )
    shown = [str(path) for path, use in zip(paths, used, strict=True) if use]
    files, place = np.unique(shown, return_inverse=True)
    return Products([Path(file) for file in files], place, labels[used], groups[used]), sample_sizes(catalog)


def settings_of(sizes: PictureSizes) -> Iterator[tuple[str, PicturesConfig]]:
    """Name and settings: what `auto` chooses, what was the default before, and changes of one thing each."""
    auto = chosen(sizes)
    yield AUTO, auto
    yield "128 x 96, as before", PicturesConfig(height=128, width=96, fit="stretch")
    for name in ("imagenet", "inception"):
        yield "other normalisation", auto.model_copy(update={"normalisation": name})
    for longer in LONGER:
        if longer <= MOST_ENLARGED * sizes.longer:
            factor = longer / max(auto.height, auto.width)
            height, width = (8 * round(side * factor / 8) for side in (auto.height, auto.width))
            yield "other size", auto.model_copy(update={"height": height, "width": width})
    longer = max(auto.height, auto.width)
    square = auto.model_copy(update={"height": longer, "width": longer})
    yield "square", square
    yield "square, cut", square.model_copy(update={"fit": "crop"})
    yield "square, white margins", square


def chosen(sizes: PictureSizes) -> PicturesConfig:
    """What `auto` chooses; the weights' own normalisation in any case."""
    given = PictureSettings(normalisation=encoder_input(ENCODER).normalisation)  # pyright: ignore
    found, _ = choose_pictures(given, sizes, encoder_input(ENCODER))
    return PictureSettings.model_validate({**given.model_dump(), **found}).chosen


def with_margins(picture: Image.Image) -> Image.Image:
    """A picture in the middle of a white square."""
    side = max(picture.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def features(folder: Path, files: list[Path], name: str, shown: PicturesConfig) -> np.ndarray:
    """(P, D) layer-normalised features; computed, or kept from before."""
    margins = "-margins" if "margins" in name else ""
    stored = folder / f"{shown.height}x{shown.width}-{shown.fit}-{shown.normalisation}{margins}.npz"
    if not stored.is_file():
        encoder = build_image_encoder(**ENCODER.model_dump()).eval()
        found = []
        for start in range(0, len(files), BATCH):
            pictures = [open_picture(file) for file in files[start : start + BATCH]]
            if margins:
                pictures = [with_margins(picture) for picture in pictures]
            transform = PictureTransform(decode_pictures(pictures, cover_size(shown)), shown)
            with torch.inference_mode():
                found.append(encoder(transform.evaluation(np.arange(len(pictures)))).numpy())
        np.savez(stored, features=np.concatenate(found))
    with np.load(stored) as kept:
        values = torch.from_numpy(kept["features"])
    return F.layer_norm(values, values.shape[1:]).numpy()


def right(products: Products, pictures: np.ndarray) -> np.ndarray:
    """(N,) whether each product is right in the fold that it is held out in."""
    inputs, found = pictures[products.place], np.zeros(len(products.place), bool)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for train, test in folds.split(inputs, products.labels, products.groups):
        model = LogisticRegression(C=0.02, max_iter=60, tol=0.01).fit(inputs[train], products.labels[train])
        found[test] = model.predict(inputs[test]) == products.labels[test]
    return found


def rows_of(out: Path, name: str, data: Path) -> Iterator[str]:
    """A line of the table for each setting of a catalog."""
    products, sizes = read_products(data)
    folder = out / name / "features"
    folder.mkdir(exist_ok=True)
    seen, auto, auto_pixels = set(), np.zeros(0), 0
    for what, shown in settings_of(sizes):
        key = (shown.height, shown.width, shown.fit, shown.normalisation, "margins" in what)
        if key in seen:
            continue
        seen.add(key)
        result = folder / f"{json.dumps(key)}.npy"
        if not result.is_file():
            np.save(result, right(products, features(folder, products.files, what, shown)))
        found = np.load(result).astype(float)
        pixels = shown.height * shown.width
        auto, auto_pixels = (found, pixels) if what == AUTO else (auto, auto_pixels)
        gain = found - auto
        difference = (
            "" if what == AUTO else f"{100 * gain.mean():+.1f} ± {standard_error(gain, products):.1f}"
        )
        size = f"{shown.height} x {shown.width}, {shown.normalisation}"
        cells = [name, what, size, f"{100 * found.mean():.1f}", difference, f"{pixels / auto_pixels:.2f}"]
        yield f"| {' | '.join(cells)} |"


def standard_error(gain: np.ndarray, products: Products) -> float:
    """Of a mean over products of which those of one group are not independent, in points."""
    sums = np.array([gain[products.groups == group].sum() for group in np.unique(products.groups)])
    return 100 * float(np.sqrt((sums**2).sum())) / len(gain)


def main(out: Path, catalogs: list[str]) -> None:
    """Compute and print the table."""
    print("| catalog | setting | height x width, normalisation | accuracy | difference | pixels |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    for text in catalogs:
        name, _, rest = text.partition("=")
        folder, *words = rest.split(",")
        data = copied(Path(folder), out / name / "data")
        if not (data / "catalog.yaml").is_file():
            fusionclf("data", "describe", str(data), *words)
        for line in rows_of(out, name, data):
            print(line, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
