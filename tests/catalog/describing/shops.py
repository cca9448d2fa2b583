"""Made-up catalogs in the layouts of shops: columns, pictures, and what should be guessed about them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TREE = {
    "Garden": ["Spades", "Hoses", "Pots"],
    "Kitchen": ["Knives", "Pans"],
    "Office": ["Lamps", "Chairs", "Folders"],
}
CLASSES = [(top, low) for top, lows in TREE.items() for low in lows]
NAMES = "Nord Alma Kerf Tilo Brix Sola Varn Elin Ruko Onda Pell Jura".split()
COLOURS = "red green blue black white".split()
PHRASES = ("made to last", "easy to clean", "a gift for friends", "light and strong", "from our own workshop")
Row = dict[str, Any]


@dataclass(frozen=True)
class Shop:
    """A made-up catalog.

    Attributes:
        table: all cells as text.
        expected: setting → value.
        files: pictures below the folder.
        doubts: words that must stand in the doubts, one after the other.
        inputs_without: columns that no input may be.
    """

    table: pd.DataFrame
    expected: dict[str, Any]
    files: list[str] = field(default_factory=list)
    doubts: tuple[str, ...] = ()
    inputs_without: tuple[str, ...] = ()

    def make(self, folder: Path) -> Path:
        """Write the pictures, empty files, below a folder."""
        for name in self.files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        return folder


def products(row: Callable[[int, np.random.Generator], Row], count: int = 240) -> pd.DataFrame:
    """A table of `count` rows."""
    generator = np.random.default_rng(0)
    rows = [row(n, generator) for n in range(count)]
    return pd.DataFrame(rows).fillna("").astype("str")


def class_of(number: int) -> tuple[str, str]:
    return CLASSES[number % len(CLASSES)]


def name_of(number: int, generator: np.random.Generator) -> str:
    return (
        f"{generator.choice(NAMES)} {class_of(number)[1][:-1]} {generator.choice(NAMES)} {number % 97 + 10}"
    )


def text_of(number: int, generator: np.random.Generator) -> str:
    chosen = generator.choice(PHRASES, 3, replace=False)
    return f"The {class_of(number)[1][:-1].lower()} {number} is {', '.join(chosen)}."


def price_of(generator: np.random.Generator) -> float:
    return round(float(generator.uniform(3, 900)), 2)


def colour_of(generator: np.random.Generator) -> str:
    return str(generator.choice(COLOURS))


def shopify() -> Shop:
    def row(n: int, g: np.random.Generator) -> Row:
        style = np.random.default_rng(n // 3)
        top, low = class_of(n // 3)
        return {
            "Handle": f"product-{n // 3}", "Title": name_of(n // 3, style),
            "Body (HTML)": f"<p>{text_of(n // 3, style)}</p>", "Vendor": style.choice(NAMES[:5]),
            "Product Category": f"Home & Garden > {top} > {low}", "Type": low,
            "Tags": f"{low}, {colour_of(style)}, new",
            "Published": "true", "Option1 Name": "Colour", "Option1 Value": COLOURS[n % 3], "Variant SKU": f"S-{n:05d}",
            "Variant Inventory Qty": g.integers(0, 90), "Variant Price": price_of(g),
            "Image Src": f"https://cdn.example.com/{n // 3}.jpg?v=1", "Status": "active",
        }  # fmt: skip

    expected = {
        "catalog.id": "Variant SKU", "catalog.title": "Title", "catalog.label": "Type",
        "catalog.picture": "{Image Src}", "catalog.text": ("Body (HTML)",), "catalog.year": None,
        "catalog.attributes": ("Vendor", "Option1 Value", "Variant Price"),
        "split.rule": "random", "split.group_by": ("title", "picture", "Handle"),
    }  # fmt: skip
    return Shop(products(row), expected)


def woocommerce() -> Shop:
    def row(n: int, g: np.random.Generator) -> Row:
        top, low = class_of(n)
        return {
            "ID": 4000 + n, "Type": g.choice(["simple", "variable"]), "SKU": f"WOO-{n}", "Name": name_of(n, g),
            "Published": 1, "Short description": g.choice(PHRASES) + f" {n}", "Description": text_of(n, g),
            "In stock?": n % 2, "Regular price": price_of(g), "Categories": f"{top} > {low}",
            "Images": f"https://shop.example.com/{n}.jpg, https://shop.example.com/{n}-b.jpg",
        }  # fmt: skip

    expected = {
        "catalog.id": "ID", "catalog.title": "Name", "catalog.label": "Categories",
        "catalog.label_separator": ">", "catalog.categories": (), "catalog.picture": "{Images}",
        "catalog.picture_separator": ",", "catalog.text": ("Short description", "Description"),
        "catalog.attributes": ("Regular price",),
    }  # fmt: skip
    return Shop(products(row), expected)


def amazon() -> Shop:
    def row(n: int, g: np.random.Generator) -> Row:
        style, (top, low) = np.random.default_rng(n // 2), class_of(n // 2)
        return {
            "asin": f"B0{n:06d}X", "parent_asin": f"B0P{n // 2:05d}", "main_category": top, "category": low,
            "title": f"{name_of(n // 2, style)}, {COLOURS[n % 2]}", "average_rating": round(float(g.uniform(1, 5)), 1),
            "rating_number": g.integers(1, 4000), "features": json.dumps(list(g.choice(PHRASES, 2, False))),
            "description": text_of(n, g), "price": f"${price_of(g)}", "store": style.choice(NAMES),
            "images": json.dumps([f"https://m.example.com/{n}-{k}.jpg" for k in range(3)]),
        }  # fmt: skip

    expected = {
        "catalog.id": "asin", "catalog.title": "title", "catalog.label": "category",
        "catalog.categories": ("main_category",), "catalog.picture": "{images}",
        "catalog.attributes": ("price", "store"), "split.group_by": ("title", "picture", "parent_asin"),
    }  # fmt: skip
    return Shop(products(row), expected, inputs_without=("rating_number", "average_rating", "parent_asin"))


def merchant() -> Shop:
    def row(n: int, g: np.random.Generator) -> Row:
        style, (top, low) = np.random.default_rng(n // 4), class_of(n // 4)
        return {
            "id": f"gm{n}", "title": f"{name_of(n // 4, style)} - {COLOURS[n % 4]}",
            "description": text_of(n // 4, style),
            "link": f"https://shop.example.com/p/{n}", "image_link": f"https://cdn.example.com/i/{n}",
            "availability": g.choice(["in stock", "out of stock"]), "price": f"{price_of(g):.2f} EUR",
            "google_product_category": f"Home & Garden > {top} > {low}", "brand": style.choice(NAMES),
            "gtin": 4006381333900 + n, "item_group_id": f"G{n // 4}", "color": COLOURS[n % 4], "condition": "new",
        }  # fmt: skip

    expected = {
        "catalog.id": "id", "catalog.title": "title", "catalog.label": "google_product_category",
        "catalog.label_separator": ">", "catalog.picture": "{image_link}", "catalog.text": ("description",),
        "catalog.attributes": ("price", "brand", "color"), "split.group_by": ("title", "picture", "item_group_id"),
    }  # fmt: skip
    return Shop(products(row), expected)


def furniture() -> Shop:
    def row(n: int, g: np.random.Generator) -> Row:
        top, low = class_of(n)
        return {
            "Artikelnummer": 70_000 + n, "Bezeichnung": name_of(n, g), "Kurzbeschreibung": text_of(n, g),
            "Warengruppe": low, "Hauptwarengruppe": top, "Hersteller": g.choice(NAMES), "Farbe": colour_of(g),
            "Preis": f"1.{g.integers(100, 999)},90 €", "Breite (cm)": g.integers(20, 240), "EAN": 4012345000000 + n,
            "Bild1": f"{n}_1.jpg", "Bild2": f"{n}_2.jpg", "Lagerbestand": g.integers(0, 50),
        }  # fmt: skip

    expected = {
        "catalog.id": "Artikelnummer", "catalog.title": "Bezeichnung", "catalog.label": "Warengruppe",
        "catalog.categories": ("Hauptwarengruppe",), "catalog.picture": "bilder/{Bild1},bilder/{Bild2}",
        "catalog.text": ("Kurzbeschreibung",),
        "catalog.attributes": ("Hersteller", "Farbe", "Preis", "Breite (cm)"),
    }  # fmt: skip
    files = [f"bilder/{n}_{k}.jpg" for n in range(240) for k in (1, 2)]
    return Shop(products(row), expected, files)
