"""The one training loop, with losses, optimisers, schedules and checkpoints."""

from fusionclf.training.accelerator import OneProcess, device_name, make_accelerator, one_process, to_device
from fusionclf.training.feeder import check_batch_size
from fusionclf.training.loop import StageSpec, train_stage
from fusionclf.training.prediction import (
    collect,
    iterate_features,
    iterate_logits,
    predict_features,
    predict_logits,
    predict_pictures,
    predict_tasks,
    validate,
)
from fusionclf.training.progress import Progress, StageState

__all__ = [
    "OneProcess",
    "Progress",
    "StageSpec",
    "StageState",
    "check_batch_size",
    "collect",
    "device_name",
    "iterate_features",
    "iterate_logits",
    "make_accelerator",
    "one_process",
    "predict_features",
    "predict_logits",
    "predict_pictures",
    "predict_tasks",
    "to_device",
    "train_stage",
    "validate",
]
