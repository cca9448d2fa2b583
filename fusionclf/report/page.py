"""Shared by the HTML pages: templates, filters, and the only script that their content policy allows."""

import base64
import hashlib

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fusionclf.report import text
from fusionclf.report.definitions import definition_id

LOADER = PackageLoader("fusionclf.report")


def environment(template: str) -> Environment:
    """Templates with the report's filters; HTML is escaped by jinja2, Markdown by the filter `md`."""
    templates = Environment(
        loader=LOADER,
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "pct": text.percent, "signed": text.signed, "count": text.count, "duration": text.duration,
        "p": text.p_value, "md": text.markdown, "code": text.code, "definition_id": definition_id,
    }  # fmt: skip
    return templates


def script(templates: Environment) -> dict[str, str]:
    """The script, and its hash for the content policy, so that no other script runs."""
    source = LOADER.get_source(templates, "report.js")[0].strip()
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return {"script": Markup(source), "script_hash": f"sha256-{digest}"}
