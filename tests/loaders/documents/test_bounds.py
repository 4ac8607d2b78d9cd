"""What is damaged, hostile or endless costs itself only, and is said in one line."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import SlmError
from slm_loaders.documents import Documents
from slm_loaders.opening.isolated import Child


def text_of(found: Any) -> str:
    return "\n\n".join(row["text"] for row in found.rows)


def test_an_encrypted_pdf_opens_with_its_password_only(data: Path, read: Callable[..., Any]) -> None:
    name, folder = "libreoffice-writer-password.pdf", data / "messy/pdf/005-libreoffice-writer-password"
    assert "Lorem ipsum" in text_of(read(Documents(password="openpassword"), name, folder))
    with pytest.raises(SlmError, match=rf"^{name}: is encrypted; give its password"):
        read(Documents(), name, folder)
    with pytest.raises(SlmError, match=rf"^{name}: the password does not open it") as caught:
        read(Documents(password="hunter2"), name, folder)
    assert "hunter2" not in str(caught.value) + repr(Documents(password="hunter2"))


def test_a_broken_page_is_rejected_and_the_others_go_on(tmp_path: Path, read: Callable[..., Any], make: Any) -> None:
    path = make.pdf(tmp_path / "t.pdf", "First page", "Second page", "Third page")
    parts = path.read_bytes().split(b"/Contents 6 0 R")
    assert len(parts) == 2
    path.write_bytes(parts[0] + b"/Contents(no)   " + parts[1][1:])
    found = read(Documents(), "t.pdf")
    assert [row["text"] for row in found.rows] == ["First page", "Third page"]
    assert [reject.place for reject in found.rejected] == ["t.pdf, page 2"]


BOMB = (
    '<!DOCTYPE d [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]>"
)


OUTSIDE = '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("kind", ["docx", "pptx", "odt", "epub"])
@pytest.mark.parametrize("declared", [BOMB, OUTSIDE, BOMB.encode("utf-16")], ids=["bomb", "outside", "utf-16"])
def test_xml_with_entities_is_refused(
    kind: str, declared: Any, tmp_path: Path, read: Callable[..., Any], make: Any
) -> None:
    part = {
        "docx": "word/document.xml",
        "pptx": "ppt/presentation.xml",
        "odt": "content.xml",
        "epub": "META-INF/container.xml",
    }[kind]
    content = declared + "<d>&a;</d>" if isinstance(declared, str) else declared + "<d>&a;</d>".encode("utf-16-le")
    make.pack(tmp_path / f"t.{kind}", {part: content})
    with pytest.raises(SlmError, match=rf"^t\.{kind}: its part {part} declares XML entities"):
        read(Documents(), f"t.{kind}")


@pytest.mark.parametrize("kind", ["docx", "pptx", "odt", "epub"])
def test_a_zip_bomb_is_refused(kind: str, tmp_path: Path, read: Callable[..., Any], make: Any) -> None:
    make.pack(tmp_path / f"t.{kind}", {"word/document.xml": bytes(60 << 20), "mimetype": b"x"})
    with pytest.raises(SlmError, match=rf"^t\.{kind}: unpacks from .* \(a zip bomb\?\)"):
        read(Documents(), f"t.{kind}")


def test_a_document_that_takes_too_long_is_given_up_and_the_next_is_read(
    tmp_path: Path, read: Callable[..., Any], make: Any
) -> None:
    (tmp_path / "d").mkdir()
    make.pdf(tmp_path / "d/a.pdf", "Slow", extra=b"\nBT (x) Tj ET" * 4_000_000)
    make.docx(tmp_path / "d/b.docx", make.paragraph("Next"))
    found = read(Documents(seconds=2), "d")
    assert [row["text"] for row in found.rows] == ["Next"]
    assert [reject.place for reject in found.rejected] == ["d/a.pdf"]
    assert found.rejected[0].why.startswith("is not read within 2 seconds")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.pdf", b"", "empty file"),
        ("t.pdf", b"%PDF-1.4\nnothing", r"the PDF is damaged|is damaged"),
        ("t.pdf", b"plain text", r"the PDF is damaged|is no PDF"),
        ("t.docx", b"PK\x03\x04cut", "the zip archive is broken or cut short"),
        ("t.docx", b"plain text", "is no office document"),
        ("t.rtf", b"plain text", "is no RTF"),
        ("t.doc", b"\xd0\xcf\x11\xe0" + bytes(600), "is of the old binary format; save it as .docx"),
        ("t.doc", b"plain text", "is no document of a kind that can be read"),
        ("t.docx", b"\xd0\xcf\x11\xe0" + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "is encrypted"),
        ("t.html", b"<html><body><script>x()</script></body></html>", "holds no text"),
        ("t.eml", b"\n\nno header", "is no e-mail message"),
    ],
)
def test_what_can_not_be_read_is_one_line_that_names_it(
    name: str, content: bytes, said: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SlmError, match=rf"^{re.escape(name)}: (?:{said})") as caught:
        read(Documents(), name)
    assert "\n" not in str(caught.value)


def test_a_child_that_is_lost_is_started_anew(tmp_path: Path, make: Any) -> None:
    make.docx(tmp_path / "t.docx", make.paragraph("Here"))
    with Child(20) as child:
        options = {"path": str(tmp_path / "t.docx"), "password": "", "whole": False}
        first = list(child.run("converting.kinds.convert", "t.docx", **options))
        child.running[0].kill()
        with pytest.raises(SlmError, match=r"t\.docx: crashes its reader"):
            list(child.run("converting.kinds.convert", "t.docx", **options))
        assert list(child.run("converting.kinds.convert", "t.docx", **options)) == first
