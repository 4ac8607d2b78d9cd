"""Documentation that can't lie: its snippets run, and every hook and option is described."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from slm.pipeline import Pipeline
from slm.plugin import HOOKS
from slm.registry import Registry

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*/README.md"))]


def snippets(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_every_hook_has_a_heading() -> None:
    text = (ROOT / "docs/plugin-author.md").read_text(encoding="utf-8")
    assert [hook for hook in HOOKS if f"\n### {hook}\n" not in text] == []


def test_every_option_of_every_plugin_is_described() -> None:
    registry = Registry()
    bare = [
        f"{hook}.{offer.name}.{option.alias}"
        for hook in HOOKS
        for offer in registry.offers(hook).values()
        for option in offer.options
        if not option.metadata.get("help")
    ]
    assert bare == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_and_no_line_names_this_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert link.startswith("http") or (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pipelines_and_commands_in_the_text_are_right(page: Path, tmp_path: Path) -> None:
    for text in snippets(page, "toml"):
        table = tomllib.loads(text)
        if "load" in table:
            Pipeline.from_table({"name": "snippet", **table}, tmp_path)
    known = subprocess.run(
        [sys.executable, "-m", "slm_doors.cli", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for text in snippets(page, "sh"):
        for command in re.findall(r"^slm (\w+)", text, re.MULTILINE):
            assert re.search(rf"\b{command}\b", known), command
    for text in snippets(page, "python"):
        compile(text, str(page), "exec")


def test_the_plugin_of_the_authors_page_keeps_the_contract(tmp_path: Path) -> None:
    page = ROOT / "docs/plugin-author.md"
    code, test = snippets(page, "python")
    (project,) = snippets(page, "toml")
    told = tomllib.loads(project)["project"]
    (tmp_path / "shout.py").write_text(code)
    info = tmp_path / f"slm_plugin_shout-{told['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {told['name']}\nVersion: {told['version']}\n")
    (info / "entry_points.txt").write_text("[slm.preprocess]\nshout = shout:Shout\n")
    (tmp_path / "test_shout.py").write_text(test)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shout.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "5 passed" in done.stdout
