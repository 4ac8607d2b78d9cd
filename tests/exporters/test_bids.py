"""What the exporters claim, on machines that need not exist."""

import pytest

from slm.plugin import Base, Gpu, Hardware, Job, Rank
from slm_exporters.onnx import Onnx
from slm_exporters.safetensors import Safetensors
from slm_exporters.torchscript import TorchScript

CPU = Hardware(cores=4, memory=16 << 30)
GPU = Hardware(cores=4, memory=16 << 30, gpus=(Gpu("H100", 80 << 30, (9, 0)),))
LLAMA = Job("x", "qa", Base("llama", "decoder", architecture="LlamaForCausalLM", parameters=135_000_000))
GPT2 = Job("x", "qa", Base("gpt2", "decoder", architecture="GPT2LMHeadModel"))
BERT = Job("x", "classification", Base("bert", "encoder", architecture="BertModel"))
SCRATCH = Job("x", "qa", Base("scratch"))


@pytest.mark.parametrize(
    ("exporter", "job", "hardware", "rank"),
    [
        (Onnx(), LLAMA, CPU, Rank.BEST),
        (Onnx(), SCRATCH, CPU, Rank.BEST),
        (Onnx(), LLAMA, GPU, Rank.POSSIBLE),
        (Onnx(), GPT2, CPU, Rank.NO),
        (Onnx(), BERT, CPU, Rank.BEST),
        (Onnx(quantize="int4"), BERT, CPU, Rank.NO),
        (Safetensors(), LLAMA, CPU, Rank.GOOD),
        (Safetensors(), LLAMA, GPU, Rank.BEST),
        (TorchScript(), GPT2, CPU, Rank.POSSIBLE),
    ],
)
def test_each_exporter_knows_what_it_is_good_for(exporter, job, hardware, rank):
    bid = exporter.bid(job, hardware)
    assert bid.rank == rank
    assert bid.why


@pytest.mark.parametrize("job", [LLAMA, GPT2, BERT, SCRATCH])
@pytest.mark.parametrize("hardware", [CPU, GPU])
def test_one_exporter_is_ahead_on_every_machine(job, hardware):
    ranks = sorted(each.bid(job, hardware).rank for each in (Onnx(), Safetensors(), TorchScript()))
    assert ranks[-1] > ranks[-2]
