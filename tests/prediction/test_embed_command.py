"""`fusionclf embed` and `fusionclf similar`: files in, files out."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fusionclf.cli import app
from fusionclf.errors import PredictionError
from fusionclf.prediction import file_prediction
from fusionclf.prediction.io.embedding_files import read_vectors
from tests.runs import COLUMNS, Runs, faults


def run(*words: object, code: int = 0) -> str:
    """Standard error of a command that ends with this code."""
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == code, result.output
    return result.stderr


def load(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file."""
    with np.load(path) as opened:
        return dict(opened)


@pytest.fixture
def embedded(runs: Runs, titles: Path, tmp_path: Path) -> Path:
    """The embeddings of 40 products by the linear baseline."""
    run("embed", "--run", runs("linear"), "--input", titles, "--out", tmp_path / "a.parquet", *COLUMNS)
    return tmp_path / "a.parquet"


def test_parquet_and_npz_hold_the_same(
    runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_prediction, "TITLE_CHUNK", 7)  # 40 products: 6 chunks
    words = ("embed", "--run", runs("linear"), "--input", titles, *COLUMNS, "--out")
    printed = run(*words, tmp_path / "a.parquet")
    assert "40 products" in printed and "next: fusionclf similar" in printed
    run(*words, tmp_path / "a.npz")
    frame, arrays = pd.read_parquet(tmp_path / "a.parquet"), load(tmp_path / "a.npz")
    assert frame["id"].tolist() == arrays["id"].tolist() == pd.read_csv(titles, dtype=str)["sku"].tolist()
    assert (np.stack(frame["joint"].tolist()) == arrays["joint"]).all()
    assert (np.stack(frame["probabilities"].tolist()) == arrays["probabilities"]).all()
    assert frame.attrs["classes"] == arrays["classes"].tolist() == sorted(frame.attrs["classes"])
    assert arrays["joint"].dtype == np.float32 and arrays["joint"].shape == (40, 512)


def test_pictures_and_titles_that_are_missing_are_null(runs: Runs, sample_dir: Path, tmp_path: Path) -> None:
    table = pd.read_csv(sample_dir / "styles.csv", dtype=str, nrows=6, on_bad_lines="skip")
    table.loc[0, "id"], table.loc[1, "productDisplayName"] = "no-such-picture", ""
    table.loc[2, ["id", "productDisplayName"]] = "neither", ""
    table.to_csv(tmp_path / "new.csv", index=False)
    words = ("--run", runs("fusion"), "--input", tmp_path / "new.csv", "--pictures", sample_dir, "--cpu")
    for name in ("a.parquet", "b.npz"):
        run("embed", *words, "--no-probabilities", "--out", tmp_path / name)
        picture, text, joint = (read_vectors(tmp_path / name, kind) for kind in ("picture", "text", "joint"))
        assert (picture.left_out, text.left_out, joint.left_out) == (1, 1, 0)
        assert "no-such-picture" not in picture.ids and "no-such-picture" in text.ids
        assert np.allclose(np.linalg.norm(picture.vectors, axis=1), 1, atol=1e-5) and len(joint) == 5
    assert "probabilities" not in pd.read_parquet(tmp_path / "a.parquet")
    assert [fault["id"] for fault in faults(tmp_path / "a.errors.csv")] == ["neither"]


def test_interrupted_embed_resumes(
    runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_prediction, "TITLE_CHUNK", 7)
    out = tmp_path / "a.parquet"
    words = ("embed", "--run", runs("linear"), "--input", titles, *COLUMNS, "--out", out)
    run(*words)
    whole = pd.read_parquet(out)
    with monkeypatch.context() as patch:
        patch.setattr("fusionclf.prediction.io.chunks.OutputChunks.join", lambda *_: 1 / 0)
        assert isinstance(
            CliRunner().invoke(app, [*map(str, words), "--overwrite"]).exception, ZeroDivisionError
        )
    assert "interrupted" in run(*words, code=2)
    assert "other settings" in run(*words, "--no-probabilities", "--resume", code=2)
    run(*words, "--resume")
    pd.testing.assert_frame_equal(pd.read_parquet(out), whole)


def test_unknown_suffix_is_refused(runs: Runs, titles: Path, tmp_path: Path) -> None:
    words = ("embed", "--run", runs("linear"), "--input", titles, *COLUMNS, "--out")
    assert "ends in .parquet" in run(*words, tmp_path / "a.csv", code=2)


def test_copies_are_near_duplicates(runs: Runs, titles: Path, tmp_path: Path) -> None:
    table = pd.read_csv(titles, dtype=str).drop_duplicates("name")
    copies = table.head(3).assign(sku=["x1", "x2", "=3"])
    pd.concat([table, copies]).to_csv(titles, index=False)
    run("embed", "--run", runs("linear"), "--input", titles, "--out", tmp_path / "a.npz", *COLUMNS)
    printed = run("similar", "--input", tmp_path / "a.npz", "--out", tmp_path / "d.csv")
    assert "6 products in 3 groups" in printed
    found = pd.read_csv(tmp_path / "d.csv", dtype=str)
    pairs = {frozenset(pair) for pair in found[["id", "nearest_id"]].itertuples(index=False, name=None)}
    expected = zip(copies["sku"], table["sku"].head(3), strict=True)
    assert pairs == {frozenset((own.replace("=3", "'=3"), other)) for own, other in expected}
    assert set(found["size"]) == {"2"} and set(found["distance"]) == {"0.0"}
    assert "exists already" in run(
        "similar", "--input", tmp_path / "a.npz", "--out", tmp_path / "d.csv", code=2
    )


def test_nearest_products_come_first_without_the_product_itself(embedded: Path, tmp_path: Path) -> None:
    vectors = read_vectors(embedded)
    product = str(vectors.ids[0])
    words = ("similar", "--input", embedded, "--id", product, "--top-k", 5, "--out")
    run(*words, tmp_path / "n.csv")
    found = pd.read_csv(tmp_path / "n.csv", dtype={"similar_id": str})
    distances = 1 - vectors.vectors[1:] @ vectors.vectors[0]
    assert found["rank"].tolist() == [1, 2, 3, 4, 5] and product not in found["similar_id"].tolist()
    assert found["distance"].tolist() == pytest.approx(np.sort(distances)[:5], abs=1e-5)
    run(*words, tmp_path / "m.csv", "--max-distance", found["distance"][1] + 1e-4)
    assert len(pd.read_csv(tmp_path / "m.csv")) >= 2


def test_products_of_another_file_are_searched_for(embedded: Path, tmp_path: Path) -> None:
    run("similar", "--input", embedded, "--queries", embedded, "--top-k", 1, "--out", tmp_path / "n.csv")
    found = pd.read_csv(tmp_path / "n.csv", dtype=str)
    assert len(found) == 40
    assert found["distance"].astype(float).tolist() == pytest.approx([0] * 40, abs=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [(("--id", "none"), "no product 'none'"), (("--by", "text"), "holds no 'text' embeddings; did you mean")],
)
def test_what_is_not_there_is_refused(embedded: Path, words: tuple[str, ...], message: str) -> None:
    assert message.split(";")[0] in run("similar", "--input", embedded, *words, code=2)


def test_embeddings_of_two_models_are_not_compared(
    runs: Runs, embedded: Path, titles: Path, tmp_path: Path
) -> None:
    run("embed", "--run", runs("text"), "--input", titles, "--out", tmp_path / "b.npz", *COLUMNS, "--cpu")
    words = ("similar", "--input", embedded, "--queries", tmp_path / "b.npz")
    assert "from another model" in run(*words, code=2)


@pytest.mark.parametrize("content", [b"", b"PAR1", json.dumps({}).encode()])
@pytest.mark.parametrize("name", ["a.parquet", "a.npz"])
def test_damaged_file_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PredictionError, match="cannot be read as embeddings"):
        read_vectors(tmp_path / name)


def test_other_parquet_file_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"id": ["1"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(PredictionError, match="holds no embeddings"):
        read_vectors(tmp_path / "a.parquet")


def test_embeddings_that_pandas_saved_again_are_read(embedded: Path, tmp_path: Path) -> None:
    whole, frame = read_vectors(embedded), pd.read_parquet(embedded)
    frame.at[3, "joint"] = None
    frame[frame.index < 9].to_parquet(tmp_path / "few.parquet")
    few = read_vectors(tmp_path / "few.parquet")
    assert few.ids.tolist() == np.delete(whole.ids[:9], 3).tolist()
    assert (few.vectors == np.delete(whole.vectors[:9], 3, axis=0)).all() and few.vectors.dtype == np.float32
    assert (few.model, few.left_out) == (whole.model, 1)
    run("similar", "--input", tmp_path / "few.parquet", "--out", tmp_path / "d.csv")


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([1.0, 2.0], "'joint' has the shape (2,), not one vector for each of 2 ids"),
        ([["a"], ["b"]], "'joint' holds <U1, not floating-point numbers"),
        ([[1.0, 0.0]], "'joint' has the shape (1, 2), not one"),
        (np.empty((2, 0)), "'joint' has the shape (2, 0), not one"),
    ],
)
def test_an_array_that_is_not_of_vectors_is_refused(vectors: object, message: str, tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    np.savez(file, id=["1", "2"], joint=np.array(vectors), model="m")
    assert f"{file}: cannot be read as embeddings ({message}" in run("similar", "--input", file, code=2)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0, 0.0], [1.0]], "'joint' holds vectors of 1 and of 2 numbers"),
        (["a", "b"], "'joint' holds large_string, not lists of floating-point numbers"),
        ([["a"], ["b"]], "'joint' holds list<element: string>, not lists of floating-point numbers"),
    ],
)
def test_a_column_that_is_not_of_vectors_is_refused(vectors: object, message: str, tmp_path: Path) -> None:
    file, frame = tmp_path / "a.parquet", pd.DataFrame({"id": ["1", "2"], "joint": vectors})
    frame.attrs["model"] = "m"
    frame.to_parquet(file)
    assert f"{file}: cannot be read as embeddings ({message}" in run("similar", "--input", file, code=2)


def test_a_file_that_lost_its_model_is_refused(embedded: Path, tmp_path: Path) -> None:
    frame, file = pd.read_parquet(embedded), tmp_path / "a.parquet"
    frame.attrs = {}
    frame.to_parquet(file)
    assert "cannot be read as embeddings (it does not name its model)" in run(
        "similar", "--input", file, code=2
    )
