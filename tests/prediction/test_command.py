"""`fusionclf predict`: a file of products in, a file of predictions out."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from fusionclf.catalog import Catalog
from fusionclf.prediction import file_prediction
from tests.runs import COLUMNS, RUNS, Runs, call, done, faults, ids, refused


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_runs_test_products_get_the_predictions_of_the_run(
    name: str, runs: Runs, sample: Catalog, tmp_path: Path
) -> None:
    part = "rest" if name == "image" else "joint"
    out = tmp_path / "answers.csv"
    printed = done(
        "--run", runs(name), "--input", sample.root / "styles.csv", "--out", out, "--part", part, "--cpu"
    )
    assert f"wrote {out}" in printed and "products/s" in printed and "next: " in printed
    found = pd.read_csv(out, dtype={"id": str}, keep_default_na=False).set_index("id")
    expected = runs.predictions(name, part).set_index("id")
    found = found.loc[expected.index]
    assert found["label_1"].tolist() == expected["label_1"].tolist()
    assert np.allclose(found["prob_1"], expected["prob_1"], atol=1e-3)
    assert found["path"].str.contains(" > ").all()
    assert not (tmp_path / f".{out.name}.parts").exists()


def test_every_format_gives_the_same_predictions(runs: Runs, titles: Path, tmp_path: Path) -> None:
    table = pd.read_csv(titles, dtype=str, keep_default_na=False)
    table.to_parquet(titles.with_suffix(".parquet"))
    table.astype({"sku": int}).to_json(titles.with_suffix(".jsonl"), orient="records", lines=True)
    found = {}
    for kind in ("csv", "parquet", "jsonl"):
        done("--run", runs("linear"), "--input", titles.with_suffix(f".{kind}"), "--top-k", 3, *COLUMNS)
        found[kind] = titles.with_name(f"products.predictions.{kind}")
    flat = pd.read_csv(found["csv"], dtype={"id": str}, keep_default_na=False)
    kept = pd.read_parquet(found["parquet"])
    nested = [json.loads(line) for line in found["jsonl"].read_text().splitlines()]
    assert list(flat) == list(kept) and len(flat) == 40
    assert flat["id"].tolist() == kept["id"].tolist() == [line["id"] for line in nested]
    assert flat["id"].tolist() == table["sku"].tolist()
    assert flat["label_3"].tolist() == kept["label_3"].tolist() == [line["labels"][2] for line in nested]
    assert np.allclose(flat["prob_1"], kept["prob_1"], atol=1e-6)
    assert flat["prob_1"].tolist() == [line["probabilities"][0] for line in nested]
    assert kept["path"].tolist() == [" > ".join(line["path"]) for line in nested]


def test_a_folder_of_pictures(runs: Runs, sample: Catalog, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    names = ["b.jpg", "a.jpg", "more/c.JPG"]
    for name, picture in zip(names, sample.table["picture"].iloc[:3], strict=True):
        shutil.copy(sample.root / picture, folder / name)
    (folder / "readme.txt").write_text("no picture")
    (folder / "d.jpg").write_bytes(b"no picture either")
    printed = done("--run", runs("image"), "--part", "top20", "--input", folder)
    assert "1 file is not a picture and was skipped (readme.txt)" in printed
    found = pd.read_csv(tmp_path / "photos.predictions.csv")
    assert found["id"].tolist() == ["a.jpg", "b.jpg", "more/c.JPG"]
    assert set(found["picture_status"]) == {"used"}
    (fault,) = faults(tmp_path / "photos.predictions.errors.csv")
    assert fault["id"] == "d.jpg" and "d.jpg: not a picture in a supported format" in fault["reason"]
    assert "this run reads no pictures; give a file" in refused("--run", runs("text"), "--input", folder)


def test_a_folder_holds_pictures_by_content_and_counts_the_rest(runs: Runs, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.mkdir()
    kinds = {"a.jfif": "JPEG", "b.jpe": "JPEG", "c.avif": "AVIF", "d.mpo": "MPO", "e.jp2": "JPEG2000",
             "f": "JPEG", "g.dat": "PNG"}  # fmt: skip
    for name, kind in kinds.items():
        Image.effect_noise((40, 60), 50).convert("RGB").save(folder / name, kind)
    (folder / "h.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    for name in ("1.txt", "2.mp4", "3.txt"):
        (folder / name).write_text("not a picture")
    (folder / "4.link").symlink_to(elsewhere)
    os.mkfifo(folder / "5.pipe")
    printed = done("--run", runs("image"), "--part", "top20", "--input", folder)
    assert ids(tmp_path / "photos.predictions.csv") == list(kinds)
    assert "5 files are not pictures and were skipped (1.txt, 2.mp4, 3.txt, …)" in printed
    assert "AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, TIFF and WebP are read" in " ".join(printed.split())
    (fault,) = faults(tmp_path / "photos.predictions.errors.csv")
    assert fault["id"] == "h.heic" and "convert it to JPEG" in fault["reason"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_turned_picture_is_predicted_as_its_upright_copy(
    runs: Runs, sample: Catalog, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    extra = (
        {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    )
    with Image.open(sample.root / sample.table["picture"].iloc[0]) as picture:
        picture.save(folder / "a", kind, **extra)
        picture.transpose(Image.Transpose.ROTATE_90).save(folder / "b", kind, exif=exif, **extra)
    done("--run", runs("frozen"), "--input", folder)
    found = pd.read_csv(tmp_path / "photos.predictions.csv")
    upright, turned = found["prob_1"].tolist()
    assert turned == pytest.approx(upright, abs=0.01 if kind == "JPEG" else 1e-6)
    assert len(set(found["label_1"])) == 1


def test_bad_rows_go_to_the_side_file_and_others_are_predicted(
    runs: Runs, sample: Catalog, tmp_path: Path
) -> None:
    good = [str(sample.root / picture) for picture in sample.table["picture"].iloc[:2]]
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, path in zip(("one.jpg", "two.jpg"), good, strict=True):
        shutil.copy(path, photos / name)
    (photos / "cut.jpg").write_bytes(Path(good[0]).read_bytes()[:200])
    (tmp_path / "secret.jpg").write_bytes(Path(good[0]).read_bytes())
    rows = [
        b"photo,sku,name",
        b"one.jpg,1,Red Shirt",
        b"two.jpg,2",  # too few fields
        b"../secret.jpg,3,Red Shirt",
        b"cut.jpg,4,Red Shirt, with commas",  # the title is enough for a fusion
        b"none.jpg,5,",
        b"two.jpg,6,caf\xe9",
        b"two.jpg,,Blue Shirt",
        f"{photos / 'two.jpg'},8,Bleu foncé".encode(),  # a line of UTF-8, so that line 7 is a fault
        f"{tmp_path / 'secret.jpg'},9,Blue Shirt".encode(),
        b"two.jpg,10,",
    ]
    file = tmp_path / "products.csv"
    file.write_bytes(b"\n".join(rows))
    words = (
        "--run",
        runs("fusion"),
        "--input",
        file,
        "--pictures",
        photos,
        *COLUMNS,
        "catalog.picture={photo}",
    )
    printed = done(*words)
    found = pd.read_csv(tmp_path / "products.predictions.csv", dtype={"id": str}).set_index("id")
    assert found["picture_status"].to_dict() == {"1": "used", "4": "unreadable", "8": "used", "10": "used"}
    assert found["title_status"].to_dict() == {"1": "used", "4": "used", "8": "used", "10": "missing"}
    bad = faults(tmp_path / "products.predictions.errors.csv")
    assert [(fault["place"], fault["id"]) for fault in bad] == [
        ("line 3", ""), ("line 4", "3"), ("line 6", "5"), ("line 7", ""), ("line 8", ""), ("line 10", "9"),
    ]  # fmt: skip
    reasons = [fault["reason"] for fault in bad]
    for part, reason in zip(
        ("too few", "leads out", "no title", "not UTF-8", "no sku", "leads out"), reasons, strict=True
    ):
        assert part in reason
    assert "6 rows have no answer" in printed and "errors.csv lists the reasons" in printed
    assert "1 of 10 products has no picture: looked for 'none.jpg'" in printed
    # Without --pictures an absolute path into the input's own folder is opened, too, and none outside.
    done(*words[:4], "--out", tmp_path / "b.csv", *words[6:])
    found = pd.read_csv(tmp_path / "b.csv", dtype={"id": str}).set_index("id")
    assert found.loc["8", "picture_status"] == "used"
    assert "3" not in found.index


def test_products_without_their_picture_give_a_warning(
    runs: Runs, sample: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_prediction, "chunk_size", lambda *_: 5)  # 12 products: 3 chunks
    shutil.copytree(sample.root / "images", tmp_path / "images")
    pictures = sample.table["picture"].iloc[:12].str.replace(".jpg", ".png")
    pictures.iloc[:5] = sample.table["picture"].iloc[:5]
    pictures.iloc[5] = ""
    file = tmp_path / "products.csv"
    pd.DataFrame({"sku": range(12), "name": "Red Shirt", "photo": pictures}).to_csv(file, index=False)
    printed = done("--run", runs("fusion"), "--input", file, *COLUMNS, "catalog.picture={photo}")
    near = f"{pictures.iloc[6]!r} (there is {sample.table['picture'].iloc[6]!r})"
    assert f"7 of 12 products have no picture: 1 empty cell(s); looked for {near}, " in printed
    found = pd.read_csv(tmp_path / "products.predictions.csv")
    assert found["picture_status"].tolist() == ["used"] * 5 + ["missing"] * 7
    printed = done("--run", runs("linear"), "--input", file, "--out", tmp_path / "b.csv", *COLUMNS)
    assert "no picture" not in printed  # a model that reads titles alone misses none


def test_bad_lines_of_json(runs: Runs, tmp_path: Path) -> None:
    lines = ['{"sku": 1, "name": "Red Shirt"}', "", "{", "[1]", '{"sku": 5, "name": ["x"]}', '{"sku": 6}',
             '{"sku": "\\ud800", "name": "Red Shirt"}', '{"sku": null, "name": "Red Shirt"}',
             '{"sku": 9, "name": "' + "x" * 2**20 + '"}', '{"name": "Blue Shirt", "sku": "ten"}']  # fmt: skip
    file = tmp_path / "products.jsonl"
    file.write_text("\n".join(lines))
    done("--run", runs("linear"), "--input", file, *COLUMNS)
    answered = (tmp_path / "products.predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in answered] == ["1", "5", "ten"]  # a list is its JSON text
    bad = faults(tmp_path / "products.predictions.errors.csv")
    assert [fault["place"] for fault in bad] == [f"line {n}" for n in (3, 4, 6, 7, 8, 9)]
    assert [fault["reason"].partition(" (")[0] for fault in bad] == [
        "not JSON", "holds a list, not an object", "no title",
        "sku is not valid text", "no sku", "a line of more than 1,048,576 characters",
    ]  # fmt: skip


def test_texts_that_begin_like_a_formula_are_guarded_in_csv(runs: Runs, tmp_path: Path) -> None:
    ids = ["=1+2", "+cmd", "-2", "+3.5", "@x", "-2+3", "plain", "a=b"]
    file = tmp_path / "products.csv"
    pd.DataFrame({"sku": ids, "name": "Red Shirt"}).to_csv(file, index=False)
    done("--run", runs("linear"), "--input", file, *COLUMNS)
    found = pd.read_csv(tmp_path / "products.predictions.csv", dtype=str)["id"].tolist()
    assert found == ["'=1+2", "'+cmd", "-2", "+3.5", "'@x", "'-2+3", "plain", "a=b"]
    done("--run", runs("linear"), "--input", file, "--out", tmp_path / "exact.parquet", *COLUMNS)
    assert pd.read_parquet(tmp_path / "exact.parquet")["id"].tolist() == ids


def test_a_file_without_products_gives_a_file_without_answers(runs: Runs, tmp_path: Path) -> None:
    for kind in ("csv", "parquet", "jsonl"):
        file = tmp_path / f"none.{kind}"
        empty = pd.DataFrame({"sku": pd.Series([], dtype="str"), "name": pd.Series([], dtype="str")})
        empty.to_csv(file, index=False) if kind == "csv" else None
        empty.to_parquet(file) if kind == "parquet" else None
        file.write_text("") if kind == "jsonl" else None
        assert "0 products" in done("--run", runs("linear"), "--input", file, *COLUMNS)
    assert list(pd.read_csv(tmp_path / "none.predictions.csv"))[:2] == ["id", "label_1"]
    assert len(pd.read_parquet(tmp_path / "none.predictions.parquet")) == 0


def test_wrong_options_are_refused_before_anything_is_written(
    runs: Runs, titles: Path, tmp_path: Path
) -> None:
    words = ("--run", runs("linear"), "--input", titles)
    assert "no column 'productDisplayName'" in refused(*words, "catalog.id=sku")
    assert "no column 'skuu'; did you mean 'sku'?" in refused(*words, "catalog.id=skuu", "catalog.title=name")
    assert "unknown setting 'train'" in refused(*words, "train.epochs=3")
    assert "out.txt: unknown file format" in refused(*words, *COLUMNS, "--out", tmp_path / "out.txt")
    assert "no such file or folder" in refused("--run", runs("linear"), "--input", tmp_path / "no.csv")
    assert "no run folder" in refused("--run", tmp_path, "--input", titles)
    assert "either --input" in refused("--run", runs("linear"))
    assert "either --input" in refused(*words, "--title", "Red Shirt")
    assert "is the input" in refused(*words, *COLUMNS, "--out", titles, "--overwrite")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    assert "cannot be read as Parquet" in refused("--run", runs("linear"), "--input", broken, *COLUMNS)
    assert sorted(path.name for path in (*tmp_path.iterdir(), *titles.parent.iterdir())) == [
        "broken.parquet", "in", "products.csv",
    ]  # fmt: skip


def test_the_side_file_of_another_output_is_not_overwritten(runs: Runs, tmp_path: Path) -> None:
    todo = tmp_path / "todo.errors.csv"
    todo.write_text("sku,name\n1,Red Shirt\n")
    (tmp_path / "link.csv").symlink_to(todo)
    before = todo.read_bytes()
    words = ("--run", runs("linear"), *COLUMNS)
    for source in (todo, tmp_path / "link.csv"):
        for flag in ((), ("--overwrite",), ("--resume",)):
            printed = refused(*words, "--input", source, "--out", tmp_path / "todo.csv", *flag)
            assert f"{source}: is also the file of rows without a prediction of --out" in printed
    assert todo.read_bytes() == before and not (tmp_path / "todo.csv").exists()
    done(*words, "--input", todo, "--out", tmp_path / "fixed.csv")
    assert todo.read_bytes() == before


def test_an_existing_side_file_is_replaced_by_overwrite_only(
    runs: Runs, titles: Path, tmp_path: Path
) -> None:
    other = tmp_path / "out.errors.csv"
    other.write_text("of another output")
    words = ("--run", runs("linear"), "--input", titles, "--out", tmp_path / "out.jsonl", *COLUMNS)
    for flag in ((), ("--resume",)):
        assert f"{other}: exists already; --overwrite replaces it" in refused(*words, *flag)
    assert other.read_text() == "of another output" and not (tmp_path / "out.jsonl").exists()
    done(*words, "--overwrite")
    assert not other.exists()  # every product of this input has an answer


def test_one_product_as_a_table_and_as_json(runs: Runs, sample: Catalog) -> None:
    image, title = sample.root / sample.table["picture"].iloc[0], sample.table["title"].iloc[0]
    words = ("--run", runs("fusion"), "--image", image, "--title", title, "--cpu", "--top-k", 2)
    found = json.loads(call(*words, "--json").stdout)
    assert len(found["labels"]) == 2 and found["picture_status"] == found["title_status"] == "used"
    shown = call(*words).stdout
    assert found["labels"][0] in shown and f"{100 * found['probabilities'][0]:.2f} %" in shown
    assert f"path: {' > '.join(found['path'])}" in shown and "decision: accept" in shown
    abstained = call(*words, "--json", "--min-probability", 1).stdout
    assert json.loads(abstained)["decision"] == "abstain"
    assert "nothing.jpg: no such picture" in refused("--run", runs("fusion"), "--image", "nothing.jpg")
