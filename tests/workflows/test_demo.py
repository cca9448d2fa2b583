"""The demo where no pretrained weights are installed."""

from pathlib import Path
from typing import Any

import pytest

from fusionclf.catalog import LABEL_ERRORS
from fusionclf.workflows import demo


def test_without_weights_small_networks_are_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    studies: list[dict[str, Any]] = []
    monkeypatch.setattr(demo, "study", lambda *_, **options: studies.append(options) or 0)
    monkeypatch.setattr(demo, "has_offline", lambda: False)
    assert demo.demo(tmp_path / "demo", products=200) == 0
    assert [options["configs"] for options in studies] == ["sample"]
    assert 'pip install "fusionclf[offline]"' in capsys.readouterr().err
    assert len((tmp_path / "demo" / "catalog" / LABEL_ERRORS).read_text().splitlines()) == 9
