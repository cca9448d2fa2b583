"""`fusionclf.predict_batches`: predicts pandas tables, for engines that distribute them over machines."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from fusionclf.errors import PredictionError

if TYPE_CHECKING:
    import pandas as pd

    from fusionclf.prediction.batch_prediction import BatchPredictor


class predict_batches:  # called and passed like a function
    """A callable that predicts pandas tables, on one machine or many: for Ray Data, Spark, or a loop.

    It is pickled as the path of the run folder, which each worker must be able to read. Each process loads the model
    with the first table, and again if the run or its added classes change; it keeps the last four models.

    Args:
        run: the run folder.
        pictures: folder to which the tables' picture paths are relative.
        part, top_k, min_probability, target_precision: as in `load` and `Predictor.predict`.
        settings: of the section `catalog`, such as catalog={"title": "name"}, if columns have other names than in the
            run's catalog.

    Raises:
        SettingsError: `top_k`, `min_probability` or `target_precision` is out of range.

    >>> import fusionclf, pandas
    >>> predict = fusionclf.predict_batches("runs/linear", catalog={"title": "name"})
    >>> answers = predict(pandas.DataFrame({"id": ["7", "8"], "name": ["Women Red Dress", None]}))
    >>> answers[["id", "label_1", "decision", "reason"]].values.tolist()
    [['7', 'Dresses', 'accept', ''], ['8', nan, 'none', 'no title']]
    """

    def __init__(
        self,
        run: str | Path,
        *,
        pictures: str | Path | None = None,
        part: str | None = None,
        top_k: int = 5,
        min_probability: float | None = None,
        target_precision: float | None = None,
        **settings: Any,
    ) -> None:
        from fusionclf.config import nested_settings
        from fusionclf.prediction.answers import DecisionRule
        from fusionclf.prediction.batch_prediction import BatchRequest

        self._request = BatchRequest(
            Path(run).absolute(), part, DecisionRule(top_k, min_probability, target_precision),
            None if pictures is None else Path(pictures).absolute(), (nested_settings(settings),),
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
            The columns of `fusionclf predict`: id, label_1, prob_1, …; and `reason`, why a row has no answer. For an
            iterator, an iterator.

        Raises:
            RunError: the folder is not a finished run, or does not exist on this machine.
            CatalogError, PredictionError: a table lacks columns, or is of another kind.
        """
        import pandas as pd

        if isinstance(batch, pd.DataFrame):
            return self._predictor.predict(batch)
        if isinstance(batch, Iterator):
            return map(self, batch)
        raise PredictionError(
            f'a batch is a {type(batch).__name__}; give a pandas table (in Ray Data: batch_format="pandas")'
        )

    @property
    def schema(self) -> str:
        """Names and types of the columns, in the form of Spark's mapInPandas."""
        return self._predictor.schema()

    @property
    def _predictor(self) -> "BatchPredictor":
        from fusionclf.prediction.batch_prediction import open_batches

        return open_batches(self._request)
