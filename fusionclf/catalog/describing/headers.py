"""The header of a column → what it may hold, in English, German, French, Spanish, Italian and Japanese words."""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
SHORTEST_HEAD = 4  # letters of a word that may end a compound, such as name in produktname
LANGUAGES = frozenset(
    "en de fr es it nl pt ja jp zh cn ko ru pl sv da fi no cs tr ar hu ro el uk he th".split()
)

# Kinds in the order in which they win where a header holds words of several.
WORDS = {
    "picture": "image images img imgs picture pictures pic pics photo photos bild bilder foto fotos imagen imagenes "
    "imagem immagine cover thumbnail thumb visuel illustration 画像 图片 圖片 写真",
    "link": "url urls link links href permalink uri website lien enlace",
    "keeping": "stock qty quantity inventory availability available lager bestand lagerbestand verfugbarkeit "
    "disponibilite disponibilidad status published visible visibility tax vat mwst shipping versand livraison "
    "created updated modified timestamp crawl crawled scraped rating ratings review reviews votes score rank "
    "position sort index sales views currency wahrung devise moneda condition fulfillment seo meta requires "
    "enabled active featured unnamed downloadable backorders menu date datum fecha",
    "code": "ean gtin upc mpn isbn barcode ean13 hs hash checksum md5",
    "price": "price prices preis prix precio prezzo mrp cost amount msrp uvp 価格 価格円",
    "attribute": "brand brands vendor manufacturer maker marke hersteller marque fabricant marca fabricante publisher "
    "verlag editeur editorial colour color colours colors basecolour farbe couleur coloris colore size sizes grosse "
    "taille talla taglia material materiale materiau matiere gender sex geschlecht sexe genero season saison temporada "
    "usage pattern shape form format language sprache langue idioma binding country origin herkunft origine age weight "
    "gewicht poids peso width breite largeur height hohe hauteur alto length lange longueur depth tiefe volume "
    "capacity unit units einheit finish room discount",
    "label": "category categories kategorie kategorien categorie categoria categorias subcategory subcategorie "
    "unterkategorie subcategoria sousfamille type typ typen tipo class klasse classe clase target taxonomy taxonomie "
    "warengruppe produktgruppe artikelgruppe produktart artikelart gattung famille familie familia family subfamily "
    "genre breadcrumb breadcrumbs カテゴリ カテゴリー 分類 类目 分类",
    "variant": "parent base handle eltern groupid itemgroup styleid stylenumber stylecode modelid modelcode "
    "stammartikel variantof",
    "level": "department section group gruppe groupe grupo rayon abteilung aisle shelf division sector segment sparte "
    "rubrique rubrik bereich label collection level etage",
    "text": "description descriptions desc beschreibung descripcion descrizione body details detail specification "
    "specifications specs features feature bullet bullets bulletpoints keywords keyword stichworte mots motscles "
    "tags tag schlagworte summary abstract resume subtitle untertitel soustitre ingredients zutaten composition "
    "composicion content contents inhalt text texte texto blurb klappentext author autor auteur autore 説明 商品説明",
    "id": "id sku asin uid uuid uniq pid code key nr no num nummer number numero artnr artikelnr artikelnummer "
    "bestellnummer produktnummer reference referenz referencia ref codigo clave itemno 商品番号 品番",
    "title": "title titel titre titulo titolo name names nom nombre nome bezeichnung benennung libelle designation "
    "denominacion denominazione headline 商品名 名称 品名 タイトル",
}  # fmt: skip
KINDS = {kind: frozenset(words.split()) for kind, words in WORDS.items()}
STRONG = KINDS["label"]
FIRST_IDS = frozenset("id sku uniq uid uuid asin".split())


@lru_cache(maxsize=10_000)
def header_words(name: str) -> tuple[str, ...]:
    """The words of a header, without accents and in lower case.

    >>> header_words("productDisplayName"), header_words("Größe (cm)")
    (('product', 'display', 'name'), ('grosse', 'cm'))
    """
    text = unicodedata.normalize("NFKC", CAMEL.sub(" ", name)).casefold()
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if not _is_latin_accent(c))
    words = re.findall(r"[^\W\d_]+|\d+", unicodedata.normalize("NFC", bare))
    return tuple(words)


def _is_latin_accent(character: str) -> bool:
    return "̀" <= character <= "ͯ"


@lru_cache(maxsize=10_000)
def header_kind(name: str) -> str:
    """What a header says about its column: a key of WORDS, or "" where it says nothing.

    >>> [header_kind(name) for name in ("parent_sku", "baseColour", "Kurzbeschreibung", "produktName", "foo")]
    ['variant', 'attribute', 'text', 'title', '']
    """
    words = header_words(name)
    joined = {*words, "".join(words), *("".join(pair) for pair in pairwise(words))}
    for kind, known in KINDS.items():
        if known & joined:
            return kind
    for word in reversed(words):
        for kind, known in KINDS.items():
            if any(len(head) >= SHORTEST_HEAD and word.endswith(head) for head in known):
                return kind
    return ""


def is_strong_label(name: str) -> bool:
    """Whether a header names a class, such as category or type, and not a level such as department."""
    return header_kind(name) == "label"


def language_suffix(name: str) -> tuple[str, str]:
    """A header's stem and its language, "" where it names none.

    >>> language_suffix("titre_ja"), language_suffix("name")
    (('titre', 'ja'), ('name', ''))
    """
    words = header_words(name)
    if len(words) > 1 and words[-1] in LANGUAGES:
        return " ".join(words[:-1]), words[-1]
    return " ".join(words), ""
