"""Encoders of aligned pictures and texts: CLIP, SigLIP and SigLIP 2, by name or folder.

Their two networks were trained together, so that a picture is near to the text that describes it. The picture's network
is a picture encoder like any other; that of the text embeds what classes are called, so that a picture alone can name
a class without training rows.

Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision (2021), section 3.1.4 for
prompts; Zhai et al., Sigmoid Loss for Language Image Pre-Training (2023); Tschannen et al., SigLIP 2 (2025).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.batches.text import ONE_AT_A_TIME
from fusionclf.errors import SettingsError
from fusionclf.models.aligned_sources import (
    explained,
    load_tower,
    options,
    picture_side,
    read_configuration,
    read_processor,
)
from fusionclf.models.encoders import ImageEncoder
from fusionclf.models.packing import round_to_half

PROMPT = "a photo of a {}."
TEXTS_AT_ONCE = 64


class PictureNetwork(nn.Module):
    """The picture network of an aligned model: (B, 3, H, W) → (B, dim), in the space of its texts.

    Args:
        network: of transformers.
        patches: whether it reads rows of patches in place of pictures, as SigLIP 2 for any shape does.
    """

    def __init__(self, network: Any, patches: bool) -> None:
        super().__init__()
        self.network = network
        self.patch = int(network.config.patch_size) if patches else 0
        if patches:
            network.embeddings = _SquareEmbeddings(network.embeddings)

    def forward(self, pictures: Tensor) -> Tensor:
        found = self.network(**self._inputs(pictures))
        return found.image_embeds if hasattr(found, "image_embeds") else found.pooler_output

    def _inputs(self, pictures: Tensor) -> dict[str, Tensor | None]:
        if not self.patch:
            return {"pixel_values": pictures}
        count, channels, height, width = pictures.shape
        rows, columns = height // self.patch, width // self.patch
        cut = pictures.reshape(count, channels, rows, self.patch, columns, self.patch)
        patches = cut.permute(0, 2, 4, 3, 5, 1).reshape(count, rows * columns, -1)
        shapes = torch.tensor([[rows, columns]], device=pictures.device).expand(count, 2)
        return {"pixel_values": patches, "pixel_attention_mask": None, "spatial_shapes": shapes}


class _SquareEmbeddings(nn.Module):
    """Embeddings of patches and places; where the grid is that of the weights, without what resizes it to others.

    The operations that resize it depend on data, which ONNX does not have.
    """

    def __init__(self, embeddings: Any) -> None:
        super().__init__()
        self.embeddings = embeddings

    def forward(self, pixel_values: Tensor, spatial_shapes: Tensor) -> Tensor:
        places = self.embeddings.position_embedding.weight
        if pixel_values.shape[1] != len(places):
            return self.embeddings(pixel_values, spatial_shapes)
        return self.embeddings.patch_embedding(pixel_values) + places


class AlignedImageEncoder(ImageEncoder):
    """The picture encoder of an aligned model: (B, 3, H, W) → (B, dim) features whose mean square is 1.

    Their direction is that of the model's own embeddings, so they can be compared with those of texts.

    Args:
        network: gives the embeddings.
        dim: width of the embeddings.
        layers, frozen, frozen_layers: see PretrainedEncoder.
        source: configuration and image processor of the whole model.

    Attributes:
        side: height and width of its pictures, in pixels.
    """

    def __init__(
        self,
        network: PictureNetwork,
        dim: int,
        layers: Sequence[nn.Module],
        frozen: bool,
        frozen_layers: int,
        source: tuple[Any, Any],
    ) -> None:
        super().__init__(network, dim, layers, frozen, frozen_layers)
        self._source = source
        self.side = picture_side(source[0], source[1].to_dict())

    def forward(self, pictures: Tensor, pooling: Tensor | None = None) -> Tensor:
        return F.normalize(super().forward(pictures, pooling).float(), dim=-1) * self.dim**0.5

    def save_configuration(self, folder: Path) -> None:
        """Write what it takes to build the encoder and its text network again, but for weights and tokenizer."""
        for each in self._source:
            each.save_pretrained(folder)


class NameEncoder(nn.Module):
    """The text network of an aligned model, which embeds what classes are called; it is never trained.

    Args:
        network: of transformers.
        tokenizer: its tokenizer.
        prompts: templates of texts, with {} for the name; the embeddings of a name's texts are averaged.
        pads: whether all texts are padded to the longest one that the network reads, as SigLIP was trained.
    """

    def __init__(self, network: Any, tokenizer: Any, prompts: Sequence[str], pads: bool) -> None:
        super().__init__()
        round_to_half(network)
        self.network = network.requires_grad_(False)
        self.tokenizer, self.prompts = tokenizer, tuple(prompts)
        self.longest = int(network.config.max_position_embeddings)
        self.padding = "max_length" if pads else True
        self.eval()

    def train(self, mode: bool = True) -> "NameEncoder":
        """It stays in evaluation mode."""
        return super().train(False)

    def texts(self, names: Sequence[str]) -> list[str]:
        """What is read of the names: each in each prompt, name by name; in lower case, as all of these were trained."""
        return [prompt.replace("{}", name).lower() for name in names for prompt in self.prompts]

    @torch.inference_mode()
    def compute(self, names: Sequence[str]) -> np.ndarray:
        """(n, dim) embeddings of names, of length 1."""
        texts, found = self.texts(names), []
        device = next(self.network.parameters()).device
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            with ONE_AT_A_TIME:
                tokens = self.tokenizer(
                    texts[start : start + TEXTS_AT_ONCE],
                    padding=self.padding, truncation=True, max_length=self.longest, return_tensors="pt",
                )  # fmt: skip
            with torch.autocast(device.type, enabled=False):
                output = self.network(**tokens.to(device))
            embeddings = output.text_embeds if hasattr(output, "text_embeds") else output.pooler_output
            found.append(F.normalize(embeddings.float(), dim=-1).cpu())
        if not found:
            return np.zeros((0, 0), np.float32)
        means = torch.cat(found).unflatten(0, (len(names), len(self.prompts))).mean(1)
        return F.normalize(means, dim=-1).numpy()

    def save_configuration(self, folder: Path) -> None:
        """Write the tokenizer."""
        self.tokenizer.save_pretrained(folder)


def build_aligned_encoder(
    backbone: str, pretrained: bool = True, frozen: bool = False, frozen_stages: int = 0
) -> AlignedImageEncoder:
    """The picture encoder of a CLIP, SigLIP or SigLIP 2.

    Args:
        backbone: a hub name or a folder.
        pretrained: false builds it from its configuration alone.
        frozen: train no part of it.
        frozen_stages: how many of its layers, from the patches on, are not trained.

    Raises:
        SettingsError: more frozen stages than it has.
        WeightsError: it cannot be loaded.
    """
    with explained(backbone):
        config = read_configuration(backbone)
        network = load_tower(backbone, config, 0, pretrained)
        processor = read_processor(backbone)
    dim = config.projection_dim if config.model_type == "clip" else config.vision_config.hidden_size
    inner = getattr(network, "vision_model", network)
    layers = [inner.embeddings, *inner.encoder.layers]
    if frozen_stages > len(layers):
        raise SettingsError(
            f"frozen_stages={frozen_stages}: {backbone} has {len(layers)} stages; give at most that"
        )
    pictures = PictureNetwork(network, config.model_type == "siglip2")
    return AlignedImageEncoder(pictures, int(dim), layers, frozen, frozen_stages, (config, processor))


def build_name_encoder(backbone: str, pretrained: bool, prompts: Sequence[str]) -> NameEncoder:
    """The text network of a CLIP, SigLIP or SigLIP 2.

    Args:
        backbone: a hub name or a folder.
        pretrained: false builds it from its configuration alone.
        prompts: as of NameEncoder.

    Raises:
        WeightsError: it cannot be loaded.
    """
    from transformers import AutoTokenizer

    with explained(backbone):
        config = read_configuration(backbone)
        network = load_tower(backbone, config, 1, pretrained)
        tokenizer = AutoTokenizer.from_pretrained(backbone, **options(backbone))
        if max(tokenizer.get_vocab().values()) >= network.config.vocab_size:
            raise ValueError("its tokenizer knows more tokens than its text network")
    return NameEncoder(network, tokenizer, prompts, pads=config.model_type != "clip")
