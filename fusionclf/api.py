"""What `import fusionclf` offers: train a model, load it, explain its predictions, compare runs.

Each function imports what it needs at its first call, so that `import fusionclf` is fast and needs no torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from fusionclf.errors import PredictionError

if TYPE_CHECKING:
    import pandas as pd

    from fusionclf.explanation import Explanation
    from fusionclf.prediction import Predictor
    from fusionclf.prediction.batch_prediction import BatchPredictor
    from fusionclf.prediction.io.products import Picture

IfExists = Literal["error", "overwrite", "resume"]


def train(
    variant: str,
    data: str | Path,
    out: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Sequence[str] = (),
    if_exists: IfExists = "error",
    cpu: bool = False,
) -> dict[str, Any]:
    """Train a variant on a catalog's train rows and score it on its test rows.

    Args:
        variant: name of a variant, such as "fusion"; `fusionclf train --help` lists them.
        data: the catalog's folder, or its table.
        out: the run folder to make.
        config: settings file, or the name of one that comes with fusionclf; None for the variant's defaults.
        overrides: settings such as "train.epochs=3".
        if_exists: what to do where `out` holds a run. A finished run that is resumed stays as it is.
        cpu: stay on the CPU.

    Returns:
        metrics.json's content.

    Raises:
        CatalogError: the catalog cannot be read or divided.
        SettingsError: a setting is unknown or has a bad value.
        RunError: `out` holds a run or other files, another command writes to it, or it cannot be written.

    >>> import fusionclf
    >>> quick = ["train.epochs=1", "model.text.buckets=4096"]
    >>> metrics = fusionclf.train("text", "data/sample", "runs/text", overrides=quick, cpu=True)
    >>> sorted(metrics["parts"])
    ['rest', 'top20']
    """
    from fusionclf.config.shipped import find_config
    from fusionclf.workflows.settings import ExistingRun
    from fusionclf.workflows.train import TrainOptions
    from fusionclf.workflows.train import train as run_training

    existing = ExistingRun(overwrite=if_exists == "overwrite", resume=if_exists == "resume")
    options = TrainOptions(find_config(config and str(config)), existing)
    return run_training(variant, Path(data), Path(out), overrides=tuple(overrides), cpu=cpu, options=options)


def baseline(
    name: str,
    data: str | Path,
    out: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Sequence[str] = (),
    if_exists: IfExists = "error",
) -> dict[str, Any]:
    """Fit a baseline on a catalog's titles and score it on its test rows. Needs no torch.

    Args:
        name: of a baseline, such as "linear"; `fusionclf baseline --help` lists them.
        data, out, config, overrides, if_exists: as in `train`.

    Returns:
        metrics.json's content.

    Raises:
        CatalogError, SettingsError, RunError: as in `train`.

    >>> import fusionclf
    >>> metrics = fusionclf.baseline("nb", "data/sample", "runs/nb")
    >>> metrics["variant"]
    'nb'
    """
    from fusionclf.config.shipped import find_config
    from fusionclf.workflows.baseline import run_baseline
    from fusionclf.workflows.settings import ExistingRun

    return run_baseline(
        name, Path(data), Path(out), config=find_config(config and str(config)), overrides=tuple(overrides),
        existing=ExistingRun(overwrite=if_exists == "overwrite", resume=if_exists == "resume"),
    )  # fmt: skip


def load(
    run: str | Path,
    *,
    part: str | None = None,
    device: str | None = None,
    engine: Literal["auto", "torch", "onnx"] | None = None,
) -> "Predictor":
    """The model of a finished run, ready to predict.

    Args:
        run: the run folder, of a network or of a baseline.
        part: which of its models; default: the one over all classes (`joint`), or the only one.
        device: such as "cpu" or "cuda:1"; default: a GPU if there is one.
        engine: what runs the encoders: "torch", "onnx" (ONNX Runtime, on a CPU), or "auto": for many products on a CPU
            ONNX Runtime, where it is faster; default: the run's setting train.engine.

    Raises:
        RunError: the folder is no finished run, has several models and `part` names none of them, or is damaged.

    >>> import fusionclf
    >>> fusionclf.load("runs/linear").predict(titles=["Women Red Dress"]).labels[0][0]
    'Dresses'
    """
    from fusionclf.prediction import load as load_run

    return load_run(run, part=part, device=device, engine=engine)


class predict_batches:  # called and passed like a function
    """Predicts one pandas table after another, on one machine or on many: for Ray Data, Spark, or a loop.

    It pickles as the path of the run folder, which each worker must reach. The model is loaded once a process, with
    the first table.

    Args:
        run: the run folder.
        pictures: folder below which the tables' picture paths are.
        overrides: settings such as "catalog.title=name", where the tables' columns are not called as the run's catalog
            calls them.
        part, top_k, min_probability, target_precision: as in `load` and `Predictor.predict`.

    Raises:
        SettingsError: `top_k`, `min_probability` or `target_precision` is out of its range.

    >>> import fusionclf, pandas
    >>> predict = fusionclf.predict_batches("runs/linear", overrides=["catalog.title=name"])
    >>> answers = predict(pandas.DataFrame({"id": ["7", "8"], "name": ["Women Red Dress", None]}))
    >>> answers[["id", "label_1", "decision", "reason"]].values.tolist()
    [['7', 'Dresses', 'accept', ''], ['8', nan, 'none', 'no title']]
    """

    def __init__(
        self,
        run: str | Path,
        *,
        pictures: str | Path | None = None,
        overrides: Sequence[str] = (),
        part: str | None = None,
        top_k: int = 5,
        min_probability: float | None = None,
        target_precision: float | None = None,
    ) -> None:
        from fusionclf.prediction.answers import DecisionRule
        from fusionclf.prediction.batch_prediction import BatchRequest

        self._request = BatchRequest(
            Path(run).absolute(), part, DecisionRule(top_k, min_probability, target_precision),
            None if pictures is None else Path(pictures).absolute(), tuple(overrides),
        )  # fmt: skip

    @overload
    def __call__(self, batch: "pd.DataFrame") -> "pd.DataFrame": ...

    @overload
    def __call__(self, batch: "Iterator[pd.DataFrame]") -> "Iterator[pd.DataFrame]": ...

    def __call__(
        self, batch: "pd.DataFrame | Iterator[pd.DataFrame]"
    ) -> "pd.DataFrame | Iterator[pd.DataFrame]":
        """A row for each product, in the order of the table.

        Args:
            batch: a table, as Ray Data's map_batches gives with batch_format="pandas"; or an iterator of tables, as
                Spark's mapInPandas gives.

        Returns:
            `id` and what `fusionclf predict` writes: label_1, prob_1, …; and `reason`, why a row has no answer. From
            an iterator, an iterator.

        Raises:
            RunError: the folder is no finished run, or is not there on this machine.
            CatalogError, PredictionError: a table lacks columns, or is of another kind.
        """
        import pandas as pd

        if isinstance(batch, pd.DataFrame):
            return self._predictor.predict(batch)
        if isinstance(batch, Iterator):
            return map(self, batch)
        raise PredictionError(
            f'a batch is a {type(batch).__name__}; give pandas tables, in Ray Data by batch_format="pandas"'
        )

    @property
    def schema(self) -> str:
        """Names and types of the columns, as Spark's mapInPandas takes them."""
        return self._predictor.schema()

    @property
    def _predictor(self) -> "BatchPredictor":
        from fusionclf.prediction.batch_prediction import open_batches

        return open_batches(self._request)


def explain(
    model: "Predictor",
    image: "Picture | Sequence[Picture] | None" = None,
    title: str | None = None,
    fields: Mapping[str, str] | None = None,
    *,
    label: str | None = None,
    cells: int = 8,
) -> "Explanation":
    """How much cells of the picture, words, and each input as a whole contributed to one prediction.

    Args:
        model: from `load`.
        image: a file or an opened picture, or a list of several.
        title: of the product.
        fields: name → cell of its further texts and attributes.
        label: the class to explain; default: the most likely one.
        cells: number of cells along the longer side of the picture.

    Raises:
        PredictionError: the product has no readable input, or `label` is no class of this model.
        SettingsError: `cells` is out of its range.

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
    """Compare finished runs of one split: report.html, report.md and report.json.

    Args:
        runs: run folders.
        out: folder for the three files; None writes none.
        data: the runs' catalog, for titles and pictures; default: where their settings say it was.

    Returns:
        report.json's content.

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
