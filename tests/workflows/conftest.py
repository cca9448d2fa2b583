"""What tests of several commands share."""

from pathlib import Path

import pytest

from fusionclf.workflows import study as workflow


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs that a study starts; each one fails."""
    names: list[str] = []
    monkeypatch.setattr(
        workflow, "_run", lambda words: names.append(Path(words[words.index("--out") + 1]).name) or 1
    )
    return names
