"""What a recipe starts from: a model, its interface and its tokenizer, opened or made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from slm.plugin import Interface, Job, SlmError, Work
from slm_models.template import derive_interface, load_tokenizer
from slm_recipes import scratch
from slm_recipes.options import Making
from slm_recipes.saving import copy_tokenizer

if TYPE_CHECKING:
    import datasets
    from tokenizers import Tokenizer


def folder_of(job: Job) -> Path:
    """The base's folder; SlmError without one."""
    if job.base.path is None:
        raise SlmError(f"base = {job.base.name!r} has no weights; use the recipe 'pretrain', or name a model folder")
    return job.base.path.absolute()


def has_tokenizer(job: Job) -> bool:
    """Whether the base brings a tokenizer, or one is to be trained from the data."""
    return job.base.path is not None and (job.base.path / "tokenizer.json").is_file()


def open_decoder(job: Job, work: Work, dtype: str = "float32") -> tuple[Any, Interface, Tokenizer]:
    """A decoder base; its tokenizer files are copied into the work folder."""
    import torch
    from transformers import AutoModelForCausalLM

    base = folder_of(job)
    interface = derive_interface(base, job.task)
    try:
        model = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype), local_files_only=True)
    except (OSError, ValueError) as error:
        raise SlmError(f"{base}: not a model that generates text ({str(error).splitlines()[0]})") from None
    copy_tokenizer(base, work.folder)
    return model, interface, load_tokenizer(base)


def new_decoder(shape: Making, job: Job, train: datasets.Dataset, work: Work) -> tuple[Any, Interface, Tokenizer]:
    """A decoder with random weights: a small Llama, or the architecture of the base folder's `config.json`.

    The tokenizer is the base folder's, or trained from the data.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    base = job.base.path
    if base is not None and has_tokenizer(job):
        interface, tokenizer = derive_interface(base, job.task), load_tokenizer(base)
        copy_tokenizer(base, work.folder)
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base)), interface, tokenizer
    characters = scratch.size(train)
    config = AutoConfig.from_pretrained(base) if base is not None else None
    wanted = shape.vocabulary or (config.vocab_size if config else scratch.vocabulary_for(characters))
    tokenizer = trained_once(work, "tokenizer.json", lambda: scratch.byte_tokenizer(scratch.texts(train), wanted))
    context = getattr(config, "max_position_embeddings", None) or max(256, shape.max_length or 0)
    interface = scratch.generation_interface(job.task, int(context))
    scratch.save_tokenizer(tokenizer, interface, work.folder)
    if config is None:
        layers, hidden = scratch.shape_for(characters)
        size = tokenizer.get_vocab_size()
        config = scratch.llama(size, interface.context, shape.layers or layers, shape.hidden or hidden, shape.heads)
    else:
        adopt(config, interface)
    return AutoModelForCausalLM.from_config(config), interface, tokenizer


def trained_once(work: Work, name: str, make: Any) -> Tokenizer:
    """A tokenizer, trained at the first start and read at the next: a resumed run must have the very same."""
    file = work.checkpoints / name
    if not file.is_file():
        aside = file.with_suffix(".tmp")
        make().save(str(aside))
        aside.rename(file)
    return load_tokenizer(work.checkpoints)


def adopt(config: Any, interface: Interface) -> None:
    """Give a configuration the special tokens of our own tokenizer."""
    config.pad_token_id, config.bos_token_id, config.eos_token_id = scratch.PAD, scratch.BOS, scratch.END


def open_classifier(job: Job, labels: Sequence[str], limit: int | None, work: Work) -> tuple[Any, Interface, Tokenizer]:
    """An encoder or decoder base with a new head for the labels; its tokenizer files are copied."""
    from transformers import AutoModelForSequenceClassification

    base = folder_of(job)
    interface = derive_interface(base, job.task, labels)
    longest = json.loads((base / "tokenizer_config.json").read_text(encoding="utf-8")).get("model_max_length")
    interface = attrs.evolve(interface, context=int(min(limit or 512, interface.context, longest or 512)))
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            base, local_files_only=True, dtype="float32", num_labels=len(labels), ignore_mismatched_sizes=True
        )
    except (OSError, ValueError) as error:
        raise SlmError(f"{base}: not a model that can classify ({str(error).splitlines()[0]})") from None
    name_labels(model, interface)
    copy_tokenizer(base, work.folder)
    return model, interface, load_tokenizer(base)


def new_classifier(
    shape: Making, job: Job, labels: Sequence[str], train: datasets.Dataset, work: Work
) -> tuple[Any, Interface, Tokenizer]:
    """A classifier with random weights: a small ModernBERT, or the architecture of the base folder's `config.json`."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    base, characters = job.base.path, scratch.size(train)
    config = AutoConfig.from_pretrained(base) if base is not None else None
    context = min(shape.max_length or 512, getattr(config, "max_position_embeddings", None) or 512)
    if base is not None and has_tokenizer(job):
        interface, tokenizer = (
            attrs.evolve(derive_interface(base, job.task, labels), context=context),
            load_tokenizer(base),
        )
        copy_tokenizer(base, work.folder)
    else:
        wanted = shape.vocabulary or (config.vocab_size if config else scratch.classifier_vocabulary(characters))
        tokenizer = trained_once(work, "tokenizer.json", lambda: scratch.word_tokenizer(scratch.texts(train), wanted))
        interface = scratch.classifier_interface(context, labels)
        scratch.save_tokenizer(tokenizer, interface, work.folder)
    if config is None:
        layers, hidden = scratch.classifier_shape(characters)
        size = tokenizer.get_vocab_size()
        config = scratch.encoder(size, context, shape.layers or layers, shape.hidden or hidden, shape.heads)
    config.num_labels = len(labels)
    model = AutoModelForSequenceClassification.from_config(config)
    name_labels(model, interface)
    return model, interface, tokenizer


def name_labels(model: Any, interface: Interface) -> None:
    """Store the labels' names, and the padding that heads on the last token look for."""
    model.config.id2label = dict(enumerate(interface.labels))
    model.config.label2id = {name: n for n, name in enumerate(interface.labels)}
    model.config.pad_token_id = interface.pad
    model.config.problem_type = "single_label_classification"
