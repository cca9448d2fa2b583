"""What cannot work is refused before pictures are read."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from fusionclf.catalog import groups
from fusionclf.errors import FusionclfError, SettingsError
from fusionclf.stacking import run_inputs as inputs
from fusionclf.workflows.baseline import run_baseline
from fusionclf.workflows.train import train
from tests.small import HEADER, IMAGE, TEXT, write_catalog

LABELS, FOLDS = ("Shirts", "Belts"), ("tset", "train", "train")
BY_COLUMN = ("split.rule=column", "split.column=fold")
LATE = (
    *TEXT,
    "model.fuser=late",
    "model.vocabulary=closed",
    "scheme=single_stage",
    "catalog.missing_picture=keep",
)


class PicturesReadError(Exception):
    """Pictures were about to be read."""


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog whose pictures must not be read."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PicturesReadError

    monkeypatch.setattr(groups, "inspect_pictures", refuse)
    monkeypatch.setattr(inputs, "open_cache", refuse)
    rows = [
        f"{n},Men,Apparel,Top,{LABELS[n % 2]},Blue,Summer,{2012 + n // 2 % 2},Casual,{FOLDS[n % 3]},item {n}"
        for n in range(40)
    ]
    hats = [(n, 2012, "hat") for n in range(40, 45)] + [(n, 2013, f"hat {n}") for n in range(45, 47)]
    rows += [f"{n},Men,Apparel,Top,Hats,Blue,Summer,{year},Casual,train,{title}" for n, year, title in hats]
    return write_catalog(tmp_path / "catalog", rows, HEADER.replace("usage,", "usage,fold,"))


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("image", (*IMAGE, "split.rule=column", "split.column=fild"), "no column 'fild'; did you mean 'fold'"),
        ("image", (*IMAGE, *BY_COLUMN), "product 0 has 'tset'"),
        ("multitask", (*IMAGE, "model.auxiliary={colour: 1}"), "no column 'colour'"),
        ("multitask", (*IMAGE, "model.auxiliary={label: 1}"), "model.auxiliary: 'label' is fusionclf's name"),
        ("multitask", (*IMAGE, "model.auxiliary={gender: 1}"), "column 'gender' has fewer than two values"),
        ("fusion", (*IMAGE, *TEXT, "model.synonyms=fashon"), "did you mean 'fashion'"),
        ("fusion", (*IMAGE, *TEXT, "train.mixup=0.2"), "titles cannot be mixed"),
        ("image", (*IMAGE, "model.image.backbone=resnet81"), "unknown timm backbone 'resnet81'"),
        ("image", (*IMAGE, "model.image.frozen=true", "train.augment=rand"), "a frozen encoder are computed once"),
        ("text", (*TEXT, "train.cutmix=1"), "train.cutmix: this model reads no pictures"),
        ("text", (*TEXT, "stage2={augment: rand}"), "stage2.augment: this model reads no pictures"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused_first(
    catalog: Path, tmp_path: Path, name: str, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(FusionclfError) as caught:
        train(
            name,
            catalog,
            tmp_path / "run",
            overrides=(*words, "split.group_by=picture", "split.top_k=2"),
            cpu=True,
        )
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train.batch_size=1",), "train.batch_size=1 and"),
        (("split.group_by=title",), "part 'rest' has no validation row"),
    ],
)  # fmt: skip
def test_rows_that_cannot_work_are_refused_first(
    catalog: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(FusionclfError) as caught:
        train("image", catalog, tmp_path / "run", overrides=(*IMAGE, "split.top_k=2", *words), cpu=True)
    assert message in str(caught.value)


def test_a_baselines_split_column_is_checked_before_pictures(catalog: Path, tmp_path: Path) -> None:
    words = (*BY_COLUMN, "split.group_by=picture")
    with pytest.raises(FusionclfError, match="product 0 has 'tset'"):
        run_baseline("nb", catalog, tmp_path / "run", overrides=words)


def test_settings_that_can_work_go_on_to_the_pictures(catalog: Path, tmp_path: Path) -> None:
    for words in (("split.group_by=picture",), ()):
        with pytest.raises(PicturesReadError):
            train("image", catalog, tmp_path / "run", overrides=(*IMAGE, "split.top_k=2", *words), cpu=True)


def test_the_splits_column_of_a_run_need_not_be_metadata(tmp_path: Path) -> None:
    rows = [
        f"{n},Men,A,T,{LABELS[n % 2]},B,S,2012,C,{'test' if n < 9 else 'train'},{LABELS[n % 2]} {n}"
        for n in range(60)
    ]
    data = write_catalog(tmp_path / "catalog", rows, HEADER.replace("usage,", "usage,fold,"))
    metrics = run_baseline("nb", data, tmp_path / "run", overrides=(*BY_COLUMN, "split.top_k=2"))
    assert metrics["parts"]["top2"]["n"] == 9


@pytest.mark.parametrize(
    ("name", "count", "words"),
    [
        ("image", 2, ()),
        ("image", 2, ("scheme=single_stage",)),
        ("fusion", 4, LATE),
    ],
)  # fmt: skip
def test_a_third_stage_without_enough_rows_is_refused_first(
    catalog: Path, tmp_path: Path, name: str, count: int, words: tuple[str, ...]
) -> None:
    with (catalog / "styles.csv").open("a") as table:
        for number in range(90, 90 + count):
            table.write(f"{number},Men,Apparel,Top,Caps,Blue,Summer,2012,Casual,train,cap {number}\n")
            if name == "image":  # fusion has a class without pictures
                shutil.copy(catalog / "images" / "0.jpg", catalog / "images" / f"{number}.jpg")
    given = (*IMAGE, "split.top_k=2", "stage3_classes=1", *words)
    with pytest.raises(
        SettingsError, match=r"stage3_classes=1: .*[01] train rows.*, or a larger stage3_classes"
    ):
        train(name, catalog, tmp_path / "run", overrides=given, cpu=True)
    with pytest.raises(PicturesReadError):  # with the Hats
        train(name, catalog, tmp_path / "run", overrides=(*given, "stage3_classes=2"), cpu=True)
