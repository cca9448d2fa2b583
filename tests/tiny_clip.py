"""Tiny CLIP, SigLIP and SigLIP 2 models, trained in seconds on pictures of coloured shapes and what they are called."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageDraw

Kind = Literal["clip", "siglip", "siglip2"]
COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 220), "yellow": (230, 210, 40)}
SHAPES = ("disc", "bar")
CLASSES = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)
OUTSIDE, UNSEEN = CLASSES[0], CLASSES[-1]
WORDS = ("a", "photo", "of", ".", *COLOURS, *SHAPES)
SIDE, LENGTH, STEPS, BATCH = 32, 16, 150, 32


def draw(name: str, generator: np.random.Generator) -> Image.Image:
    """A picture of a class, such as "red disc", somewhere on a light ground."""
    colour, shape = name.split()
    picture = Image.new("RGB", (SIDE, SIDE), tuple(generator.integers(225, 256, 3).tolist()))
    x, y = generator.integers(2, 12, 2).tolist()
    shade = np.clip(np.array(COLOURS[colour]) + generator.integers(-20, 21, 3), 0, 255)
    pen, fill = ImageDraw.Draw(picture), tuple(int(value) for value in shade)
    if shape == "disc":
        pen.ellipse((x, y, x + 17, y + 17), fill=fill)
    else:
        pen.rectangle((x, y + 6, x + 19, y + 10), fill=fill)
    return picture


def write_tiny_clip(folder: Path, kind: Kind = "clip", steps: int = STEPS) -> Path:
    """Train a model and write it as `save_pretrained` does, with its tokenizer and its preprocessor; `folder`."""
    torch.manual_seed(0)
    tokenizer, processor, model = _tokenizer(kind), _processor(kind), _model(kind)
    texts = [f"a photo of a {name}." for name in CLASSES]
    padding = True if kind == "clip" else "max_length"
    tokens = tokenizer(texts, padding=padding, truncation=True, max_length=LENGTH, return_tensors="pt")
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    for pictures, labels in _batches(np.random.default_rng(0), steps):
        inputs = processor(images=pictures, return_tensors="pt")
        logits = model(**inputs, **tokens).logits_per_image  # (B, C)
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    for each in (model, tokenizer, processor):
        each.save_pretrained(folder)
    return folder


def _batches(generator: np.random.Generator, steps: int) -> Iterator[tuple[list[Image.Image], np.ndarray]]:
    for _ in range(steps):
        labels = generator.integers(0, len(CLASSES), BATCH)
        yield [draw(CLASSES[label], generator) for label in labels], labels


def _model(kind: Kind) -> Any:
    import transformers

    size: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    size |= {"num_attention_heads": 2}
    vision = {**size, "patch_size": 8}
    vision |= {"num_patches": 16} if kind == "siglip2" else {"image_size": SIDE}
    text = {**size, "vocab_size": 160, "max_position_embeddings": LENGTH}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1} if kind == "clip" else {}
    text |= {"projection_size": 32} if kind != "clip" else {}
    name = {"clip": "CLIP", "siglip": "Siglip", "siglip2": "Siglip2"}[kind]
    further = {"projection_dim": 24} if kind == "clip" else {}
    config = getattr(transformers, f"{name}Config")(text_config=text, vision_config=vision, **further)
    return getattr(transformers, f"{name}Model")(config)


def _processor(kind: Kind) -> Any:
    from transformers import CLIPImageProcessor, Siglip2ImageProcessor, SiglipImageProcessor

    side = {"height": SIDE, "width": SIDE}
    if kind == "clip":
        return CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=side)
    if kind == "siglip":
        return SiglipImageProcessor(size=side)
    return Siglip2ImageProcessor(patch_size=8, max_num_patches=16)


def _tokenizer(kind: Kind) -> Any:
    """Each of WORDS is one token of the family's own tokenizer, that of SigLIP 2 for SigLIP, too."""
    from transformers import CLIPTokenizer, Siglip2Tokenizer

    first, end = ["<|startoftext|>", "<|endoftext|>"], "</w>"
    words = [f"{word}{end}" for word in WORDS]
    if kind != "clip":
        first = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
        words = [word for each in WORDS for word in (each, f"▁{each}")]
    vocabulary, merges = list(first), []
    for word in words:
        pieces = [*word.removesuffix(end)]
        pieces[-1] += end if word.endswith(end) else ""
        whole = pieces[0]
        for piece in pieces[1:]:
            merges.append((whole, piece))
            whole += piece
            vocabulary.append(whole)
        vocabulary += pieces
    numbers = {token: number for number, token in enumerate(dict.fromkeys(vocabulary))}
    made = (CLIPTokenizer if kind == "clip" else Siglip2Tokenizer)(
        vocab=numbers, merges=list(dict.fromkeys(merges))
    )
    assert len(numbers) <= 160, len(numbers)
    return made


def write_shapes(folder: Path, train: int = 20, test: int = 10) -> Path:
    """A catalog without OUTSIDE, and with UNSEEN in test rows alone; titles tell nothing of the class. `folder`."""
    generator = np.random.default_rng(1)
    rows = []
    (folder / "images").mkdir(parents=True)
    for label in CLASSES[1:]:
        for number in range((train if label != UNSEEN else 0) + test):
            key = len(rows)
            draw(label, generator).save(folder / "images" / f"{key}.png")
            subset = "test" if number < test else "train"
            rows.append(f"{key},images/{key}.png,item {key % 7},{label},{subset}")
    (folder / "products.csv").write_text("\n".join(["id,picture,title,label,split", *rows]) + "\n")
    return folder


def clip_fusion(clip: Path, bert: Path) -> tuple[str, ...]:
    """Settings of an open fusion of `write_shapes`, with this picture encoder and this sentence encoder."""
    return (
        "catalog.id=id", "catalog.picture={picture}", "catalog.title=title", "catalog.label=label",
        "catalog.categories=", "catalog.metadata=", "catalog.year=null", "split.rule=column", "split.column=split",
        "scheme=single_stage", "model.image.library=transformers", f"model.image.backbone={clip}",
        "model.image.frozen=true", "model.text.kind=both", f"model.text.model={bert}", "model.text.buckets=4096",
        "model.fuser=late", "train.epochs=2", "train.precision=fp32",
    )  # fmt: skip
