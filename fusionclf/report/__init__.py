"""Run folders → one report in HTML, Markdown and JSON, and a page of disputed labels; no torch."""

from fusionclf.report.build import compare
from fusionclf.report.label_issues import audit

__all__ = ["audit", "compare"]
