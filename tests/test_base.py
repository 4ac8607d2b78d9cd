"""Bases: folders, hub caches and configs of many families, and everything that is no base."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from slm.errors import SlmError
from slm_facts.base import cached, context, fetch, missing, resolve_base
from slm_facts.parameters import estimate, names

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "max_position_embeddings": 256,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
    "vocab_size": 500,
}


def safetensors(shapes: Mapping[str, list[int]]) -> bytes:
    """A safetensors file of zeros, written by the format's description."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 4
        for dimension in shape:
            size *= dimension
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def model(folder: Path, config: Mapping[str, Any] = LLAMA, files: Mapping[str, str | bytes] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    weights = {"model.safetensors": safetensors({"w": [10, 7]}), "tokenizer.json": "{}"}
    written = {"config.json": json.dumps(config), **(weights if files is None else files)}
    for name, content in written.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_scratch_is_no_model_at_all() -> None:
    assert resolve_base("scratch").kind == "scratch"


@pytest.mark.parametrize(("name", "parameters"), [("stories260k", 260_032), ("babyllama-char-937k", 936_448)])
def test_a_real_folder_is_read_without_loading_it(data: Path, name: str, parameters: int) -> None:
    base = resolve_base(name, data / "models")
    assert (base.kind, base.parameters, base.model_type) == ("decoder", parameters, "llama")
    assert base.path == data / "models" / name
    assert base.layers == 5


def test_reading_a_base_imports_nothing_heavy(tmp_path: Path) -> None:
    model(tmp_path / "m")
    heavy = "torch transformers datasets huggingface_hub safetensors starlette numpy rich jinja2 tokenizers cpuinfo"
    ours = "slm_facts.hardware, slm_facts.base, slm_doors.progress, slm_models.verify, slm_runs.card"
    code = (
        f"import sys; from pathlib import Path; import {ours}\n"
        f"slm_facts.base.resolve_base('m', Path({str(tmp_path)!r}))\n"
        f"print([m for m in {heavy.split()} if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("architecture", "model_type", "kind"),
    [
        ("LlamaForCausalLM", "llama", "decoder"),
        ("GPT2LMHeadModel", "gpt2", "decoder"),
        ("Qwen2ForSequenceClassification", "qwen2", "decoder"),
        ("", "mistral", "decoder"),
        ("NewThingForCausalLM", "newthing", "decoder"),
        ("BertForMaskedLM", "bert", "encoder"),
        ("BertModel", "bert", "encoder"),
        ("RobertaForSequenceClassification", "roberta", "encoder"),
        ("ModernBertForMaskedLM", "modernbert", "encoder"),
        ("NewThingForMaskedLM", "newthing", "encoder"),
    ],
)
def test_the_kind_follows_from_architecture_and_type(
    tmp_path: Path, architecture: str, model_type: str, kind: str
) -> None:
    config = {**LLAMA, "architectures": [architecture] if architecture else None, "model_type": model_type}
    assert resolve_base("m", model(tmp_path / "m", config).parent).kind == kind


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "encoder-decoder"),
        ({"model_type": "bart", "is_encoder_decoder": True}, "encoder-decoder"),
        ({"model_type": "vit", "architectures": ["ViTForImageClassification"]}, "no text model"),
        ({"model_type": "own", "auto_map": {"AutoModel": "own.Model"}}, "its own Python code"),
        ({}, "no architecture"),
    ],
)
def test_what_is_neither_decoder_nor_encoder_is_refused(tmp_path: Path, config: dict[str, Any], why: str) -> None:
    with pytest.raises(SlmError, match=why):
        resolve_base("m", model(tmp_path / "m", config).parent)


def test_a_config_without_weights_is_an_architecture(tmp_path: Path) -> None:
    model(tmp_path / "m", files={})
    base = resolve_base("m", tmp_path)
    assert (base.kind, base.layers, base.hidden, base.vocabulary, base.context) == ("config", 2, 64, 500, 256)
    assert base.parameters == estimate(LLAMA) > 0


def test_the_shards_that_the_index_names_are_counted_and_no_others(tmp_path: Path) -> None:
    weight_map = {"a": "one.safetensors", "b": "one.safetensors", "c": "two.safetensors"}
    files = {
        "model.safetensors.index.json": json.dumps({"weight_map": weight_map}),
        "one.safetensors": safetensors({"a": [3, 4], "b": [5]}),
        "two.safetensors": safetensors({"c": [2, 2, 2]}),
        "unrelated.safetensors": safetensors({"x": [1000]}),
        "tokenizer.json": "{}",
    }
    model(tmp_path / "m", files=files)
    assert resolve_base("m", tmp_path).parameters == 25
    (tmp_path / "m" / "two.safetensors").unlink()
    with pytest.raises(SlmError, match=r"two\.safetensors: missing"):
        resolve_base("m", tmp_path)


def test_masks_and_a_head_that_is_tied_are_not_counted(tmp_path: Path) -> None:
    shapes = {
        "transformer.wte.weight": [10, 4],
        "lm_head.weight": [10, 4],
        "h.0.attn.bias": [1, 1, 8, 8],
        "h.0.attn.c_attn.bias": [12],
        "rotary_emb.inv_freq": [4],
    }
    model(tmp_path / "m", files={"model.safetensors": safetensors(shapes), "tokenizer.json": "{}"})
    assert resolve_base("m", tmp_path).parameters == 40 + 12


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1000\n",
        safetensors({"w": [10, 7]})[:-1],
        struct.pack("<Q", 4) + b"[1] ",
        struct.pack("<Q", 12) + b'{"w": {"a":1' + bytes(9),
        struct.pack("<Q", 1 << 60) + b"{}",
    ],
)
def test_weights_that_are_cut_short_or_no_weights_are_named(tmp_path: Path, content: bytes) -> None:
    model(tmp_path / "m", files={"model.safetensors": content, "tokenizer.json": "{}"})
    with pytest.raises(SlmError, match=r"model\.safetensors: .*get it again"):
        resolve_base("m", tmp_path)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"pytorch_model.bin": "x"}, "only pickled weights"),
        ({"pytorch_model-00001-of-00002.bin": "x"}, "only pickled weights"),
        ({"model.safetensors": safetensors({"w": [1]})}, r"no tokenizer\.json"),
        ({"config.json": "{"}, "not JSON"),
        ({"config.json": "[1]"}, "not a model's configuration"),
    ],
)
def test_a_folder_that_cannot_be_a_base_says_why(tmp_path: Path, files: dict[str, str | bytes], why: str) -> None:
    model(tmp_path / "m", files=files)
    with pytest.raises(SlmError, match=why) as caught:
        resolve_base("m", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "the folder is empty"),
        ({"readme.txt": "x"}, r"config\.json is missing"),
        ({"model.gguf": "x"}, "GGUF"),
        ({"adapter_config.json": '{"base_model_name_or_path": "org/base"}'}, "an adapter of org/base"),
        ({"adapter_config.json": "{"}, "an adapter, no model"),
    ],
)
def test_a_folder_that_is_no_model_says_what_is_missing(tmp_path: Path, files: dict[str, str], why: str) -> None:
    (tmp_path / "m").mkdir()
    for name, text in files.items():
        (tmp_path / "m" / name).write_text(text)
    with pytest.raises(SlmError, match=why):
        resolve_base("m", tmp_path)


@pytest.mark.parametrize(("file", "why"), [("m.gguf", "GGUF"), ("config.json", "name the model's folder")])
def test_a_file_is_no_base(tmp_path: Path, file: str, why: str) -> None:
    (tmp_path / file).write_text("x")
    with pytest.raises(SlmError, match=why):
        resolve_base(file, tmp_path)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache."""
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.parametrize(
    ("variable", "below"), [("HF_HUB_CACHE", ""), ("HF_HOME", "hub"), ("XDG_CACHE_HOME", "huggingface/hub")]
)
def test_a_hub_id_is_found_in_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, below: str
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv(variable, str(tmp_path / "c"))
    entry = tmp_path / "c" / below / "models--org--name"
    model(entry / "snapshots" / "abc123", {**LLAMA, "model_type": "mistral"})
    (entry / "refs").mkdir()
    (entry / "refs" / "main").write_text("abc123")
    base = resolve_base("org/name", tmp_path)
    assert (base.kind, base.model_type, base.path) == ("decoder", "mistral", entry / "snapshots" / "abc123")
    assert not missing("org/name", tmp_path)


def test_a_download_that_was_broken_off_is_no_architecture(cache: Path) -> None:
    entry = cache / "models--org--name"
    model(entry / "snapshots" / "abc", files={})
    (entry / "refs").mkdir()
    (entry / "refs" / "main").write_text("abc")
    with pytest.raises(SlmError, match="not complete"):
        resolve_base("org/name")


@pytest.mark.parametrize(
    ("name", "why", "absent"),
    [
        ("org/name", "hf download org/name", True),
        ("gpt2", "nor in the Hugging Face cache", True),
        ("./org/name", "no such folder", False),
        ("/no/such/folder", "no such folder", False),
        ("a/b/c", "no such folder", False),
        ("../x", "no such folder", False),
    ],
)
def test_a_name_that_is_nowhere_says_how_to_get_it(
    cache: Path, tmp_path: Path, name: str, why: str, absent: bool
) -> None:
    with pytest.raises(SlmError, match=why):
        resolve_base(name, tmp_path)
    assert missing(name, tmp_path) is absent
    assert cached(name) is None


def test_nothing_is_fetched_when_the_hub_is_switched_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SlmError, match="HF_HUB_OFFLINE is set"):
        fetch("org/name")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """A server that answers as a model hub does, with one repository: org/name."""
    files = {p.name: p.read_bytes() for p in model(tmp_path / "served").iterdir()}
    files |= {"pytorch_model.bin": b"pickle", "run.py": b"evil()"}

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            name = path.rsplit("/", 1)[-1]
            if path.startswith("/api/models/org/name"):
                listed: list[dict[str, Any]] = [
                    {"rfilename": each, "type": "file", "path": each, "size": len(b), "oid": "0" * 40}
                    for each, b in files.items()
                ]
                info = {"id": "org/name", "sha": "c" * 40, "siblings": listed, "private": False, "tags": []}
                self.answer(200, json.dumps(listed if "/tree/" in path else info).encode(), "application/json")
            elif path.startswith("/org/name/resolve/") and name in files:
                self.answer(200, files[name], "application/octet-stream")
            else:
                self.answer(404, b"{}", "application/json")

        def answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", "c" * 40)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run_fetch(name: str, endpoint: str, cache: Path) -> str:
    """`fetch` in a process of its own: huggingface_hub reads its settings when it is imported."""
    code = (
        "from slm_facts.base import fetch, resolve_base\nfrom slm.errors import SlmError\ntry:\n"
        f"    got = sorted(p.name for p in fetch({name!r}).iterdir())\n    print(resolve_base({name!r}).kind, got)\n"
        "except SlmError as error:\n    print('SlmError', error)"
    )
    settings = {"HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    environment = {**os.environ, **settings, "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_fetching_brings_weights_and_json_and_nothing_that_can_run(hub: str, tmp_path: Path) -> None:
    assert (
        run_fetch("org/name", hub, tmp_path / "hub")
        == "decoder ['config.json', 'model.safetensors', 'tokenizer.json']\n"
    )


def test_fetching_what_the_hub_does_not_have_is_a_users_error(hub: str, tmp_path: Path) -> None:
    said = run_fetch("org/other", hub, tmp_path / "hub")
    assert said.startswith("SlmError base 'org/other': could not be downloaded (")
    assert said.count("\n") == 1


def test_fetching_from_a_hub_that_is_not_there_is_a_users_error(tmp_path: Path) -> None:
    assert "could not be downloaded" in run_fetch("org/name", "http://127.0.0.1:9", tmp_path / "hub")


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 130, "pad_token_id": 1}, 128),
        ({"model_type": "gpt2", "n_positions": 1024}, 1024),
        ({"model_type": "gemma3", "text_config": {"max_position_embeddings": 2048}}, 2048),
        ({}, 0),
    ],
)
def test_the_context_is_read_from_the_config(config: dict[str, Any], tokens: int) -> None:
    assert context(config) == tokens


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("chat_template.jinja", "{{ messages }}", True),
        ("tokenizer_config.json", '{"chat_template": "{{ messages }}"}', True),
        ("tokenizer_config.json", '{"chat_template": null}', False),
        ("tokenizer_config.json", "{", False),
    ],
)
def test_a_chat_template_is_found_where_it_may_stand(tmp_path: Path, file: str, content: str, expected: bool) -> None:
    (model(tmp_path / "m") / file).write_text(content)
    assert resolve_base("m", tmp_path).has_template is expected


FAMILIES = names(
    "arcee bloom codegen cohere ernie4_5 falcon gemma gemma2 gemma3_text gpt2 gpt_bigcode gpt_neox gptj granite "
    "granitemoe llama mistral mixtral mpt olmo2 olmoe opt phi phi3 qwen2 qwen3 qwen3_moe smollm3 stablelm starcoder2 "
    "bert deberta-v2 distilbert electra eurobert modernbert mpnet nomic_bert roberta xlm-roberta"
)


@pytest.mark.filterwarnings("ignore::UserWarning")  # transformers remarks on some default configs
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_estimate_of_a_config_is_within_two_percent_of_the_real_model(family: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    from slm_facts.base import ENCODERS

    config = AutoConfig.for_model(family)
    for name in ("num_hidden_layers", "n_layer", "n_layers"):
        if name in config.to_dict():
            setattr(config, name, 4)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:4]
    with torch.device("meta"):
        network = (AutoModel if family in ENCODERS else AutoModelForCausalLM).from_config(config)
    real = sum(parameter.numel() for parameter in network.parameters())
    assert estimate(json.loads(config.to_json_string())) == pytest.approx(real, rel=0.02)
