"""The one training loop, with losses, optimisers, schedules and checkpoints."""

from fusionclf.training.accelerator import device_name, make_accelerator
from fusionclf.training.checkpoints import load_weights, save_weights
from fusionclf.training.loop import Progress, StageState, predict_logits, train_stage, validate

__all__ = [
    "Progress",
    "StageState",
    "device_name",
    "load_weights",
    "make_accelerator",
    "predict_logits",
    "save_weights",
    "train_stage",
    "validate",
]
