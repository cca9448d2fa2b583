"""Run folders → one report in HTML, Markdown and JSON; no torch."""

from fusionclf.report.build import compare
from fusionclf.report.collect import read_runs

__all__ = ["compare", "read_runs"]
