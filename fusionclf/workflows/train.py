"""`fusionclf train`: catalog → batches → model → training → evaluation → run folder."""

import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusionclf.catalog import Catalog, Split
from fusionclf.catalog.languages import catalog_languages, known_languages, language_warning
from fusionclf.config import Overrides, RunConfig
from fusionclf.console import Console
from fusionclf.errors import RunError
from fusionclf.evaluation import RunResult, save_run
from fusionclf.files import locked_folder
from fusionclf.metrics_schema import METRICS
from fusionclf.models import find_variant
from fusionclf.models.text_backbones import TextEncoderParams
from fusionclf.models.variants.fusion import FusionParams
from fusionclf.report.model_card import write_card
from fusionclf.runfolder import (
    check_begun,
    drop_checkpoints,
    environment,
    is_finished,
    open_run,
    read_json_as,
    sweep_run,
)
from fusionclf.stacking.checks import check_model, check_names, columns_to_read, for_several_labels
from fusionclf.stacking.picture_settings import resolve_pictures
from fusionclf.stacking.stage_runner import StageRunner
from fusionclf.stacking.stages import Stage, list_stages, trained_classes
from fusionclf.training import make_accelerator
from fusionclf.workflows.finished import check_finished
from fusionclf.workflows.settings import (
    ExistingRun,
    begin_run,
    begun_pictures,
    load_run_settings,
    read_divided,
    with_location,
)


@dataclass(frozen=True)
class TrainOptions:
    """How a run is made, beside its settings.

    Attributes:
        config: settings file; None for the variant's defaults.
        existing: what to do where the run folder holds a run.
        track: one of Accelerate's trackers, such as tensorboard, which logs every epoch to the run folder.
        console: where progress goes.
    """

    config: Path | None = None
    existing: ExistingRun = field(default_factory=ExistingRun)
    track: str | None = None
    console: Console = field(default_factory=Console)


def train(
    name: str,
    data: Path,
    out: Path,
    *,
    overrides: Overrides = (),
    cpu: bool = False,
    options: TrainOptions | None = None,
) -> dict[str, Any]:
    """Train a variant on a catalog's train rows and score it on its test rows.

    Args:
        name: a registered variant.
        data: the catalog's folder, or its table.
        out: the run folder to make.
        overrides: key.path=value texts, or nested settings.
        cpu: stay on the CPU.
        options: how the run is made.

    Returns:
        metrics.json's content.

    Raises:
        CatalogError: the catalog cannot be read or divided, or a stage has no validation row.
        RunError: `out` holds a run or other files, another command writes to it, or it cannot be written.
    """
    options = options or TrainOptions()
    console, existing = options.console, options.existing
    started = time.perf_counter()
    variant = find_variant(name)
    settings = load_run_settings(RunConfig[variant.params], name, data, options.config, overrides)
    accelerator = make_accelerator(settings.train.precision, cpu, track=options.track, folder=out)
    console.quiet = console.quiet or not accelerator.is_main_process
    with locked_folder(out) if accelerator.is_main_process else nullcontext():
        settings = for_several_labels(settings, console)
        if existing.resume and is_finished(out):
            check_finished(out, settings)
            if accelerator.is_main_process:
                sweep_run(out)
                _tidy(out, settings)
            console.info(f"{out}: finished already, nothing to do")
            return dict(read_json_as(out / "metrics.json", METRICS))
        check_names(settings)
        catalog, split = read_divided(
            data, settings.catalog, settings.split, lambda catalog: check_model(variant, settings, catalog),
            columns_to_read(settings), console,
        )  # fmt: skip
        settings = _resolve_auto(with_location(settings, catalog), catalog, split)
        begun = begun_pictures(out) if existing.resume else None
        settings = resolve_pictures(variant, settings, catalog, begun, console)
        _warn_of_language(settings, catalog, console)
        stages = list_stages(settings, split)
        runner = StageRunner(variant, settings, catalog, split, accelerator, out, console)
        runner.check(stages)  # before a run that `out` may hold is touched
        if accelerator.is_main_process:
            begin_run(open_run(out, overwrite=existing.overwrite, resume=existing.resume), settings, split)
        accelerator.wait_for_everyone()
        if not (out / "config.yaml").is_file():
            raise RunError(
                f"{out}: does not exist on this machine; give a run folder that all machines share"
            )
        runner.inputs.synonyms.keep(out, accelerator)
        if options.track:
            accelerator.init_trackers("tensorboard" if options.track == "tensorboard" else "fusionclf")
        metrics = _run_stages(runner, stages, started)
        accelerator.end_training()
        return metrics


def _resolve_auto(settings: RunConfig[Any], catalog: Catalog, split: Split) -> RunConfig[Any]:
    """The settings with `model.vocabulary=auto` replaced by the widest one that can be trained."""
    if not isinstance(settings.model, FusionParams):
        return settings
    trained = min(trained_classes(catalog, split, stage) for stage in list_stages(settings, split))
    return settings.model_copy(update={"model": settings.model.resolve_auto(trained)})


def _warn_of_language(settings: RunConfig[Any], catalog: Catalog, console: Console) -> None:
    """Print a warning where the sentence encoder does not know the language of the catalog's texts."""
    text = getattr(settings.model, "text", None)
    if (
        not isinstance(text, TextEncoderParams)
        or text.kind == "hashed"
        or known_languages(text.model) is None
    ):
        return
    if (warning := language_warning(catalog_languages(catalog), text.model)) is not None:
        console.warn(warning)


def _run_stages(runner: StageRunner, stages: list[Stage], started: float) -> dict[str, Any]:
    """Train and predict stage by stage, then write what the run leaves; metrics.json's content on the main process."""
    frames = {part: frame for stage in stages for part, frame in runner.run(stage).items()}
    runner.accelerator.wait_for_everyone()
    metrics: dict[str, Any] = {}
    if runner.accelerator.is_main_process:
        check_begun(runner.out)
        statistics = environment(seconds=time.perf_counter() - started, **runner.statistics())
        result = RunResult(
            runner.variant.name, runner.settings, runner.catalog, runner.split, frames, statistics,
            runner.held_out, runner.answers, runner.fusion_parts, runner.as_unseen,
        )  # fmt: skip
        metrics = save_run(runner.out, result, write_card)
        _tidy(runner.out, runner.settings)
    runner.accelerator.wait_for_everyone()
    return metrics


def _tidy(out: Path, settings: RunConfig[Any]) -> None:
    """Remove what a finished run needs no more."""
    if not settings.train.keep_checkpoints:
        drop_checkpoints(out)
