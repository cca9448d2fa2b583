"""What an encoder's network computes with its weights, in words, for keys: weights do not tell it."""

from typing import Any

from torch import nn

from fusionclf.models.encoders import ImageEncoder
from fusionclf.models.stored_bert import EXPECTED

OF_BERT = (*EXPECTED, "num_attention_heads", "layer_norm_eps")


def text_architecture(network: Any) -> str:
    """Of a text network; the same for a BERT of transformers and one that was stored."""
    config = network.config
    if getattr(config, "model_type", "") != "bert":
        return f"{network} {config}"
    return " ".join(str(getattr(config, name, EXPECTED.get(name))) for name in OF_BERT)


def picture_architecture(encoder: ImageEncoder) -> str:
    """Of a picture encoder; the configuration of one of transformers tells more than its modules."""
    network = encoder.network
    configs = (module.config for module in network.modules() if hasattr(module, "config"))
    return encoder.architecture or f"{network} {next(configs, '')}"


def transformer_layers(network: Any) -> list[nn.Module]:
    """Embeddings, then the layers, of BERT and its kin; others have none that are known here."""
    embeddings, stack = getattr(network, "embeddings", None), getattr(network, "encoder", None)
    if embeddings is None or stack is None:
        return []
    return [embeddings, *getattr(stack, "layer", ())]
