"""The profile of a run's test products, for `fusionclf drift`: inputs/test.parquet and inputs/words.npy."""

from pathlib import Path

import numpy as np
import pandas as pd

from fusionclf.catalog import Catalog, Split
from fusionclf.catalog.input_profile import profile_catalog
from fusionclf.errors import RunError
from fusionclf.files import replacing
from fusionclf.runfolder import AGAIN, INPUTS, one_line

PROFILE, WORDS = "test.parquet", "words.npy"


def write_reference(folder: Path, catalog: Catalog, split: Split, *, pictures: bool) -> None:
    """Write the profile of the test products, and the words of the training products, into a run folder.

    Args:
        folder: the run folder.
        catalog, split: of the run.
        pictures: whether the run reads pictures.
    """
    profile, known = profile_catalog(catalog, split, pictures=pictures)
    with replacing(folder / INPUTS / PROFILE) as aside:
        profile.to_parquet(aside, index=False)
    with replacing(folder / INPUTS / WORDS) as aside, aside.open("wb") as file:
        np.save(file, known)


def has_reference(folder: Path) -> bool:
    """Whether a run folder has these files; runs of earlier versions have none."""
    return all((folder / INPUTS / name).is_file() for name in (PROFILE, WORDS))


def read_reference(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """The profile of a run's test products, and the words of its training products.

    Raises:
        RunError: a file is missing or damaged.
    """
    file = folder / INPUTS / PROFILE
    try:
        profile = pd.read_parquet(file)
        file = folder / INPUTS / WORDS
        known = np.load(file, allow_pickle=False)
    except Exception as error:  # readers of damaged files raise errors of any kind
        raise RunError(one_line(f"cannot be read ({error}); {AGAIN}", file)) from error
    if "id" not in profile or known.dtype != np.uint32:
        raise RunError(f"{file}: not a file that a run writes; {AGAIN}")
    return profile, known
