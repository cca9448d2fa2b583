"""How to reproduce the runs: commands without the machine's folders, versions, and settings that differ."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

from fusionclf.report.collect import Run

ABSOLUTE = re.compile(r"^(?:[/\\]|~|[A-Za-z]:[/\\]|file:)")


def reproducibility(runs: Sequence[Run]) -> dict[str, Any]:
    """Commands, seeds, times and versions of the runs, and the settings in which they differ."""
    return {
        "runs": [_row(run) for run in runs],
        "versions": _common([_texts(run.environment.get("versions")) for run in runs]),
        "platforms": sorted({str(run.environment.get("platform") or "unknown") for run in runs}),
        "differences": differences(runs),
    }


def _row(run: Run) -> dict[str, Any]:
    return {
        "run": run.name,
        "variant": run.variant,
        "command": clean_command(str(run.environment.get("command") or "")),
        "seed": run.config.get("seed"),
        "seconds": run.environment.get("seconds"),
        "finished_at": run.environment.get("finished_at"),
        "versions": _texts(run.environment.get("versions")),
    }


def _texts(value: Any) -> dict[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, dict) else {}


def _common(versions: Sequence[dict[str, str]]) -> dict[str, str]:
    """Package → version; where runs differ, all of their versions."""
    names = list(dict.fromkeys(name for each in versions for name in each))
    found = {name: sorted({each[name] for each in versions if name in each}) for name in names}
    return {name: " and ".join(values) for name, values in found.items()}


def clean_command(command: str) -> str:
    """A command line that begins with `fusionclf`; absolute paths are reduced to their last name."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    if words and words[0].rsplit("/", 1)[-1] in ("__main__.py", "fusionclf", "fusionclf.exe"):
        words[0] = "fusionclf"
    return shlex.join(clean_text(word) for word in words)


def clean_text(text: str) -> str:
    """`text`, or the value after its `=`, with absolute paths reduced to their last name, also in a list a,b."""
    key, equals, value = text.partition("=")
    if equals and not ABSOLUTE.match(text):
        return f"{key}={clean_text(value)}"
    return ",".join(_last_name(word) if ABSOLUTE.match(word) else word for word in text.split(","))


def _last_name(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1] or "."


def differences(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Settings that differ between the runs: each value with the runs that use it."""
    flat = {run.name: _flat(run.config) for run in runs}
    keys = sorted({key for settings in flat.values() for key in settings} - {"variant", "data"})
    rows = []
    for key in keys:
        users: dict[str, list[str]] = {}
        for name, settings in flat.items():
            if key in settings:
                users.setdefault(_shown(settings[key]), []).append(name)
        if len(users) > 1:
            rows.append(
                {"setting": key, "values": [{"value": v, "runs": names} for v, names in users.items()]}
            )
    return rows


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list | tuple):
        return ", ".join(_shown(item) for item in value) or "none"
    return clean_text(str(value).lower() if isinstance(value, bool) else str(value))


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}".lstrip("."))
    return flat
