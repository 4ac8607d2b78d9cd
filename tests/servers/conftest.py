"""Tiny real models with random weights behind a real uvicorn on a free port of 127.0.0.1."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import uvicorn
from attrs import define, field

from slm.plugin import Chunk, Engine, Hardware, Interface, Model, Request
from slm_engines.transformers import Transformers
from slm_models.template import PLAIN, Prompter, read_interface, write_interface
from slm_servers.starlette import Starlette

LABELS = ("lights", "music", "weather")


@define(eq=False)
class Watched:
    """A real engine that counts the answers being generated, and the chunks given."""

    engine: Engine
    open: int = 0
    chunks: int = 0
    lock: threading.Lock = field(factory=threading.Lock)

    @property
    def prompter(self) -> Prompter:
        return self.engine.prompter

    def generate(self, requests: Sequence[Request]) -> Iterator[Chunk]:
        with self.lock:
            self.open += 1
        try:
            for chunk in self.engine.generate(requests):
                self.chunks += 1
                yield chunk
        finally:
            with self.lock:
                self.open -= 1

    def classify(self, texts: Sequence[str]) -> list[list[float]]:
        return self.engine.classify(texts)

    def score(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        return self.engine.score(sequences)

    def close(self) -> None:
        self.engine.close()


@define
class Served:
    """Where a server listens, and clients for it."""

    url: str
    key: str | None

    def openai(self, key: str | None = None) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or self.key or "none", max_retries=0)

    def http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/health", timeout=60).json()
        return found


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Watched]]:
    """`bot` (chat), `writer` (completion), `sorter` (classification) and `novelist` (chat, with a long context)."""
    found = {
        "bot": opened(decoder(tmp_path_factory.mktemp("bot"), "qa", 256)),
        "writer": opened(decoder(tmp_path_factory.mktemp("writer"), "completion", 256)),
        "sorter": opened(classifier(tmp_path_factory.mktemp("sorter"))),
        "novelist": opened(decoder(tmp_path_factory.mktemp("novelist"), "qa", 100_000)),
    }
    yield found
    for engine in found.values():
        engine.close()


@pytest.fixture(scope="session")
def serve(engines: Mapping[str, Watched]) -> Callable[..., Any]:
    """Starts a server with the options given; `names` are the engines it serves, all by default."""

    @contextmanager
    def start(names: Sequence[str] = (), key: str | None = None, **options: Any) -> Iterator[Served]:
        chosen = {name: engines[name] for name in names or engines}
        with running(Starlette(**options).serve(chosen, key)) as url:
            yield Served(url, key)

    return start


@pytest.fixture(scope="session")
def served(serve: Callable[..., Any]) -> Iterator[Served]:
    """One server with the defaults, for all tests that need nothing else."""
    with serve() as found:
        yield found


@pytest.fixture(scope="session")
def serve_folder() -> Callable[..., Any]:
    """Starts a server for one model folder, named after it."""

    @contextmanager
    def start(folder: Path, interface: Interface) -> Iterator[Served]:
        engine = Transformers().engine(Model(folder, "transformers", interface), Hardware(cores=2))
        with running(Starlette().serve({folder.name: engine}, None)) as url:
            yield Served(url, None)
        engine.close()

    return start


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], bool]], bool]:
    """Waits until something is true; how long is the machine's affair."""

    def wait(true: Callable[[], bool]) -> bool:
        end = time.monotonic() + 30
        while not true() and time.monotonic() < end:
            time.sleep(0.02)
        return true()

    return wait


@contextmanager
def running(app: Any) -> Iterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


def decoder(folder: Path, task: str, context: int) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    size = save_tokenizer(folder)
    config = LlamaConfig(
        vocab_size=size, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=context, bos_token_id=0, eos_token_id=1, pad_token_id=1, initializer_range=0.3,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[:2] = 0  # it hardly ever ends by itself
    model.save_pretrained(folder)
    template = None if task == "completion" else PLAIN
    write_interface(Interface(task, context, template, "<s>", "</s>", (0,), (1,), 1), folder)
    return folder


def classifier(folder: Path) -> Path:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(2)
    config = BertConfig(
        vocab_size=save_tokenizer(folder), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64, num_labels=3, initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    write_interface(Interface("classification", 64, labels=LABELS, pad=1), folder)
    return folder


def save_tokenizer(folder: Path) -> int:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(["the cat and the dog and the rain", "what is the answer to the question"], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return int(tokenizer.get_vocab_size())


def opened(folder: Path) -> Watched:
    return Watched(Transformers().engine(Model(folder, "transformers", read_interface(folder)), Hardware(cores=2)))
