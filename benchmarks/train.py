"""Training speed side by side: the packed loop, a plain padded loop, and transformers' Trainer.

    python benchmarks/train.py [--rounds 5] [--steps 20] [--threads 2] [--long]

All train the same small Llama on the same samples with the same optimizer, in one process, taking turns; the figure
is useful (non-padding) tokens a second, the median of the rounds, and its ratio to the padded loop. `--long` takes
samples of 20 to 900 tokens instead of 25 to 60.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import LlamaForCausalLM, Trainer, TrainingArguments

from slm.plugin import Hardware
from slm_recipes import scratch
from slm_recipes.loss import choose_loss, packed_loss, padded_loss
from slm_recipes.optimizer import adamw, apply
from slm_recipes.packing import epoch_steps, micro_batches, steps_per_epoch
from slm_recipes.precision import Precision, fast_float32
from slm_recipes.tokenizing import Tokens, gather

BUDGET = 4096


def samples(long: bool) -> Tokens:
    """2,000 random samples, of which the second half is to be learned."""
    draw = np.random.default_rng(0)
    lengths = (draw.lognormal(4.5, 0.8, 2000).clip(20, 900) if long else draw.integers(25, 61, 2000)).astype(int)
    return gather((draw.integers(6, 1000, n).tolist(), [k >= n // 2 for k in range(n)], -1) for n in lengths)


def steps_of(tokens: Tokens) -> list[Any]:
    """The samples of each step of a pass."""
    return epoch_steps(tokens.lengths, steps_per_epoch(tokens.lengths, BUDGET), 0, 0)


def packed(model: Any, tokens: Tokens, steps: int, hardware: Hardware) -> float:
    """The recipes' loop: seconds for the steps."""
    loss, _, _ = choose_loss(model, packed_loss, padded_loss(model, 0))
    optimizer, parts, counts = (
        adamw(model, 1e-3, 0.1),
        steps_of(tokens)[:steps],
        tokens.counts(),
    )
    with fast_float32(Precision("cpu", "float32", "float32", ""), hardware):
        begun = time.perf_counter()
        for step in parts:
            for part in micro_batches(step, tokens.lengths, BUDGET, False):
                (loss(tokens, part) / int(counts[step].sum())).backward()
            apply(optimizer, model, 1e-3, 1.0)
        return time.perf_counter() - begun


def rows(tokens: Tokens, part: Any) -> dict[str, torch.Tensor]:
    """Samples as the usual padded batch with labels."""
    longest = int(tokens.lengths[part].max())
    ids, mask = np.zeros((len(part), longest), dtype="int64"), np.zeros((len(part), longest), dtype="int64")
    labels = np.full((len(part), longest), -100)
    for n, sample in enumerate(part):
        begin, end = tokens.offsets[sample : sample + 2]
        ids[n, : end - begin], mask[n, : end - begin] = tokens.ids[begin:end], 1
        labels[n, : end - begin] = np.where(tokens.targets[begin:end], tokens.ids[begin:end], -100)
    return {name: torch.from_numpy(x) for name, x in (("input_ids", ids), ("attention_mask", mask), ("labels", labels))}


def naive(model: Any, tokens: Tokens, steps: int, hardware: Hardware) -> float:
    """A padded loop as in most tutorials, over the same samples in each step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    parts = steps_of(tokens)[:steps]
    begun = time.perf_counter()
    for step in parts:
        model(**rows(tokens, step)).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - begun


def trainer(model: Any, tokens: Tokens, steps: int, hardware: Hardware) -> float:
    """transformers' Trainer over the same number of samples a step."""
    parts = steps_of(tokens)[:steps]
    order = np.concatenate(parts)
    size = len(order) // len(parts)
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            folder, per_device_train_batch_size=size, max_steps=len(parts), learning_rate=1e-3, report_to=[],
            save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True,
        )  # fmt: skip
        run = Trainer(model, settings, train_dataset=order.tolist(), data_collator=lambda part: rows(tokens, part))
        begun = time.perf_counter()
        run.train()
        return time.perf_counter() - begun


LOOPS: dict[str, Callable[[Any, Tokens, int, Hardware], float]] = {
    "padded": naive,
    "Trainer": trainer,
    "packed": packed,
}


def main() -> None:
    """Take turns and print the medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--long", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    tokens = samples(asked.long)
    layers, hidden = scratch.shape_for(0)
    model = LlamaForCausalLM(scratch.llama(1024, 1024, layers, hidden, None))
    useful = sum(int(tokens.lengths[step].sum()) for step in steps_of(tokens)[: asked.steps])
    speeds: dict[str, list[float]] = {name: [] for name in LOOPS}
    machine = this_machine()
    for _ in range(asked.rounds):
        for name, loop in LOOPS.items():
            speeds[name].append(useful / loop(copy.deepcopy(model), tokens, asked.steps, machine))
    base = statistics.median(speeds["padded"])
    print(f"{model.num_parameters():,} weights, {asked.threads} threads, samples of {tokens.lengths.mean():.0f} tokens")
    for name, found in speeds.items():
        middle = statistics.median(found)
        print(f"{name:8} {middle:8.0f} tokens/s  {middle / base:5.2f} x  ({min(found):.0f} to {max(found):.0f})")


def this_machine() -> Hardware:
    """What the choice of matrix products depends on."""
    import cpuinfo

    found = cpuinfo.get_cpu_info()
    return Hardware(cpu=found.get("brand_raw", ""), flags=tuple(found.get("flags", ())))


if __name__ == "__main__":
    main()
