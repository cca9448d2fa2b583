"""A small made-up catalog in the Kaggle layout, with every fault of the real one.

It serves commands and tests without a download. Metrics on it say nothing about real products, as picture and
title each hold a part of the answer by design: several article types share one silhouette, and a title that does
not name its type names a product line that types of other silhouettes share. So a model that reads both can beat
one that reads either; with real products it may not.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fusionclf.catalog.drawing import PALETTE, draw_product
from fusionclf.catalog.folders import new_folder
from fusionclf.errors import CatalogError

FEWEST = 200  # with fewer, classes of the rest part would have no row on one side of the split
HEADER = (
    "id gender masterCategory subCategory articleType baseColour season year usage productDisplayName".split()
)
BRANDS = ("Calder", "Juno", "Marlowe", "Nordvik", "Pike", "Quill", "Tessera", "Wren")
SEASONS = ("Summer", "Fall", "Winter", "Spring")
USAGES = ("Casual", "Formal", "Sports", "Ethnic")
EVEN, ODD = (2010, 2012, 2014, 2016), (2011, 2013, 2015, 2017)
EVEN_SHARE = 0.53
LABEL_ERRORS = (
    "label_errors.csv"  # id, label, true_label of the products that are labelled wrongly on purpose
)
NAMED, SINGULAR = 0.58, 0.08  # shares of titles with the type's name and with its singular; others are vague
GIFTS, GIFT_SHARE = ("Socks", "Belts", "Wallets"), 0.04  # a title may name a type that the product is not


@dataclass(frozen=True)
class ArticleType:
    """A class: its categories, its size, and what its pictures and titles show."""

    name: str
    path: tuple[str, str]
    weight: int  # products, of 600
    silhouette: str  # shared by types that look alike
    line: str  # product line, shared by types of other silhouettes; no two types share both
    years: str = "both"  # both, even (train alone) or odd (test alone)


_TOP, _BOTTOM = ("Apparel", "Topwear"), ("Apparel", "Bottomwear")
_DRESS, _SHOES = ("Apparel", "Dress"), ("Footwear", "Shoes")
_SANDAL, _BAGS = ("Footwear", "Sandal"), ("Accessories", "Bags")
_WORN, _EYES = ("Accessories", "Worn"), ("Accessories", "Eyewear")
_WALLETS, _MAKEUP = ("Accessories", "Wallets"), ("Personal Care", "Makeup")
_SCENT = ("Personal Care", "Fragrance")

TYPES = (
    ArticleType("Tshirts", _TOP, 72, "upper", "Active"),
    ArticleType("Shirts", _TOP, 58, "upper", "Office"),
    ArticleType("Casual Shoes", _SHOES, 48, "shoe", "Weekend"),
    ArticleType("Watches", _WORN, 40, "dial", "Office"),
    ArticleType("Handbags", _BAGS, 34, "bag", "Evening"),
    ArticleType("Sports Shoes", _SHOES, 29, "shoe", "Active"),
    ArticleType("Tops", _TOP, 25, "upper", "Evening"),
    ArticleType("Jeans", _BOTTOM, 22, "legs", "Weekend"),
    ArticleType("Heels", _SANDAL, 20, "strapped", "Evening"),
    ArticleType("Wallets", _WALLETS, 19, "flat", "Office"),
    ArticleType("Sandals", _SANDAL, 18, "strapped", "Weekend"),
    ArticleType("Sunglasses", _EYES, 17, "lenses", "Weekend"),
    ArticleType("Dresses", _DRESS, 17, "flared", "Evening"),
    ArticleType("Trousers", _BOTTOM, 16, "legs", "Office"),
    ArticleType("Backpacks", _BAGS, 16, "bag", "Active"),
    ArticleType("Perfume Mist", _SCENT, 16, "bottle", "Evening", "odd"),
    ArticleType("Formal Shoes", _SHOES, 15, "shoe", "Office"),
    ArticleType("Belts", _WORN, 15, "strip", "Office"),
    ArticleType("Track Pants", _BOTTOM, 15, "legs", "Active"),
    ArticleType("Skirts", _DRESS, 15, "flared", "Weekend"),
    ArticleType("Clutches", _BAGS, 13, "flat", "Evening"),
    ArticleType("Kurtas", _TOP, 11, "flared", "Office"),
    ArticleType("Scarves", _WORN, 10, "strip", "Evening"),
    ArticleType("Nail Polish", _MAKEUP, 9, "bottle", "Weekend", "odd"),
    ArticleType("Ties", _WORN, 8, "strip", "Weekend"),
    ArticleType("Lipstick", _MAKEUP, 8, "bottle", "Office", "odd"),
    ArticleType("Bracelets", _WORN, 7, "dial", "Weekend"),
    ArticleType("Swimwear", _DRESS, 5, "upper", "Weekend", "even"),
)
WELL_KNOWN = 20  # weight from which a type has enough products for a label error of it to be found
LONE_TYPE = ArticleType("Suits", _TOP, 1, "upper", "Office")  # its only product has no picture


@dataclass(frozen=True)
class _Product:
    id: str
    type: ArticleType
    path: tuple[str, str]
    gender: str
    colour: str
    season: str
    year: str
    usage: str
    title: str
    wrong: ArticleType | None = None  # the type that its label names, where that is not its own

    @property
    def is_even(self) -> bool:
        return bool(self.year) and int(self.year) % 2 == 0

    @property
    def has_fault(self) -> bool:
        return not self.year or "," in self.title or "NA" in (self.colour, self.usage)

    def cells(self) -> list[str]:
        path, label = (
            (self.path, self.type.name) if self.wrong is None else (self.wrong.path, self.wrong.name)
        )
        kind = [self.gender, *path, label]
        return [self.id, *kind, self.colour, self.season, self.year, self.usage, self.title]


def generate_sample(dest: Path, products: int = 600, seed: int = 0, *, label_errors: int = 0) -> Path:
    """Write a catalog: DEST/styles.csv and DEST/images/ID.jpg.

    Args:
        dest: folder to create; it must not exist, or be empty.
        products: rows of styles.csv. Three of them have no picture.
        seed: same seed, same files.
        label_errors: number of products that get another product's label. DEST/label_errors.csv lists them.

    Returns:
        `dest`.

    Raises:
        CatalogError: `dest` holds files, or there are too few products for every kind of class.
    """
    if products < FEWEST:
        raise CatalogError(f"products={products}: a sample catalog needs at least {FEWEST}")
    dest = Path(dest)
    generator = np.random.default_rng([seed, 0])
    rows = _with_faults(_make_products(products, generator), generator)
    rows = _with_label_errors(rows, label_errors, np.random.default_rng([seed, 2]))
    with new_folder(dest) as folder:
        # Cells are not quoted: unquoted commas in titles are a fault of the real file, too.
        lines = [",".join(HEADER), *(",".join(row.cells()) for row in rows)]
        (folder / "styles.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        if label_errors:
            (folder / LABEL_ERRORS).write_text(_error_table(rows), encoding="utf-8")
        (folder / "images").mkdir()
        _write_pictures(folder / "images", rows, seed, generator)
    return dest


def _make_products(products: int, generator: np.random.Generator) -> list[_Product]:
    """All rows in random order, without faults; the last one is LONE_TYPE's."""
    weights = np.array([kind.weight for kind in TYPES], np.float64)
    exact = weights / weights.sum() * (products - 1)
    counts = exact.astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: products - 1 - counts.sum()]] += 1
    kinds: list[tuple[ArticleType, tuple[int, ...]]] = []
    for kind, count in zip(TYPES, counts, strict=True):
        even = {"both": round(EVEN_SHARE * count), "even": count, "odd": 0}[kind.years]
        kinds += [(kind, EVEN)] * even + [(kind, ODD)] * (count - even)
    kinds = [*(kinds[place] for place in generator.permutation(len(kinds))), (LONE_TYPE, EVEN)]
    numbers = generator.choice(np.arange(1000, 1000 + 20 * products), products, replace=False)
    return [
        _make_product(str(n), kind, years, generator) for n, (kind, years) in zip(numbers, kinds, strict=True)
    ]


def _make_product(
    number: str, kind: ArticleType, years: tuple[int, ...], generator: np.random.Generator
) -> _Product:
    gender = str(generator.choice(["Men", "Women"]))
    colour = str(generator.choice(list(PALETTE)))
    return _Product(
        id=number,
        type=kind,
        path=kind.path,
        gender=gender,
        colour=colour,
        season=str(generator.choice(SEASONS)),
        year=str(generator.choice(years)),
        usage=str(generator.choice(USAGES)),
        title=_title(kind, gender, colour, generator),
    )


def _title(kind: ArticleType, gender: str, colour: str, generator: np.random.Generator) -> str:
    brand = str(generator.choice(BRANDS))
    draw = generator.random()
    if draw < NAMED:
        what = kind.name
    elif draw < NAMED + SINGULAR:
        what = kind.name.removesuffix("s")
    else:
        what = f"{kind.line} Line"
    gift = f" with Free {generator.choice(GIFTS)}" if generator.random() < GIFT_SHARE else ""
    return f"{brand} {gender} {colour} {what}{gift}"


def _with_faults(rows: list[_Product], generator: np.random.Generator) -> list[_Product]:
    """Cells as in the real catalog: NA as a value, no year, commas, equal titles, one type on two paths."""
    rows = list(rows)
    for first, second in _pairs(rows, across=True)[::10]:
        title, gender, colour = rows[first].title, rows[first].gender, rows[first].colour
        rows[second] = replace(rows[second], title=title, gender=gender, colour=colour)
    places = iter(generator.permutation(len(rows) - 1).tolist())

    def change(count: int, **cells: str) -> None:
        for place in (next(places) for _ in range(count)):
            rows[place] = replace(rows[place], **cells)

    change(max(3, len(rows) // 100), usage="NA")
    change(3, season="")
    change(3, colour="NA")
    # The largest class can spare a row on either side; of a small one it might be the only row.
    place = next(place for place in places if rows[place].type is TYPES[0])
    rows[place] = replace(rows[place], year="")
    for end in ("Soft, Light, Washable", "Set of 3, Boxed", "Slim, New", "2, 4 or 6 Pieces"):
        place = next(places)
        rows[place] = replace(rows[place], title=f"{rows[place].title} {end}")  # unquoted commas
    place = next(places)
    rows[place] = replace(rows[place], title=f'"{rows[place].title}, Boxed"')  # quoted correctly
    tops = next(n for n, row in enumerate(rows) if row.type.name == "Tops")
    rows[tops] = replace(rows[tops], path=("Apparel", "Dress"))
    return rows


def _with_label_errors(rows: list[_Product], count: int, generator: np.random.Generator) -> list[_Product]:
    """Some products of the largest types, with the label of another large type that looks different."""
    rows = list(rows)
    large = [kind for kind in TYPES if kind.weight >= WELL_KNOWN and kind.years == "both"]
    spare = [place for place, row in enumerate(rows) if row.type in large and not row.has_fault]
    if count > len(spare):
        raise CatalogError(f"label_errors={count}: at most {len(spare)} of {len(rows)} products can have one")
    for place in generator.permutation(spare)[:count].tolist():
        others = [kind for kind in large if kind.silhouette != rows[place].type.silhouette]
        rows[place] = replace(rows[place], wrong=others[generator.integers(len(others))])
    return rows


def _error_table(rows: list[_Product]) -> str:
    wrong = [(row.id, row.wrong.name, row.type.name) for row in rows if row.wrong is not None]
    return "\n".join(",".join(cells) for cells in [("id", "label", "true_label"), *wrong]) + "\n"


def _pairs(rows: list[_Product], *, across: bool) -> list[tuple[int, int]]:
    """Places of two rows of one type: of an even and an odd year if `across`, else both of even years."""
    found = []
    unpaired: dict[str, int] = {}
    for place, row in enumerate(rows[:-1]):
        if row.type.name not in unpaired:
            if row.is_even:
                unpaired[row.type.name] = place
        elif row.is_even != across:
            found.append((unpaired.pop(row.type.name), place))
    return found


def _write_pictures(folder: Path, rows: list[_Product], seed: int, generator: np.random.Generator) -> None:
    places = generator.permutation(len(rows) - 1).tolist()
    spare = [place for place in places if rows[place].type is TYPES[0] and not rows[place].has_fault]
    missing = spare[:2]
    places = [place for place in places if place not in missing]
    odd, grey = set(places[:3]), set(places[3 : 3 + max(3, len(rows) // 100)])
    for place, row in enumerate(rows[:-1]):
        if place in missing:
            continue
        picture = draw_product(row.type.silhouette, row.colour, np.random.default_rng([seed, 1, place]))
        if place in odd:
            picture = picture.resize((53, 80))
        if place in grey:
            picture = picture.convert("L")
        picture.save(folder / f"{row.id}.jpg", quality=88)
    # Copies must not undo the faults above.
    unchanged = [row for place, row in enumerate(rows[:-1]) if place not in {*missing, *odd, *grey}]
    same = [*_pairs(unchanged, across=True)[:3], *_pairs(unchanged, across=False)[-3:]]
    shirt, tshirt = (_first_even(unchanged, name) for name in ("Shirts", "Tshirts"))
    for first, second in [*same, (shirt, tshirt)]:  # the last: one picture, two labels
        shutil.copyfile(folder / f"{unchanged[first].id}.jpg", folder / f"{unchanged[second].id}.jpg")


def _first_even(rows: list[_Product], name: str) -> int:
    return next(n for n, row in enumerate(rows) if row.type.name == name and row.is_even)
