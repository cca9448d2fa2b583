"""The command line. Each command calls one function of `workflows`, which it imports when it runs."""

from fusionclf.cli.app import app, main

__all__ = ["app", "main"]
