"""Exported text models against the models they were made from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from slm.plugin import Artifact, Model, SlmError
from slm_exporters.onnx import Onnx
from slm_exporters.safetensors import Safetensors
from slm_exporters.torchscript import TorchScript
from slm_models.template import read_interface, write_interface


def difference(one, other, sequences):
    """Mean difference in log-probability, nats a token."""
    pairs = zip(one.score(sequences), other.score(sequences), strict=True)
    return float(np.mean(np.concatenate([np.abs(np.subtract(a, b)) for a, b in pairs])))


@pytest.mark.parametrize("exporter", [Safetensors(), TorchScript(), Onnx()], ids=lambda each: type(each).__name__)
def test_an_export_in_full_precision_is_the_same_model(real, texts, export, open_engine, answer, exporter):
    source, artifact = open_engine(real), open_engine(export(exporter, real))
    sequences = [source.prompter.text(text)[:150] for text in texts]
    assert difference(source, artifact, sequences) < 1e-4
    for sequence in sequences:
        assert answer(artifact, sequence[:10]) == answer(source, sequence[:10])


@pytest.mark.parametrize("quantize", ["int8", "int4"])
def test_a_quantised_export_keeps_its_stated_tolerance(stories, texts, export, open_engine, quantize):
    source, found = open_engine(stories), export(Onnx(quantize=quantize), stories)
    sequences = [source.prompter.encode(text)[:150] for text in texts]
    assert 1e-4 < difference(source, open_engine(found), sequences) < found.tolerance
    assert found.precision == quantize
    size = sum(file.stat().st_size for file in found.path.glob("model.onnx*"))
    assert size < (stories.path / "model.safetensors").stat().st_size * 0.7


def moved(model: Model, folder: Path) -> Model:
    """A copy that can be taken away."""
    shutil.copytree(model.path, folder)
    write_interface(model.interface, folder)
    return Model(folder, model.format, model.interface)


@pytest.mark.parametrize("exporter", [Safetensors(), TorchScript(), Onnx()], ids=lambda each: type(each).__name__)
def test_an_artifact_needs_nothing_of_its_source(stories, export, open_engine, answer, tmp_path, exporter):
    source = moved(stories, tmp_path / "source")
    found = export(exporter, source)
    shutil.rmtree(source.path)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(found.path, elsewhere)
    assert read_interface(elsewhere) == stories.interface
    assert {"tokenizer.json", "config.json", "slm.json", "chat_template.jinja"} <= {f.name for f in elsewhere.iterdir()}
    assert (elsewhere / "tokenizer.json").read_bytes() == (stories.path / "tokenizer.json").read_bytes()
    engine = open_engine(Artifact(elsewhere, found.format, stories.interface))
    assert answer(engine, engine.prompter.prompt([{"role": "user", "content": "Who is Lily?"}]))


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft 0.21 beside transformers 5
@pytest.mark.parametrize("exporter", [Safetensors(), Onnx()], ids=lambda each: type(each).__name__)
def test_an_adapter_is_merged_into_what_is_exported(stories, texts, export, open_engine, tmp_path, exporter):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(stories.path)
    network = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"))
    torch.manual_seed(1)
    for name, each in network.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(each, std=0.1)
    network.save_pretrained(tmp_path / "adapter")
    shutil.copyfile(stories.path / "tokenizer.json", tmp_path / "adapter/tokenizer.json")
    write_interface(stories.interface, tmp_path / "adapter")
    adapter = Model(tmp_path / "adapter", "transformers", stories.interface)
    found = export(exporter, adapter)
    assert not (found.path / "adapter_config.json").exists()
    source = open_engine(adapter)
    sequences = [source.prompter.encode(text)[:100] for text in texts]
    assert difference(source, open_engine(found), sequences) < 1e-4
    assert difference(open_engine(stories), source, sequences) > 1e-2


@pytest.mark.parametrize("kind", ["mistral", "gpt2"])
def test_traced_models_of_other_kinds_are_exact_at_any_length(stories, export, open_engine, answer, tmp_path, kind):
    import torch
    from transformers import AutoModelForCausalLM, GPT2Config, MistralConfig

    config = {
        "mistral": MistralConfig(
            vocab_size=512,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=48,
            max_position_embeddings=512,
            sliding_window=8,
        ),
        "gpt2": GPT2Config(
            vocab_size=512, n_embd=32, n_layer=2, n_head=4, n_positions=512, bos_token_id=1, eos_token_id=2
        ),
    }[kind]
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "source")
    shutil.copyfile(stories.path / "tokenizer.json", tmp_path / "source/tokenizer.json")
    model = Model(tmp_path / "source", "transformers", stories.interface)
    source, artifact = open_engine(model), open_engine(export(TorchScript(), model))
    sequences = [[1, *range(3, 3 + length)] for length in (2, 30, 90)]
    assert difference(source, artifact, sequences) < 1e-5
    for sequence in sequences:
        assert answer(artifact, sequence) == answer(source, sequence)
    with pytest.raises(SlmError, match="export it with use = 'torchscript'"):
        export(Onnx(), model)


def test_a_failing_builder_is_one_line_with_a_remedy(stories, export, tmp_path):
    source = moved(stories, tmp_path / "source")
    config = json.loads((source.path / "config.json").read_text()) | {"head_dim": 16}
    (source.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SlmError, match="builder failed") as found:
        export(Onnx(), source)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("exporter", [Safetensors(), TorchScript()], ids=lambda each: type(each).__name__)
def test_a_folder_without_weights_is_one_line(stories, export, tmp_path, exporter):
    source = moved(stories, tmp_path / "source")
    (source.path / "model.safetensors").unlink()
    with pytest.raises(SlmError, match="not a model that transformers can open") as found:
        export(exporter, source)
    assert "\n" not in str(found.value)


def test_weights_can_be_stored_in_half_the_size(stories, texts, export, open_engine):
    found = export(Safetensors(dtype="bfloat16"), stories)
    assert (found.path / "model.safetensors").stat().st_size < 600_000
    source = open_engine(stories)
    sequences = [source.prompter.encode(text)[:150] for text in texts]
    assert difference(source, open_engine(found), sequences) < found.tolerance
