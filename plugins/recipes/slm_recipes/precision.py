"""Device and number formats, chosen with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

from attrs import frozen

from slm.plugin import Hardware
from slm_recipes.sizing import SMALL


@frozen
class Precision:
    """Where and in what to compute. `base` is the format of frozen weights, `compute` that of matrix products."""

    device: Literal["cpu", "cuda"]
    base: Literal["float32", "bfloat16"]
    compute: Literal["float32", "bfloat16"]
    why: str


def choose(hardware: Hardware, parameters: int, asked: str) -> Precision:
    """The precision for a model of this size; `asked` is `auto`, `float32` or `bfloat16`."""
    import torch

    cuda = bool(hardware.gpus) and torch.cuda.is_available()
    device: Literal["cpu", "cuda"] = "cuda" if cuda else "cpu"
    if asked == "float32":
        return Precision(device, "float32", "float32", "float32 as asked")
    if asked == "bfloat16":
        return Precision(device, "bfloat16", "bfloat16", "bfloat16 as asked")
    if parameters < SMALL:
        return Precision(device, "float32", "float32", f"float32: {parameters:,} weights are fast without rounding")
    fast, why = has_bfloat16(hardware, cuda)
    kind: Literal["float32", "bfloat16"] = "bfloat16" if fast else "float32"
    return Precision(device, kind, kind, f"{kind}: {why}")


def has_bfloat16(hardware: Hardware, cuda: bool) -> tuple[bool, str]:
    """Whether the device multiplies bfloat16 in hardware, and how that is known."""
    if cuda:
        best = max(gpu.capability for gpu in hardware.gpus)
        return best >= (8, 0), f"the GPU has compute capability {best[0]}.{best[1]}"
    found = [flag for flag in hardware.flags if flag in ("avx512_bf16", "amx_bf16")]
    return bool(found), f"the CPU has {found[0]}" if found else "the CPU has no bfloat16 instructions"


def autocast(precision: Precision) -> Any:
    """The context in which forward passes run."""
    import torch

    if precision.compute == "float32":
        return nullcontext()
    return torch.autocast(precision.device, torch.bfloat16)


@contextmanager
def fast_float32(precision: Precision, hardware: Hardware) -> Iterator[str]:
    """Let oneDNN multiply float32 matrices where that is as exact and faster; give the reason.

    MKL, torch's default, leaves AVX-512 unused on AMD: 110 GFLOP/s a core against 255 (Zen 5). torch takes oneDNN
    for float32 only where "medium" precision is allowed; without AMX that still computes in full float32, which is
    checked here on a product.
    """
    import torch

    before = torch.get_float32_matmul_precision()
    if precision.device != "cpu" or "AMD" not in hardware.cpu or "avx512f" not in hardware.flags:
        yield "matrix products by torch's default"
        return
    torch.set_float32_matmul_precision("medium")
    try:
        exact = product_error() < 1e-4
        if not exact:
            torch.set_float32_matmul_precision(before)
        yield "matrix products by oneDNN: full float32 with AVX-512" if exact else "matrix products by torch's default"
    finally:
        torch.set_float32_matmul_precision(before)


def product_error() -> float:
    """The largest error of a float32 product, relative to the mean size of its entries."""
    import torch

    draw = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=draw) for _ in range(2))
    exact = a.double() @ b.double()
    return float((a @ b - exact).abs().max() / exact.abs().mean())
