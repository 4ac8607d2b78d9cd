"""The model to start from: found by its name, and read from its folder's JSON and headers without loading it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from slm.errors import SlmError
from slm.values import Base
from slm_facts.parameters import count, estimate, integer, names

ENCODERS = names(
    "albert bert big_bird camembert convbert data2vec-text deberta deberta-v2 distilbert electra ernie esm eurobert "
    "flaubert fnet funnel gte ibert jina_embeddings_v3 layoutlm longformer luke megatron-bert mobilebert modernbert "
    "mpnet mra nezha nomic_bert nystromformer rembert roberta roberta-prelayernorm roc_bert roformer squeezebert "
    "xlm-roberta xlm-roberta-xl xmod yoso"
)
DECODERS = names(
    "apertus arcee biogpt bitnet bloom codegen cohere cohere2 ctrl deepseek_v2 deepseek_v3 ernie4_5 ernie4_5_moe "
    "exaone4 falcon falcon_h1 gemma gemma2 gemma3 gemma3_text gemma3n_text gemma4 gemma4_text glm glm4 gpt2 "
    "gpt_bigcode gpt_neo gpt_neox gpt_oss gptj granite granitemoe granitemoehybrid helium lfm2 llama llama4_text mamba "
    "mamba2 ministral ministral3 mistral mixtral modernbert-decoder mpt nanochat nemotron olmo olmo2 olmo3 olmoe "
    "openai-gpt opt persimmon phi phi3 phimoe qwen2 qwen2_moe qwen3 qwen3_5 qwen3_5_text qwen3_moe qwen3_next "
    "seed_oss smollm3 stablelm starcoder2 xglm"
)
OFFSET = names("camembert data2vec-text longformer roberta roberta-prelayernorm xlm-roberta xlm-roberta-xl xmod")
PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt")
FILES = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "vocab.txt", "merges.txt"]


def resolve_base(name: str, folder: Path = Path()) -> Base:
    """The base that `name` means: `scratch`, a folder (relative to `folder`), or a hub id in the local cache.

    Raises SlmError, with what to do, where it names nothing or no model that can be trained.
    """
    if name == "scratch":
        return Base(name)
    path = folder / Path(name).expanduser()
    if path.is_dir():
        return read_base(name, path)
    if path.is_file():
        raise SlmError(_not_a_folder(name, path))
    snapshot = cached(name)
    if snapshot is None:
        hint = f"run 'hf download {name}' where there is a network" if hub_id(name) else "check the path"
        where = "neither a folder nor in the Hugging Face cache" if hub_id(name) else "no such folder"
        raise SlmError(f'base {name!r}: {where}; {hint}, or use base = "scratch"')
    base = read_base(name, snapshot)
    if base.kind == "config":
        raise SlmError(f"base {name!r}: its download is not complete ({snapshot}); run 'hf download {name}' again")
    return base


def read_base(name: str, path: Path) -> Base:
    """Read a model folder: kind, sizes, and whether it has a chat template; SlmError where it is no model."""
    config = _config(name, path)
    kind: Literal["config", "decoder", "encoder"] = _family(name, config)
    text = {**config, **(config.get("text_config") or {})}
    if any(path.glob("*.safetensors")):
        quantized = config.get("quantization_config")
        parameters = estimate(text) if quantized else count(path, tied=bool(text.get("tie_word_embeddings", True)))
        if not (path / "tokenizer.json").is_file():
            raise SlmError(f"base {name!r}: {path} has no tokenizer.json; save one with transformers' fast tokenizer")
    elif any(found for pattern in PICKLES for found in path.glob(pattern)):
        raise SlmError(
            f"base {name!r}: has only pickled weights, and a pickle can run any code; load it once where you trust it "
            "and save it with save_pretrained, which writes safetensors"
        )
    else:
        kind, parameters = "config", estimate(text)
    return Base(
        name=name,
        kind=kind,
        path=path,
        architecture=next(iter(config.get("architectures") or ()), ""),
        model_type=str(config.get("model_type", "")),
        parameters=parameters,
        layers=integer(text, "num_hidden_layers", "n_layer", "n_layers", "num_layers"),
        hidden=integer(text, "hidden_size", "n_embd", "d_model", "dim"),
        vocabulary=integer(text, "vocab_size"),
        context=context(config),
        has_template=_has_template(path),
    )


def context(config: Mapping[str, Any]) -> int:
    """The most tokens a sequence may have by its `config.json`; RoBERTa's kind keeps two positions for padding."""
    config = {**config, **(config.get("text_config") or {})}
    known = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx", "max_sequence_length", "seq_length")
    positions = integer(config, *known)
    kept = int(config.get("pad_token_id") or 1) + 1 if config.get("model_type") in OFFSET else 0
    return positions - kept if positions % 64 == kept else positions


def hub_id(name: str) -> bool:
    """Whether the name could be `model` or `organisation/model` on a hub, rather than a path."""
    return re.fullmatch(r"(\w[\w.-]*/)?\w[\w.-]*", name) is not None


def missing(name: str, folder: Path = Path()) -> bool:
    """Whether the base would have to be downloaded first."""
    here = name == "scratch" or (folder / Path(name).expanduser()).exists()
    return not here and hub_id(name) and cached(name) is None


def cached(name: str) -> Path | None:
    """The folder of a hub id's main revision in the local Hugging Face cache, if it is there."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    model = cache / f"models--{name.replace('/', '--')}"
    try:
        revision = (model / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    snapshot = model / "snapshots" / revision
    return snapshot if revision and (snapshot / "config.json").is_file() else None


def fetch(name: str) -> Path:
    """Download a hub id's JSON, tokenizer and safetensors files (nothing that can run code); the snapshot's folder.

    Raises SlmError where HF_HUB_OFFLINE forbids it, the hub does not know the name, or it can't be reached.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise SlmError(f"base {name!r}: not in the Hugging Face cache, and HF_HUB_OFFLINE is set; unset it to download")
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise SlmError(f"base {name!r}: downloading needs huggingface_hub: pip install 'slm-builder[train]'") from None
    try:
        return Path(snapshot_download(name, allow_patterns=FILES))
    except Exception as error:  # the errors of its network library, which is another one from release to release
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SlmError(f"base {name!r}: could not be downloaded ({why}); check the name and the network") from None


def _config(name: str, path: Path) -> dict[str, Any]:
    """The folder's `config.json`; SlmError that says what the folder is instead."""
    if not (path / "config.json").is_file():
        raise SlmError(_not_a_model(name, path))
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SlmError(f"base {name!r}: {path / 'config.json'}: not JSON ({error}); get the model again") from None
    if not isinstance(config, dict):
        raise SlmError(f"base {name!r}: {path / 'config.json'}: not a model's configuration; get the model again")
    return config


def _family(name: str, config: Mapping[str, Any]) -> Literal["decoder", "encoder"]:
    """Does it generate or encode? By its architecture or type; a classification head counts as what is below it."""
    model_type, architecture = str(config.get("model_type", "")), next(iter(config.get("architectures") or ()), "")
    conditional = architecture.endswith("ForConditionalGeneration") and "text_config" not in config
    if config.get("is_encoder_decoder") or conditional:
        raise SlmError(f"base {name!r}: {architecture or model_type} is an encoder-decoder; use a model that is one")
    if model_type in ENCODERS or architecture.endswith("ForMaskedLM"):
        return "encoder"
    if model_type in DECODERS or architecture.endswith(("ForCausalLM", "LMHeadModel")) or "text_config" in config:
        return "decoder"
    if "auto_map" in config:
        raise SlmError(f"base {name!r}: needs its own Python code, which slm does not run; use another model")
    what = architecture or model_type or "no architecture"
    raise SlmError(f"base {name!r}: config.json names {what}, no text model known here; use a decoder or an encoder")


def _has_template(path: Path) -> bool:
    try:
        table = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        table = {}
    return (path / "chat_template.jinja").is_file() or bool(isinstance(table, dict) and table.get("chat_template"))


def _not_a_folder(name: str, path: Path) -> str:
    if path.suffix == ".gguf":
        return f"base {name!r}: a GGUF file can be run but not trained; name the folder of the model it was made from"
    return f"base {name!r}: a file; name the model's folder, which holds config.json"


def _not_a_model(name: str, path: Path) -> str:
    adapter = path / "adapter_config.json"
    if adapter.is_file():
        try:
            below = json.loads(adapter.read_text(encoding="utf-8")).get("base_model_name_or_path")
        except (OSError, ValueError, AttributeError):
            below = None
        return f"base {name!r}: an adapter{f' of {below}' * bool(below)}, no model; export it as safetensors first"
    if any(path.glob("*.gguf")):
        return _not_a_folder(name, path / "model.gguf")
    has = "the folder is empty" if not any(path.iterdir()) else "the folder has none"
    return f"base {name!r}: no model: config.json is missing ({has}: {path}); name a model's folder"
