"""The exporter for a plain, merged checkpoint."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from slm.plugin import Artifact, Bid, Exporter, Hardware, Job, Model, Needs, Rank, Work, hookimpl


@frozen
class Safetensors(Exporter):
    """Writes one complete folder for from_pretrained, adapters merged into their base."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = field(
        default="auto", metadata={"help": "Precision of the stored weights; auto keeps the checkpoint's."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """Any model goes; it is what a GPU serves best."""
        size = job.base.parameters * 4
        needs = Needs(memory=size + (700 << 20), disk=size)
        if hardware.gpus:
            return Bid(Rank.BEST, f"PyTorch serves it on the {hardware.gpus[0].name}", needs)
        return Bid(Rank.GOOD, "any model can be stored so, and every tool reads it", needs)

    @hookimpl
    def export(self, model: Model, job: Job, work: Work) -> Artifact:
        """Save the merged network with its tokenizer and interface."""
        from slm_exporters import folders, merging

        network = merging.load(model, self.dtype)
        network.save_pretrained(work.folder)
        folders.furnish(work.folder, model)
        stored = str(network.dtype).removeprefix("torch.")
        unchanged = stored == "float32" or (self.dtype == "auto" and not merging.is_adapter(model))
        # Weights rounded to 8 (bfloat16) or 11 (float16) bits after a merge: the rounding is seen in the answers.
        return Artifact(
            path=work.folder,
            format="safetensors",
            interface=model.interface,
            precision=stored,
            tolerance=1e-4 if unchanged else 3e-2,
        )
