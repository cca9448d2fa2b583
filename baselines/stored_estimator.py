"""A skops file of a scikit-learn estimator → its values, without scikit-learn, whose import takes long.

No code of the file's runs, whatever it holds: an estimator becomes the name of its class and a dictionary.
"""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA = "schema.json"
PACKAGES = ("builtins", "numpy", "sklearn")


@dataclass(frozen=True)
class StoredEstimator:
    """An estimator.

    Attributes:
        kind: name of its class.
        values: its attributes.
    """

    kind: str
    values: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        if name not in self.values:
            raise ValueError(f"{self.kind} is not fitted: {name} is missing")
        return self.values[name]


def read_estimator(file: Path) -> Any:
    """The object in a skops file; estimators in it are StoredEstimators.

    Raises:
        ValueError: the file is compressed, which skops never writes: its content could fill the memory; or it holds a
            type that no baseline has.
    """
    with zipfile.ZipFile(file) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("a compressed file")
        return _Reader(archive).value(json.loads(archive.read(SCHEMA)))


@dataclass
class _Reader:
    """Turns nodes of a schema into values."""

    archive: zipfile.ZipFile
    known: dict[int, Any] = field(default_factory=dict)  # id of a node → its value

    def value(self, node: dict[str, Any]) -> Any:
        loader = node["__loader__"]
        if loader == "JsonNode":  # most nodes
            return json.loads(node["content"])
        if loader == "CachedNode":
            return self.known[node["__id__"]]
        name = f"{node['__module__']}.{node['__class__']}"
        readers: dict[str, Callable[[dict[str, Any]], Any]] = {
            "DictNode": lambda own: {key: self.value(each) for key, each in own["content"].items()},
            "ListNode": lambda own: [self.value(each) for each in own["content"]],
            "TupleNode": lambda own: tuple(self.value(each) for each in own["content"]),
            "TypeNode": lambda own: own["__class__"],
            "SliceNode": lambda own: None,  # where columns are; nothing reads it
            "DTypeNode": lambda own: str(self.value(own["content"]).dtype),
            "NdArrayNode": self._array,
            "ObjectNode": self._estimator,
        }
        if loader not in readers or name.partition(".")[0] not in PACKAGES:
            raise ValueError(f"holds {name}, which is no part of a baseline")
        found = readers[loader](node)
        self.known[node["__id__"]] = found
        return found

    def _estimator(self, node: dict[str, Any]) -> StoredEstimator:
        return StoredEstimator(node["__class__"], self.value(node["content"]))

    def _array(self, node: dict[str, Any]) -> Any:
        if node["type"] == "numpy":
            return np.load(io.BytesIO(self.archive.read(node["file"])), allow_pickle=False)
        found = np.empty(len(node["content"]), object)
        found[:] = [self.value(each) for each in node["content"]]
        return found
