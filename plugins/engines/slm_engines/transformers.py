"""The engine for folders that transformers opens, adapters included."""

from __future__ import annotations

from typing import ClassVar, Literal

from attrs import field, frozen
from attrs.validators import ge

from slm.plugin import Bid, Engine, EngineOpener, Hardware, Job, Model, Needs, Rank, hookimpl


@frozen
class Transformers(EngineOpener):
    """Runs models with PyTorch and transformers, on a GPU where there is one."""

    formats: ClassVar[tuple[str, ...]] = ("transformers", "safetensors")

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = field(
        default="auto", metadata={"help": "Precision of the weights; auto is float32 for small models."}
    )
    rows: int = field(default=32, validator=ge(1), metadata={"help": "The most requests decoded together."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """Everywhere good; best with a GPU."""
        needs = Needs(memory=job.base.parameters * 4 + (600 << 20))
        if hardware.gpus:
            return Bid(Rank.BEST, f"PyTorch uses the {hardware.gpus[0].name}", needs)
        return Bid(Rank.GOOD, "opens what the recipes write as it is", needs)

    @hookimpl
    def engine(self, model: Model, hardware: Hardware) -> Engine:
        """Open the folder; an adapter folder is opened as its base with the adapter merged in memory."""
        import torch

        from slm_engines import checkpoint, network, opened

        prompter = checkpoint.prompter(model)
        device = "cuda" if hardware.gpus and torch.cuda.is_available() else "cpu"
        torch.set_num_threads(max(1, min(torch.get_num_threads(), hardware.cores)))
        dtype = checkpoint.precision(self.dtype, model.path, hardware)
        loaded = checkpoint.load(model.path, model.interface, dtype, device)
        if model.interface.task == "classification":
            return opened.TextClassifier(prompter, network.logits(loaded))
        return opened.text_model(network.decoder(loaded), network.scores(loaded), prompter, self.rows)
