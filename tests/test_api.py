"""The contract and the choices, written out: a difference is a decision, and gets a line in the changelog.

`python tests/test_api.py` writes both files anew.
"""

import inspect
from pathlib import Path

import attrs

from slm import source, values
from slm.choose import Chooser
from slm.plugin import HOOKS, Base, Engine, Gpu, Hardware, Job
from slm.registry import Registry
from slm_annotation import values as annotation

HERE = Path(__file__).parent
GB = 10**9
MACHINES = {
    "laptop": Hardware(cores=2, memory=8 * GB),
    "workstation": Hardware(cores=16, memory=64 * GB, flags=("avx512f", "avx512_bf16")),
    "small gpu": Hardware(cores=8, memory=32 * GB, gpus=(Gpu("a", 8 * GB, (8, 6)),)),
    "big gpu": Hardware(cores=16, memory=128 * GB, gpus=(Gpu("b", 80 * GB, (9, 0)),)),
}
BASES = {
    "scratch": Base("scratch"),
    "decoder of 0.3M": Base("d", "decoder", Path("d"), "LlamaForCausalLM", "llama", 260_000, 5, 64, 512, 512),
    "decoder of 135M": Base(
        "d", "decoder", Path("d"), "LlamaForCausalLM", "llama", 135_000_000, 30, 576, 49152, 2048, True
    ),
    "decoder of 7B": Base("d", "decoder", Path("d"), "LlamaForCausalLM", "llama", 7 * GB, 32, 4096, 32000, 4096, True),
    "encoder of 110M": Base("e", "encoder", Path("e"), "BertForMaskedLM", "bert", 110_000_000, 12, 768, 30522, 512),
}
TASKS = ("qa", "instruction", "chat", "completion", "classification")


def api() -> str:
    """Hook signatures, the methods of engines and projects, and the fields of the values."""
    lines = []
    for hook, contract in HOOKS.items():
        lines.append(f"{hook}{inspect.signature(getattr(contract, hook))}")
    for name in ("generate", "classify", "score", "close"):
        lines.append(f"Engine.{name}{inspect.signature(getattr(Engine, name))}")
    for name, method in vars(annotation.Project).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            lines.append(f"Project.{name}{inspect.signature(method)}")
    modules = (values, source, annotation)
    for name, cls in sorted({name: cls for module in modules for name, cls in vars(module).items()}.items()):
        if inspect.isclass(cls) and attrs.has(cls) and cls.__module__ in [module.__name__ for module in modules]:
            types = {k: v for each in reversed(cls.__mro__) for k, v in getattr(each, "__annotations__", {}).items()}
            ends = {a.name: "" if a.default is attrs.NOTHING else " = ..." for a in attrs.fields(cls)}
            fields = ", ".join(f"{name}: {types[name]}{end}" for name, end in ends.items())
            lines.append(f"{name}({fields})")
    return "\n".join(lines) + "\n"


def choices() -> str:
    """Which of our recipes and exporters win `auto` for each task, base and machine, or why none does."""
    ours = Registry(lambda hook: [e for e in Registry().entries(hook) if e.dist and e.dist.name == "slm-builder"])
    lines = []
    for task in TASKS:
        for base_name, base in BASES.items():
            for machine, hardware in MACHINES.items():
                chooser = Chooser(ours, Job("x", task, base, rows=5000, size=10**6), hardware)
                lines.append(
                    f"{task}, {base_name}, {machine}: {winner(chooser, 'recipe')}; {winner(chooser, 'export')}"
                )
    return "\n".join(lines) + "\n"


def winner(chooser: Chooser, hook: str) -> str:
    from slm.errors import SlmError

    try:
        choice = chooser.best(hook, {}, hook)
    except SlmError as error:
        return str(error).split(" (")[0]
    return choice.name if choice else "nothing"


def test_the_contract_is_as_it_was_written_out() -> None:
    assert api() == (HERE / "api.txt").read_text(encoding="utf-8"), "python tests/test_api.py, and a changelog line"


def test_the_choices_are_as_they_were_written_out() -> None:
    found = choices()
    assert found == (HERE / "choices.txt").read_text(encoding="utf-8"), "python tests/test_api.py, and a changelog line"
    assert "suit equally" not in found


if __name__ == "__main__":
    (HERE / "api.txt").write_text(api(), encoding="utf-8")
    (HERE / "choices.txt").write_text(choices(), encoding="utf-8")
