"""What a finished run keeps."""

from pathlib import Path

from fusionclf.workflows.settings import ExistingRun
from fusionclf.workflows.train import TrainOptions, train
from tests.small import write_catalog

NAMES = ("Shirts", "shirt"), ("Jeans", "jeans")
ROWS = [
    f"{n},Men,Apparel,Topwear,{NAMES[n % 2][0]},Blue,Fall,{2011 + n // 2 % 2},Casual,{NAMES[n % 2][1]} {n}"
    for n in range(12)
]
WORDS = ("split.top_k=2", "model.text.buckets=1024", "model.text.dim=8", "train.epochs=1")


def test_a_resumed_finished_run_drops_leftover_checkpoints(tmp_path: Path) -> None:
    data, run = write_catalog(tmp_path / "catalog", ROWS), tmp_path / "run"
    kept = (*WORDS, "train.keep_checkpoints=true")
    train("text", data, run, overrides=kept, cpu=True)
    left = run / "checkpoints" / "top2" / "last" / "values.json"
    resumed = TrainOptions(existing=ExistingRun(resume=True))
    train("text", data, run, overrides=kept, cpu=True, options=resumed)
    assert left.is_file()
    train("text", data, run, overrides=WORDS, cpu=True, options=resumed)
    assert not (run / "checkpoints").exists()
    assert (run / "model" / "top2.safetensors").is_file()
