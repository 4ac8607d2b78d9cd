"""Documents made as small as they can be."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


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


@pytest.fixture
def make() -> SimpleNamespace:
    """What writes a document: `docx` and `pdf` of some text, `pack` of any parts; `paragraph` and
    `namespace` are for Word."""
    return SimpleNamespace(docx=docx, pdf=pdf, pack=pack, paragraph=paragraph, namespace=W)
