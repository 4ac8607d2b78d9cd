"""The engine for ONNX artifacts."""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen
from attrs.validators import ge

from slm.plugin import Bid, Engine, EngineOpener, Hardware, Job, Model, Needs, Rank, hookimpl


@frozen
class Onnx(EngineOpener):
    """Runs ONNX models on the CPU with onnxruntime alone: no PyTorch, no transformers."""

    formats: ClassVar[tuple[str, ...]] = ("onnx",)

    rows: int = field(default=32, validator=ge(1), metadata={"help": "The most requests decoded together."})
    threads: int = field(default=0, validator=ge(0), metadata={"help": "Threads for one step; 0 is one a core."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """The runtime made for the format."""
        return Bid(Rank.BEST, "onnxruntime on the CPU", Needs(memory=job.base.parameters * 4 + (100 << 20)))

    @hookimpl
    def engine(self, model: Model, hardware: Hardware) -> Engine:
        """Open the graph as a decoder or a classifier, as its interface says."""
        from slm_engines import opened, ort
        from slm_models.template import Prompter

        prompter = Prompter.open(model.path, model.interface)
        session = ort.open_session(model.path, self.threads or hardware.cores)
        if model.interface.task == "classification":
            return opened.TextClassifier(prompter, ort.logits_of(session))
        decoder = ort.OrtDecoder(session, model.path, model.interface.context)
        return opened.text_model(decoder, decoder.score, prompter, self.rows)
