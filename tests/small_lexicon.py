"""A WordNet database of a few nouns, in the format of its files."""

from collections.abc import Sequence
from pathlib import Path

LICENCE = "  1 A database of a few nouns for tests.  \n"
# Key → topic, nouns, key of what it is a kind of.
NOUNS: dict[str, tuple[int, Sequence[str], str]] = {
    "thing": (3, ["thing"], ""),
    "jewellery": (6, ["jewelry", "jewellery"], "thing"),
    "ring": (6, ["ring", "band"], "jewellery"),
    "signet": (6, ["signet_ring", "seal"], "ring"),
    "necklace": (6, ["necklace"], "jewellery"),
    "choker": (6, ["choker"], "necklace"),
    "bracelet": (6, ["bracelet", "bangle"], "jewellery"),
    "sound": (7, ["sound"], "thing"),
    "tinkle": (7, ["ring", "tintinnabulation"], "sound"),
    "garment": (6, ["garment"], "thing"),
    "shirt": (6, ["shirt"], "garment"),
    "polo": (6, ["polo_shirt", "sport_shirt"], "shirt"),
    "tank": (6, ["tank_top"], "shirt"),
    "tee": (6, ["T-shirt", "tee_shirt"], "shirt"),
    "top": (6, ["top"], "garment"),
    "white": (6, ["white"], "shirt"),
    "briefs": (6, ["briefs"], "garment"),
    "paper": (10, ["brief"], "thing"),
}


def write_lexicon(folder: Path, line_end: str = "\r\n") -> Path:
    """`data.noun` and `index.noun`; places count one byte a line end, as in the package."""
    folder.mkdir(parents=True)
    width = 8
    bodies = {key: _body(key, "0" * width) for key in NOUNS}
    places, at = {}, len(LICENCE)
    for key, body in bodies.items():
        places[key] = f"{at:0{width}d}"
        at += len(body) + 1
    lines = [_body(key, places[key], places) for key in NOUNS]
    (folder / "data.noun").write_bytes((LICENCE + "\n".join(lines) + "\n").replace("\n", line_end).encode())
    of_noun: dict[str, list[str]] = {}
    for key in ("tinkle", *NOUNS):  # the sound is the most frequent meaning of "ring"
        for noun in NOUNS[key][1]:
            if places[key] not in of_noun.setdefault(noun.lower(), []):
                of_noun[noun.lower()].append(places[key])
    index = [
        f"{noun} n {len(own)} 2 @ ~ {len(own)} 0 {' '.join(own)}  " for noun, own in sorted(of_noun.items())
    ]
    (folder / "index.noun").write_bytes((LICENCE + "\n".join(index) + "\n").replace("\n", line_end).encode())
    return folder


def _body(key: str, place: str, places: dict[str, str] | None = None) -> str:
    topic, nouns, above = NOUNS[key]
    at = places or dict.fromkeys(NOUNS, place)
    pointers = [f"@ {at[above]} n 0000"] if above else []
    pointers += [f"~ {at[other]} n 0000" for other, (*_, own) in NOUNS.items() if own == key]
    words = " ".join(f"{noun} 0" for noun in nouns)
    return (
        f"{place} {topic:02d} n {len(nouns):02x} {words} {len(pointers):03d} {' '.join(pointers)} | a {key}  "
    )
