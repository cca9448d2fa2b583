"""The command line. Every command is thin: what it does stands in `workflows`, imported when it runs."""

from fusionclf.cli.app import app, main

__all__ = ["app", "main"]
