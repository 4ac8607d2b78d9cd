"""ONNX graphs of classifiers, through PyTorch's own exporter."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from slm.plugin import Artifact, Model, SlmError, Work
from slm_exporters import classifier, folders, merging

INLINE = 1 << 30  # bytes of weights from which they need a file beside the graph


def export(model: Model, quantize: str, work: Work) -> Artifact:
    """Write the classifier's graph, for any number of texts of any length; int8 by dynamic quantisation."""
    if quantize == "int4":
        raise SlmError("export.quantize: int4 is for models that write; choose 'int8' or 'none' for a classifier")
    network = merging.load(model, "float32")
    file = work.folder / "model.onnx"
    if quantize == "none":
        write_graph(network, file)
    else:
        plain = work.folder / "plain.onnx"
        write_graph(network, plain)
        quantise(plain, file)
        for left in work.folder.glob("plain.onnx*"):
            left.unlink()
    folders.furnish(work.folder, model)
    stored, tolerance = ("float32", 1e-3) if quantize == "none" else ("int8", 0.05)
    return Artifact(work.folder, "onnx", model.interface, stored, tolerance)


def write_graph(network: Any, file: Path) -> None:
    """Export (input_ids, attention_mask) -> logits with free batch and length."""
    import torch

    rows, length = torch.export.Dim("batch"), torch.export.Dim("length")
    size = sum(each.numel() * each.element_size() for each in network.parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes on its own internals
        torch.onnx.export(
            classifier.plain(network),
            classifier.sample(2, 8, network.config.vocab_size),
            str(file),
            dynamo=True,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes=({0: rows, 1: length}, {0: rows, 1: length}),
            external_data=size > INLINE,
            verbose=False,
        )


def quantise(source: Path, target: Path) -> None:
    """Weights of the matrix products in 8 bits, a scale a column; activations are scaled as they come."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(str(source))
    del graph.graph.value_info[:]  # the exporter's shapes are of before it folded transposes; the quantiser infers them
    large = source.stat().st_size > INLINE or source.with_suffix(".onnx.data").exists()
    quantize_dynamic(
        graph,
        str(target),
        op_types_to_quantize=["MatMul", "Gemm"],
        weight_type=QuantType.QInt8,
        per_channel=True,
        use_external_data_format=large,
    )
