"""Descriptions of encoders' architectures, for cache keys: equal weights may belong to different networks."""

from typing import Any

from torch import nn

from fusionclf.models.encoders import ImageEncoder
from fusionclf.models.stored_bert import EXPECTED

OF_BERT = (*EXPECTED, "num_attention_heads", "layer_norm_eps")


def text_architecture(network: Any) -> str:
    """Describe a text network; a BERT of transformers and its stored copy have the same description."""
    config = network.config
    if getattr(config, "model_type", "") != "bert":
        return f"{network} {config}"
    return " ".join(str(getattr(config, name, EXPECTED.get(name))) for name in OF_BERT)


def picture_architecture(encoder: ImageEncoder) -> str:
    """Describe a picture encoder; for one of transformers, its configuration is part of the description."""
    network = encoder.network
    configs = (module.config for module in network.modules() if hasattr(module, "config"))
    return encoder.architecture or f"{network} {next(configs, '')}"


def transformer_layers(network: Any) -> list[nn.Module]:
    """Embeddings, then the layers, of BERT and its kin; others have none that are known here."""
    embeddings, stack = getattr(network, "embeddings", None), getattr(network, "encoder", None)
    if embeddings is None or stack is None:
        return []
    return [embeddings, *getattr(stack, "layer", ())]
