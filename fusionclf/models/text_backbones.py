"""Builds text encoders by name, with weights from a hub, a folder or an installed package."""

import logging
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from fusionclf.catalog.fields import Fields
from fusionclf.config import Section
from fusionclf.errors import WeightsError
from fusionclf.models.building import stored_build
from fusionclf.models.field_encoders import FieldReaders, FieldsEncoder
from fusionclf.models.packages import ENGLISH, MULTILINGUAL, package_folder
from fusionclf.models.stored_bert import read_stored_bert
from fusionclf.models.text_encoders import (
    HashedNGramEncoder,
    TextEncoder,
    TransformerEncoder,
    ngrams_and_sentence,
    sentence_encoder,
)


class TextEncoderParams(Section):
    """The title encoder."""

    kind: Literal["hashed", "transformer", "both"] = Field(
        default="hashed", description="hashed: n-grams; transformer: a sentence encoder; both: side by side"
    )
    buckets: int = Field(default=2**18, ge=2**8, le=2**26, description="hashed: rows of the embedding table")
    dim: int = Field(default=256, ge=1, description="hashed: width of the embedding")
    words: int = Field(default=2, ge=0, le=4, description="hashed: longest word n-gram")
    model: str = Field(
        default="sentence-transformers/all-MiniLM-L6-v2",
        description="transformer: a hub name, a folder, offline or offline-multilingual (extras); with tokenizer",
    )
    pretrained: bool = Field(
        default=True, description="transformer: false uses its configuration with random weights"
    )
    frozen: bool = Field(default=False, description="transformer: keep its weights")
    longest: int = Field(default=64, ge=4, description="transformer: tokens kept of a title")
    longest_text: int = Field(default=128, ge=4, description="transformer: tokens kept of a further text")


def build_text_encoder(params: TextEncoderParams, fields: Fields = Fields()) -> TextEncoder:  # noqa: B008  frozen
    """An encoder of the title, and of further fields where there are some."""
    title = _title_encoder(params)
    if not fields:
        return title
    readers = FieldReaders(fields, sentence_encoder(title), params.longest_text)
    return FieldsEncoder(title, readers)


def _title_encoder(params: TextEncoderParams) -> TextEncoder:
    """Hashed n-grams, a transformer, or both side by side."""
    if params.kind == "hashed":
        return HashedNGramEncoder(params.buckets, params.dim, words=params.words)
    transformer = build_transformer(params.model, params.pretrained, params.frozen, params.longest)
    if params.kind == "transformer":
        return transformer
    ngrams = HashedNGramEncoder(params.buckets, params.dim, words=params.words)
    return ngrams_and_sentence(ngrams, transformer)


def build_transformer(
    model: str, pretrained: bool = True, frozen: bool = False, longest: int = 64
) -> TransformerEncoder:
    """A transformers encoder with mean pooling; a hub name, a folder, `offline` or
    `offline-multilingual`.

    Raises:
        WeightsError: it cannot be loaded.
    """
    return TransformerEncoder(*_transformer(model, pretrained), longest=longest, frozen=frozen)


def _transformer(model: str, pretrained: bool) -> tuple[Any, Any]:
    try:
        stored = read_stored_bert(Path(model)) if stored_build() is not None else None
        network, tokenizer = stored or _network_and_tokenizer(model, pretrained)
        if (pooler := getattr(network, "pooler", None)) is not None:
            # Titles are pooled by their mean: parameters that get no gradient would stop DDP, and take room in runs.
            for parameter in pooler.requires_grad_(False).parameters():
                parameter.data.zero_()
        return network, tokenizer
    except WeightsError:
        raise
    except Exception as error:  # a damaged folder has transformers raise errors of many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"title encoder {model!r} cannot be loaded ({reason[:160]}); set model.text.model to a folder or to "
            "offline, or model.text.kind=hashed, which needs no download"
        ) from error


def _network_and_tokenizer(model: str, pretrained: bool) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModel, AutoTokenizer  # takes long to import
    from transformers.utils import logging as transformers_logging

    # The hub's client logs each retry, and the loader draws a bar of its own; one line says what failed.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()
    from fusionclf.models.multilingual_use import load_multilingual_use  # a kind that AutoModel knows by now

    if model == MULTILINGUAL:
        network, tokenizer = load_multilingual_use(package_folder(model))
        return network if pretrained else AutoModel.from_config(network.config), tokenizer
    source = str(package_folder(model) / "model") if model == ENGLISH else model
    options: dict[str, Any] = {
        "local_files_only": model == ENGLISH or Path(model).is_dir(),
        "trust_remote_code": False,
    }
    if pretrained:
        network = AutoModel.from_pretrained(source, use_safetensors=True, **options)
    else:
        network = AutoModel.from_config(AutoConfig.from_pretrained(source, **options))
    return network, AutoTokenizer.from_pretrained(source, **options)
