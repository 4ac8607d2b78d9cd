"""Decoded tokens a second of every engine against transformers' own `generate`, at 1 and at 8 streams.

Rounds are interleaved, so that a machine busy with other things slows all alike: read the ratios, not the digits.

    python benchmarks/engines.py --hidden 576 --layers 30 --vocabulary 49152     # the shape of a 135M model
    python benchmarks/engines.py --model models/stories260k --rounds 5
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slm.plugin import Base, Engine, Hardware, Interface, Job, Model, Request, Work
from slm_models.template import Prompter, derive_interface

CASES = ("transformers", "torchscript", "onnx", "onnx int8", "onnx int4")
Run = Callable[[int], float]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model folder; without one, a model of random weights is made")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=64, help="tokens of each prompt")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of each answer")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    return parser.parse_args()


def made(options: argparse.Namespace, folder: Path) -> Model:
    """A Llama of random weights whose answers never end by themselves."""
    from tokenizers import Tokenizer, models
    from transformers import AutoModelForCausalLM, LlamaConfig

    config = LlamaConfig(
        vocab_size=options.vocabulary,
        hidden_size=options.hidden,
        num_hidden_layers=options.layers,
        num_attention_heads=max(2, options.hidden // 64),
        num_key_value_heads=max(1, options.hidden // 192),
        head_dim=64,
        intermediate_size=int(options.hidden * 8 / 3) // 32 * 32,
        max_position_embeddings=options.prompt + options.tokens + 1,
        tie_word_embeddings=True,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    words = {f"w{n}": n for n in range(options.vocabulary)}
    Tokenizer(models.WordLevel(words, unk_token="w0")).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    return Model(folder, "transformers", Interface("completion", config.max_position_embeddings, stop=()))


def given(options: argparse.Namespace) -> Model:
    """The model of the folder, its stop tokens left out so that every answer has the same length."""
    import attrs

    interface = derive_interface(options.model, "completion")
    return Model(options.model, "transformers", attrs.evolve(interface, stop=()))


def artifact(case: str, model: Model, folder: Path, hardware: Hardware) -> Model:
    """The model in the format of the case."""
    from slm_exporters.onnx import Onnx
    from slm_exporters.torchscript import TorchScript

    if case == "transformers":
        return model
    folder.mkdir()
    work, job = Work(folder, folder, hardware), Job("bench", "completion", Base("bench", "decoder"))
    if case == "torchscript":
        return TorchScript().export(model, job, work)
    quantize: Any = case.removeprefix("onnx").strip() or "none"
    return Onnx(quantize=quantize).export(model, job, work)


def engine(model: Model, hardware: Hardware) -> Engine:
    """The model opened by the engine of its format."""
    from slm_engines.onnx import Onnx
    from slm_engines.torchscript import TorchScript
    from slm_engines.transformers import Transformers

    kinds = (Transformers, Onnx, TorchScript)
    opened: Engine = next(kind() for kind in kinds if model.format in kind.formats).engine(model, hardware)
    return opened


def prompts(options: argparse.Namespace, streams: int) -> list[tuple[int, ...]]:
    """Prompts of one length, each its own."""
    return [tuple(3 + (7 * n + 11 * i) % 90 for i in range(options.prompt)) for n in range(streams)]


def ours(opened: Engine, options: argparse.Namespace) -> Run:
    """A round through an engine: decoded tokens a second, prompts included."""

    def run(streams: int) -> float:
        requests = [Request(prompt, max_tokens=options.tokens) for prompt in prompts(options, streams)]
        start = time.perf_counter()
        count = sum(len(chunk.tokens) for chunk in opened.generate(requests))
        return count / (time.perf_counter() - start)

    return run


def theirs(model: Model, options: argparse.Namespace) -> Run:
    """A round through transformers' `generate`, all streams in one static batch, in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    network: Any = AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32).eval()
    settings = {"do_sample": False, "min_new_tokens": options.tokens, "max_new_tokens": options.tokens}

    def run(streams: int) -> float:
        ids = torch.tensor(prompts(options, streams))
        start = time.perf_counter()
        found = network.generate(ids, attention_mask=torch.ones_like(ids), pad_token_id=0, **settings)
        return float(found.shape[1] - ids.shape[1]) * streams / (time.perf_counter() - start)

    return run


def main() -> None:
    """Build, measure in turn, print a table."""
    import torch

    options = arguments()
    torch.set_num_threads(options.cores)
    hardware = Hardware(cores=options.cores)
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        model = given(options) if options.model else made(options, Path(scratch) / "model")
        assert Prompter.open(model.path, model.interface)
        runs: dict[str, Run] = {"transformers.generate": theirs(model, options)}
        for case in options.cases:
            opened = engine(artifact(case, model, Path(scratch) / case.replace(" ", "-"), hardware), hardware)
            stack.callback(opened.close)
            runs[case] = ours(opened, options)
        for streams in options.streams:
            report(streams, measure(runs, streams, options.rounds))


def measure(runs: dict[str, Run], streams: int, rounds: int) -> dict[str, list[float]]:
    """Each case's rate in each round, one warm-up left out."""
    for run in runs.values():
        run(streams)
    table: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            table[name].append(run(streams))
    return table


def report(streams: int, table: dict[str, list[float]]) -> None:
    """Median rates, and the median ratio of each round against `generate`."""
    base = table["transformers.generate"]
    print(f"\n{streams} streams".ljust(26) + "tokens/s   against generate")
    for name, rates in table.items():
        ratio = statistics.median(rate / other for rate, other in zip(rates, base, strict=True))
        print(f"{name:24} {statistics.median(rates):9.0f}   {ratio:.2f}x")


if __name__ == "__main__":
    main()
