"""What a processor core gives the frozen encoders of a fusion: torch, ONNX Runtime, and a bare matrix product.

Usage: python benchmarks/encoders.py CATALOG [--markdown FILE]

The encoders are those of the config fusion-frozen (extra `offline`): EfficientNet-Lite0 on random pictures of 128×96,
and MiniLM on titles of the catalog, in float32 on one core. Operations of a product are counted by torch. A product of
two matrices of 1,024×1,024 shows what the core can do: an encoder whose operations run as fast has no time to lose.
All take turns, and the best round of each counts.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from fusionclf.catalog import read_catalog
from fusionclf.models.backbones import build_image_encoder
from fusionclf.models.encoders import folded_for_inference
from fusionclf.models.engine import Engine
from fusionclf.models.text_backbones import build_transformer

SIZE, PICTURES, TITLES, SIDE, ROUNDS = (128, 96), 64, 2048, 1024, 5
HEADER = (
    "| encoder | million operations a product | torch, products/s | ONNX Runtime, products/s | ONNX Runtime, GFLOP/s "
    "| share of a matrix product's GFLOP/s |"
)


def picture_encoder() -> tuple[str, int, Callable[[], object], Callable[[], object]]:
    """Name, products a call, and the encoder run by torch and by ONNX Runtime."""
    encoder = build_image_encoder(
        "timm", "tf_efficientnet_lite0", "offline", frozen=True, normalise=True
    ).eval()
    pictures = torch.randn(PICTURES, 3, *SIZE).contiguous(memory_format=torch.channels_last)
    with folded_for_inference(encoder, SIZE):
        network = encoder.network  # as prediction runs it
    _engine().start(encoder, PICTURES, SIZE)
    graph = encoder.graph
    assert graph is not None
    return "EfficientNet-Lite0, 128×96", PICTURES, lambda: network(pictures), lambda: graph(pictures)


def title_encoder(titles: list[str]) -> tuple[str, int, Callable[[], object], Callable[[], object]]:
    """The same of the text encoder."""
    by_torch = build_transformer("offline", frozen=True).eval()
    by_graph = build_transformer("offline", frozen=True).eval()
    _engine().start(by_graph, len(titles))
    return "MiniLM, titles", len(titles), lambda: by_torch.compute(titles), lambda: by_graph.compute(titles)


def _engine() -> Engine:
    return Engine("onnx", torch.device("cpu"), threads=1)


def operations(run: Callable[[], object]) -> int:
    """Additions and multiplications of a call, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def shortest(*runs: Callable[[], object]) -> list[float]:
    """The fewest seconds that each call took."""
    best = [float("inf")] * len(runs)
    for _ in range(ROUNDS):
        for number, run in enumerate(runs):
            started = time.perf_counter()
            run()
            best[number] = min(best[number], time.perf_counter() - started)
    return best


def rows(catalog: Path) -> list[str]:
    """The lines of the table."""
    titles = list(dict.fromkeys(read_catalog(catalog).table["title"]))[:TITLES]
    square = torch.randn(SIDE, SIDE)
    lines = [HEADER, "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for name, count, by_torch, by_graph in (picture_encoder(), title_encoder(titles)):
        work = operations(by_torch)
        slow, fast, product = shortest(by_torch, by_graph, lambda: square @ square)
        reached, most = work / fast / 1e9, 2 * SIDE**3 / product / 1e9
        cells = (f"{work / count / 1e6:.0f}", f"{count / slow:.0f}", f"{count / fast:.0f}", f"{reached:.0f}")
        lines.append(f"| {name} | {' | '.join(cells)} | {reached / most:.2f} |")
    return lines


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--markdown", type=Path, help="write the table to this file too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        text = "\n".join(rows(options.catalog)) + "\n"
    sys.stdout.write(text)
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
