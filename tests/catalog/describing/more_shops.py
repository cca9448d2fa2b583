"""More made-up catalogs: other goods and languages, headers that clash or say nothing."""

import numpy as np

from tests.catalog.describing.shops import (
    COLOURS,
    NAMES,
    PHRASES,
    Row,
    Shop,
    class_of,
    colour_of,
    name_of,
    price_of,
    products,
    text_of,
)

GENRES = ("crime", "travel", "poetry", "cooking", "history")


def groceries() -> Shop:
    def row(n: int, g: np.random.Generator) -> Row:
        top, low = class_of(n)
        return {
            "código": f"{n:06d}", "nombre": name_of(n, g), "descripción": text_of(n, g), "categoría": top,
            "subcategoría": low, "marca": g.choice(NAMES), "precio": f"{price_of(g)}".replace(".", ","),
            "peso": f"{g.integers(100, 900)}", "imagen": f"/p/{n}.png",
        }  # fmt: skip

    expected = {
        "catalog.id": "código", "catalog.title": "nombre", "catalog.label": "subcategoría",
        "catalog.categories": ("categoría",), "catalog.picture": "media/{imagen}",
        "catalog.text": ("descripción",), "catalog.attributes": ("marca", "precio", "peso"),
    }  # fmt: skip
    return Shop(products(row), expected, [f"media/p/{n}.png" for n in range(240)])


def books() -> Shop:
    def row(n: int, g: np.random.Generator) -> Row:
        words = " ".join(g.choice(NAMES, 3))
        return {
            "isbn13": 9783000000000 + n, "title": f"{words} {n}", "author": " ".join(g.choice(NAMES, 2)),
            "publisher": g.choice(NAMES[:6]), "year": g.integers(1950, 2024), "genre": GENRES[n % 5],
            "blurb": f"A {GENRES[n % 5]} book, {', '.join(g.choice(PHRASES, 3, False))}.", "language": "en",
            "pages": g.integers(80, 900), "cover": f"https://books.example.com/{n}.jpg",
        }  # fmt: skip

    expected = {
        "catalog.id": "isbn13", "catalog.title": "title", "catalog.label": "genre", "catalog.year": "year",
        "catalog.picture": "{cover}", "catalog.text": ("author", "blurb"),
        "catalog.attributes": ("publisher", "pages"), "split.rule": "random", "catalog.categories": (),
    }  # fmt: skip
    return Shop(products(row), expected)


def records() -> Shop:
    """Record shop: `label` is a company, and several headers are names that fusionclf uses itself."""

    def row(n: int, g: np.random.Generator) -> Row:
        return {
            "id": n, "title": f"{' '.join(g.choice(NAMES, 2))} {n}", "label": g.choice(NAMES), "genre": GENRES[n % 5],
            "year": g.integers(1970, 2020), "picture": f"covers/{n}.jpg",
        }  # fmt: skip

    expected = {
        "catalog.id": "id", "catalog.title": "title", "catalog.label": "genre", "catalog.year": "year",
        "catalog.picture": "{picture}",
    }  # fmt: skip
    return Shop(products(row), expected, [f"covers/{n}.jpg" for n in range(240)], ("could also be label",))


def french() -> Shop:
    def row(n: int, g: np.random.Generator) -> Row:
        top, low = class_of(n)
        return {
            "Référence": f"REF{n}", "Désignation": name_of(n, g), "Rayon": top, "Sous-famille": low,
            "Couleur": colour_of(g), "Prix TTC": f"{price_of(g)} €", "Disponibilité": "oui",
        }  # fmt: skip

    expected = {
        "catalog.id": "Référence", "catalog.title": "Désignation", "catalog.label": "Sous-famille",
        "catalog.categories": ("Rayon",), "catalog.picture": "photos/{Référence}.webp",
        "catalog.attributes": ("Couleur", "Prix TTC"), "catalog.text": (),
    }  # fmt: skip
    return Shop(products(row), expected, [f"photos/REF{n}.webp" for n in range(0, 240, 2)], ("only 50 %",))


def japanese() -> Shop:
    kinds, makers = ("椅子", "机", "照明"), ("ひかり", "さくら")

    def row(n: int, g: np.random.Generator) -> Row:
        return {
            "商品番号": f"J{n}", "商品名": f"{makers[n % 2]}の{kinds[n % 3]} 第{n}号", "カテゴリ": kinds[n % 3],
            "価格": f"{g.integers(10, 99)},000円", "画像": f"{n}.jpg",
            "説明": f"とても良い{kinds[n % 3]}で、{n}年も使えます。",
        }  # fmt: skip

    expected = {
        "catalog.id": "商品番号", "catalog.title": "商品名", "catalog.label": "カテゴリ",
        "catalog.picture": "img/{画像}", "catalog.attributes": ("価格",), "catalog.text": ("説明",),
    }  # fmt: skip
    return Shop(products(row), expected, [f"img/{n}.jpg" for n in range(240)])


def numbered_classes() -> Shop:
    """Pictures and numbers of classes, as many data sets for training have them."""

    def row(n: int, g: np.random.Generator) -> Row:
        return {"filename": f"{n}.png", "label": n % 7}

    expected = {
        "catalog.id": "filename", "catalog.title": None, "catalog.label": "label",
        "catalog.picture": "train/{filename}", "catalog.attributes": (), "split.group_by": ("picture",),
    }  # fmt: skip
    return Shop(products(row), expected, [f"train/{n}.png" for n in range(240)])


def texts_alone() -> Shop:
    """A title and a class, without an id and pictures."""

    def row(n: int, g: np.random.Generator) -> Row:
        return {"text": name_of(n % 200, np.random.default_rng(n % 200)), "target": class_of(n)[1]}

    expected = {"catalog.title": "text", "catalog.label": "target", "split.group_by": ("title",)}
    return Shop(products(row), expected, doubts=("catalog.id", "row numbers"))


def category_ids() -> Shop:
    def row(n: int, g: np.random.Generator) -> Row:
        top, low = class_of(n)
        return {
            "product_id": n, "product_name": name_of(n, g), "category_id": 900 + n % 8, "category_name": low,
            "breadcrumb": f"{top} / {low} / {name_of(n, g)}", "created_at": f"2024-01-{n % 28 + 1:02d}T10:00:00",
            "material": g.choice(["oak", "steel", "glass"]), "tax_class": "full", "is_new": g.choice(["yes", "no"]),
            "image_1": f"a/{n}.jpg", "image_2": f"a/{n}x.jpg" if n % 3 else "",
        }  # fmt: skip

    expected = {
        "catalog.id": "product_id", "catalog.title": "product_name", "catalog.label": "category_name",
        "catalog.picture": "{image_1},{image_2}", "catalog.attributes": ("material", "is_new"),
    }  # fmt: skip
    files = [f"a/{n}{x}.jpg" for n in range(240) for x in ("", "x")]
    return Shop(products(row), expected, files, inputs_without=("category_id", "breadcrumb"))


def silent_headers() -> Shop:
    def row(n: int, g: np.random.Generator) -> Row:
        return {
            "c1": f"K-{n}",
            "c2": name_of(n, g),
            "c3": class_of(n)[1],
            "c4": price_of(g),
            "c5": colour_of(g),
        }

    expected = {"catalog.id": "c1", "catalog.title": "c2", "catalog.label": "c3"}
    return Shop(products(row), expected, doubts=("no header says title", "no header says category", "c5 (5)"))


def two_languages() -> Shop:
    def row(n: int, g: np.random.Generator) -> Row:
        return {
            "sku": f"T{n}", "name_de": name_of(n, g), "name_en": name_of(n, g), "description_de": text_of(n, g),
            "description_en": text_of(n, g), "Kategorie": class_of(n)[1], "colour": COLOURS[n % 5],
        }  # fmt: skip

    expected = {
        "catalog.title": "name_de",
        "catalog.text": ("description_de",),
        "catalog.attributes": ("colour",),
    }
    return Shop(products(row), expected, doubts=("could also be name_en", "name_en, description_en left out"))
