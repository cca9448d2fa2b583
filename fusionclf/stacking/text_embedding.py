"""Sentence embeddings of a whole catalog: in shares over all processes, and cached on disk."""

import time

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator

from fusionclf.batches import cached_features, fingerprint, text_fingerprint
from fusionclf.batches.kept_texts import MOST_TEXTS
from fusionclf.config import TrainConfig
from fusionclf.console import Console
from fusionclf.models import Model
from fusionclf.models.engine import Engine
from fusionclf.models.field_encoders import TitleAndFields
from fusionclf.models.text_encoders import TransformerEncoder
from fusionclf.training import collect


class SharedEmbedder:
    """Embeds texts in shares over all processes, and caches the embeddings if this is set.

    Args:
        encoder: with frozen weights.
        settings: whether to cache the embeddings on disk, and what runs the encoder.
        accelerator: the processes.
        console: where warnings go.

    Attributes:
        saved_seconds: what embedding took in the runs that cached the embeddings, beyond what reading them takes.
    """

    def __init__(
        self, encoder: TransformerEncoder, settings: TrainConfig, accelerator: Accelerator, console: Console
    ) -> None:
        self.encoder, self.cached = encoder, settings.cache_features
        self.engine = Engine(settings.engine, accelerator.device, accelerator.mixed_precision)
        self.accelerator, self.console = accelerator, console
        self.saved_seconds = 0.0
        self._counted: set[str] = set()  # keys of what is in `saved_seconds`
        self._network = encoder.embedding_key(accelerator.mixed_precision)

    def __call__(self, texts: list[str], longest: int | None = None) -> np.ndarray:
        """(n, D) embeddings; of `longest` tokens of each text, by default as many as of a title."""
        if not self.cached or not texts:
            return self._in_shares(texts, longest)
        started = time.perf_counter()
        key = fingerprint(
            {}, self._network, longest or self.encoder.tokeniser.longest, text_fingerprint(texts)
        )
        found, made = cached_features(
            "titles",
            key,
            len(texts),
            lambda: self._in_shares(texts, longest),
            self._all_have,
            self.console.warn,
        )
        self._keep(texts, longest, found)
        if key not in self._counted:
            self._counted.add(key)
            self.saved_seconds += max(made["seconds"] - (time.perf_counter() - started), 0.0)
        return found

    def _keep(self, texts: list[str], longest: int | None, embeddings: np.ndarray) -> None:
        """Keep embeddings text by text, where prediction finds them."""
        if not self.accelerator.is_local_main_process:
            return
        kept = self.encoder.open_kept(self.accelerator.mixed_precision)
        new = np.flatnonzero(~kept.has(texts, longest or 0))[:MOST_TEXTS]
        if len(new):
            kept.add([texts[place] for place in new], longest or 0, embeddings[new])
            kept.save()

    def _all_have(self, there: bool) -> bool:
        return all_have(self.accelerator, there)

    def _in_shares(self, texts: list[str], longest: int | None) -> np.ndarray:
        self.engine.start(self.encoder, len(texts), console=self.console)
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        with self.accelerator.autocast(), self.console.bar("text embeddings", len(texts)) as step:
            if len(texts) < world or world == 1:
                return self.encoder.compute(texts, longest, step)
            places = np.arange(len(texts))[rank::world]
            own = torch.from_numpy(self.encoder.compute([texts[place] for place in places], longest, step))
        parts = iter([(places, own.to(self.accelerator.device))])
        return collect(parts, len(texts), self.accelerator).numpy()


def all_have(accelerator: Accelerator, there: bool) -> bool:
    """Whether `there` is true on all processes."""
    local = torch.tensor(float(there), device=accelerator.device)
    return float(accelerator.reduce(local, "mean")) == 1.0  # pyright: ignore[reportArgumentType]


def saved_seconds(model: Model) -> float:
    """What embedding took in the runs that cached the embeddings, beyond what reading them takes."""
    embedders = [encoder.embedder for encoder in model.modules() if isinstance(encoder, TransformerEncoder)]
    return sum(each.saved_seconds for each in embedders if isinstance(each, SharedEmbedder))


def report_cut_texts(model: Model, fields: pd.DataFrame, console: Console) -> None:
    """Print of how many further texts the sentence encoder reads only the beginning."""
    if not isinstance(model.text_encoder, TitleAndFields):
        return
    for name, reader in model.text_encoder.readers.text.items():
        if reader.sentence is None:
            continue
        lengths = reader.sentence.tokeniser(fields[name].tolist(), reader.longest + 1).lengths()
        cut = int((lengths > reader.longest).sum())
        if cut:
            console.info(
                f"{name}: the sentence encoder reads the first {reader.longest} tokens of {cut:,} of "
                f"{len(fields):,} texts (model.text.longest_text); n-grams are of the whole text"
            )
