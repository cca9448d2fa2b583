"""A finished run → a model repository of the Hugging Face hub."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fusionclf.catalog import Split
from fusionclf.errors import RunError
from fusionclf.metrics_schema import METRICS
from fusionclf.models.added_classes import read_all_added
from fusionclf.report.model_card import CARD, model_card
from fusionclf.report.text import markdown
from fusionclf.run_schema import read_config, read_labels
from fusionclf.runfolder import AGAIN, FINISHED, check_finished, read_bytes, read_json_as

# What `model/` may hold beside a file for each part of labels.json, and below text/ and image/ for transformers.
MODEL_FILES = ("labels.json", "graph.json", "added.safetensors")
TRANSFORMERS_FILES = (
    "config.json", "preprocessor_config.json",
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "chat_template.jinja", "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "tokenizer.model",
    "sentencepiece.bpe.model",
)  # fmt: skip
MOST_ADDED = 50  # added classes that the card lists
LOGIN = "log in by `hf auth login`, or set HF_TOKEN to a token that may write"


def check_repository_name(repo: str) -> None:
    """Raises RunError where the name of a repository is not valid. Needs no network."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise RunError(f"--repo {repo!r}: {error}") from error


def collect_files(run: Path, repo: str) -> dict[str, Path | bytes]:
    """Path in the repository → file of the run, or changed content. No product ids, titles or folder names.

    Raises:
        RunError: the run is not finished, or a file of its model is missing or a link.
    """
    check_finished(run)
    _refuse_links(run)
    metrics = read_json_as(run / FINISHED, METRICS)
    card = _read_card(run) if (run / CARD).exists() else model_card(run, metrics)
    config = read_config(run)
    config["data"] = os.path.basename(config["data"].rstrip(os.sep))
    config["split"]["same_as"] = None  # the earlier run is not in the repository
    files: dict[str, Path | bytes] = {
        CARD: (card.replace("REPOSITORY", repo) + _added_classes(run)).encode(),
        "config.yaml": yaml.safe_dump(_without_folders(config), sort_keys=False, allow_unicode=True).encode(),
        "split.json": (json.dumps(_split_without_ids(run), indent=2, ensure_ascii=False) + "\n").encode(),
        FINISHED: run / FINISHED,
    }
    return files | {path.relative_to(run).as_posix(): path for path in _model_files(run / "model")}


def other_files(run: Path, files: Mapping[str, Path | bytes]) -> list[str]:
    """Files below model/ that are not among `files`."""
    found = (path.relative_to(run).as_posix() for path in (run / "model").rglob("*") if path.is_file())
    return sorted(set(found) - set(files))


def upload(files: Mapping[str, Path | bytes], run: Path, repo: str, private: bool) -> str:
    """Upload files in one commit; the commit's address.

    Raises:
        RunError: there is no token, the hub refuses, or it cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HTTPError,  # pyright: ignore[reportPrivateImportUsage]
    )

    if get_token() is None:
        raise RunError(f"no token for the hub; {LOGIN}")
    api = HfApi()
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    try:
        api.create_repo(repo, private=private or None, exist_ok=True)  # None: the account's default
        if private and not api.model_info(repo).private:
            raise RunError(
                f"{repo}: exists and is public; make it private on the hub, or give another --repo"
            )
        return api.create_commit(repo, operations, commit_message=f"Add {run.name}").commit_url
    except HfHubHTTPError as error:
        status = error.response.status_code
        remedy = LOGIN if status in (401, 403) else "read the hub's answer above, or try again later"
        raise RunError(f"{repo}: the hub refuses ({status}: {_short(error)}); {remedy}") from error
    except (HTTPError, OSError) as error:
        raise RunError(
            f"{api.endpoint}: cannot be reached ({_short(error)}); try again with a network"
        ) from error


def _split_without_ids(run: Path) -> dict[str, Any]:
    """split.json with numbers of products in place of their ids."""
    whole = Split.load(run / "split.json").to_dict()
    split = {key: value for key, value in whole.items() if key != "ids"}
    split["spec"] = {**whole["spec"], "same_as": None}
    split["counts"] = {
        part: {"train": len(ids["train"]), "validation": len(ids["validation"]), "test": len(ids["test"])}
        for part, ids in whole["ids"].items()
    }
    return split


def _model_files(folder: Path) -> list[Path]:
    """The files of a model that a run writes, by name."""
    weights = []
    for part in read_labels(folder):
        candidates = [folder / f"{part}{suffix}" for suffix in (".safetensors", ".skops")]
        found = [file for file in candidates if file.is_file()]
        if not found:
            raise RunError(f"{candidates[0]}: no such file; {AGAIN}")
        weights += found
    named = [
        *(folder / name for name in MODEL_FILES),
        *(folder / below / name for below in ("text", "image") for name in TRANSFORMERS_FILES),
    ]
    return sorted(file for file in [*weights, *named] if file.is_file() and not file.is_symlink())


def _refuse_links(run: Path) -> None:
    """Raises RunError where a file is a link: it could bring a file of another folder into the repository."""
    named = [run / name for name in (CARD, "config.yaml", "split.json", FINISHED, "model")]
    for path in [*named, *sorted((run / "model").rglob("*"))]:
        if path.is_symlink():
            raise RunError(
                f"{path}: is a symbolic link, which is not uploaded; copy the run by `cp -rL` first"
            )


def _read_card(run: Path) -> str:
    try:
        return read_bytes(run / CARD).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RunError(f"{run / CARD}: is not text ({error.reason}); remove it") from error


def _added_classes(run: Path) -> str:
    """The card's section on classes added after training, which its metrics do not cover; "" without any."""
    lines = [
        f"- `{markdown(part)}`: {markdown(new.name)}, "
        + (f"known by {new.count} examples" if new.count else "known by its name")
        for part, added in read_all_added(run / "model").items()
        for new in added.classes
    ]
    if not lines:
        return ""
    if len(lines) > MOST_ADDED:
        lines = [*lines[:MOST_ADDED], f"- and {len(lines) - MOST_ADDED:,} more"]
    return (
        "\n## Added classes\n\nAdded after training; the metrics above do not cover them.\n\n"
        + "\n".join(lines)
        + "\n"
    )


def _without_folders(value: Any) -> Any:
    """Settings with absolute paths reduced to file names."""
    if isinstance(value, Mapping):
        return {key: _without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_folders(inner) for inner in value]
    return os.path.basename(value) if isinstance(value, str) and os.path.isabs(value) else value


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
