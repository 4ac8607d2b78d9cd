"""The ONNX graph of a decoder, by the model builder of onnxruntime-genai in a process of its own.

The builder prints as it works and puts its folder on the import path: neither belongs in ours.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from slm.plugin import SlmError

SUPPORTED = (
    "Ernie4_5ForCausalLM",
    "Gemma2ForCausalLM",
    "GemmaForCausalLM",
    "GraniteForCausalLM",
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Phi3ForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "SmolLM3ForCausalLM",
)
"""The architectures that the builder knows and whose graphs agree with PyTorch (release 0.18, transformers 5.23).

Left out: Phi (tanh GELU, off by 3e-3), Olmo (wrong answers), Gemma 3 (the builder fails on its rotary settings)."""

START = (
    "import onnxruntime_genai, runpy; onnxruntime_genai.disable_telemetry_events();"
    "runpy.run_module('onnxruntime_genai.models.builder', run_name='__main__', alter_sys=True)"
)


def build(
    source: Path,
    target: Path,
    precision: str,
    options: Mapping[str, str],
    progress: Callable[[int], None] = lambda layer: None,
) -> None:
    """Write `model.onnx` and `genai_config.json` of the plain checkpoint `source` into `target`.

    `progress` is told the number of each layer as it is read. SlmError with the builder's last words if it fails.
    """
    import onnxruntime_genai  # noqa: F401  (the process below needs it: say so before it starts)

    command = [sys.executable, "-c", START, "-i", str(source), "-o", str(target), "-p", precision, "-e", "cpu"]
    command += ["-c", str(target / "cache"), "--extra_options", *(f"{key}={value}" for key, value in options.items())]
    said = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as run:
        for line in run.stdout or ():
            said.append(line.strip())
            if found := re.match(r"Reading layer (\d+)", line):
                progress(int(found[1]))
    if run.returncode:
        last = next((line for line in reversed(said) if line), "it said nothing")
        raise SlmError(f"{source}: onnxruntime-genai's builder failed ({last}); export it with use = 'torchscript'")
