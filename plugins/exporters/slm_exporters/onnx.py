"""The exporter for onnxruntime."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen

from slm.plugin import Artifact, Bid, Exporter, Hardware, Job, Model, Needs, Rank, SlmError, Work, hookimpl
from slm_exporters.builder import SUPPORTED

WIDE = 512  # hidden size from which int4 goes in blocks of 128 throughout
TOLERANCE = {"none": 1e-3, "int8": 0.08, "int4": 0.8}
"""Mean difference in log-probability up to which an artifact passes, in nats a token.

Measured on real models of 0.26M and 0.94M parameters, on text they were trained for (TinyStories) and on text strange
to them (Shakespeare): float32 1e-6; int8 0.026 and 0.012, strange 0.056 and 0.036; int4 0.28 and 0.14, strange 0.58
and 0.38. int4 costs such small models 0.05 to 0.1 nats of likelihood: the pipeline's own metric should decide.
"""


@frozen
class Onnx(Exporter):
    """Writes an ONNX graph that onnxruntime runs on any CPU, in full precision or with weights of 8 or 4 bits."""

    quantize: Literal["none", "int8", "int4"] = field(
        default="none", metadata={"help": "Bits of the weights: int8 is close to the original, int4 the smallest."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """Best where there is no GPU, for the architectures that can be built."""
        size = job.base.parameters * 4
        needs = Needs(
            memory=3 * size + (900 << 20), disk={"none": size, "int8": size // 3, "int4": size // 5}[self.quantize]
        )
        if job.task == "classification":
            if self.quantize == "int4":
                return Bid(Rank.NO, "int4 is for models that write; classifiers go down to int8")
        elif job.base.architecture and job.base.architecture not in SUPPORTED:
            return Bid(Rank.NO, f"{job.base.architecture} can't be built; supported: {', '.join(SUPPORTED)}")
        if hardware.gpus:
            return Bid(Rank.POSSIBLE, "onnxruntime serves on the CPU, and there is a GPU", needs)
        return Bid(Rank.BEST, "onnxruntime is the fastest here on a CPU", needs)

    @hookimpl
    def export(self, model: Model, job: Job, work: Work) -> Artifact:
        """Build the graph; SlmError names the remedy where the architecture can't be built."""
        from slm_exporters import folders, onnx_classifier

        if folders.classifies(model.interface):
            return onnx_classifier.export(model, self.quantize, work)
        return export_decoder(model, self.quantize, work)


def export_decoder(model: Model, quantize: str, work: Work) -> Artifact:
    """A decoder by onnxruntime-genai's builder."""
    from slm_exporters import builder, folders

    config = folders.read_config(model)
    architecture = next(iter(config.get("architectures") or ()), "unknown")
    if architecture not in SUPPORTED:
        raise SlmError(
            f"{model.path}: {architecture} can't be built for ONNX (supported: {', '.join(SUPPORTED)}); "
            "export it with use = 'torchscript' or 'safetensors'"
        )
    if windowed(config):
        raise SlmError(
            f"{model.path}: its sliding window of {config['sliding_window']} tokens is lost in ONNX; "
            "export it with use = 'torchscript' or 'safetensors'"
        )
    layers = int(config.get("num_hidden_layers") or 0)
    with tempfile.TemporaryDirectory(dir=work.folder) as scratch:
        source = buildable(model, Path(scratch) / "source")
        precision, options = recipe(quantize, int(config.get("hidden_size") or 0))
        builder.build(source, work.folder, precision, options, lambda layer: work.progress(layer, layers, "layers"))
    shutil.rmtree(work.folder / "cache", ignore_errors=True)
    folders.furnish(work.folder, model)
    stored = "float32" if quantize == "none" else quantize
    return Artifact(work.folder, "onnx", model.interface, stored, TOLERANCE[quantize])


def recipe(quantize: str, hidden: int) -> tuple[str, dict[str, str]]:
    """The builder's precision and options.

    The head is not pruned to the last token (`prune_lm_head`): scoring needs the logits of all. Every layer's KV
    buffer has the same columns. Blocks of 128 are the fastest; a small network has too few rows for them, and gets
    smaller blocks and its most sensitive matrices in 8 bits. Activations are 8 bits wide, the builder's default: with
    32 (accuracy_level 1) int8 is a third closer to the original and 30 times slower.
    """
    options = {"windowed_kv_cache": "false"}
    if quantize == "none":
        return "fp32", options
    if quantize == "int8" or hidden >= WIDE:
        return quantize, {**options, "block_size": "32" if quantize == "int8" else "128"}
    mixed = "last_matmul:int8,mixed_layers:int8"
    return "int4", {**options, "block_size": "32", "algo_config": "rtn", "matmul_mixed_precision": mixed}


def windowed(config: dict[str, Any]) -> bool:
    """Whether attention is limited to a window shorter than the context, where the builder ignores that."""
    window = int(config.get("sliding_window") or 0) if config.get("use_sliding_window", True) else 0
    kept = "Gemma2ForCausalLM" in config["architectures"]
    return not kept and 0 < window < int(config.get("max_position_embeddings") or 0)


def buildable(model: Model, scratch: Path) -> Path:
    """A folder that the builder can read: the model's own, or a rewritten one for adapters and narrow heads."""
    from slm_exporters import folders, heads, merging

    narrow = heads.head_size(folders.read_config(model)) % heads.WIDTH
    if not narrow and not merging.is_adapter(model):
        return model.path
    network = merging.load(model, "float32")
    (heads.widen(network) if narrow else network).save_pretrained(scratch)
    folders.furnish(scratch, model)
    return scratch
