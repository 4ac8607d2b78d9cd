"""Documents become markdown with their headings, lists, tables and code; what can't be read is said in one line."""

import difflib
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import SlmError
from slm_loaders.blocks import Block, make_document
from slm_loaders.documents import Documents
from slm_loaders.isolated import Child
from slm_loaders.prose import join_lines, plain_lines
from slm_loaders.webpage import read_html

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
P = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
O = (  # noqa: E741
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
)
STYLES = (
    f'<w:styles {W}><w:style w:type="paragraph" w:styleId="H2"><w:name w:val="heading 2"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Sub"><w:name w:val="My"/><w:basedOn w:val="H2"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="C"><w:name w:val="Listing"/><w:rPr><w:rFonts w:ascii="Consolas"/></w:rPr>'
    '</w:style><w:style w:type="character" w:styleId="L"><w:name w:val="Literal"/><w:rPr><w:rFonts w:ascii="Courier"/>'
    '</w:rPr></w:style><w:style w:type="paragraph" w:styleId="T1"><w:name w:val="toc 1"/></w:style></w:styles>'
)
NUMBERING = (
    f'<w:numbering {W}><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl>'
    "</w:abstractNum>"
    '<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>'
    "</w:numbering>"
)


def pack(path: Path, parts: Mapping[str, str | bytes]) -> Path:
    """Write a zip archive of these parts."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def docx(path: Path, body: str, **parts: str) -> Path:
    document = f"<w:document {W}><w:body>{body}</w:body></w:document>"
    named = {f"word/{name}.xml": content for name, content in parts.items()}
    return pack(
        path, {"word/document.xml": document, "word/styles.xml": STYLES, "word/numbering.xml": NUMBERING, **named}
    )


def paragraph(text: str, style: str = "", number: int = 0) -> str:
    listed = f'<w:numPr><w:ilvl w:val="0"/><w:numId w:val="{number}"/></w:numPr>' if number else ""
    properties = f'<w:pPr><w:pStyle w:val="{style}"/>{listed}</w:pPr>'
    return f'<w:p>{properties}<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def pdf(path: Path, *pages: str, extra: bytes = b"") -> Path:
    """Write a PDF with these lines of text on its pages."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for page in pages:
        shown = "".join(f"({line}) Tj T*\n" for line in page.split("\n"))
        stream = zlib.compress(f"BT /F1 12 Tf 14 TL 72 720 Td\n{shown}ET".encode() + extra)
        objects.append(b"<</Length %d/Filter/FlateDecode>>stream\n" % len(stream) + stream + b"\nendstream")
        kids.append(len(objects) + 1)
        resources = b"/Resources<</Font<</F1 3 0 R>>>>"
        contents = b"/Contents %d 0 R" % len(objects)
        objects.append(b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]" + resources + contents + b">>")
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(kids), b" ".join(b"%d 0 R" % n for n in kids))
    data, offsets = b"%PDF-1.4\n", []
    for n, each in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n" % n + each + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = b"trailer<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(data))
    path.write_bytes(data + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + end)
    return path


def text_of(found: Any) -> str:
    return "\n\n".join(row["text"] for row in found.rows)


def test_word_keeps_headings_lists_code_tables_notes_and_accepted_changes(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    row = "<w:tr>" + cell.format("a|b") + cell.format("c") + "</w:tr>"
    body = [
        paragraph("Contents 1", "T1"),
        paragraph("Title", "H2"),
        '<w:p><w:r><w:t>Say </w:t></w:r><w:ins><w:r><w:t>this</w:t></w:r></w:ins><w:del><w:r><w:delText>that'
        '</w:delText></w:r></w:del><w:r><w:rPr><w:rStyle w:val="L"/></w:rPr><w:t xml:space="preserve"> let x</w:t>'
        "</w:r>"
        '<w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r></w:p>',
        paragraph("one", "", 1), paragraph("two", "", 1), paragraph("first", "", 2), paragraph("second", "", 2),
        paragraph("if x:", "C"), paragraph("", "C"), paragraph("    y", "C"),
        "<w:sdt><w:sdtContent>" + paragraph("Part", "Sub") + "</w:sdtContent></w:sdt>",
        f"<w:tbl>{row}{row}</w:tbl>",
    ]  # fmt: skip
    note = f'<w:footnotes {W}><w:footnote w:id="2"><w:p><w:r><w:t>A note</w:t></w:r></w:p></w:footnote></w:footnotes>'
    docx(tmp_path / "t.docx", "".join(body), footnotes=note)
    related = (
        '<Relationships><Relationship Id="f" Type="x/footnotes" Target="footnotes.xml"/>'
        '<Relationship Id="s" Type="x/styles" Target="/word/styles.xml"/></Relationships>'
    )
    with zipfile.ZipFile(tmp_path / "t.docx", "a") as archive:
        archive.writestr("word/_rels/document.xml.rels", related)
    assert text_of(read(Documents(per="file"), "t.docx")) == (
        "## Title\n\nSay this `let x`[^2]\n\n- one\n- two\n1. first\n2. second\n\n```\nif x:\n\n    y\n```\n\n## Part"
        "\n\n| a\\|b | c |\n| --- | --- |\n| a\\|b | c |\n\n[^2]: A note"
    )


def test_slides_are_pages_with_their_notes_and_grouped_shapes(tmp_path: Path, read: Callable[..., Any]) -> None:
    def shape(text: str, role: str) -> str:
        mark = f'<p:nvPr><p:ph type="{role}"/></p:nvPr>' if role else "<p:nvPr/>"
        paragraphs = "".join(f"<a:p><a:r><a:t>{each}</a:t></a:r></a:p>" for each in text.split("\n"))
        return f"<p:sp><p:nvSpPr>{mark}</p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"

    def slide(*shapes: str) -> str:
        return f"<p:sld {P} {A} {R}><p:cSld><p:spTree>{''.join(shapes)}</p:spTree></p:cSld></p:sld>"

    parts = {
        "ppt/presentation.xml": f'<p:presentation {P} {R}><p:sldIdLst><p:sldId id="256" r:id="b"/>'
        '<p:sldId id="257" r:id="a"/><p:sldId id="258" r:id="gone"/></p:sldIdLst></p:presentation>',
        "ppt/_rels/presentation.xml.rels": '<Relationships><Relationship Id="a" Type="x/slide" '
        'Target="slides/one.xml"/><Relationship Id="b" Type="x/slide" Target="slides/two.xml"/></Relationships>',
        "ppt/slides/one.xml": slide(shape("7", "sldNum"), "<p:grpSp>" + shape("boxed", "") + "</p:grpSp>"),
        "ppt/slides/two.xml": slide(shape("a\nb", "body"), shape("Plan", "title")),
        "ppt/slides/_rels/two.xml.rels": '<Relationships><Relationship Id="n" Type="x/notesSlide" Target="../n.xml"/>'
        "</Relationships>",
        "ppt/n.xml": slide(shape("Speak up", "body"), shape("1", "sldNum")),
    }
    pack(tmp_path / "t.pptx", parts)
    found = read(Documents(per="page"), "t.pptx")
    assert [(row["page"], row["text"]) for row in found.rows] == [
        (1, "# Plan\n\n- a\n- b\n\nNotes: Speak up"),
        (2, "boxed"),
    ]
    assert found.numbers == [1, 2]
    assert [reject.place for reject in found.rejected] == ["t.pptx, slide 3"]


def test_opendocument_keeps_headings_lists_tables_and_notes(tmp_path: Path, read: Callable[..., Any]) -> None:
    content = (
        f'<office:document-content {O}><office:body><office:text><text:h text:outline-level="2">Title</text:h>'
        '<text:p>a<text:s text:c="2"/>b<text:note><text:note-citation>1</text:note-citation><text:note-body>'
        "<text:p>A note</text:p></text:note-body></text:note></text:p>"
        "<text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>in</text:p></text:list-item>"
        "</text:list></text:list-item></text:list>"
        "<table:table><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell><table:table-cell>"
        "<text:p>y</text:p></table:table-cell></table:table-row><table:table-row>"
        '<table:table-cell table:number-columns-repeated="2"><text:p>z</text:p></table:table-cell></table:table-row>'
        "</table:table></office:text></office:body></office:document-content>"
    )
    pack(tmp_path / "t.odt", {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content})
    assert text_of(read(Documents(per="file"), "t.odt")) == (
        "## Title\n\na  b[^1]\n\n- one\n  - in\n\n| x | y |\n| --- | --- |\n| z | z |\n\n[^1]: A note"
    )


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h2>A &amp; B</h2><p>one<br>two <b>three</b></p>", "## A & B\n\none\ntwo three"),
        ("<ul><li>a<ul><li>b</li></ul></li><li><p>c</p><p>d</p></li></ul>", "- a\n  - b\n- c\n\nd"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ("<pre>if x:\n    y\n</pre><p>use <code>x &lt; y</code></p>", "```\nif x:\n    y\n```\n\nuse `x < y`"),
        ("<table><tr><th>a<th>b<tr><td>1<td>2</table>", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("<table><tr><td>only</td></tr></table>", "only"),
        ("<dl><dt>term</dt><dd>meaning</dd></dl>", "term\n\n- meaning"),
        ("x<script>alert(1)</script><style>p{}</style><p hidden>no</p><p style='display:none'>no</p>y", "x\n\ny"),
        ("<p>a</p>loose<div>b<div>c</div></div>", "a\n\nloose\n\nb\n\nc"),
        ("<!-- no -->" + "<div>" * 400 + "deep" + "</div>" * 400, "deep"),
        ("<b>" * 5000 + "deeper", "deeper"),
    ],
)
def test_a_fragment_of_html_is_converted_whole(html: str, text: str) -> None:
    assert "\n".join(read_html(html.encode()).lines) == text


def test_of_web_pages_the_main_content_is_taken(data: Path) -> None:
    from lxml import etree

    def words(text: str) -> Counter[str]:
        return Counter(re.findall(r"\w+", text.lower()))

    scores = []
    for folder in sorted((data / "messy/html-pages").glob("*/")):
        key = etree.fromstring((folder / "expected.html").read_text(encoding="utf-8"), etree.HTMLParser())
        expected = words("\n".join(key.itertext()))
        found = words("\n".join(read_html((folder / "source.html").read_bytes()).lines))
        scores.append(2 * sum((expected & found).values()) / (sum(expected.values()) + sum(found.values())))
    assert len(scores) == 23
    assert sum(scores) / len(scores) > 0.96
    assert min(scores) > 0.85


def prose_of(markdown: str) -> list[str]:
    """The words outside of code blocks, without what the two forms of the book say each in its own way: listings'
    captions, numbers of figures, and where to find another chapter."""
    text = re.sub(r"(?s)<!--.*?-->", "", markdown)
    text = re.sub(r"(?ms)^```.*?^```", "", text)
    text = re.sub(r'(?s)<img alt="([^"]*)"[^>]*>', r"\1", text)
    text = re.sub(r"(?s)</?(?:Listing|span|img|figure|a|em|code)\b[^>]*>", "", text)
    text = re.sub(r"(?m)^\[[^\]]+\]:.*$", "", text)
    text = re.sub(r"(?s)\]\([^)]*\)|\]\[[^\]]*\]", "]", text)
    text = re.sub(r"(?m)^\S*\.(?:eps|svg|png)$|^(?:src/)?\S+\.rs$|^box$|Figure \d+-\d+:", "", text).replace("_", "")
    text = re.sub(
        r"(?s)\bon\s+page\s+XX|(?<=[”\"])\s+(?:section\s+)?(?:of|in)\s+Chapter\s+\d+|(?<=[”\"])\s+section", "", text
    )
    return re.findall(r"\w+", text.lower())


@pytest.mark.parametrize("chapter", ["04", "06", "07"])
def test_a_chapter_of_the_book_says_the_same_in_word_and_in_markdown(
    chapter: str, data: Path, read: Callable[..., Any]
) -> None:
    book = data / "raw-text/rust-book"
    files = sorted((book / "src").glob(f"ch{chapter}-*.md"))
    captions = {
        " ".join(re.findall(r"\w+", re.sub("<[^>]*>", "", caption).lower()))
        for file in files
        for caption in re.findall(r'caption="([^"]*)"', file.read_text(encoding="utf-8"))
    }
    expected = prose_of("\n".join(file.read_text(encoding="utf-8") for file in files))
    (row,) = read(Documents(per="file"), f"nostarch/docx/chapter{chapter}.docx", book).rows
    kept = [line for line in row["text"].split("\n") if " ".join(re.findall(r"\w+", line.lower())) not in captions]
    found = prose_of("\n".join(kept))
    assert difflib.SequenceMatcher(None, expected, found, autojunk=False).ratio() >= 0.98


def test_lines_of_a_page_become_paragraphs() -> None:
    page = """A long line of text that goes on until the edge and ends with a hy-
phen in the middle of a word that is well-known to all of us, and an\u00ad
other one, up to the point where the paragraph ends, which is well-
known to be here.
A new paragraph starts here, and it says that \ufb01ve ligatures are just
letters, too.
\u2022 one item
\u2022 another item
# of things: 2"""
    assert [each.text for each in join_lines([plain_lines(page)], {})] == [
        "A long line of text that goes on until the edge and ends with a hyphen in the middle of a word that is "
        "well-known to all of us, and another one, up to the point where the paragraph ends, which is well-known to be "
        "here.",
        "A new paragraph starts here, and it says that five ligatures are just letters, too.",
        "- one item",
        "- another item",
        "# of things: 2",
    ]


def test_headers_and_footers_of_pages_are_taken_out(tmp_path: Path, read: Callable[..., Any]) -> None:
    pdf(tmp_path / "t.pdf", *(f"The Manual\nBody number {word}\nPage {n} of 4" for n, word in enumerate("abcd", 1)))
    found = read(Documents(), "t.pdf")
    assert [(row["page"], row["text"]) for row in found.rows] == [
        (n, f"Body number {w}") for n, w in enumerate("abcd", 1)
    ]
    assert found.numbers == [1, 2, 3, 4]


def test_the_outline_of_a_pdf_gives_its_headings(data: Path, read: Callable[..., Any]) -> None:
    found = read(Documents(), "pdf/006-pdflatex-outline/pdflatex-outline.pdf", data / "messy")
    assert [row["title"] for row in found.rows][1:4] == ["1 Foo", "2 Bar", "3 Baz"]
    assert [row["page"] for row in found.rows][:6] == [1, 2, 2, 2, 2, 3]


def test_an_encrypted_pdf_opens_with_its_password_only(data: Path, read: Callable[..., Any]) -> None:
    name, folder = "libreoffice-writer-password.pdf", data / "messy/pdf/005-libreoffice-writer-password"
    assert "Lorem ipsum" in text_of(read(Documents(password="openpassword"), name, folder))
    with pytest.raises(SlmError, match=rf"^{name}: is encrypted; give its password"):
        read(Documents(), name, folder)
    with pytest.raises(SlmError, match=rf"^{name}: the password does not open it") as caught:
        read(Documents(password="hunter2"), name, folder)
    assert "hunter2" not in str(caught.value) + repr(Documents(password="hunter2"))


def test_a_broken_page_is_rejected_and_the_others_go_on(tmp_path: Path, read: Callable[..., Any]) -> None:
    path = pdf(tmp_path / "t.pdf", "First page", "Second page", "Third page")
    parts = path.read_bytes().split(b"/Contents 6 0 R")
    assert len(parts) == 2
    path.write_bytes(parts[0] + b"/Contents(no)   " + parts[1][1:])
    found = read(Documents(), "t.pdf")
    assert [row["text"] for row in found.rows] == ["First page", "Third page"]
    assert [reject.place for reject in found.rejected] == ["t.pdf, page 2"]


def test_a_folder_is_read_with_what_is_left_out_said(tmp_path: Path, read: Callable[..., Any]) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    docx(folder / "a.docx", paragraph("From Word"))
    docx(folder / "void.docx", paragraph(""))
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
def test_passages_are_cut_as_asked(per: Any, count: int, tmp_path: Path, read: Callable[..., Any]) -> None:
    body = (
        paragraph("One", "H2") + paragraph("a") + paragraph("Two", "H2") + paragraph("b", "", 1) + paragraph("c", "", 1)
    )
    docx(tmp_path / "t.docx", body)
    found = read(Documents(per=per), "t.docx")
    assert len(found.rows) == count
    assert set(found.rows[0]) == {"title", "text", "page", "path"}
    if per == "section":
        assert [(n, row["title"]) for n, row in zip(found.numbers, found.rows, strict=True)] == [(1, "One"), (5, "Two")]


BOMB = (
    '<!DOCTYPE d [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]>"
)
OUTSIDE = '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("kind", ["docx", "pptx", "odt", "epub"])
@pytest.mark.parametrize("declared", [BOMB, OUTSIDE, BOMB.encode("utf-16")], ids=["bomb", "outside", "utf-16"])
def test_xml_with_entities_is_refused(kind: str, declared: Any, tmp_path: Path, read: Callable[..., Any]) -> None:
    part = {
        "docx": "word/document.xml",
        "pptx": "ppt/presentation.xml",
        "odt": "content.xml",
        "epub": "META-INF/container.xml",
    }[kind]
    content = declared + "<d>&a;</d>" if isinstance(declared, str) else declared + "<d>&a;</d>".encode("utf-16-le")
    pack(tmp_path / f"t.{kind}", {part: content})
    with pytest.raises(SlmError, match=rf"^t\.{kind}: its part {part} declares XML entities"):
        read(Documents(), f"t.{kind}")


@pytest.mark.parametrize("kind", ["docx", "pptx", "odt", "epub"])
def test_a_zip_bomb_is_refused(kind: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    pack(tmp_path / f"t.{kind}", {"word/document.xml": bytes(60 << 20), "mimetype": b"x"})
    with pytest.raises(SlmError, match=rf"^t\.{kind}: unpacks from .* \(a zip bomb\?\)"):
        read(Documents(), f"t.{kind}")


def test_a_document_that_takes_too_long_is_given_up_and_the_next_is_read(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "d").mkdir()
    pdf(tmp_path / "d/a.pdf", "Slow", extra=b"\nBT (x) Tj ET" * 4_000_000)
    docx(tmp_path / "d/b.docx", paragraph("Next"))
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


def test_a_file_is_read_by_what_is_in_it_whatever_its_suffix(tmp_path: Path, read: Callable[..., Any]) -> None:
    pdf(tmp_path / "a.docx", "From a PDF")
    docx(tmp_path / "b.pdf", paragraph("From Word"))
    (tmp_path / "c.doc").write_bytes(rb"{\rtf1\ansi Gr\'fc\'dfe \u8364? {\*\generator x}\par{\fonttbl no}end}")
    assert [text_of(read(Documents(), name)) for name in ("a.docx", "b.pdf", "c.doc")] == [
        "From a PDF",
        "From Word",
        "Grüße €\n\nend",
    ]


def test_an_e_mail_gives_its_text(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.eml").write_bytes(
        b"From: a@example.com\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nContent-Type: text/html; charset=utf-8\n"
        b"Content-Transfer-Encoding: quoted-printable\n\n<p>H=C3=A9llo</p>\n"
    )
    (row,) = read(Documents(per="file"), "t.eml").rows
    assert (row["title"], row["text"]) == ("Grüße", "From: a@example.com\nSubject: Grüße\n\nHéllo")


def test_tables_leave_out_what_is_empty() -> None:
    rows = (("a", "", "b"), ("", "", ""), ("c",))
    assert make_document("", [Block("table", rows=rows)]).lines == ("| a | b |", "| --- | --- |", "| c |  |")


def test_a_child_that_is_lost_is_started_anew(tmp_path: Path) -> None:
    docx(tmp_path / "t.docx", paragraph("Here"))
    with Child(20) as child:
        options = {"path": str(tmp_path / "t.docx"), "password": "", "whole": False}
        first = list(child.run("converting.convert", "t.docx", **options))
        child.running[0].kill()
        with pytest.raises(SlmError, match=r"t\.docx: crashes its reader"):
            list(child.run("converting.convert", "t.docx", **options))
        assert list(child.run("converting.convert", "t.docx", **options)) == first
