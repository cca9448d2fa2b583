"""What can happen to a file of a run folder: damages for fuzz_runs.py, each drawn with a seeded generator."""

import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

NOT_FINITE, TOO_LARGE = "\uf8ffNaN", "\uf8ff1e999"  # written as these numbers, without quotes
ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 3, 0.5, 2**40, 10**30, 10**400, NOT_FINITE, TOO_LARGE, "", "x", "../../etc/passwd",
    "/etc/passwd", "\0", "a" * 5000, [], {}, [[1]], [None], ["x"], {"a": 1}, {"": []}, "\ud800", "joint", "top3",
)  # fmt: skip
HUGE = (10**5, 10**7, 10**9, 2**40, -1, 0, "x", None, [2])


def damage(file: Path, others: list[Path], draw: random.Random) -> str:
    """Damage a file; what was done. `others` are the same file of other runs."""
    of_any = [_delete, _truncate, _flip, _empty, _folder, _garbage, _link]
    of_kind = OF_KIND.get(file.suffix, [])
    if others and draw.random() < 0.12:
        other = draw.choice(others)
        shutil.copyfile(other, file)
        return f"swapped with {other.parts[-3:]}"
    change = draw.choice(of_kind if of_kind and draw.random() < 0.75 else of_any)
    try:
        detail = change(file, draw)
    except Exception as error:  # damaged before, or no place for this change
        return f"{change.__name__} not possible ({type(error).__name__})"
    return f"{change.__name__.strip('_')} {detail or ''}"


def _delete(file: Path, draw: random.Random) -> None:
    file.unlink()


def _truncate(file: Path, draw: random.Random) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: draw.randrange(max(len(data), 1))])


def _flip(file: Path, draw: random.Random) -> None:
    data = bytearray(file.read_bytes())
    for _ in range(draw.choice((1, 3, 50))):
        # Headers are at the beginning or at the end.
        place = draw.choice(
            (draw.randrange(len(data)), draw.randrange(min(len(data), 200)), -draw.randint(1, 60))
        )
        data[max(place, -len(data))] ^= 1 << draw.randrange(8)
    file.write_bytes(bytes(data))


def _empty(file: Path, draw: random.Random) -> None:
    file.write_bytes(b"")


def _garbage(file: Path, draw: random.Random) -> None:
    file.write_bytes(
        draw.choice((draw.randbytes(500), b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"0"))
    )


def _folder(file: Path, draw: random.Random) -> None:
    file.unlink()
    file.mkdir()


def _link(file: Path, draw: random.Random) -> None:
    file.unlink()
    file.symlink_to(draw.choice(("/etc/passwd", "/dev/null", file.name, "nowhere")))


def _change_tree(tree: Any, draw: random.Random) -> str:
    """Change one value of a tree, such as a key near its root as often as one of the many leaves."""
    container, key = tree, draw.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
    while isinstance(container[key], dict | list) and container[key] and draw.random() < 0.75:
        container = container[key]
        key = draw.choice(list(container) if isinstance(container, dict) else range(len(container)))
    kind = draw.choice(("value", "value", "value", "remove", "rename", "repeat", "huge"))
    if kind == "remove":
        del container[key]
    elif kind == "rename" and isinstance(container, dict):
        container[draw.choice(("x", "../x", "", "joint", "/tmp/x"))] = container.pop(key)
    elif kind == "repeat" and isinstance(container, list):
        container.append(container[key])
    else:
        container[key] = draw.choice(HUGE if kind == "huge" else ODD_VALUES)
        return f"{key}={str(container[key])[:30]!a}"
    return f"{kind} {key}"


def _json(file: Path, draw: random.Random) -> str:
    tree = json.loads(file.read_text(encoding="utf-8"))
    changed = ", ".join(_change_tree(tree, draw) for _ in range(draw.choice((1, 1, 2))))
    text = json.dumps(tree)
    for mark in (NOT_FINITE, TOO_LARGE):
        text = text.replace(json.dumps(mark), mark[1:])
    file.write_text(text)
    return changed


def _deep(file: Path, draw: random.Random) -> None:
    tree = json.loads(file.read_text(encoding="utf-8"))
    key = draw.choice(list(tree))
    text = json.dumps({**tree, key: "DEEP"})
    file.write_text(text.replace('"DEEP"', "[" * 50_000 + "]" * 50_000))


def _lines(file: Path, draw: random.Random) -> str:
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    changed = _change_tree(rows, draw)
    file.write_text("\n".join(json.dumps(row) for row in rows))
    return changed


def _yaml(file: Path, draw: random.Random) -> str:
    if draw.random() < 0.2:
        raw = (
            "a: &a [*a]",
            "a: 2026-99-99",
            "? [x]",
            "variant: !!python/name:os.system",
            "[" * 20_000,
            "- 1",
        )
        text = draw.choice(raw)
        file.write_text(text if draw.random() < 0.5 else file.read_text() + "\n" + text)
        return text[:30]
    tree = yaml.safe_load(file.read_text())
    changed = _change_tree(tree, draw)
    file.write_text(yaml.safe_dump(tree).replace(f'"{NOT_FINITE}"', ".nan").replace(f'"{TOO_LARGE}"', ".inf"))
    return changed


def _cells(file: Path, draw: random.Random) -> str:
    """Change the values of one column of a table."""
    table = pq.read_table(file)
    place = draw.randrange(table.num_columns)
    name, values = table.column_names[place], table.column(place).to_pylist()
    row = draw.randrange(max(len(values), 1))
    odd = draw.choice((None, "x", "", "a" * 10**6, -1, 2, np.nan, np.inf, 10**15, True, values[0]))
    values[row] = odd
    try:
        column = pa.array(values, table.column(place).type)
    except (pa.ArrowException, TypeError, ValueError):
        column = pa.array([None if value is odd else str(value) for value in values])
    pq.write_table(table.set_column(place, name, column), file)
    return f"{name}[{row}]={str(odd)[:20]}"


def _column(file: Path, draw: random.Random) -> str:
    """Change the type of one column of a table, or which columns it has."""
    table = pq.read_table(file)
    place, size = draw.randrange(table.num_columns), len(table)
    name = table.column_names[place]
    kinds: dict[str, Callable[[], pa.Table]] = {
        "dropped": lambda: table.drop_columns([name]),
        "doubled": lambda: table.append_column(name, table.column(place)),
        "nested": lambda: table.set_column(place, name, pa.array([[1.0]] * size)),
        "struct": lambda: table.set_column(place, name, pa.array([{"a": 1}] * size)),
        "null": lambda: table.set_column(place, name, pa.nulls(size)),
        "dictionary": lambda: table.set_column(place, name, table.column(place).dictionary_encode()),
        "binary": lambda: table.set_column(place, name, pa.array([b"\xff\xfe"] * size)),
        "times": lambda: table.set_column(place, name, pa.array([10**18] * size, pa.timestamp("ns"))),
        "decimal": lambda: table.set_column(place, name, pa.array([1] * size, pa.decimal128(5))),
        "texts": lambda: table.set_column(place, name, pa.array(["x"] * size)),
        "numbers": lambda: table.set_column(place, name, pa.array([7.5] * size)),
        "flags": lambda: table.set_column(place, name, pa.array([True] * size)),
        "long": lambda: table.set_column(place, name, pa.array(["a" * 10**6] * size)),
        "metadata": lambda: table.replace_schema_metadata(
            {"pandas": draw.choice(("{", "{}", '{"columns": 3}'))}
        ),
        "level": lambda: table.append_column("category_9", pa.array(["x"] * size)),
        "rows doubled": lambda: pa.concat_tables([table, table]),
        "no rows": lambda: table.slice(0, 0),
        "a row less": lambda: table.slice(1),
        "no columns": lambda: table.select([]),
    }
    kind = draw.choice(list(kinds))
    pq.write_table(kinds[kind](), file)
    return f"{name} {kind}"


def _tensors(file: Path, draw: random.Random) -> str:
    """Change one tensor of a safetensors file, or its header alone."""
    from safetensors.numpy import load_file, save_file

    if draw.random() < 0.4:
        data = file.read_bytes()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        changed = _change_tree(header, draw)
        text = json.dumps(header).encode("utf-8", "replace")
        file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
        return f"header {changed}"
    tensors = load_file(file)
    name = draw.choice(list(tensors))
    kind = draw.choice(("dropped", "nan", "shape", "type", "more", "scalar"))
    if kind == "dropped":
        del tensors[name]
    elif kind == "more":
        tensors["more"] = np.zeros(3)
    else:
        shape = tensors[name].shape
        odd = {
            "nan": np.full(shape, np.nan, np.float32),
            "type": np.zeros(shape, np.int8),
            "scalar": np.float32(1),
        }
        tensors[name] = np.asarray(odd.get(kind, np.zeros((*shape, 2), np.float32)))
    save_file(tensors, file)
    return f"{name} {kind}"


def _estimator(file: Path, draw: random.Random) -> str:
    """Put another object in place of an estimator."""
    import skops.io
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    titles, few = ["red shoe", "blue shirt", "green bag"], ["a", "b", "c"]
    kinds: dict[str, Callable[[], Any]] = {
        "list": lambda: [1, 2],
        "dict": lambda: {"classes_": ["a"]},
        "array": lambda: np.zeros(3),
        "unfitted": lambda: make_pipeline(TfidfVectorizer(), LinearSVC()),
        "unfitted step": lambda: LinearSVC(),
        "another estimator": lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(titles, few),
        "other classes": lambda: make_pipeline(CountVectorizer(), MultinomialNB()).fit(titles, few),
        "no pipeline": lambda: MultinomialNB().fit(np.eye(3), few),
        "numbers": lambda: MultinomialNB().fit(np.eye(3), [1, 2, 3]),
        "deep": lambda: _nested(300),
        "cut weights": lambda: _cut(skops.io.load(file, trusted=[]), draw),
    }
    kind = draw.choice(list(kinds))
    skops.io.dump(kinds[kind](), file)
    return kind


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _cut(estimator: Any, draw: random.Random) -> Any:
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    names = [name for name, value in vars(last).items() if isinstance(value, np.ndarray) and value.size]
    name = draw.choice(names)
    value = getattr(last, name)
    setattr(
        last, name, draw.choice((value[:-1], np.zeros(0), np.full(value.shape, np.nan), value.astype(str)))
    )
    return estimator


def _schema(file: Path, draw: random.Random) -> str:
    """Change one value of what a skops file says of itself."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    kind = draw.choice(("value", "value", "value", "deep", "bomb"))
    changed = kind
    if kind == "value":
        schema = json.loads(members["schema.json"])
        changed = _change_tree(schema, draw)
        members["schema.json"] = json.dumps(schema).encode("utf-8", "replace")
    elif kind == "deep":
        members["schema.json"] = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    with zipfile.ZipFile(
        file, "w", zipfile.ZIP_DEFLATED if kind == "bomb" else zipfile.ZIP_STORED
    ) as archive:
        for name, data in members.items():
            archive.writestr(name, bytes(2**30) if kind == "bomb" and name.endswith(".npy") else data)
    return changed


OF_KIND: dict[str, list[Callable[[Path, random.Random], str | None]]] = {
    ".json": [_json, _json, _json, _json, _deep],
    ".jsonl": [_lines],
    ".yaml": [_yaml],
    ".parquet": [_cells, _column],
    ".safetensors": [_tensors],
    ".skops": [_estimator, _schema],
}
