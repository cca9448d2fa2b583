"""How many scans a JPEG has, without decoding it."""

import re

START_OF_SCAN, END = 0xDA, 0xD9
# In entropy-coded data, FF stands before 00 or a restart marker; else a marker follows.
MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")


def count_scans(content: bytes, most: int) -> int:
    """Scans of a JPEG up to its end; some files of progressive JPEGs have thousands, each as slow as a picture.

    Args:
        content: the file's bytes.
        most: up to so many, an upper bound is enough.
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
