"""What a recipe will need, predicted from plain numbers: bytes of memory and disk, seconds. Imports nothing heavy."""

from __future__ import annotations

from attrs import evolve

from slm.plugin import Bid, Hardware, Job, Needs, Rank
from slm_recipes.settings import classifier_defaults

RUNTIME = 600_000_000
"""Bytes that Python with torch and transformers takes before any model."""

FLOPS = {"plain": 30e9, "avx512": 70e9, "bfloat16": 130e9}
"""Useful float operations a second of one core, measured in training: far below what a matrix product alone has."""

SMALL = 20_000_000
"""Below this many weights a model is trained in float32 (see precision)."""

GPU_FLOPS = {(9, 0): 200e12, (8, 0): 80e12, (7, 0): 15e12}
"""The same of a GPU, by the compute capability it has at least."""


def tokens_of(job: Job) -> int:
    """Tokens of the training data: a token is about four bytes; half a megabyte is assumed until data is known."""
    return max(1000, (job.size if job.size is not None else 500_000) // 4)


def speed(hardware: Hardware, parameters: int) -> float:
    """Float operations a second to count on with a model of this size."""
    if hardware.gpus:
        best = max(gpu.capability for gpu in hardware.gpus)
        return next((flops for least, flops in GPU_FLOPS.items() if best >= least), 5e12)
    flags = set(hardware.flags)
    half = parameters >= SMALL and {"avx512_bf16", "amx_bf16"} & flags
    return max(1, hardware.cores) * FLOPS["bfloat16" if half else "avx512" if "avx512f" in flags else "plain"]


def passes(tokens: int, epochs: float | None, steps: int, budget: int, limits: tuple[float, float]) -> float:
    """Passes over the data: as asked, or enough for `steps` steps within the limits."""
    return epochs or min(limits[1], max(limits[0], steps * budget / tokens))


def for_classifier(tokens: int, epochs: float | None, new: bool, parameters: int) -> float:
    """Tokens that a classifier sees with its defaults; a new one sees words in more pieces."""
    defaults = classifier_defaults(new, parameters)
    seen = tokens * passes(tokens, epochs, defaults.steps, defaults.budget(tokens), defaults.passes)
    return 1.3 * seen if new else seen


def at_once(memory: int, trained: int, frozen: int, layers: int, hidden: int, size: int) -> int:
    """Tokens of a micro-batch: as many as fit in three quarters of `memory` bytes beside the weights, 256 to 4096.

    A trained weight takes 16 bytes (value, gradient, two moments), a frozen one `size`. A token keeps about 34 numbers
    of `size` bytes for each layer and unit of width. Beyond 4096 tokens nothing gets faster.
    """
    free = memory * 3 // 4 - RUNTIME - 16 * trained - size * frozen
    return max(256, min(4096, free // max(1, 34 * size * layers * hidden)))


def full(
    parameters: int, trained: int, tokens: float, layers: int, hidden: int, hardware: Hardware, looked_up: int = 0
) -> Needs:
    """Needs of a run over so many tokens, in micro-batches of `at_once`; 6 operations a token for each trained weight,
    4 for each frozen one, and none for those that are only looked up: an encoder's vectors of tokens."""
    half = bool({"avx512_bf16", "amx_bf16"} & set(hardware.flags)) or hardware.gpu_memory > 0
    size = 2 if half and parameters >= SMALL else 4
    layers, hidden, frozen = max(1, layers), max(1, hidden), parameters - trained
    most = at_once(available(hardware) or 1 << 40, trained, frozen, layers, hidden, size)
    activations = 34 * size * layers * hidden * min(most, max(256, int(tokens)))
    memory = RUNTIME + 16 * trained + size * frozen + activations
    seconds = (4 * parameters + 2 * trained - 6 * looked_up) * tokens / speed(hardware, parameters) + 8
    return Needs(memory=memory, seconds=round(seconds, 1), disk=36 * trained + int(6 * tokens))


def whole(job: Job, hardware: Hardware, epochs: float | None) -> Needs:
    """Needs of training all weights of the base."""
    base, tokens = job.base, tokens_of(job)
    seen = tokens * passes(tokens, epochs, 200, 512, (3, 20))
    return full(base.parameters, base.parameters, seen, base.layers, base.hidden, hardware)


def adapters(job: Job, hardware: Hardware, rank: int, epochs: float | None) -> Needs:
    """Needs of training adapters on all linear layers: about 18 numbers of width for each rank and layer."""
    base, tokens = job.base, tokens_of(job)
    seen = tokens * passes(tokens, epochs, 200, 512, (3, 20))
    trained = 18 * rank * max(1, base.layers) * max(1, base.hidden)
    return full(base.parameters + trained, trained, seen, base.layers, base.hidden, hardware)


def trains_whole(job: Job, hardware: Hardware, epochs: float | None) -> bool:
    """Whether the base is small, and training all of it takes at most half of the memory."""
    have = available(hardware)
    return job.base.parameters < 30_000_000 and (not have or whole(job, hardware, epochs).memory <= have // 2)


def available(hardware: Hardware) -> int:
    """Bytes that a training may use: of the largest GPU, else of RAM; 0 where the machine is not known."""
    return hardware.gpu_memory or hardware.memory


def fitting(bid: Bid, hardware: Hardware) -> Bid:
    """The bid, or NO with what is missing where memory is too small."""
    have = available(hardware)
    if not have or bid.needs.memory <= have:
        return bid
    need = f"needs about {bid.needs.memory / 1e9:.1f} GB of memory, this machine has {have / 1e9:.1f}"
    return evolve(bid, rank=Rank.NO, why=f"{need}; a smaller base or a larger machine would do")


def refusal(job: Job, *, generates: bool = True) -> str | None:
    """Why no recipe of this kind (generating models on a decoder base, or not) takes the job; None where it may."""
    if job.task == "preference":
        return "learning from preferences needs chosen and rejected answers, which this recipe does not compare"
    if job.task == "classification":
        return "labels are learned by the recipe 'classification'"
    if generates and job.base.kind == "encoder":
        return f'{job.base.name} is an encoder and cannot generate text; name a decoder, or use base = "scratch"'
    if generates and job.base.kind in ("scratch", "config"):
        return f"base = {job.base.kind!r} has no weights to start from; the recipe 'pretrain' makes a model"
    return None
