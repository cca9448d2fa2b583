"""The code of docs/how-to/extend.md runs, and `check_variant` finds what is wrong."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fusionclf.models import fusers, registry
from fusionclf.models.registry import Variant, find_variant, variant_names
from fusionclf.testing import check_variant
from tests.docs.pages import DOCS, read

BLOCKS = dict[str, list[str]]


@pytest.fixture(autouse=True)
def own_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_VARIANTS", dict(registry._VARIANTS))
    monkeypatch.setattr(fusers, "_FUSERS", dict(fusers._FUSERS))


@pytest.fixture
def blocks() -> Iterator[BLOCKS]:
    """Kind → the page's code blocks."""
    found: BLOCKS = {}
    for kind, code in re.findall(
        r"^```python (\w+)\n(.*?)^```", read(DOCS / "how-to" / "extend.md"), re.MULTILINE | re.DOTALL
    ):
        found.setdefault(kind, []).append(code)
    yield found


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "extension"}
    exec(compile(code, "extend.md", "exec"), names)
    return names


@pytest.mark.slow
def test_the_variant_of_the_page_passes_its_check(blocks: BLOCKS) -> None:
    run(blocks["variant"][0])
    assert "deep_text" in variant_names()
    run(blocks["check"][0])


@pytest.mark.slow
def test_the_fuser_of_the_page_passes_its_check(blocks: BLOCKS) -> None:
    run(blocks["fuser"][0])
    assert "bilinear" in fusers.fuser_names()
    run(blocks["check"][1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["image", "multitask"])
def test_shipped_variants_pass_their_check(name: str) -> None:
    check_variant(name)


@pytest.mark.slow
def test_check_variant_names_a_wrong_modality() -> None:
    wrong: Variant = replace(find_variant("text"), name="wrong", modalities=("picture",))
    registry.register(wrong)
    with pytest.raises(
        AssertionError, match=r"wrong: declares modalities=\('picture',\).*reads \('title',\)"
    ):
        check_variant("wrong")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="a variant 'text' is registered already"):
        registry.register(replace(find_variant("text"), summary="another"))
