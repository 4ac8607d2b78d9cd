"""PDF files: their text layer page by page, headings from the outline; scanned pages are reported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slm.plugin import SlmError

from .blocks import Block, Document, Fault, make_document
from .prose import Paragraph, heading_key, join_lines, plain_lines, without_furniture

PAGES = 20_000
ENTRIES = 20_000
SCANNED = "has no text layer (scanned pages): run OCR first"
UNREADABLE = re.compile("[\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff\x01-\x08\x0e-\x1f]")


def read_pdf(path: Path, address: str, password: str = "") -> Document:
    """The document as markdown. A page that can't be read is a fault, and the others go on.

    Raises SlmError for a file that is no PDF, is encrypted with another password, or has no text at all.
    """
    import pypdf

    with path.open("rb") as file:
        reader = _opened(pypdf, file, address, password)
        count = len(reader.pages)
        if count > PAGES:
            raise SlmError(f"{address}: has {count:,} pages, over the {PAGES:,} allowed; split it first")
        if not count:
            raise SlmError(f"{address}: has no page: the file is damaged; save it anew")
        faults: list[Fault] = []
        pages = [plain_lines(_text(page, f"page {n}", faults)) for n, page in enumerate(reader.pages, start=1)]
        if not any(any(lines) for lines in pages):
            raise SlmError(f"{address}: {_why_empty(faults)}")
        headings = _guarded(_headings, reader, {})
        paragraphs = join_lines(without_furniture(pages), headings)
        blocks = [*_blocks(paragraphs), *_fields(_guarded(_filled, reader, {}))]
        return make_document(_title(_guarded(_metadata, reader, "")), blocks, faults)


def _opened(pypdf: Any, file: Any, address: str, password: str) -> Any:
    try:
        reader = pypdf.PdfReader(file)
        if reader.is_encrypted and not (reader.decrypt("") or reader.decrypt(password)):
            wrong = "the password does not open it" if password else "is encrypted; give its password"
            raise SlmError(f'{address}: {wrong} (password = "${{env:...}}")')
    except pypdf.errors.DependencyError:
        raise ModuleNotFoundError("No module named 'cryptography'", name="cryptography") from None
    except pypdf.errors.PyPdfError as error:
        raise SlmError(f"{address}: the PDF is damaged ({_short(error)}); save it anew") from None
    return reader


def _text(page: Any, place: str, faults: list[Fault]) -> str:
    """A page's text; where there is none, or it can't be had, that is a fault."""
    try:
        text = str(page.extract_text())
        contents = page.get_contents()
        if contents is None and "/Contents" in page:
            raise ValueError("its content is no stream")
        scanned = not text.strip() and _has_image(page, contents)
    except MemoryError:
        raise
    except Exception as error:  # a damaged page makes the parser raise whatever; the other pages must go on
        faults.append(Fault(place, f"can't be read ({_short(error)})"))
        return ""
    if scanned:
        faults.append(Fault(place, SCANNED))
    odd = len(UNREADABLE.findall(text))
    if odd > 0.3 * len(text.replace(" ", "")):
        if text.strip():
            faults.append(Fault(place, "its fonts don't say which letters they draw: run OCR first"))
        return ""
    return UNREADABLE.sub("", text.replace("\ufffd", "\0")).replace("\0", "\ufffd")


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:150].rstrip(": ")


def _has_image(page: Any, contents: Any) -> bool:
    resources = page.get("/Resources")
    inline = contents is not None and b"BI" in contents.get_data()[:65536]
    return inline or (resources is not None and bool(resources.get_object().get("/XObject")))


def _why_empty(faults: list[Fault]) -> str:
    if not faults:
        return "has no text: its pages are empty"
    whys = dict.fromkeys(fault.why for fault in faults)
    return next(iter(whys)) if len(whys) == 1 else f"no page can be read; {faults[0].place}: {faults[0].why}"


def _guarded(read: Any, reader: Any, default: Any) -> Any:
    """What `read` finds; the default where that part of the file is damaged: the text doesn't need it."""
    try:
        return read(reader)
    except MemoryError:
        raise
    except Exception:  # outlines, forms and metadata are often broken, in any way
        return default


def _headings(reader: Any) -> dict[int, dict[str, int]]:
    """The outline's titles by page, with their depth."""
    found: dict[int, dict[str, int]] = {}
    for count, (entry, depth) in enumerate(_entries(reader.outline, 1)):
        if count > ENTRIES:
            break
        page = reader.get_destination_page_number(entry)
        if page is not None and page >= 0 and (key := heading_key(str(entry.title))):
            found.setdefault(page + 1, {}).setdefault(key, min(depth, 6))
    return found


def _entries(outline: Any, depth: int) -> Iterator[tuple[Any, int]]:
    for entry in outline:
        if isinstance(entry, list):
            yield from _entries(entry, depth + 1)
        else:
            yield entry, depth


def _filled(reader: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in (reader.get_form_text_fields() or {}).items() if value}


def _fields(fields: dict[str, str]) -> Iterator[Block]:
    return (Block("text", f"{name}: {value}") for name, value in fields.items())


def _metadata(reader: Any) -> str:
    return str(reader.metadata.title or "") if reader.metadata else ""


def _title(title: str) -> str:
    """The title, unless a program made it up from a file's name."""
    made_up = re.search(
        r"(?i)\.(docx?|pdf|tex|dvi|indd|qxd|pptx?|xlsx?|rtf|odt)$|^untitled|^microsoft word|^slide 1$", title
    )
    return "" if made_up or not re.search(r"\w\w", title) else UNREADABLE.sub("", title.replace("\0", ""))


def _blocks(paragraphs: Iterator[Paragraph]) -> Iterator[Block]:
    """Paragraphs as blocks; loose lines that follow each other stay together."""
    page, held = 0, list[str]()
    for each in paragraphs:
        if held and (not each.loose or each.page != page):
            yield Block("text", "\n".join(held))
            held = []
        if each.page != page:
            page = each.page
            yield Block("page", level=page)
        if each.heading:
            yield Block("heading", each.text, each.heading)
        elif each.loose:
            held.append(each.text)
        else:
            yield Block("text", each.text)
    if held:
        yield Block("text", "\n".join(held))
