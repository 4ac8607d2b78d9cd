"""Text is read whole, by section, paragraph or line, in whatever encoding it is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import SlmError
from slm_loaders.text import Text


def test_encodings_are_found(data: Path, read: Callable[..., Any]) -> None:
    folder = data / "messy/encodings"
    right = 0
    for name, encoding in json.loads((folder / "ENCODINGS.json").read_bytes()).items():
        expected = (folder / name).read_bytes().decode(encoding).replace("\r\n", "\n").replace("\r", "\n").strip()
        (row,) = read(Text(per="file"), name, folder).rows
        right += row["text"] == expected
    assert right == 18


@pytest.mark.parametrize(
    ("per", "passages"),
    [
        ("file", [(2, "t", "# One\na\n\nb\n```\n# no heading\n```\n## Two ##\nc")]),
        ("section", [(2, "One", "# One\na\n\nb\n```\n# no heading\n```"), (9, "Two", "## Two ##\nc")]),
        ("paragraph", [(2, "t", "# One\na"), (5, "t", "b\n```\n# no heading\n```\n## Two ##\nc")]),
        ("line", [(2, "t", "# One"), (3, "t", "a"), (5, "t", "b"), (6, "t", "```"), (7, "t", "# no heading"),
                  (8, "t", "```"), (9, "t", "## Two ##"), (10, "t", "c")]),
    ],
)  # fmt: skip
def test_passages_know_their_lines_and_titles(
    per: Any, passages: list[tuple[int, str, str]], tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "t.md").write_text("\n# One\r\na\n\nb\n```\n# no heading\n```\n## Two ##\nc\n\n", newline="")
    found = read(Text(per=per), "t.md")
    assert [(n, row["title"], row["text"]) for n, row in zip(found.numbers, found.rows, strict=True)] == passages


def test_shakespeare_is_read_by_paragraph_and_loses_nothing(data: Path, read: Callable[..., Any]) -> None:
    found = read(Text(), "raw-text/tinyshakespeare/input.txt", data)
    whole = (data / "raw-text/tinyshakespeare/input.txt").read_text()
    assert len(found.rows) == 7222
    assert " ".join(row["text"] for row in found.rows).split() == whole.split()


def test_names_are_read_by_line(data: Path, read: Callable[..., Any]) -> None:
    found = read(Text(per="line"), "raw-text/names/names.txt", data)
    assert len(found.rows) == 32033
    assert max(len(batch.numbers) for batch in found.batches) <= 10_000


def test_a_folder_gives_one_record_a_file(data: Path, read: Callable[..., Any]) -> None:
    found = read(Text(), "raw-text/tldr-pages/", data)
    files = sorted((data / "raw-text/tldr-pages").rglob("*.md"))
    assert len(found.rows) == len(files) > 400
    assert set(found.addresses) == {str(file.relative_to(data)) for file in files}


def test_what_a_folder_holds_besides_text_is_said(tmp_path: Path, read: Callable[..., Any]) -> None:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/a.md").write_text("Hello")
    (folder / "b.txt").write_text("")
    (folder / "c.png").write_bytes(b"\x89PNG")
    (folder / ".hidden.txt").write_text("no")
    (tmp_path / "secret.txt").write_text("no")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    found = read(Text(), "docs")
    assert (found.addresses, [row["text"] for row in found.rows]) == (["docs/sub/a.md"], ["Hello"])
    assert {(reject.place, reject.why) for reject in found.rejected} == {
        ("docs/b.txt", "empty file"),
        ("docs/link.txt", "a link that leads out of the folder"),
    }
    assert found.warnings == ["docs: files of other kinds are left out: .png (1)"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", b"%PDF-1.4", r"t\.txt: is a PDF"),
        ("d/x.png", b"\x89PNG", r"d/: no text file in this folder"),
        ("nothing", b"", r"t\.txt: no such file"),
    ],
)
def test_what_is_no_text_is_refused(
    name: str, content: bytes, message: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SlmError, match=message):
        read(Text(), "d/" if name.startswith("d/") else "t.txt")
