"""Limits of pictures: bytes of a file, pixels, sides, pieces, scans, and the memory in which all threads decode."""

import re
import threading
from io import BufferedReader, BytesIO

from PIL import Image

from fusionclf.errors import PictureError

# Peak memory of decoding in bytes per pixel, measured with Pillow 13: progressive JPEGs keep all coefficients, WebP two
# canvases, a TIFF of one strip that strip, JPEG 2000 32 bits a sample.
BYTES_PER_PIXEL = {"TIFF": 9, "WEBP": 17, "AVIF": 14, "JPEG2000": 25}
USUAL_BYTES, CMYK_BYTES = 6, 8  # all other formats, and a JPEG in CMYK
UPRIGHT_BYTES = 12  # per pixel: a picture, its RGB copy and its upright copy
MEMORY = 320 * 10**6  # bytes in which all threads together decode
MEGAPIXELS = MEMORY // USUAL_BYTES // 10**6
FILE_BYTES, WHOLE_FILE_BYTES = 200 * 10**6, 64 * 10**6  # the second: formats that are read as a whole
STREAMED = (b"\x89PNG", b"BM", b"II", b"MM", b"GIF8")  # how files of the other formats begin
LARGE_FILE = 16 * 10**6  # bytes; one such file is read at a time
ASPECT = 32  # the longer side over the shorter one
READS = 200_000  # from a file while it is decoded; some files hold millions of tiny pieces
SCANS = 100  # of a JPEG: each takes as long as a picture

START_OF_SCAN, END = 0xDA, 0xD9
# In entropy-coded data, FF stands before 00 or a restart marker; else a marker follows.
MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")

# A large picture's memory goes back to the system only in pieces of over 32 MiB, the most that glibc keeps in its heap.
Image.core.set_block_size(64 * 2**20)


class Memory:
    """Bytes that all threads share: a thread waits until the amount that it needs is free."""

    def __init__(self, total: int) -> None:
        self.total, self.used, self._changed = total, 0, threading.Condition()

    def add(self, amount: int) -> None:
        """Count `amount` as used; a positive amount waits until there is room for it."""
        with self._changed:
            if amount > 0:
                self._changed.wait_for(lambda: self.used + amount <= self.total)
            self.used += amount
            self._changed.notify_all()


class Reservation:
    """The memory of one picture. It is taken once: threads that hold some and wait for more could block each other."""

    def __init__(self, memory: Memory) -> None:
        self.memory, self.held = memory, 0

    def take(self, amount: int) -> None:
        if not self.held and amount > 0:
            amount = min(amount, self.memory.total)
            self.memory.add(amount)
            self.held = amount

    def give_back(self) -> None:
        self.memory.add(-self.held)


class _ReadLimit:
    """A stream of which Pillow reads at most READS times."""

    label, reads = "", 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > READS:
            raise PictureError(f"{self.label}: a file of more than {READS:,} pieces; save it again")
        return super().read(size)  # pyright: ignore[reportAttributeAccessIssue]


class LimitedFile(_ReadLimit, BufferedReader):
    pass


class LimitedBytes(_ReadLimit, BytesIO):
    pass


def bytes_per_pixel(kind: str) -> int:
    return CMYK_BYTES if kind == "JPEG in CMYK" else BYTES_PER_PIXEL.get(kind.split()[0], USUAL_BYTES)


def check_size(name: str, kind: str, size: tuple[int, int]) -> None:
    """Raise PictureError where a picture has too many pixels, or is too long for its width."""
    width, height = size
    most = MEMORY // bytes_per_pixel(kind)
    if width * height > most:
        raise PictureError(
            f"{name}: {width} x {height} pixels; at most {most // 10**6} megapixels of {kind} are read; scale it down"
        )
    if max(width, height) > ASPECT * min(width, height):
        raise PictureError(
            f"{name}: {width} x {height} pixels; one side may be at most {ASPECT} times the other; cut it"
        )


def check_bytes(name: str, size: int, head: bytes) -> None:
    most = FILE_BYTES if head.startswith(STREAMED) else WHOLE_FILE_BYTES
    if size > most:
        shown = f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
        raise PictureError(
            f"{name}: a file of {shown}; at most {most / 1e6:.1f} MB of its format are read; scale it down"
        )


def count_scans(content: bytes, most: int) -> int:
    """Scans of a JPEG up to its end; some files of progressive JPEGs have thousands, each as slow as a picture.

    Args:
        content: the file's bytes.
        most: below this number, an upper bound is enough.
    """
    bound = content.count(b"\xff\xda")
    if bound <= most:
        return bound
    scans, place = 0, 2
    while (marker := MARKER.search(content, place)) is not None:
        kind, place = marker[1][0], marker.end()
        if kind == END:
            break
        scans += kind == START_OF_SCAN
        place += int.from_bytes(content[place : place + 2])
    return scans
