"""Trained models as ONNX or torch.export files, and the runtime that answers with them."""

from fusionclf.export.runtime import open_exported

__all__ = ["open_exported"]
