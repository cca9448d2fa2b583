"""Titles → inputs of a text encoder, prepared once for all products."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from fusionclf.batches.features import text_fingerprint

TextBatch = dict[str, Tensor]
AT_ONCE = 8192  # texts that a tokenizer, which keeps far more than tokens, gets together


class TitleTable(Protocol):
    """Prepared titles of all products; `batch` picks rows."""

    def batch(self, rows: np.ndarray) -> TextBatch: ...

    def lengths(self) -> np.ndarray | None:
        """(N,) number of tokens of each title; None where batches are not padded."""
        ...


@dataclass(frozen=True)
class MergedTitles:
    """The tensors of several tables of the same products, side by side."""

    tables: Sequence[TitleTable]

    def batch(self, rows: np.ndarray) -> TextBatch:
        """The tensors of all tables."""
        return {name: tensor for table in self.tables for name, tensor in table.batch(rows).items()}

    def lengths(self) -> np.ndarray | None:
        return joined_lengths(self.tables)


@dataclass(frozen=True)
class NamedTitles:
    """Several tables of the same products; the tensors of each carry its name before a dot."""

    tables: Mapping[str, TitleTable]

    def batch(self, rows: np.ndarray) -> TextBatch:
        """The tensors of all tables, such as `sentence.embedding`."""
        return {
            f"{name}.{key}": tensor
            for name, table in self.tables.items()
            for key, tensor in table.batch(rows).items()
        }

    def lengths(self) -> np.ndarray | None:
        return joined_lengths(self.tables.values())


@dataclass(frozen=True)
class Column:
    """One number or one vector a product, as the tensor `name`."""

    name: str
    values: np.ndarray

    def batch(self, rows: np.ndarray) -> TextBatch:
        """`name` (B, …)."""
        return {self.name: torch.from_numpy(np.asarray(self.values[rows]))}

    def lengths(self) -> None:
        return None


def joined_lengths(tables: Iterable[TitleTable]) -> np.ndarray | None:
    """(N,) lengths of titles for several encoders: those of the first one that pads batches; None without one."""
    return next((lengths for table in tables if (lengths := table.lengths()) is not None), None)


class TextPreparer(Protocol):
    """Turns titles into a table, for one text encoder."""

    def __call__(self, titles: list[str]) -> TitleTable: ...


@dataclass(frozen=True)
class TokenisedTitles:
    """Token ids of a transformers tokenizer, padded batch by batch."""

    tokens: list[list[int]]
    padding: int

    def batch(self, rows: np.ndarray) -> TextBatch:
        """input_ids and attention_mask, both (B, longest)."""
        picked = [self.tokens[row] for row in rows]
        longest = max((len(tokens) for tokens in picked), default=1)
        ids = torch.full((len(picked), longest), self.padding, dtype=torch.long)
        mask = torch.zeros(len(picked), longest, dtype=torch.long)
        for place, tokens in enumerate(picked):
            ids[place, : len(tokens)] = torch.tensor(tokens)
            mask[place, : len(tokens)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def lengths(self) -> np.ndarray:
        return np.array([len(tokens) for tokens in self.tokens], np.int64)


# A fast tokenizer fails when two threads use it at the same time ("Already borrowed").
ONE_AT_A_TIME = Lock()


class Tokeniser:
    """A transformers tokenizer; titles longer than `longest` tokens are cut."""

    def __init__(self, tokenizer: Any, longest: int = 64) -> None:
        self.tokenizer = tokenizer
        self.longest = longest

    def __call__(self, titles: list[str], longest: int | None = None) -> TokenisedTitles:
        """The tokens of n texts; of each at most `longest`, by default as many as of a title."""
        found: list[list[int]] = []
        for start in range(0, len(titles), AT_ONCE):
            with ONE_AT_A_TIME:
                some, most = titles[start : start + AT_ONCE], longest or self.longest
                found += self.tokenizer(some, truncation=True, max_length=most)["input_ids"]
        return TokenisedTitles(found, self.tokenizer.pad_token_id or 0)

    def vocabulary_key(self) -> str:
        """A hash of what tokens depend on besides the text and its length."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            return text_fingerprint(
                [str(type(self.tokenizer)), *map(str, sorted(self.tokenizer.get_vocab().items()))]
            )
        rules = json.loads(backend.to_str())
        # The last call has set these.
        return text_fingerprint([json.dumps({**rules, "truncation": None, "padding": None})])

    def save(self, folder: Path) -> None:
        self.tokenizer.save_pretrained(folder)
