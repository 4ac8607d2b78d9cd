"""Keys, tokens and passwords: those with a form of their own, and values without sense behind words such as "token"."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from .patterns import FORM, GUESS, HOLE, Found

FORMS = (
    r"(?:AKIA|ASIA|AROA|AIDA)[A-Z2-7]{16}",  # AWS key ids
    r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}|glpat-[\w-]{20,}",
    r"sk-(?:proj-|svcacct-|admin-|ant-(?:api\d\d-)?|or-v1-|live-)?[A-Za-z0-9_-]{20,}|gsk_[A-Za-z0-9]{40,}|hf_[A-Za-z0-9]{30,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{20,}|https://hooks\.slack\.com/(?:services|workflows)/[\w/+-]{20,}",
    r"AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}",
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{20,}",
    r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",  # JWT
    r"SG\.[\w-]{16,}\.[\w-]{16,}|npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{50,}|dop_v1_[a-f0-9]{64}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
    r"\d{8,10}:AA[\w-]{33}|key-[a-f0-9]{32}|AC[a-f0-9]{32}|sq0(?:atp|csp)-[\w-]{22,}|EAAC[A-Za-z0-9]{40,}",
)
KNOWN = re.compile(rf"(?<![A-Za-z0-9_-])(?:{'|'.join(FORMS)})(?![A-Za-z0-9])")
MARKS = (
    "AKIA", "ASIA", "AROA", "AIDA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat", "glpat-", "sk-", "gsk_",
    "hf_", "xox", "xapp", "hooks.slack", "AIza", "ya29", "GOCSPX", "sk_", "rk_", "pk_", "whsec_", "eyJ", "SG.", "npm_",
    "pypi-", "dop_v1", "shp", ":AA", "key-", "AC", "sq0", "EAAC",
)  # fmt: skip
"""One of these is in each of the forms: to look for them is quick."""
BLOCK = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
WORDS = (
    r"pass(?:word|wd|phrase|code)?|pwd|kennwort|passwort|mot de passe|contrase[nñ]a|senha|token|bearer|credentials?"
    r"|secret(?:[ _-]?(?:access)?[ _-]?key)?|client[ _-]?secret|(?<![a-z])auth(?:orization)?(?:[ _-]?(?:key|token))?"
    r"|api[ _-]?(?:key|secret|token)|(?:access|private|encryption|account)[ _-]?key|access[ _-]?token"
)
NAMED = re.compile(
    rf"(?:{WORDS})[\"'\]]?\s{{0,3}}(?:(?:is|was|are|ist|est|es|lautet|set to|changed to|now|still|:=|=>|->|=|:|\uff1a)"
    rf"\s{{0,3}}){{1,2}}(?:bearer |basic )?[\"'`«“]?([^\s\"'`«»“”<>,;]{{6,}})",
    re.IGNORECASE,
)
HINTS = (
    "pass",
    "pwd",
    "kennwort",
    "mot de",
    "contrase",
    "senha",
    "secret",
    "token",
    "key",
    "auth",
    "bearer",
    "credential",
)
LONGEST = 512
CODE = re.compile(r"^[\w.]+\(|^\$|^%|^\{|^process\.|^os\.|^self\.|^env\.|^/|^\w+://|\*{3}|\.{3}", re.IGNORECASE)


def secrets(text: str) -> Iterator[Found]:
    """Private keys, keys of known services, JWTs, and values such as `password = "..."` that are no words."""
    if "PRIVATE KEY" in text:
        for match in BLOCK.finditer(text):
            yield Found(match.start(), match.end(), "secret")
    if any(mark in text for mark in MARKS):
        for match in KNOWN.finditer(text):
            yield Found(match.start(), match.end(), "secret")
    small = text.lower()
    if any(hint in small for hint in HINTS):
        for match in NAMED.finditer(text):
            value = match[1].rstrip(".?)]}")
            password = match[0][:2].lower() in ("pa", "pw") and mixed(value) and not HOLE.match(value)
            if senseless(value[:LONGEST]) or (password and not CODE.search(value)):
                yield Found(match.start(1), match.start(1) + len(value), "secret", FORM if len(value) > 15 else GUESS)


def mixed(value: str) -> bool:
    """Whether a value has both digits and letters."""
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def senseless(value: str) -> bool:
    """Whether a value is a secret rather than a word, a name or a hole to be filled: it mixes kinds of characters, or
    is long and of high entropy (3.5 bits a character, where words have 2 to 3)."""
    if len(value) < 6 or HOLE.match(value) or CODE.search(value):
        return False
    kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", r"\d", r"[^\w\s]|_"))
    if mixed(value):
        return kinds >= 2 and not re.fullmatch(r"\d+[.,]?\d*[a-zA-Z%]{1,7}|[a-z]+[_-]?\d{1,2}", value)
    if value.isdigit():
        return len(value) >= 12
    return (len(value) >= 20 and entropy(value) >= 3.5 and kinds >= 2) or bool(
        kinds >= 3 and re.search(r"[!@#$%^&*?]", value)
    )


def entropy(value: str) -> float:
    """Shannon's entropy of the value's characters, in bits a character."""
    return -sum(count / len(value) * math.log2(count / len(value)) for count in Counter(value).values())
