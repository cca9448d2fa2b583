"""A small catalog that is generated: drawn pictures, worded titles, and every fault of the real one.

It exists so that anyone can try each command and each test without a download. Its figures mean nothing outside
of the demo: shapes and words were chosen so that a picture and a title each carry a part of the answer.
"""

import csv
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fusionclf.errors import CatalogError

WIDTH, HEIGHT = 60, 80
HEADER = ["id", "gender", "masterCategory", "subCategory", "articleType", "baseColour", "season", "year", "usage"]
TITLE = "productDisplayName"


@dataclass(frozen=True)
class Kind:
    """One article type: its place in the tree, its share of the catalog, and what is drawn and said of it.

    Types of one `shape` look nearly alike and types of one `noun` are titled alike, but no two share both.
    """

    name: str
    sub: str
    master: str
    weight: float
    shape: str
    noun: str
    years: str = "both"  # even: no test row, odd: no train row


KINDS = (
    Kind("Tshirts", "Topwear", "Apparel", 60, "tee", "Tee"),
    Kind("Shirts", "Topwear", "Apparel", 44, "shirt", "Shirt"),
    Kind("Tops", "Topwear", "Apparel", 30, "tee", "Top"),
    Kind("Kurtas", "Topwear", "Apparel", 24, "tunic", "Top"),
    Kind("Sweatshirts", "Topwear", "Apparel", 18, "shirt", "Pullover"),
    Kind("Sweaters", "Topwear", "Apparel", 14, "tunic", "Pullover"),
    Kind("Jeans", "Bottomwear", "Apparel", 30, "trousers", "Denims"),
    Kind("Trousers", "Bottomwear", "Apparel", 22, "trousers", "Pants"),
    Kind("Shorts", "Bottomwear", "Apparel", 20, "shorts", "Pants"),
    Kind("Skirts", "Bottomwear", "Apparel", 8, "skirt", "Skirt"),
    Kind("Dresses", "Dress", "Apparel", 14, "skirt", "Gown"),
    Kind("Casual Shoes", "Shoes", "Footwear", 36, "shoe", "Sneaker"),
    Kind("Sports Shoes", "Shoes", "Footwear", 30, "shoe", "Runner"),
    Kind("Heels", "Shoes", "Footwear", 22, "heel", "Pump"),
    Kind("Sandals", "Sandal", "Footwear", 16, "sandal", "Slip-on"),
    Kind("Flip Flops", "Flip Flops", "Footwear", 14, "flat", "Slip-on"),
    Kind("Watches", "Watches", "Accessories", 34, "watch", "Timepiece"),
    Kind("Bracelet", "Jewellery", "Accessories", 6, "watch", "Band"),
    Kind("Belts", "Belts", "Accessories", 16, "belt", "Band"),
    Kind("Handbags", "Bags", "Accessories", 26, "bag", "Carryall"),
    Kind("Backpacks", "Bags", "Accessories", 14, "pack", "Carryall"),
    Kind("Wallets", "Wallets", "Accessories", 16, "wallet", "Holder"),
    Kind("Sunglasses", "Eyewear", "Accessories", 18, "glasses", "Shades"),
    Kind("Caps", "Headwear", "Accessories", 7, "cap", "Cap"),
    Kind("Perfume", "Fragrance", "Personal Care", 14, "bottle", "Eau", "odd"),
    Kind("Nail Polish", "Nails", "Personal Care", 6, "flask", "Lacquer", "odd"),
    Kind("Lipstick", "Lips", "Personal Care", 5, "stick", "Lip Colour"),
    Kind("Umbrellas", "Umbrellas", "Accessories", 4, "umbrella", "Umbrella", "even"),
)
BRANDS = ("Arden", "Bluepeak", "Corvo", "Dune & Co", "Elmwood", "Fjord", "Gallant", "Harrow")
COLOURS = {
    "Black": (40, 40, 45), "White": (225, 225, 220), "Blue": (60, 90, 170), "Red": (180, 50, 55),
    "Green": (70, 130, 80), "Brown": (120, 85, 60), "Grey": (140, 140, 145), "NA": (200, 170, 90),
}  # fmt: skip
# The outlines, as corners in a unit square; several make one drawing.
SHAPES: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "tee": (((0.1, 0.25), (0.35, 0.15), (0.65, 0.15), (0.9, 0.25), (0.82, 0.42), (0.7, 0.36), (0.7, 0.85), (0.3, 0.85), (0.3, 0.36), (0.18, 0.42)),),
    "shirt": (((0.05, 0.7), (0.2, 0.2), (0.4, 0.14), (0.6, 0.14), (0.8, 0.2), (0.95, 0.7), (0.85, 0.72), (0.72, 0.4), (0.72, 0.88), (0.28, 0.88), (0.28, 0.4), (0.15, 0.72)),),
    "tunic": (((0.1, 0.55), (0.3, 0.1), (0.7, 0.1), (0.9, 0.55), (0.78, 0.58), (0.7, 0.4), (0.78, 0.95), (0.22, 0.95), (0.3, 0.4), (0.22, 0.58)),),
    "trousers": (((0.3, 0.08), (0.7, 0.08), (0.76, 0.94), (0.57, 0.94), (0.5, 0.4), (0.43, 0.94), (0.24, 0.94)),),
    "shorts": (((0.25, 0.25), (0.75, 0.25), (0.85, 0.7), (0.55, 0.72), (0.5, 0.48), (0.45, 0.72), (0.15, 0.7)),),
    "skirt": (((0.4, 0.12), (0.6, 0.12), (0.6, 0.35), (0.85, 0.9), (0.15, 0.9), (0.4, 0.35)),),
    "shoe": (((0.08, 0.45), (0.35, 0.42), (0.6, 0.6), (0.92, 0.66), (0.93, 0.76), (0.08, 0.76)),),
    "heel": (((0.1, 0.3), (0.4, 0.5), (0.9, 0.72), (0.92, 0.8), (0.6, 0.8), (0.3, 0.62), (0.2, 0.6), (0.18, 0.85), (0.1, 0.85)),),
    "sandal": (((0.08, 0.7), (0.92, 0.7), (0.92, 0.78), (0.08, 0.78)), ((0.25, 0.7), (0.4, 0.45), (0.5, 0.45), (0.45, 0.7)), ((0.6, 0.7), (0.7, 0.5), (0.78, 0.7))),
    "flat": (((0.3, 0.1), (0.5, 0.06), (0.66, 0.2), (0.6, 0.9), (0.42, 0.95), (0.32, 0.8)),),
    "watch": (((0.4, 0.05), (0.6, 0.05), (0.6, 0.32), (0.74, 0.42), (0.74, 0.58), (0.6, 0.68), (0.6, 0.95), (0.4, 0.95), (0.4, 0.68), (0.26, 0.58), (0.26, 0.42), (0.4, 0.32)),),
    "belt": (((0.04, 0.44), (0.96, 0.44), (0.96, 0.56), (0.04, 0.56)), ((0.1, 0.38), (0.25, 0.38), (0.25, 0.62), (0.1, 0.62))),
    "bag": (((0.12, 0.42), (0.88, 0.42), (0.94, 0.88), (0.06, 0.88)), ((0.3, 0.42), (0.36, 0.16), (0.64, 0.16), (0.7, 0.42), (0.62, 0.42), (0.58, 0.24), (0.42, 0.24), (0.38, 0.42))),
    "pack": (((0.2, 0.25), (0.35, 0.1), (0.65, 0.1), (0.8, 0.25), (0.84, 0.92), (0.16, 0.92)),),
    "wallet": (((0.12, 0.35), (0.88, 0.35), (0.88, 0.7), (0.12, 0.7)),),
    "glasses": (((0.05, 0.42), (0.42, 0.42), (0.4, 0.6), (0.1, 0.6)), ((0.58, 0.42), (0.95, 0.42), (0.9, 0.6), (0.6, 0.6)), ((0.42, 0.44), (0.58, 0.44), (0.58, 0.48), (0.42, 0.48))),
    "cap": (((0.1, 0.6), (0.2, 0.35), (0.45, 0.26), (0.68, 0.38), (0.72, 0.56), (0.96, 0.66), (0.7, 0.68)),),
    "bottle": (((0.42, 0.1), (0.58, 0.1), (0.58, 0.28), (0.78, 0.36), (0.78, 0.92), (0.22, 0.92), (0.22, 0.36), (0.42, 0.28)),),
    "flask": (((0.44, 0.08), (0.56, 0.08), (0.56, 0.5), (0.68, 0.56), (0.68, 0.92), (0.32, 0.92), (0.32, 0.56), (0.44, 0.5)),),
    "stick": (((0.4, 0.2), (0.56, 0.12), (0.6, 0.5), (0.64, 0.5), (0.64, 0.94), (0.36, 0.94), (0.36, 0.5), (0.4, 0.5)),),
    "umbrella": (((0.05, 0.45), (0.25, 0.2), (0.5, 0.12), (0.75, 0.2), (0.95, 0.45), (0.53, 0.42), (0.53, 0.9), (0.47, 0.9), (0.47, 0.42)),),
}  # fmt: skip


def generate_sample(dest: Path, products: int = 600, seed: int = 0) -> Path:
    """Generate a catalog in the Kaggle layout.

    Args:
        dest: folder to make; must not hold anything.
        products: rows of styles.csv.
        seed: the same seed gives the same files.

    Returns:
        `dest`.

    Raises:
        CatalogError: `dest` holds files, or cannot be written.
    """
    dest = Path(dest)
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise CatalogError(f"{dest}: is there already; give a new or empty folder")
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=dest.parent, prefix=f".{dest.name}."))
    except OSError as error:
        raise CatalogError(f"{dest}: cannot be written ({error.strerror}); choose another folder") from error
    try:
        _write(aside, products, np.random.default_rng(seed))
        aside.chmod(0o755)
        if dest.exists():
            dest.rmdir()
        os.replace(aside, dest)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return dest


def _write(folder: Path, products: int, generator: np.random.Generator) -> None:
    (folder / "images").mkdir()
    kinds = _kinds(products, generator)
    rows = [_row(1000 + n, kind, generator) for n, kind in enumerate(kinds)]
    faults = generator.permutation(len(rows))
    commas, missing, grey, no_year, same = faults[:4], faults[4:6], faults[6:10], faults[10], faults[11:17]
    rows[no_year][7] = ""
    for n, (row, kind) in enumerate(zip(rows, kinds, strict=True)):
        if n not in missing:
            picture = _draw(kind, row[5], generator)
            picture = picture.convert("L") if n in grey else picture
            picture.save(folder / "images" / f"{row[0]}.jpg", quality=90)
    # Of three pairs of products the second shows the first one's picture.
    for first, second in zip(same[::2], same[1::2], strict=True):
        shutil.copyfile(folder / "images" / f"{rows[first][0]}.jpg", folder / "images" / f"{rows[second][0]}.jpg")
    with (folder / "styles.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*HEADER, TITLE])
        for n, row in enumerate(rows):
            if n in commas:  # the real file does not quote these titles
                file.write(",".join(row).replace(" & ", ", ") + ", Pack of 2\n")
            else:
                writer.writerow(row)


def _kinds(products: int, generator: np.random.Generator) -> list[Kind]:
    """As many products as asked for, in shares of the kinds' weights, four of each kind at least."""
    weights = np.array([kind.weight for kind in KINDS]) ** 0.6  # a long tail, but not an empty one
    counts = np.maximum(4, np.floor(products * weights / weights.sum()).astype(int))
    counts[0] += products - counts.sum()
    order = generator.permutation(products)
    return [KINDS[n] for n in np.repeat(np.arange(len(KINDS)), np.maximum(counts, 0))[order]]


def _row(number: int, kind: Kind, generator: np.random.Generator) -> list[str]:
    colour = str(generator.choice(list(COLOURS)))
    gender = str(generator.choice(["Men", "Women", "Unisex"]))
    years = {"both": (2011, 2012, 2013, 2014), "even": (2012, 2014), "odd": (2011, 2013)}[kind.years]
    brand = str(generator.choice(BRANDS))
    said = generator.random()
    # Most titles name the kind in the trade's word, some by its name, some not at all.
    noun = kind.noun if said < 0.6 else kind.name if said < 0.85 else "Collection Piece"
    extra = str(generator.choice(["", "Classic", "Urban", "Essential", "Heritage"]))
    shown = "" if colour == "NA" else colour
    title = " ".join(word for word in (brand, gender, extra, shown, noun) if word)
    season = str(generator.choice(["Summer", "Winter", "Fall", "Spring"]))
    usage = str(generator.choice(["Casual", "Sports", "Formal", "NA"]))
    path = [kind.master, kind.sub, kind.name]
    if kind.name == "Belts" and generator.random() < 0.2:  # a type under two paths, as in the real catalog
        path = ["Accessories", "Accessories", "Belts"]
    return [str(number), gender, *path, colour, season, str(generator.choice(years)), usage, title]


def _draw(kind: Kind, colour: str, generator: np.random.Generator) -> Image.Image:
    fill = np.clip(np.array(COLOURS[colour]) + generator.normal(0, 12, 3), 0, 255).astype(int)
    scale, angle = generator.uniform(0.75, 1.0), generator.normal(0, 6)
    shift = generator.normal(0, 2.5, 2)
    large = Image.new("RGB", (WIDTH * 2, HEIGHT * 2), (250, 250, 250))
    draw = ImageDraw.Draw(large)
    for outline in SHAPES[kind.shape]:
        corners = (np.array(outline) - 0.5) * scale + 0.5 + generator.normal(0, 0.012, (len(outline), 2))
        draw.polygon([(x * WIDTH * 2, y * HEIGHT * 2) for x, y in corners], fill=tuple(fill), outline=(30, 30, 30))
    turned = large.rotate(angle, fillcolor=(250, 250, 250), translate=(int(shift[0]), int(shift[1])))
    small = turned.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR).filter(ImageFilter.GaussianBlur(0.4))
    noisy = np.asarray(small, float) + generator.normal(0, 6, (HEIGHT, WIDTH, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
