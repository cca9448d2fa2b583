"""What the HTML pages share: templates, filters, and the one script that their policy lets run."""

import base64
import hashlib

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fusionclf.report import text

LOADER = PackageLoader("fusionclf.report")


def environment(template: str) -> Environment:
    """Templates with the report's filters; HTML is escaped by jinja2, Markdown by the filter `md`."""
    made = Environment(
        loader=LOADER,
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "pct": text.percent, "signed": text.signed, "count": text.count, "duration": text.duration,
        "p": text.p_value, "md": text.markdown, "code": text.code,
    }  # fmt: skip
    return made


def script(made: Environment) -> dict[str, str]:
    """The script, and what the page's policy names it by, so that no other one runs."""
    source = LOADER.get_source(made, "report.js")[0].strip()
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return {"script": Markup(source), "script_hash": f"sha256-{digest}"}
