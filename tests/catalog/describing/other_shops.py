"""Made-up catalogs of other trades: spare parts, wine, real estate, toys and software."""

import json

import numpy as np

from tests.catalog.describing.shops import (
    NAMES,
    PHRASES,
    Row,
    Shop,
    class_of,
    name_of,
    price_of,
    products,
    text_of,
)


def spare_parts() -> Shop:
    """German parts: several numbers, a long table of fitting cars, a group in words and in numbers."""

    def row(n: int, g: np.random.Generator) -> Row:
        top, low = class_of(n)
        return {
            "EAN": f"40{n:011d}", "Teilenummer": f"TN-{n:05d}", "Kurzbezeichnung": name_of(n, g),
            "Langtext": text_of(n, g),
            "Warengruppe": low, "Warengruppe Nr": 100 + n % 8, "Hauptgruppe": top, "Hersteller": g.choice(NAMES[:5]),
            "Gewicht kg": str(g.integers(1, 90) / 10).replace(".", ","), "UVP": f"{price_of(g):.2f} EUR",
            "Lagerbestand": g.integers(0, 20), "Bilddatei": f"{n:05d}.jpg",
        }  # fmt: skip

    expected = {
        "catalog.title": "Kurzbezeichnung", "catalog.label": "Warengruppe", "catalog.text": ("Langtext",),
        "catalog.categories": ("Hauptgruppe",), "catalog.picture": "bilder/{Bilddatei}",
        "catalog.attributes": ("Hersteller", "Gewicht kg", "UVP"),
    }  # fmt: skip
    return Shop(
        products(row),
        expected,
        [f"bilder/{n:05d}.jpg" for n in range(240)],
        inputs_without=("Warengruppe Nr",),
    )


def wine() -> Shop:
    kinds = ("red wine", "white wine", "rosé", "sparkling")

    def row(n: int, g: np.random.Generator) -> Row:
        return {
            "Item no.": 5000 + n, "Wine": f"{g.choice(NAMES)} {g.choice(NAMES)} Estate {g.integers(100, 999)}",
            "Vintage": g.integers(1995, 2023), "Wine type": kinds[n % 4],
            "Country": g.choice(["France", "Spain", "Chile"]),
            "Tasting notes": f"This {kinds[n % 4]} is {', '.join(g.choice(PHRASES, 2, False))}.",
            "Alcohol": f"{g.integers(110, 150) / 10} %", "Price": f"£{price_of(g)}",
            "Photo": f"https://w.example.com/{n}.png",
        }  # fmt: skip

    expected = {
        "catalog.id": "Item no.", "catalog.label": "Wine type", "catalog.title": "Wine",
        "catalog.text": ("Tasting notes",), "catalog.picture": "{Photo}",
    }  # fmt: skip
    return Shop(products(row), expected, doubts=("no header says title",))


def toys() -> Shop:
    """JSON lists of pictures and a path with slashes."""

    def row(n: int, g: np.random.Generator) -> Row:
        top, low = class_of(n)
        return {
            "_id": f"{n:024x}", "product_title": name_of(n, g), "product_details": text_of(n, g),
            "taxonomy_path": f"Toys/{top}/{low}", "age_group": g.choice(["0-3", "4-7", "8+"]),
            "brand_name": g.choice(NAMES),
            "sale_price": f"${price_of(g)}", "photos": json.dumps([f"{n}/1.png", f"{n}/2.png"]),
        }  # fmt: skip

    expected = {
        "catalog.id": "_id", "catalog.title": "product_title", "catalog.label": "taxonomy_path",
        "catalog.label_separator": "/", "catalog.picture": "p/{photos}", "catalog.text": ("product_details",),
        "catalog.attributes": ("age_group", "brand_name", "sale_price"),
    }  # fmt: skip
    return Shop(products(row), expected, [f"p/{n}/{k}.png" for n in range(240) for k in (1, 2)])


def clothes_in_sizes() -> Shop:
    """Italian clothes: a model in four sizes, so that titles nearly repeat."""

    def row(n: int, g: np.random.Generator) -> Row:
        style = np.random.default_rng(n // 4)
        top, low = class_of(n // 4)
        name = name_of(n // 4, style)
        return {
            "Codice": f"C{n}", "Nome": f"{name} {'SMLX'[n % 4]}", "Descrizione": text_of(n // 4, style),
            "Categoria": low,
            "Reparto": top, "Style ID": f"ST{n // 4}", "Taglia": "SMLX"[n % 4], "Prezzo": f"€ {price_of(g)}",
            "Foto": f"st{n // 4}.jpg",
        }  # fmt: skip

    expected = {
        "catalog.id": "Codice", "catalog.title": "Nome", "catalog.label": "Categoria",
            "catalog.categories": ("Reparto",),
        "catalog.text": ("Descrizione",), "catalog.attributes": ("Taglia", "Prezzo"), "catalog.picture": "{Foto}",
        "split.group_by": ("title", "picture", "Style ID"),
    }  # fmt: skip
    return Shop(products(row), expected, [f"st{n}.jpg" for n in range(60)])


def departments_across() -> Shop:
    """A department that crosses the classes is no category above them."""

    def row(n: int, g: np.random.Generator) -> Row:
        top, low = class_of(n)
        return {
            "sku": f"D{n}", "name": name_of(n, g), "department": g.choice(["Women", "Men", "Kids"]), "section": top,
            "category": low, "price": price_of(g),
        }  # fmt: skip

    expected = {
        "catalog.label": "category", "catalog.categories": ("section",), "catalog.attributes": ("price",),
        "catalog.picture": "pics/{sku}.jpg",
    }  # fmt: skip
    files = [f"pics/D{n}.jpg" for n in range(240)]
    return Shop(products(row), expected, files, ("department left out: one class is in several",))
