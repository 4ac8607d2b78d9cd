"""Queries are only let through if they read: one statement that begins as a reading one does and writes nowhere in it.

This gives the clear line. What keeps a database from being written is the read-only transaction that the query runs in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from slm.plugin import SlmError

READING = ("SELECT", "WITH", "VALUES", "TABLE")
WRITING = ("INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "TRUNCATE")
LOCKING = ("UPDATE", "SHARE", "NO", "KEY")

COMMENT = r"--[^\n]*|/\*"
QUOTED = {
    "sqlite": r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]""",
    "postgresql": r"""\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|"""
    r"""\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$""",
    "mysql": r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`""",
}
"""What each database takes for text or a quoted name."""

COMMENTS: Mapping[str, str] = {"mysql": r"--(?=\s|\Z)[^\n]*|\#[^\n]*|/\*"}
WORD = r"[^\W\d][\w$]*"


def reading(query: str, backend: str) -> str:
    """The query without its end mark; SlmError unless it is one statement that reads."""
    tokens = list(_tokens(query, backend))
    while tokens and tokens[-1] == ";":
        tokens.pop()
    if not tokens:
        raise SlmError("query: empty; say what to read: SELECT ...")
    if ";" in tokens:
        raise SlmError("query: several statements; a source reads one: leave the others out")
    if fault := _fault(tokens):
        raise SlmError(f"query: {fault}; a source is only read: use a SELECT that changes nothing")
    return _without_end(query, backend)


def _fault(tokens: list[str]) -> str:
    """What is wrong with a statement, in a phrase; empty where it reads and no more."""
    first = next((token for token in tokens if token != "("), "")
    if first not in READING:
        return f"it begins with {first or 'nothing'}"
    opener = ")" if first == "WITH" else ""  # what follows a list of WITHs is the statement itself
    for before, token in pairwise(tokens):
        if token in WRITING and before in ("(", opener) and (token != "REPLACE" or before == ")"):
            return f"it writes ({token})"
        if token == "INTO":
            return "it writes its rows elsewhere (INTO)"
        if before == "FOR" and token in LOCKING:
            return f"it locks rows (FOR {token})"
        if before == "LOCK" and token == "IN":
            return "it locks rows (LOCK IN SHARE MODE)"
    return ""


def _tokens(query: str, backend: str) -> Iterator[str]:
    """Words in capitals, `''` for whatever is quoted, and single other characters; comments and spaces are left out."""
    for kind, text, _ in _scanned(query, backend):
        if kind == "word":
            yield text.upper()
        elif kind == "quoted":
            yield "''"
        elif kind == "other":
            yield text


def _without_end(query: str, backend: str) -> str:
    """The query up to its last token that is not `;`: a comment behind it could hide what is put around the query."""
    ends = [end for kind, text, end in _scanned(query, backend) if kind != "comment" and text != ";"]
    return query[: ends[-1]].strip()


def _scanned(query: str, backend: str) -> Iterator[tuple[str, str, int]]:
    """Each piece of the query that is no space: what it is, its text, and where it ends."""
    comment = COMMENTS.get(backend, COMMENT)
    pattern = re.compile(
        rf"(?P<space>\s+)|(?P<comment>{comment})|(?P<quoted>{QUOTED[backend]})|(?P<word>{WORD})|(?P<other>.)", re.DOTALL
    )
    at = 0
    while found := pattern.match(query, at):
        kind, text, at = str(found.lastgroup), found[0], found.end()
        kind = "quoted" if kind == "tag" else kind
        if text == "/*":
            at = _comment_end(query, found.start(), nested=backend == "postgresql")
            text = query[found.start() : at]
            if backend == "mysql" and text.startswith(("/*!", "/*M!")):
                raise SlmError("query: a comment that the server would run (/*! ... */); write it as plain SQL")
        elif kind == "other" and text in "'\"`":
            raise SlmError(f"query: a quote ({text}) is not closed")
        if kind != "space":
            yield kind, text, at


def _comment_end(query: str, start: int, *, nested: bool) -> int:
    depth = 0
    for found in re.compile(r"/\*|\*/").finditer(query, start):
        depth += 1 if found[0] == "/*" and (nested or not depth) else -1 if found[0] == "*/" else 0
        if not depth:
            return found.end()
    raise SlmError("query: a comment (/*) is not closed")
