"""Documents and folders of them give passages with their titles and pages; what is left out is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slm_loaders.documents import Documents


def text_of(found: Any) -> str:
    return "\n\n".join(row["text"] for row in found.rows)


def test_a_folder_is_read_with_what_is_left_out_said(tmp_path: Path, read: Callable[..., Any], make: Any) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    make.docx(folder / "a.docx", make.paragraph("From Word"))
    make.docx(folder / "void.docx", make.paragraph(""))
    (folder / "b.html").write_text("<p>From the web</p>")
    (folder / "c.md").write_text("# From markdown")
    (folder / "d.csv").write_text("a,b\n")
    (folder / ".hidden.md").write_text("no")
    (folder / "old.doc").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    (folder / "named.doc").write_text("<html><body><p>HTML named .doc</p></body></html>")
    (tmp_path / "secret.pdf").write_bytes(b"%PDF")
    (folder / "link.pdf").symlink_to(tmp_path / "secret.pdf")
    found = read(Documents(), "docs")
    assert dict(zip(found.addresses, [row["text"] for row in found.rows], strict=True)) == {
        "docs/a.docx": "From Word",
        "docs/b.html": "From the web",
        "docs/c.md": "# From markdown",
        "docs/named.doc": "HTML named .doc",
    }
    assert {reject.place: reject.why for reject in found.rejected} == {
        "docs/void.docx": "holds no text",
        "docs/old.doc": "is of the old binary format; save it as .docx or .pptx",
        "docs/link.pdf": "a link that leads out of the folder",
    }
    assert "docs: files of other kinds are left out: .csv (1)" in found.warnings


def test_text_in_a_folder_is_read_like_the_text_loader_does(data: Path, read: Callable[..., Any]) -> None:
    found = read(Documents(), "raw-text/tldr-pages/", data)
    assert len(found.rows) == len(list((data / "raw-text/tldr-pages").rglob("*.md"))) > 400


@pytest.mark.parametrize(
    ("per", "count"), [("auto", 2), ("file", 1), ("section", 2), ("paragraph", 4), ("line", 5), ("page", 1)]
)
def test_passages_are_cut_as_asked(per: Any, count: int, tmp_path: Path, read: Callable[..., Any], make: Any) -> None:
    body = (
        make.paragraph("One", "H2")
        + make.paragraph("a")
        + make.paragraph("Two", "H2")
        + make.paragraph("b", "", 1)
        + make.paragraph("c", "", 1)
    )
    make.docx(tmp_path / "t.docx", body)
    found = read(Documents(per=per), "t.docx")
    assert len(found.rows) == count
    assert set(found.rows[0]) == {"title", "text", "page", "path"}
    if per == "section":
        assert [(n, row["title"]) for n, row in zip(found.numbers, found.rows, strict=True)] == [(1, "One"), (5, "Two")]


def test_a_file_is_read_by_what_is_in_it_whatever_its_suffix(
    tmp_path: Path, read: Callable[..., Any], make: Any
) -> None:
    make.pdf(tmp_path / "a.docx", "From a PDF")
    make.docx(tmp_path / "b.pdf", make.paragraph("From Word"))
    (tmp_path / "c.doc").write_bytes(rb"{\rtf1\ansi Gr\'fc\'dfe \u8364? {\*\generator x}\par{\fonttbl no}end}")
    assert [text_of(read(Documents(), name)) for name in ("a.docx", "b.pdf", "c.doc")] == [
        "From a PDF",
        "From Word",
        "Grüße €\n\nend",
    ]
