"""The exporter for TorchScript."""

from __future__ import annotations

from attrs import frozen

from slm.plugin import Artifact, Bid, Exporter, Hardware, Job, Model, Needs, Rank, Work, hookimpl


@frozen
class TorchScript(Exporter):
    """Writes a traced module that PyTorch runs on a CPU without transformers, from Python or C++."""

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """It can be done with any attention model; others are faster."""
        size = job.base.parameters * 4
        return Bid(Rank.POSSIBLE, "any attention model can be traced", Needs(memory=3 * size + (700 << 20), disk=size))

    @hookimpl
    def export(self, model: Model, job: Job, work: Work) -> Artifact:
        """Trace the merged network in float32."""
        from slm_exporters import folders, merging, tracing

        network = merging.load(model, "float32")
        if folders.classifies(model.interface):
            tracing.trace_classifier(network, work.folder / "model.pt")
        else:
            tracing.trace_decoder(network, work.folder / "model.pt")
        folders.furnish(work.folder, model)
        return Artifact(path=work.folder, format="torchscript", interface=model.interface)
