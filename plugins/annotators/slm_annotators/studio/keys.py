"""Keys of Label Studio: the legacy token, which is sent as it is, and the personal access token, which is changed for
access tokens of some minutes."""

from __future__ import annotations

import json
import re
import time
from base64 import urlsafe_b64decode
from typing import Any

from slm.plugin import SlmError

MAKE_ONE = "take a personal access token or a legacy token from Account & Settings in Label Studio"


def checked_key(key: str) -> str:
    """The key without what was copied with it; SlmError for what can't be one."""
    key = key.strip()
    if not key:
        raise SlmError(f'key: is missing; {MAKE_ONE}, and set LABEL_STUDIO_API_KEY or key = "${{env:...}}"')
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise SlmError(f"key: holds characters that no key has; {MAKE_ONE} and copy it alone, without 'Token'")
    told = told_by(key)
    if told.get("token_type") == "access":
        raise SlmError("key: is an access token, which ends within minutes; take the personal access token itself")
    if told and float(told.get("exp") or "inf") < time.time():
        raise SlmError("key: this personal access token has expired; make a new one in Account & Settings")
    return key


def is_personal(key: str) -> bool:
    """Whether a key is a personal access token: a JWT of the kind `refresh`."""
    return told_by(key).get("token_type") == "refresh"


def told_by(token: str) -> dict[str, Any]:
    """What a JWT says of itself; nothing for what is no JWT."""
    parts = token.split(".")
    try:
        told = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))) if len(parts) == 3 else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def lifetime(token: str) -> float:
    """The seconds that an access token is good for, by the clock of the server that made it."""
    told = told_by(token)
    try:
        return float(told["exp"]) - float(told["iat"])
    except (KeyError, TypeError, ValueError):
        return 0.0
