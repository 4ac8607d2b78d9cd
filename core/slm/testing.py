"""The contract every plugin keeps, as tests. Authors write one line: `test_contract = contract("load.echo")`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from itertools import product
from pathlib import Path
from typing import Any, get_type_hints

import attrs
import pytest

from slm.call import Caller, new_manager
from slm.choose import build
from slm.config import Mistake
from slm.errors import SlmError
from slm.plugin import HOOKS, TASKS, Base, Bid, Gpu, Hardware, Job, Source, Work
from slm.registry import Offer

HEAVY = [
    "torch",
    "transformers",
    "peft",
    "datasets",
    "pyarrow",
    "numpy",
    "sklearn",
    "onnxruntime",
    "optimum",
    "starlette",
]
MACHINES = tuple(
    Hardware(cores=cores, memory=memory * 10**9, gpus=(Gpu("test", gpu * 10**9, (9, 0)),) if gpu else (), disk=10**12)
    for cores, memory, gpu in product((1, 16), (4, 64), (0, 8, 80))
)
BASES = (
    Base("scratch"),
    Base("config", "config", Path("config"), "LlamaForCausalLM", "llama", 10**7, 4, 256, 4096, 1024),
    Base("decoder", "decoder", Path("decoder"), "LlamaForCausalLM", "llama", 10**9, 24, 2048, 32000, 4096, True),
    Base("encoder", "encoder", Path("encoder"), "BertForMaskedLM", "bert", 10**8, 12, 768, 30000, 512),
)
JOBS = tuple(
    Job("test", task, base, splits=splits, rows=rows, size=rows and rows * 200)
    for task, base, splits, rows in product(TASKS, BASES, (("train",), ("test", "train", "validation")), (None, 5000))
)


def made(offer: Offer) -> Any:
    """The plugin with its defaults."""
    found: list[Mistake] = []
    plugin = build(offer, {}, offer.name, found)
    assert plugin is not None, f"every option has a default: {[f'{m.path}: {m.say}' for m in found]}"
    return plugin


def is_a_documented_frozen_attrs_class(offer: Offer) -> None:
    """Options that can be hashed and said in TOML, each with its help."""
    cls = offer.plugin
    assert attrs.has(cls), "decorate the class with @attrs.frozen"
    assert cls.__doc__, "the docstring is what `slm plugins` shows"
    assert not cls.__doc__.startswith(f"{cls.__name__}("), "write a docstring: this one was made by attrs"
    plugin = made(offer)
    hash(plugin)  # tuples, not lists
    for option in offer.options:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(plugin, option.name, None)
        assert option.metadata.get("help"), f"{option.name}: say what it does in metadata={{'help': ...}}"
        assert option.type is not None or option.name in get_type_hints(cls), f"{option.name}: give it a type"


def implements_its_hook(offer: Offer) -> None:
    """One @hookimpl, of the hook whose group it is in, with arguments that the hook has."""
    manager = new_manager()
    manager.register(made(offer), offer.name)
    manager.check_pending()
    found = [name for name in HOOKS for impl in getattr(manager.hook, name).get_hookimpls() if not impl.wrapper]
    assert found == [offer.hook], f"implements {found}"


def imports_nothing_heavy(offer: Offer) -> None:
    """Importing the plugin's module costs nothing: heavy libraries are imported by the method that uses them."""
    code = f"import sys, {offer.entry.module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.split(), f"import these inside the hook: {done.stdout.strip()}"


def bids_with_a_reason_on_every_machine(offer: Offer) -> None:
    """A bid depends on the job, the machine and the options alone, and says why."""
    plugin = made(offer)
    bids = [plugin.bid(job, machine) for job, machine in product(JOBS, MACHINES)]
    assert all(isinstance(bid, Bid) and bid.why and "\n" not in bid.why for bid in bids)
    assert all(bid.needs.memory >= 0 and bid.needs.seconds >= 0 and bid.needs.disk >= 0 for bid in bids)
    assert bids == [plugin.bid(job, machine) for job, machine in product(JOBS, MACHINES)]


def refuses_what_is_not_there(offer: Offer, folder: Path) -> None:
    """A loader answers a missing file with one line that names it."""
    plugin, work = made(offer), working(folder)
    claims = offer.plugin.claims  # type: ignore[attr-defined]
    assert claims, "say which addresses it is for: claims = ('.csv',)"
    assert all(claim == "/" or claim[0] == "." or claim.endswith("://") or "*" in claim for claim in claims)
    for claim in claims:
        if claim[0] == ".":
            with pytest.raises(SlmError, match="missing") as caught:
                list(plugin.load(source=Source(f"missing{claim}", folder), work=work))
            assert "\n" not in str(caught.value)


def loses_no_record(offer: Offer, folder: Path) -> None:
    """Every record that goes into a preprocessor comes out, or is among those it says it dropped; twice the same."""
    import datasets

    texts = ["Wie geht es dir?", "wie  geht es dir?", "caf&eacute;", "", *(f"text number {n}" for n in range(60))]
    rows = [{"id": str(n), "source": f"a.csv:{n}", "text": t, "label": "ab"[n % 2]} for n, t in enumerate(texts)]
    splits = {"train": datasets.Dataset.from_list(rows)}
    job = Job("test", "classification", BASES[0], rows=len(rows))
    outcomes = []
    for attempt in ("first", "second"):
        told = {"hook": "preprocess", "name": offer.name, "value": offer.entry.value, "options": {}, "path": "p"}
        (folder / attempt).mkdir()
        done = Caller().call(told, splits=splits, job=job, work=working(folder / attempt))
        parts = [*done.splits.values(), *done.dropped.values()]
        assert sorted(source for part in parts for source in part["source"]) == sorted(row["source"] for row in rows)
        assert all("why" in part.column_names for part in done.dropped.values())
        outcomes.append({name: list(part) for name, part in done.splits.items()})
    assert outcomes[0] == outcomes[1], "the same records and seed give the same result"


def declares_its_formats(offer: Offer) -> None:
    """An engine says which formats it opens."""
    assert getattr(offer.plugin, "formats", ()), "say which formats it opens: formats = ('onnx',)"


def working(folder: Path) -> Work:
    """A place to work."""
    for name in ("out", "checkpoints"):
        (folder / name).mkdir(exist_ok=True)
    return Work(folder / "out", folder / "checkpoints", MACHINES[0])


CHECKS: tuple[Callable[..., None], ...] = (
    is_a_documented_frozen_attrs_class,
    implements_its_hook,
    imports_nothing_heavy,
    bids_with_a_reason_on_every_machine,
)
OF_A_HOOK: dict[str, tuple[Callable[..., None], ...]] = {
    "load": (refuses_what_is_not_there,),
    "preprocess": (loses_no_record,),
    "engine": (declares_its_formats,),
}


def contract(*plugins: str) -> Any:
    """A pytest test: each check against each installed plugin, named `hook.name`."""
    cases = [(plugin, check) for plugin in plugins for check in (*CHECKS, *OF_A_HOOK.get(plugin.split(".")[0], ()))]

    @pytest.mark.parametrize(("plugin", "check"), cases, ids=[f"{p}-{c.__name__}" for p, c in cases])
    def test(plugin: str, check: Callable[..., None], tmp_path: Path) -> None:
        hook, _, name = plugin.partition(".")
        found: list[EntryPoint] = list(entry_points(group=f"slm.{hook}", name=name))
        assert found, f"no entry point {name!r} in the group slm.{hook}: install the package"
        offer = Offer(hook, found[0])
        check(offer, tmp_path) if "folder" in check.__annotations__ else check(offer)

    return test
