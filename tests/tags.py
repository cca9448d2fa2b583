"""A small catalog whose products have several tags: a type, a colour, and some an occasion."""

from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image

from fusionclf.workflows.baseline import run_baseline

TYPES, COLOURS, OCCASIONS = ("dress", "shirt", "shoe"), ("red", "green", "blue"), ("party", "")
RGB = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}
WORDS = {"party": "for the night"}
CATALOG = (
    "catalog.file=tags.csv", "catalog.title=title", "catalog.label=tags", "catalog.label_list=|",
    "catalog.metadata=[]", "catalog.year=null", "split.rule=random",
)  # fmt: skip


def write_tags(folder: Path, products: int = 180) -> Path:
    """The catalog; the picture shows the colour, the title names type and occasion, and every third the colour."""
    (folder / "images").mkdir(parents=True)
    lines = ["id,title,tags"]
    for number in range(products):
        kind, colour = TYPES[number % 3], COLOURS[number // 3 % 3]
        occasion = OCCASIONS[number // 9 % 2]
        shown = colour if number % 3 == 0 else "fine"
        title = " ".join(filter(None, (shown, kind, f"no {number}", WORDS.get(occasion))))
        lines.append(f"{number},{title},{'|'.join(filter(None, (kind, colour, occasion)))}")
        Image.new("RGB", (8, 8), RGB[colour]).save(folder / "images" / f"{number}.jpg")
    (folder / "tags.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def tags_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalog of tags. Read-only."""
    return write_tags(tmp_path_factory.mktemp("tags") / "catalog")


@pytest.fixture(scope="session")
def tags_run(tags_dir: Path, shared_dir: Path) -> Path:
    """A finished run of the linear baseline on the catalog of tags. Read-only."""
    out = shared_dir / "runs" / "tags-linear"
    with FileLock(shared_dir / "tags-linear.lock"):
        if not out.exists():
            run_baseline("linear", tags_dir, out, overrides=CATALOG)
    return out
