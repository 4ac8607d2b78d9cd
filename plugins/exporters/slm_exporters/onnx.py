"""The exporter for onnxruntime."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Literal

from attrs import field, frozen
from slm.plugin import Artifact, Bid, Exporter, Hardware, Job, Model, Needs, Rank, SlmError, Work, hookimpl

from slm_exporters.builder import SUPPORTED


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
    layers = int(config.get("num_hidden_layers") or 0)
    with tempfile.TemporaryDirectory(dir=work.folder) as scratch:
        source = buildable(model, Path(scratch) / "source")
        precision, options = recipe(quantize)
        builder.build(source, work.folder, precision, options, lambda layer: work.progress(layer, layers, "layers"))
    shutil.rmtree(work.folder / "cache", ignore_errors=True)
    folders.furnish(work.folder, model)
    stored = {"none": "float32"}.get(quantize, quantize)
    return Artifact(work.folder, "onnx", model.interface, stored, tolerance=tolerance(quantize, config))


def recipe(quantize: str) -> tuple[str, dict[str, str]]:
    """The builder's precision and options.

    The head is not pruned to the last token (`prune_lm_head`): scoring needs the logits of all.
    """
    options = {"windowed_kv_cache": "false"}  # every layer's buffer has the same columns
    if quantize == "none":
        return "fp32", options
    return quantize, {**options, "block_size": "128" if quantize == "int4" else "32"}


def tolerance(quantize: str, config: dict[str, object]) -> float:
    """Mean difference in log-probability, in nats a token, up to which the artifact passes as the same model."""
    return {"none": 1e-3, "int8": 0.05, "int4": 0.5}[quantize]


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
