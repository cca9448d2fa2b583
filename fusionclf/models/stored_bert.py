"""A stored sentence encoder of the BERT family and its tokenizer, read without transformers, whose import takes long.

The network has the layers and the names of transformers' BertModel, so it takes the same weights.

Source: Devlin et al., BERT (2019).
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
# What a configuration must say where it says it: variants of BERT compute otherwise.
EXPECTED = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}


def read_stored_bert(folder: Path) -> "tuple[BertNetwork, StoredTokenizer] | None":
    """The encoder of a folder, its weights not yet filled; None where it is of another kind.

    Args:
        folder: the configuration and the tokenizer, as transformers writes them.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        tokenizer = json.loads((folder / TOKENIZER_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_bert = config.get("model_type") == "bert" and tokenizer.get("backend") == "tokenizers"
    if not is_bert or any(config.get(name, value) != value for name, value in EXPECTED.items()):
        return None
    return BertNetwork(SimpleNamespace(**config)), StoredTokenizer(folder, tokenizer)


class BertNetwork(nn.Module):
    """Token ids → an object with `last_hidden_state`, (B, T, hidden_size).

    Args:
        config: attributes as in transformers' BertConfig.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.embeddings = _Embeddings(config)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))
        self.pooler = nn.Module()  # it has weights, but titles are pooled by their mean
        self.pooler.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        hidden = self.embeddings(input_ids)
        mask = attention_mask[:, None, None, :].bool()  # (B, 1, 1, T)
        for layer in self.encoder.layer:  # pyright: ignore[reportGeneralTypeIssues]
            hidden = layer(hidden, mask)
        return SimpleNamespace(last_hidden_state=hidden)


class _Embeddings(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        width = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, width)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, ids: Tensor) -> Tensor:
        positions = torch.arange(ids.shape[1], device=ids.device)
        found = self.word_embeddings(ids) + self.token_type_embeddings.weight[0]
        return self.LayerNorm(found + self.position_embeddings(positions))


class _Layer(nn.Module):
    """Attention, then two linear layers; each adds to what it reads, and is normalised."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.heads = config.num_attention_heads
        self.attention = nn.Module()
        self.attention.self = nn.ModuleDict(
            {name: nn.Linear(width, width) for name in ("query", "key", "value")}
        )
        self.attention.output = _Output(width, width, config.layer_norm_eps)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.output = _Output(inner, width, config.layer_norm_eps)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(B, T, width) of (B, T, width) and the tokens that are there, (B, 1, 1, T)."""
        own: Any = self.attention.self
        query, key, value = (
            own[name](hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )  # (B, heads, T, width / heads)
        read = F.scaled_dot_product_attention(query, key, value, mask).transpose(1, 2).flatten(2)
        attended = self.attention.output(read, hidden)  # pyright: ignore[reportCallIssue]
        return self.output(F.gelu(self.intermediate["dense"](attended)), attended)


class _Output(nn.Module):
    def __init__(self, inner: int, width: int, epsilon: float) -> None:
        super().__init__()
        self.dense, self.LayerNorm = nn.Linear(inner, width), nn.LayerNorm(width, eps=epsilon)

    def forward(self, values: Tensor, before: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(values) + before)


class StoredTokenizer:
    """A fast tokenizer, called as those of transformers are.

    Args:
        folder: has its files.
        config: content of tokenizer_config.json.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self._own = Tokenizer.from_file(str(folder / TOKENIZER))
        self._own.no_padding()
        self.pad_token_id: int | None = self._own.token_to_id(str(config.get("pad_token")))

    def __call__(self, texts: list[str], truncation: bool, max_length: int) -> dict[str, list[list[int]]]:
        """`input_ids` of n texts, each cut to `max_length`."""
        assert truncation
        self._own.enable_truncation(max_length)
        return {"input_ids": [found.ids for found in self._own.encode_batch(texts)]}

    @property
    def backend_tokenizer(self) -> Tokenizer:
        """What makes the tokens, under the name that transformers has for it."""
        return self._own

    def get_vocab(self) -> dict[str, int]:
        """Token → its number."""
        return self._own.get_vocab()
