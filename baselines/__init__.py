"""Text baselines without torch. Importing this package registers every baseline in it."""

from importlib import import_module
from pkgutil import iter_modules

from baselines.registry import baseline_names, find_baseline

for _module in iter_modules(__path__, prefix=f"{__name__}."):
    import_module(_module.name)

__all__ = ["baseline_names", "find_baseline"]
