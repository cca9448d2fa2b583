"""What `import fusionclf` offers: train a model, load it, explain its predictions, compare runs.

Each function imports what it needs at its first call, so that `import fusionclf` is fast and needs no torch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from fusionclf.catalog.describing import Description
    from fusionclf.explanation import Explanation
    from fusionclf.prediction import Predictor
    from fusionclf.prediction.io.products import Picture

IfExists = Literal["error", "overwrite", "resume"]


def train(
    variant: str,
    data: str | Path,
    out: str | Path,
    *,
    config: str | Path | None = None,
    if_exists: IfExists = "error",
    cpu: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Train a variant on a catalog's train rows and score it on its test rows.

    Args:
        variant: name of a variant, such as "fusion"; `fusionclf train --help` lists them.
        data: the catalog's folder, or its table.
        out: the run folder to make.
        config: settings file, or the name of one that comes with fusionclf; None for the variant's defaults.
        if_exists: what to do if `out` holds a run. Resuming a finished run changes nothing.
        cpu: use the CPU even if there is a GPU.
        settings: override `config`, such as seed=1 or train={"epochs": 3}; **{"train.epochs": 3} is the same.

    Returns:
        The content of metrics.json.

    Raises:
        CatalogError: the catalog cannot be read or divided.
        SettingsError: a setting is unknown or has a bad value.
        RunError: `out` holds a run or other files, another command writes to it, or it cannot be written.

    >>> import fusionclf
    >>> small = {"text": {"buckets": 4096}}
    >>> metrics = fusionclf.train("text", "data/sample", "runs/text", cpu=True, train={"epochs": 1}, model=small)
    >>> sorted(metrics["parts"])
    ['rest', 'top20']
    """
    from fusionclf.config import nested_settings
    from fusionclf.config.shipped import find_config
    from fusionclf.workflows.settings import ExistingRun
    from fusionclf.workflows.train import TrainOptions
    from fusionclf.workflows.train import train as run_training

    existing = ExistingRun(overwrite=if_exists == "overwrite", resume=if_exists == "resume")
    options = TrainOptions(find_config(config and str(config)), existing)
    overrides = (nested_settings(settings),)
    return run_training(variant, Path(data), Path(out), overrides=overrides, cpu=cpu, options=options)


def baseline(
    name: str,
    data: str | Path,
    out: str | Path,
    *,
    config: str | Path | None = None,
    if_exists: IfExists = "error",
    **settings: Any,
) -> dict[str, Any]:
    """Fit a baseline on a catalog's train rows and score it on its test rows. Needs no torch.

    Args:
        name: name of a baseline, such as "linear"; `fusionclf baseline --help` lists them.
        data, out, config, if_exists, settings: as in `train`.

    Returns:
        The content of metrics.json.

    Raises:
        CatalogError, SettingsError, RunError: as in `train`.

    >>> import fusionclf
    >>> metrics = fusionclf.baseline("nb", "data/sample", "runs/nb")
    >>> metrics["variant"]
    'nb'
    """
    from fusionclf.config import nested_settings
    from fusionclf.config.shipped import find_config
    from fusionclf.workflows.baseline import run_baseline
    from fusionclf.workflows.settings import ExistingRun

    return run_baseline(
        name, Path(data), Path(out), config=find_config(config and str(config)),
        overrides=(nested_settings(settings),),
        existing=ExistingRun(overwrite=if_exists == "overwrite", resume=if_exists == "resume"),
    )  # fmt: skip


def describe(
    data: str | Path,
    out: str | Path | None = None,
    *,
    if_exists: Literal["error", "overwrite"] = "error",
    **settings: Any,
) -> "Description":
    """Guess the roles of a catalog's columns, print the guesses, and write catalog.yaml beside the table.

    Every other function and command reads that file.

    Args:
        data: the catalog's folder, or its table.
        out: the file to write; default: catalog.yaml beside the table.
        if_exists: what to do if the file exists; the old one is kept under another name.
        settings: the settings that you know, such as catalog={"label": "type"}; the others are guessed.

    Returns:
        The guesses with their reasons; `settings` and `doubts` sum them up.

    Raises:
        CatalogError: there is no table, it cannot be read, or the file exists.
        SettingsError: a setting is unknown or has a bad value.
        RunError: the file cannot be written.

    >>> import fusionclf
    >>> found = fusionclf.describe("data/sample", "catalog.yaml")  # doctest: +ELLIPSIS, +NORMALIZE_WHITESPACE
        setting  guess ...
    >>> found.settings["catalog.label"]
    'articleType'
    """
    from fusionclf.config import nested_settings
    from fusionclf.console import Console
    from fusionclf.workflows.describe import data_describe

    file = None if out is None else Path(out)
    return data_describe(Path(data), (nested_settings(settings),), file, if_exists == "overwrite", Console())


def load(
    run: str | Path,
    *,
    part: str | None = None,
    device: str | None = None,
    engine: Literal["auto", "torch", "onnx"] | None = None,
) -> "Predictor":
    """Load the model of a finished run as a Predictor.

    Args:
        run: the run folder, of a network or of a baseline.
        part: which of its models; default: the one over all classes (`joint`), or the only one.
        device: such as "cpu" or "cuda:1"; default: a GPU if there is one.
        engine: what runs the encoders: "torch", "onnx" (ONNX Runtime, on a CPU), or "auto" (on a CPU, ONNX Runtime if
            there are many products and it is faster, else torch); default: the run's setting train.engine.

    Raises:
        RunError: the folder is not a finished run or is damaged, or `part` names none of its models.

    >>> import fusionclf
    >>> fusionclf.load("runs/linear").predict(titles=["Women Red Dress"]).labels[0][0]
    'Dresses'
    """
    from fusionclf.prediction import load as load_run

    return load_run(run, part=part, device=device, engine=engine)


def explain(
    model: "Predictor",
    image: "Picture | Sequence[Picture] | None" = None,
    title: str | None = None,
    fields: Mapping[str, str] | None = None,
    *,
    label: str | None = None,
    cells: int = 8,
) -> "Explanation":
    """Explain one prediction: the contribution of each cell of the picture, each word and each input.

    Args:
        model: from `load`.
        image: a file or an opened picture, or a list of several.
        title: of the product.
        fields: name → cell of its further texts and attributes.
        label: the class to explain; default: the most likely one.
        cells: number of cells along the longer side of the picture.

    Raises:
        PredictionError: the product has no readable input, or `label` is not a class of this model.
        SettingsError: `cells` is out of range.

    >>> import fusionclf
    >>> explanation = fusionclf.explain(fusionclf.load("runs/linear"), title="Women Red Dress")
    >>> max(explanation.words, key=lambda word: word.drop).text
    'Dress'
    """
    from fusionclf.explanation import explain as explain_prediction

    return explain_prediction(model, image, title, fields, label=label, cells=cells)


def compare(
    runs: Sequence[str | Path], out: str | Path | None = None, *, data: str | Path | None = None
) -> dict[str, Any]:
    """Compare finished runs of one split, and write report.html, report.md and report.json.

    Args:
        runs: run folders.
        out: folder for the three files; None writes none.
        data: the runs' catalog, for titles and pictures; default: the folder in their settings.

    Returns:
        The content of report.json.

    Raises:
        RunError: the runs cannot be compared, `data` is another catalog, or `out` cannot be written.
        CatalogError: `data` is given and cannot be read.

    >>> import fusionclf
    >>> report = fusionclf.compare(["runs/linear", "runs/nb"], "report")
    >>> [run["variant"] for run in report["runs"]]
    ['linear', 'nb']
    """
    from fusionclf.report import compare as compare_runs

    folders = [Path(run) for run in runs]
    return compare_runs(folders, None if out is None else Path(out), None if data is None else Path(data))
