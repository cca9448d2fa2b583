"""Contents of picture files in place of their paths."""

import pytest

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.errors import PredictionError
from tests.runs import Runs


def test_bytes_of_a_file_are_read_as_the_file(runs: Runs, sample: Catalog) -> None:
    fusion, file = fusionclf.load(runs("fusion")), sample.root / sample.table["picture"].iloc[0]
    found = fusion.predict([file.read_bytes(), [file.read_bytes(), file]], ["Red", "Red"])
    assert found.probabilities == pytest.approx(
        fusion.predict([file, [file, file]], ["Red", "Red"]).probabilities
    )


def test_bytes_that_are_no_picture_are_refused(runs: Runs) -> None:
    with pytest.raises(PredictionError, match="product 0: picture: not a picture in a supported format"):
        fusionclf.load(runs("fusion")).predict([b"a"], ["Red"])
