"""Run folders → one report in HTML, Markdown and JSON, and a page of label issues; no torch."""

from fusionclf.report.build import compare
from fusionclf.report.label_issues import list_label_issues

__all__ = ["compare", "list_label_issues"]
