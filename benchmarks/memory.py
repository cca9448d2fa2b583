"""Peak memory of `fusionclf train fusion` by number of products and classes, on catalogs that it makes up.

Usage: python benchmarks/memory.py [--sizes 2000x142,44441x142] [--markdown FILE]

For each size a catalog of random titles and small drawn pictures is written, half of its years for training, and the
command trains open fusion on it in a process of its own; the table has what the run records in environment.json. The
encoders are small, with made weights: a picture network of 0.4 million, and a text network of one layer whose
embeddings are as wide as MiniLM's (384). So the process holds what grows with products and classes, and little more.
A size of 1000000x142 takes about 12 GB below the temporary folder (TMPDIR moves it).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEADER = (
    "id,picture,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
)
PICTURES, WORDS, BRANDS = 200, 3000, 500
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "el", "or")]
GROUPS = 10  # classes of one category
EMBEDDING = 384
SETTINGS = (
    "scheme=single_stage", "catalog.picture=images/{picture}.jpg", "model.image.library=timm",
    "model.image.backbone=test_resnet", "model.image.weights=none", "model.image.frozen=true",
    "model.image.normalise=true", "pictures.height=32", "pictures.width=32", "pictures.fit=stretch",
    "model.fuser=late", "model.vocabulary=open", "model.synonyms=null", "model.text.kind=both",
    "model.text.buckets=65536", "model.text.words=2", "train.epochs=1", "train.precision=fp32", "train.engine=torch",
)  # fmt: skip


def words(count: int, generator: np.random.Generator) -> list[str]:
    """`count` different words of three syllables."""
    numbers = generator.permutation(len(SYLLABLES) ** 3)[:count]
    base = len(SYLLABLES)
    return [
        SYLLABLES[n // base**2] + SYLLABLES[n // base % base] + SYLLABLES[n % base] for n in numbers.tolist()
    ]


def write_catalog(folder: Path, products: int, classes: int, seed: int = 0) -> Path:
    """A catalog whose titles name their class half of the time; the larger the class, the lower its number."""
    generator = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    for number in range(PICTURES):
        pixels = generator.integers(0, 256, (8, 6, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((48, 64)).save(folder / "images" / f"{number}.jpg")
    vocabulary, names = words(WORDS, generator), words(2 * classes, generator)
    share = 1 / np.arange(1, classes + 1)
    numbers = generator.choice(classes, products, p=share / share.sum())
    numbers[: 4 * classes] = np.tile(np.arange(classes), 4)[:products]  # each class in both years
    with (folder / "styles.csv").open("w", encoding="utf-8") as file:
        file.write(f"{HEADER}\n")
        for row, label in enumerate(numbers.tolist()):
            name = f"{names[2 * label]} {names[2 * label + 1]}"
            picked = [vocabulary[n] for n in generator.integers(0, WORDS, 3)]
            brand = picked[0] if row % 2 else vocabulary[row % BRANDS]
            title = f"{brand} {picked[1]} {name if generator.random() < 0.5 else picked[2]} {row % 1000}"
            category = f"group {label // GROUPS}"
            year = 2010 + row // max(classes, 1) % 4
            file.write(f"{row},{row % PICTURES},Men,all,{category},{name},Red,Fall,{year},Casual,{title}\n")
    return folder


def write_text_network(folder: Path) -> Path:
    """A BERT of one layer, 384 wide, with random weights and letters as its words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir()
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *SYLLABLES]
    vocabulary = [*pieces, *(f"##{piece}" for piece in [*letters, *SYLLABLES])]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=EMBEDDING, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


def measure(products: int, classes: int, work: Path, settings: tuple[str, ...] = ()) -> dict[str, Any]:
    """What environment.json says of a training on a catalog of a size."""
    catalog = write_catalog(work / "catalog", products, classes)
    network, run = write_text_network(work / "text"), work / "run"
    command = [sys.executable, "-m", "fusionclf", "train", "fusion", "--data", catalog, "--out", run, "--cpu",
               *SETTINGS, f"model.text.model={network}", *settings]  # fmt: skip
    environment = {**os.environ, "FUSIONCLF_CACHE": str(work / "cache")}
    done = subprocess.run([str(word) for word in command], env=environment)
    if done.returncode:
        sys.exit(f"{products} x {classes}: the command ended with {done.returncode}")
    return json.loads((run / "environment.json").read_text(encoding="utf-8"))


def row(size: tuple[int, int], cost: dict[str, Any]) -> str:
    """A line of the table."""
    return (
        f"| {size[0]:,} | {size[1]:,} | {cost['peak_memory_mib'] / 1024:.2f} | {cost['train_seconds']:,.0f} |"
    )


def main() -> None:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", default="2000x142,44441x142", help="products x classes")
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    sizes = [tuple(map(int, text.split("x"))) for text in options.sizes.split(",")]
    lines = ["| products | classes | peak memory, GiB | training, s |", "| ---: | ---: | ---: | ---: |"]
    for products, classes in sizes:
        with tempfile.TemporaryDirectory(prefix="fusionclf-memory-") as work:
            lines.append(row((products, classes), measure(products, classes, Path(work))))
            print(lines[-1], flush=True)
    where = f"{date.today()}; {os.cpu_count()} CPUs ({platform.machine()}), fusionclf {version('fusionclf')}"
    text = "\n".join(lines) + f"\n\n{where}\n"
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
