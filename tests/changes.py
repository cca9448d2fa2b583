"""Changes of what a test has made or finds: a run that is trained again, a package under another name."""

import importlib.metadata
from pathlib import Path

import pytest

from fusionclf.models import traced_network
from fusionclf.models.weights import load_weights, save_weights


def train_again(run: Path) -> None:
    """Give a finished run other weights, as training with --overwrite does."""
    for file in (run / "model").glob("*.safetensors"):
        weights = {name: values + 1 if values.dtype.is_floating_point else values
                   for name, values in load_weights(file).items()}  # fmt: skip
        save_weights(file, weights, packed=True)


def without_release(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """No distribution of this name is installed."""

    def version(name: str) -> str:
        if name == package:
            raise importlib.metadata.PackageNotFoundError(name)
        return importlib.metadata.version(name)

    monkeypatch.setattr(traced_network, "version", version)
