"""A network as an ONNX graph: exported by torch, run by ONNX Runtime on a CPU."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class OnnxGraph:
    """Runs a graph of one output: the network's inputs → its features; safe for several threads.

    Args:
        source: the graph, or its file, which takes half the memory.
        threads: that share one call.
    """

    def __init__(self, source: bytes | Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # errors
        # Threads that wait for the next call would keep the cores from decoding pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        self._names = [each.name for each in self.session.get_inputs()]

    def __call__(self, *inputs: Tensor) -> Tensor:
        arrays = [tensor.contiguous().numpy() for tensor in inputs]
        (found,) = self.session.run(None, dict(zip(self._names, arrays, strict=True)))
        return torch.from_numpy(found)

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnnxGraph":
        """Itself: a session cannot be copied, and its weights never change."""
        return self


def export_graph(network: nn.Module, inputs: Mapping[str, Tensor], any_size: Sequence[int]) -> bytes:
    """The ONNX graph of a network of one output.

    Args:
        network: in evaluation mode, on the CPU.
        inputs: name → example. A size of 0 or 1 would be taken for a constant.
        any_size: dimensions of all inputs whose size may differ from the example's.

    Raises:
        Exception: of any kind: each layer of the exporters has exceptions of its own.
    """
    dims = tuple(dict.fromkeys(any_size, torch.export.Dim.DYNAMIC) for _ in inputs)
    with quiet_export(), torch.no_grad():
        program = torch.export.export(network, tuple(inputs.values()), dynamic_shapes=dims, strict=False)
        graph = torch.onnx.export(
            program, (), input_names=list(inputs), output_names=["features"], verbose=False
        )
    assert graph is not None
    return graph.model_proto.SerializeToString()


@contextmanager
def quiet_export() -> Iterator[None]:
    """Without the exporters' own progress and warnings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # the exporters have many loggers
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
