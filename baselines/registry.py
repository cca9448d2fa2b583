"""Baselines by name. A baseline is one file: a settings class and a function registered here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fusionclf.config import BaselineConfig
from fusionclf.errors import SettingsError, did_you_mean

Frames = dict[str, pd.DataFrame]
Run = Callable[..., tuple[Frames, dict[str, Any], Frames]]


@dataclass(frozen=True)
class Baseline:
    """One baseline.

    Attributes:
        name: as in `fusionclf baseline NAME`.
        settings: its settings class.
        run: (settings, catalog, split, run folder, console) → predictions by part, cost, and predictions of
            validation rows by part (empty where no model was fitted without them). The console, SILENT by default,
            shows progress.
        several_labels: whether it can predict several labels per product.
    """

    name: str
    settings: type[BaselineConfig]
    run: Run
    several_labels: bool = False


BASELINES: dict[str, Baseline] = {}


def register(
    name: str, settings: type[BaselineConfig], *, several_labels: bool = False
) -> Callable[[Run], Run]:
    """Add the decorated function to the registry.

    Args:
        name: as in `fusionclf baseline NAME`.
        settings: its settings class.
        several_labels: whether it can predict several labels per product.
    """

    def add(run: Run) -> Run:
        BASELINES[name] = Baseline(name, settings, run, several_labels)
        return run

    return add


def baseline_names() -> list[str]:
    """All registered names, sorted."""
    return sorted(BASELINES)


def find_baseline(name: str) -> Baseline:
    """The baseline of that name.

    Raises:
        SettingsError: there is no such baseline; the message names the near match.
    """
    if name not in BASELINES:
        raise SettingsError(f"unknown baseline {name!r}: {did_you_mean(name, baseline_names())}")
    return BASELINES[name]
