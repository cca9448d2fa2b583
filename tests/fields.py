"""A catalog whose title says nothing: its further texts and attributes tell the classes."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

CLASSES = ("Kettle", "Lamp", "Rug", "Sofa")
WORDS = {"Kettle": "boils water", "Lamp": "gives light", "Rug": "lies on floors", "Sofa": "seats three"}
MAKERS = {"Kettle": "Aqua", "Lamp": "Lumo", "Rug": "Weft", "Sofa": "Sitta"}
SETTINGS = (
    "catalog.file=shop.csv", "catalog.id=sku", "catalog.title=name", "catalog.label=type",
    "catalog.picture=pictures/{sku}.png", "catalog.categories=", "catalog.metadata=", "catalog.year=null",
    "split.rule=random", "split.top_k=2", "catalog.text=story", "catalog.attributes=maker,price",
)  # fmt: skip


def write_shop(folder: Path, products: int = 160) -> Path:
    """The catalog: a story in HTML, a maker, a price; a tenth of each is missing."""
    chance = np.random.default_rng(0)
    rows = []
    for n in range(products):
        label = CLASSES[n % 4]
        row = {
            "sku": f"p{n}", "name": f"item {chance.integers(1000)}", "type": label,
            "story": f"<p>Our best: it <b>{WORDS[label]}</b>, says customer {chance.integers(99)}.</p>",
            "maker": MAKERS[label], "price": f"€ {100 * (n % 4) + chance.integers(50)},00",
        }  # fmt: skip
        rows.append({name: "" if name in ("story", "maker", "price") and chance.random() < 0.1 else cell
                     for name, cell in row.items()})  # fmt: skip
    (folder / "pictures").mkdir(parents=True)
    for row in rows:
        Image.new("RGB", (40, 40), "grey").save(folder / "pictures" / f"{row['sku']}.png")
    pd.DataFrame(rows).to_csv(folder / "shop.csv", index=False)
    return folder
