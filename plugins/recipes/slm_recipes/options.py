"""The options that recipes share, said once: what every recipe has, what adapters have, and what new models have."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen
from attrs.validators import ge, gt, lt, optional


@frozen
class Training:
    """The options of every recipe."""

    epochs: float | None = field(
        default=None,
        validator=optional(gt(0)),
        metadata={"help": "Passes over the training data; chosen by its size if not given."},
    )
    learning_rate: float | None = field(
        default=None,
        validator=optional(gt(0)),
        metadata={"help": "Peak learning rate; chosen by recipe and model size if not given."},
    )
    batch_tokens: int | None = field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "Tokens in each optimizer step; chosen by the size of the data if not given."},
    )
    max_length: int | None = field(
        default=None,
        validator=optional(ge(4)),
        metadata={"help": "Most tokens of a sample; the model's context, 1024 at most, if not given."},
    )
    schedule: Literal["cosine", "linear", "constant"] = field(
        default="cosine", metadata={"help": "How the learning rate falls after the warm-up."}
    )
    warmup: float = field(
        default=0.05,
        validator=[ge(0), lt(1)],
        metadata={"help": "Share of the steps over which the learning rate rises."},
    )
    weight_decay: float = field(default=0.01, validator=ge(0), metadata={"help": "Weight decay of AdamW, on matrices."})
    clip: float = field(
        default=1.0, validator=ge(0), metadata={"help": "Largest norm of a step's gradient; 0 for no limit."}
    )
    precision: Literal["auto", "float32", "bfloat16"] = field(
        default="auto", metadata={"help": "Number format of the computation; auto goes by model and hardware."}
    )
    evaluate_every: int | None = field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "Steps between looks at the validation loss; a twentieth of all if not given."},
    )
    checkpoint_every: int | None = field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "Steps between checkpoints; about every 30 seconds if not given."},
    )
    keep: Literal["best", "last"] = field(
        default="best", metadata={"help": "Keep the weights of the best validation loss, or the last ones."}
    )
    patience: int = field(
        default=0,
        validator=ge(0),
        metadata={"help": "Stop after so many validations without a better loss; 0 never stops early."},
    )


@frozen
class Adapting(Training):
    """The options of recipes that train adapters."""

    weight_decay: float = field(
        default=0.0, validator=ge(0), metadata={"help": "Weight decay of AdamW, on the adapters."}
    )
    rank: int = field(default=16, validator=ge(1), metadata={"help": "Rank of the adapters."})
    alpha: float | None = field(
        default=None,
        validator=optional(gt(0)),
        metadata={"help": "Adapters are scaled by alpha / rank; twice the rank if not given."},
    )
    dropout: float = field(
        default=0.0, validator=[ge(0), lt(1)], metadata={"help": "Share of the adapters' inputs dropped in training."}
    )
    targets: tuple[str, ...] = field(
        default=(),
        metadata={"help": "Names of the linear layers that get adapters; all but the head if none is given."},
    )


@frozen
class Making(Training):
    """The options of recipes that make a model and its tokenizer."""

    vocabulary: int | None = field(
        default=None,
        validator=optional(ge(270)),
        metadata={"help": "Tokens of the tokenizer trained from the data; chosen by its size if not given."},
    )
    layers: int | None = field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "Layers of the new model; chosen by the size of the data if not given."},
    )
    hidden: int | None = field(
        default=None,
        validator=optional(ge(8)),
        metadata={"help": "Width of the new model's hidden states; chosen by the size of the data if not given."},
    )
    heads: int | None = field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "Attention heads of the new model; one for each 32 of its width if not given."},
    )
