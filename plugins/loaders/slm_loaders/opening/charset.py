"""The encoding of a page of the web: by its mark, by what headers or the page say, or by its bytes."""

from __future__ import annotations

import codecs
import re

from .decoding import MARKS, guess_encoding

WIDER = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932",
    "euc_kr": "cp949", "iso8859-9": "cp1254", "tis-620": "cp874",
}  # fmt: skip
"""What browsers take for an encoding: the larger one that sites mean by it."""

MULTIBYTE = ("gb18030", "big5", "cp932", "euc_jp", "cp949", "iso2022_jp", "utf-16", "utf-16-le", "utf-16-be")


def decode(body: bytes, content_type: str) -> str:
    """The page's text: by its byte order mark, else by what headers or page say if that fits the bytes, else UTF-8,
    else by a guess. Servers that say latin-1 and send UTF-8 are usual."""
    for mark, name in MARKS.items():
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    stated = [_encoding(each) for each in (content_type, body[:4096].decode("latin-1"))]
    many = [name for name in stated if name in MULTIBYTE]
    for name in [*many, "utf-8", *stated]:
        try:
            if name:
                return body.decode(name)
        except UnicodeDecodeError:
            continue
    if "utf-8" in stated:  # a few bytes went wrong
        return body.decode("utf-8", "replace")
    return body.decode(guess_encoding(body), "replace")


def _encoding(text: str) -> str:
    found = re.search(r"""charset\s*=\s*["']?\s*([\w:.-]+)|<\?xml[^>]*encoding=["']([\w:.-]+)""", text, re.IGNORECASE)
    try:
        name = codecs.lookup(found[1] or found[2]).name if found else ""
    except LookupError:
        return ""
    return WIDER.get(name, name)
