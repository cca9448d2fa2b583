"""`fusionclf train`: catalog → batches → model → training → evaluation → run folder."""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from fusionclf.catalog import Catalog, Split
from fusionclf.config import RunConfig, load_settings
from fusionclf.console import Console
from fusionclf.errors import RunError
from fusionclf.evaluation import RunResult, save_run
from fusionclf.files import locked_folder
from fusionclf.models import find_variant
from fusionclf.models.variants.fusion import FusionParams
from fusionclf.report.model_card import write_card
from fusionclf.run_schema import ALL_CLASSES, METRICS
from fusionclf.runfolder import check_begun, environment, is_finished, open_run, read_json_as, sweep_run
from fusionclf.stacking.stage_runner import StageRunner
from fusionclf.stacking.stages import Stage, list_stages, trained_classes
from fusionclf.training import make_accelerator
from fusionclf.workflows.checks import check_model, check_names
from fusionclf.workflows.settings import begin_run, read_divided


def train(
    name: str,
    data: Path,
    out: Path,
    *,
    config: Path | None = None,
    overrides: tuple[str, ...] = (),
    overwrite: bool = False,
    resume: bool = False,
    cpu: bool = False,
    track: str | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Train a variant on a catalog's train rows and score it on its test rows.

    Args:
        name: a registered variant.
        data: the catalog's folder.
        out: the run folder to make.
        config: settings file; None for the variant's defaults.
        overrides: key.path=value texts.
        overwrite, resume: what to do where `out` holds a run.
        cpu: stay on the CPU.
        track: one of Accelerate's trackers, such as tensorboard, told of every epoch; its files go to `out`.
        console: where progress goes.

    Returns:
        metrics.json's content.

    Raises:
        CatalogError: the catalog cannot be read or divided, or a stage has no validation row.
        RunError: `out` holds a run or other files, another command writes to it, or it cannot be written.
    """
    console = console or Console()
    started = time.perf_counter()
    variant = find_variant(name)
    settings = load_settings(RunConfig[variant.params], config, overrides, variant=name, data=str(data))
    accelerator = make_accelerator(settings.train.precision, cpu, track=track, folder=out)
    console.quiet = not accelerator.is_main_process
    with locked_folder(out) if accelerator.is_main_process else nullcontext():
        if resume and is_finished(out):
            if accelerator.is_main_process:
                sweep_run(out)
            console.info(f"{out}: finished already, nothing to do")
            return dict(read_json_as(out / "metrics.json", METRICS))
        check_names(settings)
        catalog, split = read_divided(
            data, settings.catalog, settings.split, lambda catalog: check_model(variant, settings, catalog)
        )
        settings = _settled(settings, catalog, split)
        stages = list_stages(settings, split)
        runner = StageRunner(variant, settings, catalog, split, accelerator, out, console)
        runner.check(stages)  # before a run that `out` may hold is touched
        if accelerator.is_main_process:
            begin_run(open_run(out, overwrite=overwrite, resume=resume), settings, split)
        accelerator.wait_for_everyone()
        if not (out / "config.yaml").is_file():
            raise RunError(f"{out}: not there on this machine; give a run folder that all machines share")
        if track:
            accelerator.init_trackers("tensorboard" if track == "tensorboard" else "fusionclf")
        metrics = _run_stages(runner, stages, started)
        accelerator.end_training()
        return metrics


def _settled(settings: RunConfig[Any], catalog: Catalog, split: Split) -> RunConfig[Any]:
    """With what the split decides."""
    if not isinstance(settings.model, FusionParams):
        return settings
    has_new_classes = min(split.train_counts(catalog, None).values()) == 0
    trained = min(trained_classes(catalog, split, stage) for stage in list_stages(settings, split))
    return settings.model_copy(update={"model": settings.model.settled(has_new_classes, trained)})


def _run_stages(runner: StageRunner, stages: list[Stage], started: float) -> dict[str, Any]:
    """Train and predict stage by stage, then write what the run leaves; metrics.json's content on the main process."""
    frames = {stage.part: runner.run(stage) for stage in stages}
    if ALL_CLASSES in frames:
        frames |= runner.parts_of_joint()
    runner.accelerator.wait_for_everyone()
    metrics: dict[str, Any] = {}
    if runner.accelerator.is_main_process:
        check_begun(runner.out)
        figures = environment(seconds=time.perf_counter() - started, **runner.figures())
        result = RunResult(
            runner.variant.name,
            runner.settings,
            runner.catalog,
            runner.split,
            frames,
            figures,
            runner.held_out,
        )
        metrics = save_run(runner.out, result, write_card)
    runner.accelerator.wait_for_everyone()
    return metrics
