"""Where caches are."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """The folder of all caches: $FUSIONCLF_CACHE, or the user's cache folder."""
    return Path(os.environ.get("FUSIONCLF_CACHE") or user_cache_path("fusionclf"))
