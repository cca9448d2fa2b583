"""What each training technique does to the score, on one catalog, against the default; prints Markdown tables.

Usage: python benchmarks/techniques.py CATALOG --out RUNS [--markdown FILE] [--scale head|small] [--only REGEX]

Two scales, both sized for two CPU cores:
  head   settings `image-frozen`: a frozen encoder, the head alone learns; seconds a run
  small  settings `image-cpu` with one model for all classes, pictures of 64×48, two epochs; about a minute a run
Each run is `fusionclf train` with the settings of its line. Finished runs in RUNS are kept, so an
interrupted study resumes.
Nothing is selected by validation here; the tables also show test accuracy.
"""

import argparse
import json
import re
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import mean

import torch

from fusionclf.config.shipped import find_config
from fusionclf.workflows.settings import ExistingRun
from fusionclf.workflows.train import TrainOptions, train

SCALES: dict[str, tuple[str, tuple[str, ...]]] = {
    "head": ("image-frozen", ()),
    "small": (
        "image-cpu",
        ("scheme=single_stage", "pictures.height=64", "pictures.width=48", "train.epochs=2"),
    ),
}
THREE = (0, 1, 2)


@dataclass(frozen=True)
class Technique:
    """One line of a table.

    Attributes:
        name: what it is called.
        settings: the words that turn it on.
        does: what it does, in a few words.
        seeds: which seeds it is run with.
    """

    name: str
    settings: tuple[str, ...]
    does: str
    seeds: tuple[int, ...] = (0,)

    @property
    def folder(self) -> str:
        return "-".join(self.name.lower().replace(",", "").replace("(", "").replace(")", "").split())


HEAD = (
    Technique("Default", (), "AdamW, one cycle, no class weights, dropout 0.2", THREE),
    Technique("Class weights", ("train.class_weights=inverse",), "the reference's n / (k (count + 1))", THREE),
    Technique("Balanced sampler", ("train.sampler=balanced",), "every class drawn equally often", THREE),
    Technique("Focal loss", ("train.focal_gamma=2.0",), "quiets products that are right already", THREE),
    Technique("Label smoothing", ("train.label_smoothing=0.1",), "a tenth of the target over all classes", THREE),
    Technique("EMA of weights", ("train.ema_decay=0.99",), "scores and keeps an average of the weights", THREE),
    Technique("No shuffling", ("train.sampler=in_order",), "the catalog's order in every epoch"),
    Technique("No dropout", ("model.dropout=0.0",), "all features in every step"),
    Technique("More dropout", ("model.dropout=0.5",), "half of the features in a step"),
    Technique("SGD, step schedule", ("train.optimiser={name: sgd, learning_rate: 0.1}", "train.schedule.name=step"),
              "momentum 0.9, × 0.25 every 4 epochs"),
    Technique("Adam", ("train.optimiser={name: adam, learning_rate: 0.001}",), "no decoupled weight decay"),
    Technique("Cosine with warm-up", ("train.schedule={name: cosine, warmup_epochs: 1}",), "falls to 0 along a cosine"),
    Technique("Early stopping", ("train.patience=2", "train.epochs=30", "stage2.epochs=40"),
              "up to 30 + 40 epochs, stops after two without a better score"),
    Technique("Gradient clipping", ("train.clip_norm=1.0",), "gradients no longer than 1"),
    Technique("Accumulation", ("train.gradient_accumulation_steps=4",), "four micro-batches a step, the same sums"),
    Technique("Metadata tasks", ("model.auxiliary={gender: 0.3, season: 0.3, usage: 0.3}",),
              "multitask: also predicts gender, season, usage"),
    Technique("Small classes repeated", ("train.oversample_up_to=100",), "classes filled up to 100 rows"),
)  # fmt: skip
SMALL = (
    Technique("Default", (), "crops and flips, AdamW, one cycle, label smoothing 0.1"),
    Technique("Mixup", ("train.mixup=0.2",), "blends pairs of pictures and targets"),
    Technique("CutMix", ("train.cutmix=1.0",), "pastes a box of one picture into another"),
    Technique("TrivialAugment", ("train.augment=trivial",), "one random operation a picture"),
    Technique("RandAugment", ("train.augment=rand",), "two random operations a picture"),
    Technique("Progressive resizing", ("train.progressive=[{epochs: 1, height: 48, width: 36}]",),
              "the first epoch at 48×36"),
    Technique("Freezing first", ("train.freeze_epochs=1",), "the first epoch trains the head alone"),
    Technique("Layer-wise rates", ("train.optimiser.layer_decay=0.7",), "each layer learns 0.7 as fast as that above"),
    Technique("Slower encoder", ("train.optimiser.encoder_factor=0.3",), "the encoder learns 0.3 as fast as the head"),
    Technique("Augmented copies", ("train.oversample_up_to=60",), "classes filled up to 60 rows by augmented copies"),
    Technique("Third stage", ("stage3_classes=60", "stage3.epochs=2"), "two more epochs on the 60 smallest classes"),
)  # fmt: skip


@dataclass(frozen=True)
class Scores:
    """Percent right of one run: validation and test, by part, and its training seconds."""

    validation: float
    top20: float
    rest: float
    seconds: float


def run(scale: str, technique: Technique, seed: int, data: Path, out: Path) -> Scores:
    """Train once, or read what was trained."""
    config, words = SCALES[scale]
    folder = out / f"{scale}-{technique.folder}-{seed}"
    auxiliary = any(word.startswith("model.auxiliary") for word in technique.settings)
    options = TrainOptions(find_config(config), ExistingRun(resume=True))
    variant, overrides = "multitask" if auxiliary else "image", (*words, *technique.settings, f"seed={seed}")
    metrics = train(variant, data, folder, overrides=overrides, cpu=True, options=options)
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    best: dict[str, float] = {}
    for row in log:  # a third stage continues the model of its part
        part = row["stage"].removesuffix("-smallest")
        best[part] = max(best.get(part, 0.0), row["val_top1"])
    seconds = json.loads((folder / "environment.json").read_text())["train_seconds"]
    parts = metrics["parts"]
    return Scores(mean(best.values()), parts["top20"]["top1"], parts["rest"]["top1"], seconds)


def table(scale: str, techniques: tuple[Technique, ...], data: Path, out: Path, only: str) -> list[str]:
    """Markdown lines of one scale: each technique's scores, and how they differ from the default's."""
    lines = [
        "| technique | setting | what it does | seeds | validation | top20 | rest | training, s |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    default: list[Scores] = []
    for technique in techniques:
        if default and not re.search(only, technique.name):
            continue
        print(f"{scale}: {technique.name}", file=sys.stderr, flush=True)
        found = [run(scale, technique, seed, data, out) for seed in technique.seeds]
        default = default or found
        settings = " ".join(f"`{word}`" for word in technique.settings) or "–"
        beside = default[: len(found)] if found is not default else []
        cells = [
            _cell([getattr(s, name) for s in found], [getattr(s, name) for s in beside])
            for name in ("validation", "top20", "rest")
        ]
        seconds = mean(scores.seconds for scores in found)
        lines.append(
            f"| {technique.name} | {settings} | {technique.does} | {len(found)} | {' | '.join(cells)} | {seconds:.0f} |"
        )
    return lines


def _cell(found: list[float], default: list[float]) -> str:
    """The mean, its range over seeds, and the difference from the default with the same seeds."""
    spread = f" ({min(found):.1f}–{max(found):.1f})" if len(found) > 1 else ""
    if not default:
        return f"{mean(found):.2f}{spread}"
    return f"{mean(found):.2f}{spread}, {mean(found) - mean(default):+.2f}"


def main() -> None:
    """Run what is not there yet, and print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--markdown", type=Path, help="write the tables here too")
    parser.add_argument("--scale", choices=SCALES, help="one of the two tables")
    parser.add_argument("--only", default="", help="only techniques whose name this regular expression finds")
    options = parser.parse_args()
    lines = [
        f"{date.today().isoformat()}, torch {torch.__version__}, {torch.get_num_threads()} CPU threads",
        "",
    ]
    for scale, techniques in (("head", HEAD), ("small", SMALL)):
        if options.scale not in (None, scale):
            continue
        lines += [f"### Scale `{scale}`", ""]
        lines += [*table(scale, techniques, options.catalog, options.out, options.only), ""]
    print("\n".join(lines))
    if options.markdown:
        options.markdown.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
