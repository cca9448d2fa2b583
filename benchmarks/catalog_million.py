"""A million rows: read, repair and split, with seconds and peak memory.

Usage: python benchmarks/catalog_million.py CATALOG [ROWS]

CATALOG's styles.csv is repeated under new ids into a temporary folder, and read with missing_picture=keep.
The target is 60 s and 3 GiB on two cores.
"""

import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from fusionclf.catalog import make_split, read_catalog
from fusionclf.config import CatalogConfig
from fusionclf.runfolder import peak_memory_mib


def repeat_rows(source: Path, dest: Path, count: int) -> None:
    """Write the rows of `source` to `dest`, over and over, `count` in all, each under its own id."""
    with source.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = file.read().splitlines()
    if not header.startswith("id,"):
        sys.exit(f"{source}: the first column must be id")
    with dest.open("w", encoding="utf-8", newline="") as file:
        file.write(header + "\n")
        for number, row in enumerate(islice(cycle(rows), count)):
            file.write(f"{number},{row.partition(',')[2]}\n")


def measure(folder: Path) -> dict[str, float]:
    """Seconds of reading and splitting, rows, repaired rows, and this process's peak memory in GiB."""
    start = time.perf_counter()
    catalog = read_catalog(folder, CatalogConfig(missing_picture="keep"))
    middle = time.perf_counter()
    split = make_split(catalog)
    end = time.perf_counter()
    return {
        "rows": len(catalog),
        "repaired": len(catalog.read_report.repaired),
        "test_rows": len(split.rows(catalog, None, "test")),
        "read_s": middle - start,
        "split_s": end - middle,
        "peak_gib": peak_memory_mib() / 1024,
    }


def main() -> None:
    """Build the file, measure, print."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    count = int(sys.argv[2]) if len(sys.argv) == 3 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        repeat_rows(Path(sys.argv[1]) / "styles.csv", Path(folder) / "styles.csv", count)
        for name, value in measure(Path(folder)).items():
            print(f"{name:10} {value:,.2f}" if isinstance(value, float) else f"{name:10} {value:,}")


if __name__ == "__main__":
    main()
