"""The engine for TorchScript artifacts."""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen
from attrs.validators import ge

from slm.plugin import Bid, Engine, EngineOpener, Hardware, Job, Model, Needs, Rank, hookimpl


@frozen
class TorchScript(EngineOpener):
    """Runs TorchScript models on the CPU with PyTorch alone: no transformers."""

    formats: ClassVar[tuple[str, ...]] = ("torchscript",)

    rows: int = field(default=32, validator=ge(1), metadata={"help": "The most requests decoded together."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """The runtime made for the format."""
        return Bid(Rank.BEST, "PyTorch on the CPU", Needs(memory=job.base.parameters * 4 + (400 << 20)))

    @hookimpl
    def engine(self, model: Model, hardware: Hardware) -> Engine:
        """Open the traced module as a decoder or a classifier, as its interface says."""
        import torch

        from slm_engines import opened, ragged, scripted
        from slm_models.template import Prompter

        prompter = Prompter.open(model.path, model.interface)
        torch.set_num_threads(max(1, min(torch.get_num_threads(), hardware.cores)))
        module, shape = scripted.load(model.path)
        if model.interface.task == "classification":
            return opened.TextClassifier(prompter, ragged.on_arrays(module))
        return opened.text_model(scripted.decoder(module, shape), scripted.scores(module, shape), prompter, self.rows)
