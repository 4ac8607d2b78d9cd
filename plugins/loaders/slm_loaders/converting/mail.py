"""E-mail messages (.eml): subject, sender, date and the text."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

from slm.plugin import SlmError

from .blocks import Block, Document, Fault, make_document, squeeze
from .webpage import html_blocks, parse_html


def read_eml(path: Path, address: str) -> Document:
    """The message as markdown: its plain text, else its HTML; attachments are left out."""
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    if not message.keys():
        raise SlmError(f"{address}: is no e-mail message (it has no header)")
    faults: list[Fault] = []
    head = [f"{name}: {squeeze(str(message[name]))}" for name in ("From", "To", "Date", "Subject") if message[name]]
    blocks = [Block("text", "\n".join(head)), *_body(message, address, faults)]
    return make_document(str(message["Subject"] or ""), blocks, faults)


def _body(message: EmailMessage, address: str, faults: list[Fault]) -> Iterator[Block]:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        raise SlmError(f"{address}: holds no text: it is encrypted, or consists of attachments")
    try:
        text = str(part.get_content())
    except (LookupError, ValueError, KeyError):  # an encoding that there is not
        text = (part.get_payload(decode=True) or b"").decode("utf-8", "replace")  # type: ignore[union-attr]
        faults.append(Fault("body", "its stated encoding is not known; read as UTF-8"))
    if part.get_content_subtype() == "html":
        root = parse_html(text)
        yield from html_blocks(root) if root is not None else ()
    else:
        paragraphs = text.replace("\r\n", "\n").split("\n\n")
        yield from (Block("text", paragraph) for paragraph in paragraphs)
