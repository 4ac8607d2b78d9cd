"""How many weights a model has: counted in the headers of its safetensors files, or estimated by its config."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from slm.errors import SlmError


def names(text: str) -> frozenset[str]:
    """Model types from a text that lists them."""
    return frozenset(text.split())


UNGATED = names(  # two matrices in the MLP, with biases; the others have three
    "albert apertus arcee bert big_bird biogpt bloom camembert codegen convbert data2vec-text deberta deberta-v2 "
    "distilbert electra ernie esm falcon gpt2 gpt_bigcode gpt_neo gpt_neox gptj ibert longformer luke megatron-bert "
    "mpnet mpt nemotron openai-gpt opt persimmon phi rembert roberta roberta-prelayernorm roformer starcoder2 xglm "
    "xlm-roberta xlm-roberta-xl xmod"
)
ROTARY = names(  # of the ungated, those without a table of learned positions
    "apertus arcee bloom codegen falcon gpt_neox gptj mpt nemotron persimmon phi roformer starcoder2 xglm"
)
HEADLESS = names("eurobert nomic_bert rembert")  # encoders whose config speaks of a head that is not theirs
BUFFERS = ("masked_bias", "inv_freq", "position_ids", "token_type_ids")


def integer(config: Mapping[str, Any], *names: str) -> int:
    """The first of the names that the config sets to a number; 0 where none is."""
    return next((int(config[name]) for name in names if isinstance(config.get(name), int | float)), 0)


def count(folder: Path, *, tied: bool) -> int:
    """Weights in the folder's safetensors files; a head stored again beside the embedding it is tied to counts once.

    Raises SlmError for a file that is missing or cut short.
    """
    shapes = {name: shape for file in _files(folder) for name, shape in _shapes(file).items()}
    if tied and any("embed" in name or "wte" in name for name in shapes):
        shapes = {name: shape for name, shape in shapes.items() if not name.endswith("lm_head.weight")}
    masks = {name for name, shape in shapes.items() if name.endswith(".bias") and len(shape) == 4}
    return sum(prod(shape) for name, shape in shapes.items() if name not in masks and not name.endswith(BUFFERS))


def estimate(config: Mapping[str, Any]) -> int:
    """Weights of a transformer by the usual formula; within a percent or two for the known families.

    Attention h*d*(2*heads + 2*kv_heads), MLP 2 or 3 times h*inner (times experts), embeddings, head if untied.
    """
    kind, hidden = str(config.get("model_type", "")), integer(config, "hidden_size", "n_embd", "d_model", "dim")
    layers = integer(config, "num_hidden_groups", "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    vocabulary = integer(config, "vocab_size")
    width = integer(config, "embedding_size", "word_embed_proj_dim", "input_embedding_size") or hidden
    tables = vocabulary * width + (width * hidden if width != hidden else 0)
    if kind in UNGATED - ROTARY:
        tables += hidden * integer(config, "max_position_embeddings", "n_positions")
    if not config.get("tie_word_embeddings", True) and kind not in HEADLESS:
        tables += vocabulary * hidden
    return tables + layers * (_attention(config, kind, hidden) + _mlp(config, kind, hidden) + 2 * hidden)


def _attention(config: Mapping[str, Any], kind: str, hidden: int) -> int:
    heads = integer(config, "num_attention_heads", "n_head", "n_heads", "num_heads") or 1
    groups = integer(config, "num_key_value_heads", "num_kv_heads") or heads
    if kind in ("falcon", "gpt_bigcode") and config.get("multi_query") and not config.get("new_decoder_architecture"):
        groups = 1
    size = integer(config, "head_dim") or hidden // heads
    return hidden * size * (2 * heads + 2 * groups) + (4 * hidden if kind in UNGATED else 0)


def _mlp(config: Mapping[str, Any], kind: str, hidden: int) -> int:
    inner = integer(config, "intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "hidden_dim") or 4 * hidden
    if kind in UNGATED:
        return 2 * hidden * inner + inner + hidden
    experts = integer(config, "num_local_experts", "num_experts", "n_routed_experts")
    if not experts:
        return 3 * hidden * inner
    each = integer(config, "moe_intermediate_size") or inner
    shared = integer(config, "shared_expert_intermediate_size") or each * integer(config, "n_shared_experts")
    return 3 * hidden * (each * experts + shared) + hidden * experts


def _files(folder: Path) -> list[Path]:
    """The weight files: those that the index names, else `model.safetensors`, else all."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise SlmError(f"{index}: not an index of weights ({error!r}); get the model again") from None
        return [folder / str(name) for name in names]
    whole = folder / "model.safetensors"
    return [whole] if whole.is_file() else sorted(folder.glob("*.safetensors"))


def _shapes(file: Path) -> dict[str, list[int]]:
    """Tensor shapes by name: a safetensors file starts with eight bytes of length and that much JSON."""
    try:
        with file.open("rb") as stream:
            size, length = file.stat().st_size, int.from_bytes(stream.read(8), "little")
            header: Any = json.loads(stream.read(length)) if length < min(size, 100_000_000) else None
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        shapes = {name: list(map(int, entry["shape"])) for name, entry in tensors.items()}
    except FileNotFoundError:
        raise SlmError(f"{file}: missing, though the model's index names it; get the model again") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise SlmError(f"{file}: not a safetensors file (a Git LFS pointer, or cut short); get it again") from None
    if 8 + length + end > size:
        raise SlmError(f"{file}: cut short ({size:,} of {8 + length + end:,} bytes); get it again")
    return shapes
