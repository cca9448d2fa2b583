"""Speed of a training step with and without `models/layers/depthwise_conv.py`: pictures/s of both, and the ratio.

python benchmarks/depthwise.py            (needs the extra timm or offline; under a minute on 2 cores)
"""

import time

import torch
from torch import nn

from fusionclf.models.layers.depthwise_conv import speed_up_depthwise

BATCH, HEIGHT, WIDTH, STEPS = 64, 128, 96, 6


def pictures_per_second(network: nn.Module) -> float:
    """Training speed on one resident batch, bfloat16, channels last."""
    network = network.to(memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    pictures = torch.randn(BATCH, 3, HEIGHT, WIDTH).contiguous(memory_format=torch.channels_last)
    targets = torch.zeros(BATCH, dtype=torch.long)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-4, fused=True)
    started = 0.0
    for step in range(STEPS + 2):
        if step == 2:  # the first two warm up
            started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(pictures)
        nn.functional.cross_entropy(logits.float(), targets).backward()
        optimiser.step()
        optimiser.zero_grad()
    return BATCH * STEPS / (time.perf_counter() - started)


def main() -> None:
    import timm

    plain = pictures_per_second(timm.create_model("tf_efficientnet_lite0"))
    network = timm.create_model("tf_efficientnet_lite0")
    replaced = speed_up_depthwise(network)
    fast = pictures_per_second(network)
    print(
        f"PyTorch's: {plain:.0f} pictures/s; ours ({replaced} layers): {fast:.0f}; ratio {fast / plain:.2f}"
    )


if __name__ == "__main__":
    main()
