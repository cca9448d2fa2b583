"""Damaged, turned and oversized pictures of every format, through open_picture, `data check` and `predict`.

python -m benchmarks.fuzz_pictures [--cases 1500] [--seed 0]

Each picture is opened alone in a forked process; then batches of them are checked as a catalog and predicted as a
folder. No case may show a traceback, take more than a minute, or more than 1.5 GiB of resident memory, torch's own
included. Exit code 1 where one does.
"""

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"


from benchmarks.fuzzing import Tally, run_case, run_command
from benchmarks.odd_pictures import MUTATIONS, bombs, picture_of, plain
from fusionclf.catalog import FORMATS, decoded_picture, generate_sample, open_picture
from fusionclf.catalog.decoding import JPEG
from fusionclf.errors import PictureError
from fusionclf.workflows.train import train

BATCH = 100  # pictures of one catalog
SUFFIXES = (".jpg", ".png", ".webp", ".gif", ".tif", ".avif", ".bmp", ".jp2", ".jfif", ".bin", "")
SETTINGS = (
    "pictures.height=32",
    "pictures.width=32",
    "model.image.backbone=resnet18",
    "model.image.weights=none",
)


def write_picture(
    chance: random.Random, number: int, folder: Path, special: list[Callable[[], bytes]]
) -> Path:
    """Picture `number`: the first ones are bombs, the others mutated."""
    path = folder / f"{number:05}{chance.choice(SUFFIXES)}"
    if number == len(special):
        path = path.with_suffix(".jpg")
        path.write_bytes(JPEG)
        os.truncate(path, 4 * 2**30)  # sparse
        return path

    def write() -> int:
        if number < len(special):
            path.write_bytes(special[number]())
        else:
            kind, mutate = chance.choice(FORMATS), chance.choice(MUTATIONS)
            path.write_bytes(mutate(chance, picture_of(chance, kind)))
        return 0

    # In a process of its own: later ones start with this one's memory, and some encoders crash on tiny pictures.
    if run_case(write, 300, 2**20).kind != "done":
        path.write_bytes(plain("L", (8, 8), "PNG"))
    return path


def opened(path: Path) -> int:
    """Open a picture by its path and by its bytes: both must end alike."""
    found, line = [], ""
    sources = [path] if path.stat().st_size > 2**28 else [path, path.read_bytes()]
    for source in sources:
        try:
            found.append(open_picture(source).size)
        except PictureError as error:
            found.append(None)
            line = str(error)
    if found[-1] is None:
        print(f"error: {line}")
    assert len(set(found)) == 1, found
    if found[0] is not None:
        with decoded_picture(path) as decoded:
            assert decoded.picture.mode == "RGB" and not decoded.picture.getexif()
    return 0 if found[0] is not None else 2


def write_catalog(folder: Path, paths: list[Path]) -> Path:
    """A catalog of these pictures, in two classes."""
    rows = [f"{n},Thing {n},{'AB'[n % 2]},{path.name}" for n, path in enumerate(paths)]
    (folder / "styles.csv").write_text("\n".join(["id,title,label,file", *rows]) + "\n")
    return folder


def batch_commands(folder: Path, run: Path, number: int) -> dict[str, list[str]]:
    """Title → command; every fifth batch is trained on, too."""
    words = ["catalog.id=id", "catalog.title=title", "catalog.label=label", "catalog.picture={file}",
             "catalog.categories=", "catalog.metadata=", "catalog.year=null", "split.rule=random"]  # fmt: skip
    out = folder.parent / f"answers-{number}.csv"
    found = {
        "data check": ["data", "check", str(folder), *words, "pictures.unreadable=drop"],
        "predict": ["predict", "--run", str(run), "--input", str(folder), "--out", str(out), "--cpu"],
        "train": ["train", "image", "--data", str(folder), "--out", str(folder.parent / f"run-{number}"), "--cpu",
                  *words, *SETTINGS, "scheme=single_stage", "train.epochs=1", "pictures.unreadable=drop"],
    }  # fmt: skip
    if number % (5 * BATCH):
        del found["train"]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1500, help="pictures")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tally, commands = Tally(), Tally()
    special = bombs()
    with tempfile.TemporaryDirectory(prefix="fuzz-pictures-") as name:
        root = Path(name)
        os.environ["FUSIONCLF_CACHE"] = str(root / "cache")
        sample = generate_sample(root / "sample", products=200, seed=0)
        quick = (*SETTINGS, "scheme=single_stage", "train.epochs=1")
        run_case(lambda: bool(train("image", sample, root / "run", overrides=quick, cpu=True)) - 1, 300)
        for start in range(0, options.cases, BATCH):
            folder = root / f"batch-{start}"
            folder.mkdir()
            paths = []
            for number in range(start, min(start + BATCH, options.cases)):
                path = write_picture(random.Random(f"{options.seed} {number}"), number, folder, special)
                paths.append(path)
                tally.add(
                    f"picture {number} of seed {options.seed} ({path.name})", run_case(partial(opened, path))
                )
            write_catalog(folder, paths)
            for title, command in batch_commands(folder, root / "run", start).items():
                commands.add(
                    f"{title} of pictures from {start}", run_case(partial(run_command, command), 300)
                )
            for path in paths:
                path.unlink()
            done, failed = start + len(paths), len(tally.failures) + len(commands.failures)
            print(f"{done} pictures, {failed} failures", file=sys.stderr, flush=True)
    failed = tally.report("fuzz_pictures, open_picture")
    return commands.report(f"fuzz_pictures, commands on {BATCH} pictures each") or failed


if __name__ == "__main__":
    sys.exit(main())
