"""The prediction benchmark, on two products."""

from pathlib import Path

from benchmarks.predict import bare_network, untrained_network, whole
from fusionclf.catalog import Catalog


def test_an_untrained_network_predicts_a_file(sample: Catalog, tmp_path: Path) -> None:
    run = untrained_network(tmp_path / "run", (32, 24), sample)
    file = tmp_path / "products.csv"
    sample.table[["id"]].iloc[:2].assign(productDisplayName="").to_csv(file, index=False)
    assert min(*whole(run, file, sample.root), *bare_network(run, (32, 24), 16)) > 0
