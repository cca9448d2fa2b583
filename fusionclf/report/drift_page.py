"""The HTML page of `fusionclf drift`."""

from collections.abc import Mapping
from typing import Any

from fusionclf.report.page import environment
from fusionclf.report.text import NONE

TEMPLATE = "drift.html.j2"
SHARES = ("missing", "unknown", "confidence")  # kinds of checks whose numbers are shares


def shown(name: str, value: float | None) -> str:
    """A check's share in percent, or its mean; a dash where there is neither.

    >>> shown("missing:title", 0.125), shown("picture:brightness", 211.03), shown("predicted class", None)
    ('12.5 %', '211', '–')
    """
    if value is None:
        return NONE
    if name.partition(":")[0] in SHARES:
        return f"{100 * value:.1f} %"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def drift_page(value: Mapping[str, Any]) -> str:
    """The page, by drift.json's content."""
    templates = environment(TEMPLATE)
    rows = [
        {
            **check,
            "old": shown(check["name"], check["reference"]),
            "new": shown(check["name"], check["current"]),
        }
        for check in value["checks"]
    ]
    return templates.get_template(TEMPLATE).render({**value, "rows": rows, "rows_in_file": value["rows"]})
