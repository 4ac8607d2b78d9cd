"""How an answer is compared with the expected one."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable

ARTICLES = frozenset({"a", "an", "the"})
# Han and kana are written without spaces: each character counts as a word.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


def exact(answer: str, expected: str) -> bool:
    """The same text but for white space around it."""
    return answer.strip() == expected.strip()


def plain(text: str, gap: str = "") -> str:
    """Lower case, each punctuation mark and symbol replaced by `gap`."""
    return "".join(gap if unicodedata.category(c)[0] in "PS" else c for c in text.lower())


def normalized(text: str) -> str:
    """Lower case without punctuation, English articles and extra spaces (P. Rajpurkar et al., SQuAD, 2016), with
    punctuation as Unicode counts it."""
    return " ".join(word for word in plain(text).split() if word not in ARTICLES)


def token_f1(answer: str, expected: str) -> float:
    """Harmonic mean of precision and recall over the normalised words; two empty texts agree."""
    given, wanted = WORD.findall(normalized(answer)), WORD.findall(normalized(expected))
    if not given or not wanted:
        return float(given == wanted)
    common = sum((Counter(given) & Counter(wanted)).values())
    return 2 * common / (len(given) + len(wanted))


class Words:
    """The tokenizer that rouge-score is given; its own drops every letter beyond ASCII."""

    def tokenize(self, text: str) -> list[str]:
        """Lower-cased words."""
        return WORD.findall(plain(text, " "))


def rouge_l() -> Callable[[str, str], float]:
    """A function (answer, expected) that gives the F-measure of their longest common subsequence (C.-Y. Lin, 2004)."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], tokenizer=Words())

    def score(answer: str, expected: str) -> float:
        if not Words().tokenize(answer) and not Words().tokenize(expected):
            return 1.0
        return float(scorer.score(expected, answer)["rougeL"].fmeasure)

    return score
