"""Summed losses of micro-batches: next token on target positions only, or the label of a text."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from slm_recipes.attention import register
from slm_recipes.packing import pack, pad

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from slm_recipes.tokenizing import Tokens

Loss = Callable[["Tokens", "NDArray[Any]"], "torch.Tensor"]
"""Samples (longest first) of some tokens -> the sum of their losses in nats, with its gradient graph."""

LONGEST = 1024
"""The longest sample that packing is tried with: a window beyond it is not reached by most texts."""

LOGITS = 2**24
"""Logits held at once: 64 MB in float32."""


def packed_loss(model: Any) -> Loss:
    """Next-token loss of a decoder over packed rows; `model` must have packed attention (see `choose_loss`)."""
    decoder, head = inner(model)

    def loss(tokens: Tokens, samples: NDArray[Any]) -> torch.Tensor:
        row = pack(tokens, samples, model.device)
        out = decoder(input_ids=row.ids, position_ids=row.positions, layout=row.layout, use_cache=False)
        hidden = out.last_hidden_state[0].index_select(0, row.before)
        return cross_entropy(hidden, head.weight, getattr(head, "bias", None), row.wanted)

    return loss


def padded_loss(model: Any, filler: int) -> Loss:
    """The same over padded batches and through the model's own forward, for any architecture."""

    def loss(tokens: Tokens, samples: NDArray[Any]) -> torch.Tensor:
        import torch

        batch = pad(tokens, samples, filler, model.device)
        logits = model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).logits
        chosen = logits.flatten(0, 1).index_select(0, batch.before).float()
        return torch.nn.functional.cross_entropy(chosen, batch.wanted, reduction="sum")

    return loss


def padded_label_loss(model: Any, filler: int) -> Loss:
    """Loss of a classifier's labels over padded batches, for any architecture."""

    def loss(tokens: Tokens, samples: NDArray[Any]) -> torch.Tensor:
        batch = pad(tokens, samples, filler, model.device)
        return label_entropy(model, model(input_ids=batch.ids, attention_mask=batch.mask).logits, tokens, samples)

    return loss


def packed_label_loss(model: Any) -> Loss:
    """The same over packed rows, for encoders that pool the first token or the mean of all.

    The encoder's output is cut down to that one vector a sample before the model's own head sees it.
    """
    pool = mean_of_each if getattr(model.config, "classifier_pooling", "cls") == "mean" else first_of_each

    def loss(tokens: Tokens, samples: NDArray[Any]) -> torch.Tensor:
        row = pack(tokens, samples, model.device)

        def cut(encoder: Any, _: Any, output: Any) -> Any:
            output.last_hidden_state = pool(output.last_hidden_state[0], row.positions[0])[:, None]
            if getattr(encoder, "pooler", None) is not None:
                output.pooler_output = encoder.pooler(output.last_hidden_state)
            return output

        hook = model.base_model.register_forward_hook(cut)
        try:
            logits = model(input_ids=row.ids, position_ids=row.positions, layout=row.layout).logits
        finally:
            hook.remove()
        return label_entropy(model, logits, tokens, samples)

    return loss


def first_of_each(hidden: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """The vectors [n, H] of the first tokens of n samples in a row: hidden [T, H], positions [T]."""
    return hidden.index_select(0, (positions == 0).nonzero()[:, 0])


def mean_of_each(hidden: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """The mean vectors [n, H] of n samples in a row: hidden [T, H], positions [T]."""
    sample = (positions == 0).cumsum(0) - 1
    lengths = sample.bincount()
    sums = hidden.new_zeros(len(lengths), hidden.shape[1]).index_add(0, sample, hidden)
    return sums / lengths[:, None].to(hidden.dtype)


def label_entropy(model: Any, logits: torch.Tensor, tokens: Tokens, samples: NDArray[Any]) -> torch.Tensor:
    """Summed cross entropy of [n, labels] logits."""
    import torch

    labels = torch.from_numpy(tokens.labels[samples]).to(model.device)
    return torch.nn.functional.cross_entropy(logits.float(), labels, reduction="sum")


def choose_loss(model: Any, packed: Callable[[Any], Loss], padded: Loss) -> tuple[Loss, bool, str]:
    """Packed where the model gives the same losses packed as one by one, else padded: (loss, is it padded, reason)."""
    before, tolerance = model.config._attn_implementation, 1e-4 if str(model.dtype) == "torch.float32" else 5e-2
    try:
        model.set_attn_implementation(register())
        chosen = packed(model)
        difference = compare(model, chosen, padded)
    except (AttributeError, IndexError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        difference, why = float("inf"), f"{type(error).__name__}: {error}".splitlines()[0]
    else:
        why = f"losses differ by {difference:.1e} nats"
    if difference < tolerance:
        return chosen, False, "packed: losses agree with one sample at a time"
    model.set_attn_implementation(before)
    return padded, True, f"padded: this architecture does not pack ({why})"


def compare(model: Any, packed: Loss, padded: Loss) -> float:
    """The difference in nats a target between a packed row of three samples and each of them alone. They are short,
    but for one that is longer than the model's window of attention, if it has one."""
    import numpy as np
    import torch

    from slm_recipes.tokenizing import gather

    config = model.config.get_text_config()
    draw, limit = np.random.default_rng(0), min(config.vocab_size, 256)
    window = getattr(config, "sliding_window", None) or 0
    longest = min(max(13, window + 5), getattr(config, "max_position_embeddings", None) or 13, LONGEST)
    samples = [(draw.integers(1, limit, size).tolist(), [True] * size, 0) for size in (longest, 9, 4)]
    tokens, training = gather(samples), model.training
    model.eval()
    with torch.no_grad():
        together = float(packed(tokens, np.arange(3)))
        model.set_attn_implementation("eager")
        alone = sum(float(padded(tokens, np.array([n]))) for n in range(3))
    model.set_attn_implementation(register())
    model.train(training)
    return abs(together - alone) / int(tokens.targets.sum())


def inner(model: Any) -> tuple[Any, Any]:
    """The decoder below the head, and the head; adapters in them stay in effect."""
    whole = model.get_base_model() if hasattr(model, "get_base_model") else model
    return whole.get_decoder(), whole.get_output_embeddings()


def cross_entropy(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, wanted: torch.Tensor
) -> torch.Tensor:
    """Summed cross entropy of [M, H] hidden states under a head [V, H], never holding all M x V logits."""
    result: torch.Tensor = head_loss().apply(hidden, weight, bias, wanted)
    return result


def to_gradient(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The summed cross entropy of logits [M, V]; they become its gradient, softmax less one at the target, in place."""
    scores -= scores.amax(1, keepdim=True)
    chosen = scores.gather(1, target)
    mass = scores.exp_().sum(1, keepdim=True)
    scores /= mass
    scores.scatter_add_(1, target, scores.new_full(target.shape, -1.0))
    return (mass.log() - chosen).sum()


@cache
def head_loss() -> Any:
    """The head and its loss as one autograd function, which makes its gradients while it has the logits."""
    import torch

    class HeadLoss(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, hidden: Any, weight: Any, bias: Any, wanted: Any) -> Any:
            cpu = hidden.device.type
            kind = torch.get_autocast_dtype(cpu) if torch.is_autocast_enabled(cpu) else weight.dtype
            h, w = hidden.to(kind), weight.to(kind)
            learn_hidden, learn_weight, learn_bias, _ = context.needs_input_grad
            total = hidden.new_zeros((), dtype=torch.float32)
            down = torch.empty_like(h) if learn_hidden else None
            up = torch.zeros_like(w, dtype=torch.float32) if learn_weight else None
            shift = torch.zeros_like(bias, dtype=torch.float32) if learn_bias else None
            rows = max(1, LOGITS // len(w))
            for begin in range(0, len(h), rows):
                part, target = h[begin : begin + rows], wanted[begin : begin + rows, None]
                scores = torch.nn.functional.linear(part, w, None if bias is None else bias.to(kind)).float()
                total += to_gradient(scores, target)
                if down is not None:
                    down[begin : begin + rows] = scores.to(kind) @ w
                if up is not None:
                    up += scores.to(kind).t() @ part
                if shift is not None:
                    shift += scores.sum(0)
            context.save_for_backward(down, up, shift)
            context.kinds = hidden.dtype, weight.dtype
            return total

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            down, up, shift = (None if x is None else x.mul_(gradient) for x in context.saved_tensors)
            first, second = context.kinds
            return None if down is None else down.to(first), None if up is None else up.to(second), shift, None

    return HeadLoss
