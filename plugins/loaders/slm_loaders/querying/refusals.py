"""What databases say when they refuse, in one line that tells the user what to do, and no secret."""

from __future__ import annotations

import re

from slm.plugin import SlmError

SAYINGS: tuple[tuple[str, str], ...] = (
    (r"no such table|relation \S+ does not exist|Table .* doesn't exist", "no such table"),
    (r"no such column|column \S+ does not exist|Unknown column", "no such column"),
    (r"password authentication failed|no password supplied|denied for user .*using password", "wrong user or password"),
    (r"^Authentication failed|bad auth", "wrong user or password"),
    (r"authentication failed|no pg_hba\.conf entry", "the server does not let this user in from here"),
    (r"role \S+ does not exist", "the server knows no such user"),
    (r"database \S+ does not exist|Unknown database", "the server has no database of this name"),
    (r"denied for user .* to database", "this user may not read the database"),
    (r"permission denied|command denied", "this user may not read it; grant SELECT"),
    (r"not authorized|requires authentication", "this user may not read it; grant the role read"),
    (
        r"translate host|Name or service not known|No address assoc|resolve host|name resolution",
        "no such host is known",
    ),
    (r"Connection refused|No such file or directory", "no server answers there; check host and port"),
    (
        r"statement timeout|interrupted|query \(timed out|execution time|time limit",
        "no answer in {seconds:g} s; raise timeout",
    ),
    (r"connection timeout|\[Errno 110\]|timeout expired|timed out", "the server does not answer; check host and port"),
    (r"too many (clients|connections)|connection slots", "the server has no connection left; try later"),
    (r"read[- ]?only (transaction|database)|read-write mode", "the query writes; a source is only read"),
    (r"is locked", "the file is locked by a program that writes to it; let it finish"),
    (r"file is not a database|file is encrypted", "is no SQLite database (or an encrypted one)"),
    (r"malformed", "the file is damaged; restore it from a copy"),
    (r"unable to open database file", "can't be opened: a log beside it needs a folder that may be written"),
    (
        r"server closed the conn|Lost conn|connection is lost|terminating conn|gone away",
        "the server ended the connection",
    ),
    (r"can't decode byte", "holds text that is not in the encoding that the database says"),
    (r"syntax|incomplete input", "the query is not understood"),
    (r"unknown (top level )?operator|\$\w+ (needs|must)", "the filter is not understood"),
    (r"\b(SSL|TLS|certificate)\b", "the encrypted connection fails"),
)
"""Patterns in drivers' messages, the first that fits, and what is said for them."""


def explained(error: Exception, shown: str, secret: str, seconds: float = 0) -> SlmError:
    """The error as the user is to see it: place, what is wrong, and the database's own words without the secret.

    `seconds` is what a statement may take; 0 while there is no connection yet.
    """
    told = _told(error)
    fitting = [say for pattern, say in SAYINGS if re.search(pattern, told, re.IGNORECASE)]
    said = next((say for say in fitting if seconds or "{seconds" not in say), "")
    if secret:
        told = told.replace(secret, "***")
    said = said.format(seconds=seconds)
    return SlmError(f"{shown}: {said} ({told})" if said else f"{shown}: {told}")


def _told(error: Exception) -> str:
    """The driver's message on one line, without what repeats or helps nobody here."""
    cause = getattr(error, "orig", None) or error
    numbered = len(cause.args) > 1 and isinstance(cause.args[0], int)
    text = str(cause.args[1] if numbered else cause)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("LINE ", "^", "DETAIL:", "CONTEXT:", "Multiple connection"))]
    told = re.sub(r"\s+", " ", "; ".join(kept[:2]) or type(cause).__name__)
    told = re.split(r",? full error:| \(configured timeouts|, Timeout:", told)[0]
    return re.sub(r"^connection failed: connection to server .*? failed: (FATAL: )?", "", told)[:300]
