"""Write docs/reference/settings.md from the settings classes, cli.md from the commands, and the metrics of glossary.md.

Usage: python docs/generate.py
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from baselines import find_baseline
from baselines.registry import baseline_names
from fusionclf.cli import app
from fusionclf.config import BaselineConfig, RunConfig
from fusionclf.models import find_variant
from fusionclf.models.registry import variant_names
from fusionclf.report.definitions import DEFINITIONS

FOLDER = Path(__file__).resolve().parent / "reference"
NOTE = "<!-- Written by `python docs/generate.py`; do not edit by hand. -->\n\n"
WORDS = "## Words of the report"
SHARED = ("catalog", "split", "pictures", "train")
INTRODUCTION = """# Settings

A setting has a path and a value. Write it on the command line (`train.epochs=3`) or in a YAML file:

```yaml
train:
  epochs: 3
```

`--config FILE` reads a YAML file, or one of `configs/` by its name (`--config fusion-frozen`). Command-line settings
override the file, and the file overrides the defaults below. An unknown path or an invalid value is an error that names
the nearest valid one. `null` or an empty list (`catalog.categories=`) turns a setting off.

`stage2` and `stage3` take the settings of `train`: `stage2.epochs=8` changes the second stage alone.
"""


def settings_page() -> str:
    """docs/reference/settings.md."""
    schema = RunConfig[find_variant("image").params].model_json_schema()
    own = [name for name in schema["properties"] if name not in (*SHARED, "model")]
    sections = [INTRODUCTION, _section("Run", "Settings of a run as a whole.", _rows(schema, own))]
    for name in SHARED:
        section = schema["$defs"][schema["properties"][name]["$ref"].rpartition("/")[2]]
        sections.append(_section(f"`{name}`", section["description"], _rows(schema, [name])))
    for name in variant_names():
        variant = find_variant(name)
        schema = RunConfig[variant.params].model_json_schema()
        sections.append(_section(f"`model` of variant `{name}`", variant.summary, _rows(schema, ["model"])))
    shared = set(BaselineConfig.model_fields)
    for name in baseline_names():
        own_schema = find_baseline(name).settings.model_json_schema()
        mine = [field for field in own_schema["properties"] if field not in shared]
        if mine:
            sections.append(_section(f"Baseline `{name}`", "", _rows(own_schema, mine)))
    return NOTE + "\n".join(sections)


def _section(title: str, text: str, rows: list[str]) -> str:
    table = ["| setting | values | default | meaning |", "| --- | --- | --- | --- |", *rows]
    summary = [f"{text[:1].upper()}{text[1:].rstrip('.')}.", ""] if text else []
    return "\n".join([f"## {title}", "", *summary, *table, ""])


def _rows(schema: dict[str, Any], names: list[str]) -> list[str]:
    return [row for name in names for row in _setting(schema, schema["properties"][name], name)]


def _setting(schema: dict[str, Any], field: dict[str, Any], path: str) -> Iterator[str]:
    """One row for a setting; one row for each setting of a section."""
    if "$ref" in field:
        section = schema["$defs"][field["$ref"].rpartition("/")[2]]
        for name, below in section["properties"].items():
            yield from _setting(schema, below, f"{path}.{name}")
        return
    default = "" if "default" not in field else f"`{_text(field['default'])}`"
    meaning = _cell(field.get("description", ""))
    yield f"| `{path}` | {_cell(_values(schema, field))} | {default} | {meaning} |"


def _values(schema: dict[str, Any], field: dict[str, Any]) -> str:
    """Which values a setting takes: `a`, `b`; or a type with its limits."""
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_values(schema, choice) for choice in field["anyOf"])
    if "$ref" in field:
        section = schema["$defs"][field["$ref"].rpartition("/")[2]]
        return "{" + ", ".join(section["properties"]) + "}"
    kind = field.get("type", "any")
    if kind == "array":
        return f"list of {_values(schema, field['items'])}"
    names = {"string": "text", "boolean": "`true`, `false`", "object": "mapping", "null": "`null`"}
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {_text(field[limit])}" for limit, sign in signs.items() if limit in field]
    return " ".join([str(names.get(kind, kind)), ", ".join(limits)]).strip()


def _text(value: Any) -> str:
    """A default as a settings file has it."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def cli_page() -> str:
    """docs/reference/cli.md."""
    group: Any = typer.main.get_command(app)
    pages = [
        page for name, command in group.commands.items() for page in _commands(command, f"fusionclf {name}")
    ]
    return f"{NOTE}# Commands\n\n`fusionclf COMMAND --help` prints the same.\n\n" + "\n".join(pages)


def _commands(command: Any, name: str) -> Iterator[str]:
    """A section for each command that is not hidden, those of a group included."""
    if command.hidden:
        return
    if hasattr(command, "commands"):
        for below, child in command.commands.items():
            yield from _commands(child, f"{name} {below}")
        return
    text, _, example = command.help.partition("Example: ")
    lines = [f"## `{name}`", "", text.strip(), ""]
    if example:
        lines += ["```bash", " ".join(example.split()), "```", ""]
    lines += ["| argument or option | default | meaning |", "| --- | --- | --- |"]
    lines += [_parameter(param) for param in command.params if param.name != "help"]
    yield "\n".join([*lines, ""])


def _parameter(param: Any) -> str:
    if param.param_type_name == "argument":
        name = param.metavar or param.name.upper()
    else:
        name = ", ".join([*param.opts, *param.secondary_opts])
        name += "" if param.is_flag else f" {param.metavar or _kind(param)}"
    default = getattr(param.default, "value", param.default)
    hidden = default is None or default is False or default == ()
    shown = "required" if param.required else "" if hidden else f"`{default}`"
    return f"| `{_cell(name)}` | {shown} | {_cell(param.help or '')} |"


def _kind(param: Any) -> str:
    kind = param.type_descriptor.annotation
    choices = getattr(kind, "__members__", None)
    return (
        "|".join(str(choice.value) for choice in choices.values())
        if choices
        else {"str": "TEXT", "int": "INT", "float": "FLOAT"}.get(kind.__name__, "PATH")
    )


def _cell(text: str) -> str:
    """Text that keeps inside of a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")


def glossary_page() -> str:
    """docs/glossary.md: its text by hand, then the words of the report."""
    text = (FOLDER.parent / "glossary.md").read_text(encoding="utf-8").partition(WORDS)[0]
    rows = [f"| {_cell(word)} | {_cell(meaning)} |" for word, meaning in DEFINITIONS.items()]
    return "\n".join(
        [f"{text}{WORDS}", "", NOTE.strip(), "", "| word | meaning |", "| --- | --- |", *rows, ""]
    )


PAGES = {"settings.md": settings_page, "cli.md": cli_page, "../glossary.md": glossary_page}

if __name__ == "__main__":
    for file, page in PAGES.items():
        (FOLDER / file).write_text(page(), encoding="utf-8")
        print(f"wrote {FOLDER / file}")
