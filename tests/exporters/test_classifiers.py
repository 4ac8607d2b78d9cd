"""Exported classifiers against the networks they were made from."""

import pytest

from slm.plugin import Interface, Model, SlmError
from slm_exporters.onnx import Onnx
from slm_exporters.safetensors import Safetensors
from slm_exporters.torchscript import TorchScript
from slm_models.template import write_interface

LABELS = ("cat", "dog", "bird")
TEXTS = ["a bird", "the cat sat down", "dog " * 30, "a", "what is it that sits there"]


def config(kind):
    """A tiny encoder of a kind."""
    import transformers as t

    shared = {"vocab_size": 60, "num_labels": 3, "pad_token_id": 0, "max_position_embeddings": 32}
    bert = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, **shared}
    return {
        "bert": lambda: t.BertConfig(**bert),
        "distilbert": lambda: t.DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=64, **shared),
        "llama": lambda: t.LlamaConfig(**bert),
        "modernbert": lambda: t.ModernBertConfig(**bert, classifier_pooling="mean", local_attention=8),
    }[kind]()


@pytest.fixture(params=["bert", "distilbert", "llama", "modernbert"])
def classifier(request, tmp_path):
    """An encoder (or a decoder that classifies) with random weights and its own tokenizer."""
    import tokenizers as t
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(2)
    network = AutoModelForSequenceClassification.from_config(config(request.param))
    for each in network.parameters():
        if each.ndim > 1:
            torch.nn.init.normal_(each, std=0.2)
    folder = tmp_path / "classifier"
    network.save_pretrained(folder)
    tokenizer = t.Tokenizer(t.models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = t.pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(TEXTS, t.trainers.WordLevelTrainer(special_tokens=["[PAD]", "[UNK]"]))
    tokenizer.save(str(folder / "tokenizer.json"))
    interface = Interface("classification", 32, labels=LABELS)
    write_interface(interface, folder)
    return Model(folder, "transformers", interface)


@pytest.mark.parametrize("exporter", [Safetensors(), TorchScript(), Onnx()], ids=lambda each: type(each).__name__)
def test_probabilities_are_those_of_the_source(classifier, export, open_engine, exporter):
    expected = open_engine(classifier).classify(TEXTS)
    found = open_engine(export(exporter, classifier)).classify(TEXTS)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize("classifier", ["bert"], indirect=True)
def test_int8_probabilities_are_close_and_the_file_is_small(classifier, export, open_engine):
    expected = open_engine(classifier).classify(TEXTS)
    found = export(Onnx(quantize="int8"), classifier)
    assert {each.name for each in found.path.glob("*.onnx*")} == {"model.onnx"}
    for one, other in zip(open_engine(found).classify(TEXTS), expected, strict=True):
        assert one == pytest.approx(other, abs=0.05)


@pytest.mark.parametrize("classifier", ["bert"], indirect=True)
def test_int4_is_refused_for_classifiers(classifier, export):
    with pytest.raises(SlmError, match="choose 'int8' or 'none'"):
        export(Onnx(quantize="int4"), classifier)
