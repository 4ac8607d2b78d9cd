"""Every format keeps its headings, lists, tables, code and notes."""

import difflib
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slm_loaders.converting.blocks import Block, make_document
from slm_loaders.converting.prose import join_lines, plain_lines
from slm_loaders.converting.webpage import read_html
from slm_loaders.documents import Documents

P = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'


A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'


R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'


O = (  # noqa: E741
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
)


def text_of(found: Any) -> str:
    return "\n\n".join(row["text"] for row in found.rows)


def test_word_keeps_headings_lists_code_tables_notes_and_accepted_changes(
    tmp_path: Path, read: Callable[..., Any], make: Any
) -> None:
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    row = "<w:tr>" + cell.format("a|b") + cell.format("c") + "</w:tr>"
    body = [
        make.paragraph("Contents 1", "T1"),
        make.paragraph("Title", "H2"),
        '<w:p><w:r><w:t>Say </w:t></w:r><w:ins><w:r><w:t>this</w:t></w:r></w:ins><w:del><w:r><w:delText>that'
        '</w:delText></w:r></w:del><w:r><w:rPr><w:rStyle w:val="L"/></w:rPr><w:t xml:space="preserve"> let x</w:t>'
        "</w:r>"
        '<w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r></w:p>',
        make.paragraph("one", "", 1), make.paragraph("two", "", 1),
        make.paragraph("first", "", 2), make.paragraph("second", "", 2),
        make.paragraph("if x:", "C"), make.paragraph("", "C"), make.paragraph("    y", "C"),
        "<w:sdt><w:sdtContent>" + make.paragraph("Part", "Sub") + "</w:sdtContent></w:sdt>",
        f"<w:tbl>{row}{row}</w:tbl>",
    ]  # fmt: skip
    note = '<w:footnote w:id="2"><w:p><w:r><w:t>A note</w:t></w:r></w:p></w:footnote>'
    make.docx(tmp_path / "t.docx", "".join(body), footnotes=f"<w:footnotes {make.namespace}>{note}</w:footnotes>")
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


def test_slides_are_pages_with_their_notes_and_grouped_shapes(
    tmp_path: Path, read: Callable[..., Any], make: Any
) -> None:
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
    make.pack(tmp_path / "t.pptx", parts)
    found = read(Documents(per="page"), "t.pptx")
    assert [(row["page"], row["text"]) for row in found.rows] == [
        (1, "# Plan\n\n- a\n- b\n\nNotes: Speak up"),
        (2, "boxed"),
    ]
    assert found.numbers == [1, 2]
    assert [reject.place for reject in found.rejected] == ["t.pptx, slide 3"]


def test_opendocument_keeps_headings_lists_tables_and_notes(
    tmp_path: Path, read: Callable[..., Any], make: Any
) -> None:
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
    make.pack(tmp_path / "t.odt", {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content})
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


def test_headers_and_footers_of_pages_are_taken_out(tmp_path: Path, read: Callable[..., Any], make: Any) -> None:
    make.pdf(
        tmp_path / "t.pdf", *(f"The Manual\nBody number {word}\nPage {n} of 4" for n, word in enumerate("abcd", 1))
    )
    found = read(Documents(), "t.pdf")
    assert [(row["page"], row["text"]) for row in found.rows] == [
        (n, f"Body number {w}") for n, w in enumerate("abcd", 1)
    ]
    assert found.numbers == [1, 2, 3, 4]


def test_the_outline_of_a_pdf_gives_its_headings(data: Path, read: Callable[..., Any]) -> None:
    found = read(Documents(), "pdf/006-pdflatex-outline/pdflatex-outline.pdf", data / "messy")
    assert [row["title"] for row in found.rows][1:4] == ["1 Foo", "2 Bar", "3 Baz"]
    assert [row["page"] for row in found.rows][:6] == [1, 2, 2, 2, 2, 3]


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
