"""Damaged, turned and oversized pictures of every format, through open_picture, `data check` and `predict`.

python -m benchmarks.fuzz_pictures [--cases 1500] [--seed 0]

Each picture is opened alone in a forked process; then batches of them are checked as a catalog and predicted as a
folder. No case may show a traceback, take more than a minute, or more than 1.5 GiB of resident memory, torch's own
included. Exit code 1 where one does.
"""

import argparse
import io
import os
import random
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from PIL import ExifTags, Image

from benchmarks.fuzzing import Tally, run_case, run_command
from fusionclf.catalog import FORMATS, decoded_picture, generate_sample, open_picture
from fusionclf.catalog.decoding import JPEG
from fusionclf.errors import PictureError
from fusionclf.workflows.train import train

BATCH = 100  # pictures of one catalog
MODES = {
    "JPEG": ("RGB", "L", "CMYK"), "PNG": ("RGB", "L", "1", "P", "RGBA", "LA", "I;16"), "WEBP": ("RGB", "RGBA"),
    "GIF": ("P", "L", "1"), "AVIF": ("RGB", "RGBA"), "TIFF": ("RGB", "RGBA", "L", "1", "CMYK", "F", "I", "I;16"),
    "BMP": ("RGB", "L", "1", "P"), "JPEG2000": ("RGB", "RGBA", "L"),
}  # fmt: skip
TIFF_COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "zstd")
SUFFIXES = (".jpg", ".png", ".webp", ".gif", ".tif", ".avif", ".bmp", ".jp2", ".jfif", ".bin", "")
SETTINGS = (
    "pictures.height=32",
    "pictures.width=32",
    "model.image.backbone=resnet18",
    "model.image.weights=none",
)

Mutation = Callable[[random.Random, bytes], bytes]


def picture_of(chance: random.Random, kind: str) -> bytes:
    """A whole picture of a format, of a random mode, size and orientation."""
    size = (chance.randint(1, 90), chance.randint(1, 90))
    pixels = np.random.default_rng(chance.getrandbits(32)).integers(0, 256, (*size[::-1], 3), np.uint8)
    mode = chance.choice(MODES[kind])
    picture = Image.fromarray(pixels)
    if mode == "I;16":
        picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    elif mode == "LA":
        picture = picture.convert("RGBA").convert("LA")
    else:
        picture = picture.convert(mode)
    options: dict[str, object] = {}
    if kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = chance.randint(1, 8)  # mutations make others
        options["exif"] = exif
    if kind == "JPEG":
        options |= {"progressive": chance.random() < 0.5}
    if kind == "TIFF" and mode in ("RGB", "L"):
        options |= {"compression": chance.choice(TIFF_COMPRESSIONS)}
    if kind in ("PNG", "GIF", "WEBP", "TIFF") and mode == "RGB" and chance.random() < 0.2:
        options |= {"save_all": True, "append_images": [Image.new(picture.mode, size)]}
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def flipped(chance: random.Random, content: bytes, within: int = 2**31) -> bytes:
    """Some bytes become others."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 20)):
        changed[chance.randrange(min(len(changed), within))] = chance.choice((0, 255, chance.randrange(256)))
    return bytes(changed)


def cut(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randrange(len(content))]


def repeated(chance: random.Random, content: bytes) -> bytes:
    """A piece stands there many times, or is taken out."""
    start = chance.randrange(len(content))
    end = min(len(content), start + chance.randint(1, 400))
    return content[:start] + content[start:end] * chance.choice((0, 2, 3, 500)) + content[end:]


def other_numbers(chance: random.Random, content: bytes) -> bytes:
    """A 16- or 32-bit number of the header becomes an extreme one: sizes, offsets, counts, lengths."""
    code = chance.choice(("<H", ">H", "<I", ">I"))
    value = chance.choice((0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1)) & (
        2**16 - 1 if "H" in code else 2**32 - 1
    )
    place = chance.randrange(max(min(len(content), 500) - 4, 1))
    packed = struct.pack(code, value)
    return content[:place] + packed + content[place + len(packed) :]


def other_exif(chance: random.Random, content: bytes) -> bytes:
    """The EXIF block is damaged, the rest is whole."""
    place = max(
        content.find(b"Exif"), content.find(b"eXIf"), content.find(b"II*\0"), content.find(b"MM\0*"), 0
    )
    changed = bytearray(content)
    for _ in range(chance.randint(1, 12)):
        at = place + chance.randrange(60)
        if at < len(changed):
            changed[at] = chance.choice((0, 1, 8, 255, chance.randrange(256)))
    return bytes(changed)


def png_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    found = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in (*chunks, (b"IEND", b"")):
        found.append(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    return b"".join(found)


def png_of_size(
    width: int, height: int, *extra: tuple[bytes, bytes], kind: int = 0, data: bytes = b""
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return png_chunks((b"IHDR", header), *extra, (b"IDAT", data or zlib.compress(bytes(10))))


def png_with_sizes(chance: random.Random, _: bytes) -> bytes:
    """A small PNG whose header tells any size, with a right checksum."""
    sizes = (0, 1, 2, 33, 1000, 7000, 99_000_000, 2**31 - 1, 2**32 - 1)
    return png_of_size(chance.choice(sizes), chance.choice(sizes), kind=chance.choice((0, 2, 4, 6)))


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def plain(mode: str, size: tuple[int, int], kind: str, colour: object = 0, **options: object) -> bytes:
    """A picture of one colour."""
    return encoded(Image.new(mode, size, colour), kind, **options)  # pyright: ignore[reportArgumentType]


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan stands there many times."""
    whole = encoded(Image.new("RGB", (4000, 3000), "teal"), "JPEG", progressive=True)
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * count + b"\xff\xd9"


def strip(_: random.Random) -> bytes:
    lines = zlib.compressobj(9)
    data = b"".join(lines.compress(bytes(2 * 10**6)) for _ in range(99)) + lines.flush()
    return png_of_size(1, 99_000_000, data=data)


def large_noise(kind: str, size: tuple[int, int], mode: str = "RGB", **options: object) -> bytes:
    noise = Image.effect_noise((size[0] // 8, size[1] // 8), 60).resize(size).convert(mode)
    return encoded(noise, kind, **options)


def comments(count: int) -> bytes:
    whole = encoded(Image.new("P", (8, 8)), "GIF")
    return whole[:13] + whole[13:-1] + b"!\xfe" + (b"\xff" + b"x" * 255) * count + b"\0" + whole[-1:]


def bombs() -> list[Callable[[], bytes]]:
    """Small files that decode to much, and large ones, in and over the limits."""
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    zeros = zlib.compress(bytes(50 * 2**20), 9)
    big = (8192, 6144)
    return [
        partial(strip, random.Random(0)),
        partial(plain, "1", (20_000, 20_000), "PNG"),
        partial(plain, "1", (7000, 7000), "PNG"),
        partial(large_noise, "JPEG", big, progressive=True, subsampling=0, exif=turned, quality=60),
        partial(large_noise, "JPEG", big, "CMYK", progressive=True, exif=turned, quality=60),
        partial(large_noise, "JPEG", big, quality=60),
        partial(plain, "RGBA", big, "PNG", (9, 9, 9, 9), exif=turned, compress_level=1),
        partial(plain, "LA", big, "PNG", compress_level=1),
        partial(plain, "RGBA", (6000, 5800), "WEBP", (9, 9, 9, 9), lossless=True, exif=turned, method=0),
        partial(plain, "RGBA", (6000, 5800), "AVIF", (9, 9, 9, 9), exif=turned, speed=10),
        partial(plain, "RGBA", (5000, 4800), "JPEG2000"),
        partial(plain, "F", (7000, 7000), "TIFF", 1e9, compression="tiff_lzw"),
        partial(plain, "I", (7000, 7000), "TIFF", -5, compression="tiff_lzw", exif=turned),
        partial(plain, "RGBA", big, "TIFF", compression="tiff_lzw", strip_size=10**9, exif=turned),
        partial(plain, "RGB", big, "TIFF"),
        partial(plain, "P", big, "GIF"),
        partial(plain, "RGB", big, "BMP"),
        partial(png_of_size, 8, 8, (b"iCCP", b"a\0\0" + zeros)),
        partial(png_of_size, 8, 8, *[(b"zTXt", b"a\0\0" + zeros)] * 3),
        partial(png_of_size, 8, 8, *[(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zeros)]),
        partial(png_of_size, 8, 8, *[(b"prVt", b"")] * 2_000_000),
        lambda: b"\xff\xd8\xff\xe0\0\2" + b"\xff\xe1\0\2" * 10**7,
        lambda: b"GIF89a\x08\0\x08\0\0\0\0" + b"!\x01\x01x\0" * 10**7,
        partial(many_scans, 85), partial(many_scans, 5000), partial(comments, 60_000),
        lambda: b"\xff\xd8\xff" + b"\xff\xe1\xff\xff" * 10**6,
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
        lambda: b"P6 9 9 255\n" + bytes(243), lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", lambda: b"",
        *(partial(plain, "L", size, "PNG") for size in ((1, 50_000), (32_000, 1000), (31, 990), (1, 1))),
    ]  # fmt: skip


MUTATIONS: tuple[Mutation, ...] = (
    flipped, partial(flipped, within=60), partial(flipped, within=400), cut, repeated, other_numbers, other_numbers,
    other_exif, png_with_sizes, lambda _, content: content,
)  # fmt: skip


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
    words = parser.parse_args()
    tally, commands = Tally(), Tally()
    special = bombs()
    with tempfile.TemporaryDirectory(prefix="fuzz-pictures-") as name:
        root = Path(name)
        os.environ["FUSIONCLF_CACHE"] = str(root / "cache")
        sample = generate_sample(root / "sample", products=200, seed=0)
        quick = (*SETTINGS, "scheme=single_stage", "train.epochs=1")
        run_case(lambda: bool(train("image", sample, root / "run", overrides=quick, cpu=True)) - 1, 300)
        for start in range(0, words.cases, BATCH):
            folder = root / f"batch-{start}"
            folder.mkdir()
            paths = []
            for number in range(start, min(start + BATCH, words.cases)):
                path = write_picture(random.Random(f"{words.seed} {number}"), number, folder, special)
                paths.append(path)
                tally.add(
                    f"picture {number} of seed {words.seed} ({path.name})", run_case(partial(opened, path))
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
