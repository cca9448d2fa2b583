"""README.md of a run folder: a model card in the Hugging Face hub's format, from the files of the run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusionclf.config import SplitConfig
from fusionclf.files import write_text
from fusionclf.report.text import code, count, duration, kept_subsets, markdown, percent, resampled
from fusionclf.run_schema import ALL_CLASSES, ENVIRONMENT, SPLIT, read_config, read_labels
from fusionclf.runfolder import read_json_as

CARD = "README.md"
METRICS = (
    ("top1", "top-1"), ("top5", "top-5"), ("seen", "seen classes"), ("unseen", "unseen classes"),
    ("macro_f1", "macro F1"), ("ece", "ECE"),
)  # fmt: skip
LABEL_SET_METRICS = (
    ("micro_f1", "micro F1"), ("macro_f1", "macro F1"), ("mean_average_precision", "mAP"),
    ("micro_precision", "precision"), ("micro_recall", "recall"), ("subset_accuracy", "all labels right"),
)  # fmt: skip
RULES = {
    "year_parity": "by the year's parity: one parity trains, the other tests",
    "random": "at random",
    "column": "by a column of the catalog",
}
NAMED_VERSIONS = ("fusionclf", "torch", "scikit-learn")
WEAK, WEAK_ROWS = (
    5,
    20,
)  # number of classes that are named, and the test rows that a class needs


def write_card(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Write README.md of a run whose other files exist, except perhaps metrics.json.

    Args:
        folder: the run folder.
        metrics: metrics.json's content.
    """
    write_text(folder / CARD, model_card(folder, metrics))


def model_card(folder: Path, metrics: Mapping[str, Any]) -> str:
    """The card's text: metadata between two lines of ---, then Markdown."""
    config = read_config(folder)
    cost = read_json_as(folder / "environment.json", ENVIRONMENT)
    split = read_json_as(folder / "split.json", SPLIT)
    labels = read_labels(folder / "model") if (folder / "model" / "labels.json").is_file() else {}
    variant, name = config["variant"], code(Path(config["data"]).name)
    scores = dict(metrics["parts"])
    if metrics[ALL_CLASSES].get("top1") is not None:
        scores = {ALL_CLASSES: metrics[ALL_CLASSES], **scores}
    imported = config.get("imported")
    if "multilabel" in metrics:
        scores = {ALL_CLASSES: metrics["multilabel"]["scores"]}
    sections = [
        f"# {markdown(variant)} on {markdown(name)}",
        *(_origin(variant, imported) if isinstance(imported, dict) else _model(variant, config, labels)),
        _data(name, config, split, cost),
        _metrics(scores, metrics, resampled(SplitConfig.model_validate(split["spec"]).group_columns)[0]),
        *_further_columns(metrics.get("answers", {})),
        *([] if imported else [_training(config, cost)]),
        _limits(config, metrics),
        "## License\n\nWhoever publishes the model chooses it by the terms of the catalog: `license:` in the metadata "
        "above. `datasets:` is for the name of the catalog on the hub.",
    ]
    metadata = _metadata(variant, name, split, scores, cost.get("hub_task"))
    return f"---\n{metadata}---\n\n" + "\n\n".join(sections) + "\n"


def column(config: Mapping[str, Any], what: str) -> str:
    """The catalog's own name of a column."""
    section = config.get("catalog")
    return str(section.get(what, what)) if isinstance(section, dict) else what


def _metadata(
    variant: str,
    name: str,
    split: Mapping[str, Any],
    scores: Mapping[str, Any],
    hub_task: str | None,
) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = []
    for part, values in scores.items():
        for key, metric, title in (
            ("top1", "accuracy", "Top-1"), ("top5", "accuracy", "Top-5"), ("micro_f1", "f1", "Micro F1"),
            ("macro_f1", "f1", "Macro F1"),
        ):  # fmt: skip
            if values.get(key) is not None:
                results.append(
                    EvalResult(
                        "product-classification", "catalog", name, metric, round(values[key] / 100, 4),
                        dataset_config=part, dataset_split="test", dataset_revision=split["catalog_sha256"],
                        metric_name=title,
                    )
                )  # fmt: skip
    data = ModelCardData(
        library_name="fusionclf",
        tags=["fusionclf", "product-classification", variant],
        pipeline_tag=hub_task,
        metrics=["accuracy", "f1"],
        model_name=f"fusionclf {variant}",
        eval_results=results,
    )
    return f"{data.to_yaml()}\n"


def _model(variant: str, config: Mapping[str, Any], labels: Mapping[str, Any]) -> list[str]:
    return [
        f"A product classifier of {markdown(column(config, 'label'))}, made by fusionclf: variant "
        f"`{code(variant)}`, {_models(labels)}.",
        _loading(labels),
    ]


def _origin(variant: str, imported: Mapping[str, Any]) -> list[str]:
    """Where the predictions of a run without a model come from."""
    held = {
        "labels": "labels without probabilities, so there is no calibration error",
        "best": "probabilities of the most likely classes; other classes count as 0",
        "all": "probabilities of all classes",
    }
    others = {
        "ignore": " Products that are no test products were left out.",
        "held-out": " Predictions of other products are in `held_out/`: whoever imported them states that the model "
        "did not learn from these products.",
    }
    return [
        f"Predictions of {markdown(variant)}, made by another program; there is no model here. fusionclf imported them "
        f"from `{code(imported.get('file'))}` (SHA-256 `{code(imported.get('sha256'))}`, "
        f"{count(imported.get('rows'))} products). The file holds {held.get(str(imported.get('kind')), 'predictions')}."
        f"{others.get(str(imported.get('others')), '')}"
    ]


def _models(labels: Mapping[str, Any]) -> str:
    models = [f"`{code(part)}` of {len(model.get('candidates') or model['classes']['label'])} classes"
              for part, model in labels.items()]  # fmt: skip
    return f"models: {', '.join(models)}" if models else "no model saved"


def _loading(labels: Mapping[str, Any]) -> str:
    part = "" if len(labels) < 2 or ALL_CLASSES in labels else f", part={next(iter(labels))!r}"
    return (
        "## How to load\n\n```python\nimport fusionclf\nfrom huggingface_hub import snapshot_download\n\n"
        f'predictor = fusionclf.load(snapshot_download("REPOSITORY"){code(part)})  # or the run folder\n'
        'predictor.predict(images=["product.jpg"], titles=["Blue Running Shoes"]).labels\n```\n\n'
        "Weights are safetensors or skops files; nothing is unpickled."
    )


def _data(name: str, config: Mapping[str, Any], split: Mapping[str, Any], cost: Mapping[str, Any]) -> str:
    read = cost.get("catalog", {})
    dropped = "".join(f", {count(n)} dropped ({markdown(why)})" for why, n in read.get("dropped", {}).items())
    spec = SplitConfig.model_validate(split["spec"])
    group = f"; products with one {markdown(', '.join(spec.group_by))} stay together" if spec.group_by else ""
    rows = [
        f"| {markdown(part)} | {len(split['classes'][part])} | "
        + " | ".join(count(len(subsets[subset])) for subset in ("train", "validation", "test"))
        + " |"
        for part, subsets in split["ids"].items()
    ]
    hashes = f"Hash of the catalog `{code(split['catalog_sha256'])}`, of the split `{code(split['sha256'])}`."
    lines = [
        "## Data and split",
        "",
        f"Catalog `{name}`: {count(read.get('products'))} products, {count(read.get('repaired'))} rows "
        f"repaired{dropped}. Label: {markdown(column(config, 'label'))}; title: {markdown(column(config, 'title'))}.",
        "",
        f"Split {RULES[spec.rule]}{markdown(kept_subsets(split['spec']))}{group}. {hashes}",
        "",
        "| part | classes | train | validation | test |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *rows])


def _metrics(scores: Mapping[str, Any], metrics: Mapping[str, Any], resampled_units: str) -> str:
    if not any(values.get("n") for values in scores.values()):
        return "## Metrics\n\nThe run has no test products, so nothing was measured here."
    columns, intervals = METRICS, metrics["intervals"]
    if "multilabel" in metrics:
        columns, intervals = LABEL_SET_METRICS, {ALL_CLASSES: metrics["multilabel"]["intervals"]}
    lines = [
        "## Metrics", "",
        "In percent, over all test products of a part, including those of classes without a training row; in brackets "
        f"95 % bootstrap intervals over {resampled_units}.", "",
        "| part | test products | " + " | ".join(title for _, title in columns) + " |",
        "| --- |" + " --- |" * (len(columns) + 1),
    ]  # fmt: skip
    for part, values in scores.items():
        cells = [_cell(values.get(key), intervals.get(part, {}).get(key)) for key, _ in columns]
        lines.append(f"| {markdown(part)} | {count(values.get('n'))} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _further_columns(answers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The section on further columns that the model predicts; none for a model that predicts the class alone."""
    if not answers:
        return []
    lines = [
        "## Further columns", "",
        "What the model predicts beside the class. In percent, over the test products whose cell is not empty; "
        "majority: top-1 of the most frequent value of the training rows.", "",
        "| part | column | test products | top-1 | macro F1 | majority |",
        "| --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for part, columns in answers.items():
        for name, found in columns.items():
            cells = [_cell(found[key], found["intervals"].get(key)) for key in ("top1", "macro_f1")]
            cells = [markdown(part), markdown(name), count(found["n"]), *cells, percent(found["majority"])]
            lines.append(f"| {' | '.join(cells)} |")
    return ["\n".join(lines)]


def _cell(value: float | None, interval: Any) -> str:
    if value is None or not interval or None in interval:
        return percent(value)
    return f"{percent(value)} [{percent(interval[0])}, {percent(interval[1])}]"


def _training(config: Mapping[str, Any], cost: Mapping[str, Any]) -> str:
    versions = cost.get("versions", {})
    used = ", ".join(f"{name} {versions[name]}" for name in NAMED_VERSIONS if name in versions)
    return (
        "## Training\n\n"
        f"{count(cost.get('parameters'))} parameters; trained in {duration(cost.get('train_seconds'))} on "
        f"{markdown(cost.get('device', 'CPU'))}, seed {markdown(config.get('seed', 0))}; {markdown(used)}. All "
        "settings are in `config.yaml`."
    )


def _limits(config: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    per_class = metrics["per_class"].get(ALL_CLASSES) or [
        row for rows in metrics["per_class"].values() for row in rows
    ]
    unseen = sum(row["train_rows"] == 0 for row in per_class)
    model = config.get("model")
    by_name = isinstance(model, dict) and model.get("vocabulary") == "open"
    limits = [
        "It was trained on one catalog, with its language, its style of pictures and its label errors.",
        "It gives a product each label whose probability reaches its threshold, or none."
        if "multilabel" in metrics
        else "It always predicts a class; with `min_probability` it abstains.",
    ]
    if config.get("imported"):
        limits = ["How the model was trained, and on what, is not known here."]
    if unseen:
        how = "are predicted by their names only, with lower accuracy" if by_name else "are never predicted"
        how = "may not have been known to the model" if config.get("imported") else how
        limits.append(f"{unseen} of the {len(per_class)} tested classes have no training row and {how}.")
    frequent = [row for row in per_class if row["train_rows"] and row["test_rows"] >= WEAK_ROWS]
    if weak := sorted(frequent, key=lambda row: row["top1"])[:WEAK]:
        worst = ", ".join(f"{markdown(row['label'])} ({percent(row['top1'], 0)} %)" for row in weak)
        limits.append(f"Lowest top-1 of trained classes with {WEAK_ROWS} or more test products: {worst}.")
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)
