"""The options that recipes share: each function makes one field, so that its help and limits are said once."""

from __future__ import annotations

from typing import Any

from attrs import field, validators


def optional(check: Any) -> Any:
    """A validator that lets None through."""
    return validators.optional(check)


def epochs() -> Any:
    """Passes over the data."""
    help = "Passes over the training data; chosen by its size if not given."
    return field(default=None, validator=optional(validators.gt(0)), metadata={"help": help})


def learning_rate() -> Any:
    """Peak learning rate."""
    help = "Peak learning rate; chosen by recipe and model size if not given."
    return field(default=None, validator=optional(validators.gt(0)), metadata={"help": help})


def batch_tokens() -> Any:
    """Tokens of a step."""
    help = "Tokens in each optimizer step; chosen by the size of the data if not given."
    return field(default=None, validator=optional(validators.ge(1)), metadata={"help": help})


def max_length() -> Any:
    """Longest sample."""
    help = "Most tokens of a sample; the model's context, 1024 at most, if not given."
    return field(default=None, validator=optional(validators.ge(4)), metadata={"help": help})


def schedule() -> Any:
    """Learning rate's path."""
    return field(default="cosine", metadata={"help": "How the learning rate falls after the warm-up."})


def warmup() -> Any:
    """Share of steps for warm-up."""
    help = "Share of the steps over which the learning rate rises."
    return field(default=0.05, validator=[validators.ge(0), validators.lt(1)], metadata={"help": help})


def weight_decay(default: float) -> Any:
    """AdamW's weight decay."""
    return field(default=default, validator=validators.ge(0), metadata={"help": "Weight decay of AdamW, on matrices."})


def clip() -> Any:
    """Gradient clipping."""
    help = "Largest norm of a step's gradient; 0 for no limit."
    return field(default=1.0, validator=validators.ge(0), metadata={"help": help})


def precision() -> Any:
    """Number format."""
    help = "Number format of the computation; auto goes by model and hardware."
    return field(default="auto", metadata={"help": help})


def evaluate_every() -> Any:
    """Steps between validations."""
    help = "Steps between looks at the validation loss; a twentieth of all if not given."
    return field(default=None, validator=optional(validators.ge(1)), metadata={"help": help})


def checkpoint_every() -> Any:
    """Steps between checkpoints."""
    help = "Steps between checkpoints; about every 30 seconds if not given."
    return field(default=None, validator=optional(validators.ge(1)), metadata={"help": help})


def keep() -> Any:
    """Which weights are kept."""
    return field(default="best", metadata={"help": "Keep the weights of the best validation loss, or the last ones."})


def patience() -> Any:
    """Early stopping."""
    help = "Stop after so many validations without a better loss; 0 never stops early."
    return field(default=0, validator=validators.ge(0), metadata={"help": help})


def vocabulary() -> Any:
    """Tokens of a trained tokenizer."""
    help = "Tokens of the tokenizer trained from the data; chosen by its size if not given."
    return field(default=None, validator=optional(validators.ge(270)), metadata={"help": help})


def layers() -> Any:
    """Layers of a new model."""
    help = "Layers of the new model; chosen by the size of the data if not given."
    return field(default=None, validator=optional(validators.ge(1)), metadata={"help": help})


def hidden() -> Any:
    """Width of a new model."""
    help = "Width of the new model's hidden states; chosen by the size of the data if not given."
    return field(default=None, validator=optional(validators.ge(8)), metadata={"help": help})


def heads() -> Any:
    """Attention heads of a new model."""
    help = "Attention heads of the new model; one for each 32 of its width if not given."
    return field(default=None, validator=optional(validators.ge(1)), metadata={"help": help})


def rank() -> Any:
    """Rank of adapters."""
    return field(default=16, validator=validators.ge(1), metadata={"help": "Rank of the adapters."})


def alpha() -> Any:
    """Scale of adapters."""
    help = "Adapters are scaled by alpha / rank; twice the rank if not given."
    return field(default=None, validator=optional(validators.gt(0)), metadata={"help": help})


def targets() -> Any:
    """Modules that get adapters."""
    help = "Names of the linear layers that get adapters; all but the head if none is given."
    return field(default=(), metadata={"help": help})


def loss_on() -> Any:
    """What is learned of a conversation."""
    return field(default="answers", metadata={"help": "Learn the answers only, or the questions too."})


def dropout() -> Any:
    """Dropout of adapters."""
    help = "Share of the adapters' inputs dropped in training."
    return field(default=0.0, validator=[validators.ge(0.0), validators.lt(1.0)], metadata={"help": help})


def method() -> Any:
    """Which weights are trained."""
    return field(default="lora", metadata={"help": "Train adapters on the frozen base, or all of its weights."})
