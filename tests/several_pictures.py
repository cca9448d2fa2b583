"""A sample catalog half of whose products have two or three pictures, and runs on it."""

from pathlib import Path

import pandas as pd
from PIL import Image, ImageOps

from fusionclf.catalog import generate_sample
from fusionclf.workflows.train import train
from tests.small import IMAGE, TEXT

PICTURES = ("catalog.picture=images/{pictures}", "catalog.picture_separator=|")


def several_pictures(folder: Path, products: int = 200) -> Path:
    """Write the catalog: the column `pictures` names each product's files."""
    generate_sample(folder, products=products, seed=0)
    table = pd.read_csv(folder / "styles.csv", dtype=str, on_bad_lines="skip", keep_default_na=False)
    cells = []
    for row, product in enumerate(table["id"]):
        names = [f"{product}.jpg"]
        file = folder / "images" / names[0]
        for number in range(row % 3 if file.is_file() else 0):
            names.append(f"{product}-{number}.jpg")
            with Image.open(file) as picture:
                other = ImageOps.invert(picture.convert("RGB")) if number else ImageOps.mirror(picture)
            other.convert("RGB").save(folder / "images" / names[-1])
        cells.append("|".join(names))
    table.insert(1, "pictures", cells)
    table.to_csv(folder / "styles.csv", index=False)
    return folder


def several_run(folder: Path, data: Path, variant: str, *words: str) -> Path:
    """A small run on it."""
    quick = ("train.epochs=1", "scheme=single_stage", "train.precision=fp32")
    text = TEXT if variant == "fusion" else ()
    train(variant, data, folder, overrides=(*PICTURES, *IMAGE, *text, *quick, *words), cpu=True)
    return folder
