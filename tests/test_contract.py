"""The contract checks over every built-in, and the rules of the house."""

import ast
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from slm.plugin import HOOKS
from slm.testing import contract

ROOT = Path(__file__).parents[1]
BUILT_IN = [
    f"{hook}.{entry.name}"
    for hook in HOOKS
    for entry in entry_points(group=f"slm.{hook}")
    if entry.dist and entry.dist.name == "slm-builder"
]
test_contract = contract(*BUILT_IN)


def imported(file: Path) -> set[str]:
    """The top-level packages and modules that a file imports, `slm.x` in full."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    names += [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module]
    return set(names)


def packages() -> list[Path]:
    return sorted(path for path in (ROOT / "plugins").glob("*/slm_*") if path.is_dir())


def test_every_hook_has_a_built_in_or_is_for_others() -> None:
    assert {name.split(".")[0] for name in BUILT_IN} | {"observe"} == set(HOOKS)


@pytest.mark.parametrize("package", packages(), ids=lambda path: path.name)
def test_plugins_import_the_contract_and_nothing_of_each_other(package: Path) -> None:
    ours = {path.name for path in [*packages(), *(ROOT / "core").iterdir()]}
    allowed = {package.name, "slm_annotation", "slm_data", "slm_models", "slm"}
    for file in package.rglob("*.py"):
        found = {name for name in imported(file) if name.partition(".")[0] in ours}
        assert {name.partition(".")[0] for name in found} <= allowed, file
        assert {name for name in found if name.partition(".")[0] == "slm"} <= {"slm.plugin"}, file


def test_the_kernel_names_no_plugin_and_imports_nothing_heavy_at_its_top() -> None:
    heavy = {"torch", "transformers", "datasets", "starlette", "peft", "onnxruntime"}
    for file in (ROOT / "core").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert not {name.partition(".")[0] for name in imported(file)} & {path.name for path in packages()}, file
        for node in tree.body:
            found = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            found += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in found} & heavy, f"{file}: import it where it is used"
