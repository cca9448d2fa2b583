"""A SentencePiece model file → a transformers tokenizer, without the packages sentencepiece and protobuf."""

import struct
from collections import defaultdict

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

PIECES, NORMALISER = 1, 3  # fields of the file
TEXT, SCORE = 1, 2  # fields of a piece
CHARACTERS = 2  # the field of the normaliser that maps characters
UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
Fields = dict[int, list[bytes]]


def read_tokenizer(content: bytes) -> PreTrainedTokenizerFast:
    """A unigram tokenizer whose texts stand between <s> and </s>.

    Raises:
        ValueError, IndexError: it is no such file, or is cut short.
    """
    fields = _fields(content)
    read = [_fields(piece) for piece in fields[PIECES]]
    pieces = [(piece[TEXT][0].decode(), _number(piece)) for piece in read if piece[TEXT]]
    places = {piece: n for n, (piece, _) in enumerate(pieces)}
    missing = {UNKNOWN, BEGIN, END} - set(places)
    if missing or not fields[NORMALISER]:
        raise ValueError("no SentencePiece model with <unk>, <s> and </s>")
    inner = Tokenizer(models.Unigram(pieces, unk_id=places[UNKNOWN]))
    characters = _fields(fields[NORMALISER][0])[CHARACTERS]
    inner.normalizer = normalizers.Sequence(
        [
            *(normalizers.Precompiled(each) for each in characters),
            normalizers.Strip(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    inner.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}",
        pair=f"{BEGIN} $A {END} $B {END}",
        special_tokens=[(BEGIN, places[BEGIN]), (END, places[END])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token=UNKNOWN, bos_token=BEGIN, eos_token=END, pad_token=UNKNOWN
    )


def _number(piece: Fields) -> float:
    return struct.unpack("<f", piece[SCORE][0])[0] if piece[SCORE] else 0.0


def _fields(content: bytes) -> Fields:
    """Number of a protobuf field → its values in bytes; whole numbers are left out.

    Source: the wire format of Protocol Buffers.
    """
    found: Fields = defaultdict(list)
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        kind = tag & 7
        if kind == 0:
            _, place = _varint(content, place)
            continue
        if kind not in (1, 2, 5):
            raise ValueError(f"no protobuf: wire type {kind}")
        length = 8 if kind == 1 else 4
        if kind == 2:
            length, place = _varint(content, place)
        if place + length > len(content):
            raise ValueError("the file is cut short")
        found[tag >> 3].append(content[place : place + length])
        place += length
    return found


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """A whole number of 7 bits a byte, and the place behind it."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
