"""A tiny language model and a tiny classifier with tokenizers trained here, opened by every engine."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from slm.plugin import Base, Engine, Hardware, Interface, Job, Model, Request, Work
from slm_engines.onnx import Onnx
from slm_engines.torchscript import TorchScript
from slm_engines.transformers import Transformers
from slm_models.template import Prompter, write_interface

TEXT = [
    "Die Straße führt über die Brücke, 東京 liegt weit.",
    "A small model answers short questions 🙂 well.",
    "one two three four five six seven eight nine ten",
]
HARDWARE = Hardware(cores=1)
FORMATS = ("transformers", "onnx", "torchscript")


def write_tokenizer(folder: Path, special: Sequence[str], size: int) -> Any:
    """Train a byte-level BPE tokenizer, write it as transformers would, and give it back."""
    import tokenizers as t

    tokenizer = t.Tokenizer(t.models.BPE())
    tokenizer.pre_tokenizer = t.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = t.decoders.ByteLevel()
    alphabet = t.pre_tokenizers.ByteLevel.alphabet()
    trainer = t.trainers.BpeTrainer(vocab_size=size, special_tokens=list(special), initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXT, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    table = (
        '{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}'
    )
    (folder / "tokenizer_config.json").write_text(table)
    return tokenizer


def shake(network: Any) -> Any:
    """Weights far enough from zero that answers differ."""
    import torch

    torch.manual_seed(7)
    for each in network.parameters():
        if each.ndim > 1:
            torch.nn.init.normal_(each, std=0.15)
    return network.eval()


@pytest.fixture(scope="session")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A Llama with grouped heads, a head of its own and an odd vocabulary, as a recipe would leave it."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    folder = tmp_path_factory.mktemp("models") / "writer"
    write_tokenizer(folder, ("<pad>", "<s>", "</s>"), 301)
    config = LlamaConfig(
        vocab_size=301,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=96,
        max_position_embeddings=96,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    shake(AutoModelForCausalLM.from_config(config)).save_pretrained(folder)
    interface = Interface("completion", 96, bos="<s>", eos="</s>", begin=(1,), stop=(2,), pad=0)
    write_interface(interface, folder)
    return Model(folder, "transformers", interface)


@pytest.fixture(scope="session")
def sorter(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A BERT that sorts texts into three labels, as a recipe would leave it."""
    import tokenizers as t
    from transformers import AutoModelForSequenceClassification, BertConfig

    folder = tmp_path_factory.mktemp("models") / "sorter"
    tokenizer = write_tokenizer(folder, ("<pad>", "<s>", "</s>"), 290)
    ends = [("<s>", 1), ("</s>", 2)]
    tokenizer.post_processor = t.processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(
        vocab_size=290,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=32,
        num_labels=3,
        pad_token_id=0,
    )
    shake(AutoModelForSequenceClassification.from_config(config)).save_pretrained(folder)
    interface = Interface("classification", 32, pad=0, labels=("red", "green", "blue"))
    write_interface(interface, folder)
    return Model(folder, "transformers", interface)


def job(model: Model) -> Job:
    """The job that the model answers."""
    kind = "encoder" if model.interface.labels else "decoder"
    return Job("test", model.interface.task, Base("test", kind))


def converted(model: Model, form: str, folder: Path) -> Model:
    """The model in a format."""
    from slm_exporters.onnx import Onnx as OnnxExporter
    from slm_exporters.torchscript import TorchScript as TorchScriptExporter

    if form == "transformers":
        return model
    folder.mkdir(parents=True)
    exporter = {"onnx": OnnxExporter, "torchscript": TorchScriptExporter}[form]()
    return exporter.export(model, job(model), Work(folder, folder, HARDWARE))


def opened(model: Model, **options: Any) -> Engine:
    """The model opened by the engine of its format."""
    kinds = (Transformers, Onnx, TorchScript)
    return next(kind(**options) for kind in kinds if model.format in kind.formats).engine(model, HARDWARE)


@pytest.fixture(scope="session", params=FORMATS)
def written(request: pytest.FixtureRequest, writer: Model, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The writer in each format."""
    return converted(writer, request.param, tmp_path_factory.mktemp("written") / request.param)


@pytest.fixture(scope="session")
def engine(written: Model) -> Iterator[Engine]:
    """The writer, opened in each format."""
    engine = opened(written)
    yield engine
    engine.close()


@pytest.fixture
def reopened(written: Model) -> Iterator[Callable[..., Engine]]:
    """A function that opens the writer anew with changes to its interface (`rows` is the engine's option)."""
    engines: list[Engine] = []

    def reopen(rows: int = 32, **changes: Any) -> Engine:
        model = attrs.evolve(written, interface=attrs.evolve(written.interface, **changes))
        engines.append(opened(model, rows=rows))
        return engines[-1]

    yield reopen
    for each in engines:
        each.close()


@pytest.fixture(scope="session", params=FORMATS)
def sorting(request: pytest.FixtureRequest, sorter: Model, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The sorter, opened in each format."""
    return opened(converted(sorter, request.param, tmp_path_factory.mktemp("sorted") / request.param))


@pytest.fixture(scope="session")
def network(writer: Model) -> Any:
    """The writer's weights in PyTorch, for sums made by hand."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(writer.path).eval()


@pytest.fixture(scope="session")
def prompts(writer: Model) -> list[tuple[int, ...]]:
    """Prompts of very different lengths."""
    text = Prompter.open(writer.path)
    return [tuple(text.text(each)) for each in ("one", TEXT[0], "東京", TEXT[2] + TEXT[2], "A")]


@pytest.fixture(scope="session")
def ask() -> Callable[..., list[tuple[list[int], str, str]]]:
    """A function (engine, requests) -> tokens, text and finish of each answer."""

    def asked(engine: Engine, requests: Sequence[Request]) -> list[tuple[list[int], str, str]]:
        found: list[tuple[list[int], str, str]] = [([], "", "") for _ in requests]
        for chunk in engine.generate(requests):
            tokens, text, finish = found[chunk.index]
            assert not finish, "nothing may follow a finished answer"
            found[chunk.index] = ([*tokens, *chunk.tokens], text + chunk.text, chunk.finish)
        return found

    return asked
