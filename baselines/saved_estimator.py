"""A fitted estimator of scikit-learn → a skops file."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from fusionclf.files import replacing

# Importing skops.io imports all packages of scikit-learn. This one imports torch, which takes seconds.
OF_TORCH = "sklearn.externals.array_api_compat.torch"


def save_estimator(estimator: Any, path: Path) -> None:
    """Write an estimator beside `path`, and rename the file."""
    skops_io = _import_skops()
    with replacing(path) as aside:
        skops_io.dump(estimator, aside)


def _import_skops() -> Any:
    """skops.io, without the import of torch."""
    stand_in = ModuleType(OF_TORCH)
    added = sys.modules.setdefault(OF_TORCH, stand_in) is stand_in
    try:
        import skops.io
    finally:
        if added:
            del sys.modules[OF_TORCH]
    return skops.io
