"""What each shape needs of a label config: the one table that making, reading and filling a config go by."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from slm_annotation.values import CHOICES, FLAGS, VERDICTS
from slm_data.columns import listed as listed

EXTERNAL = ("ext_id", "ext_hash", "ext_source")
"""The keys in a task's data that hold the item's key, digest and source."""
TAGS = {
    "textarea": "a TextArea",
    "choice": "a Choices of which one is chosen",
    "choices": 'a Choices with choice="multiple"',
    "rating": "a Rating with at most 5 stars",
    "labels": "a Labels",
}


@frozen
class Want:
    """A value that people are asked for.

    kind   -- of control, a key of TAGS
    name   -- of the control in our own configs: never that of a data key, or exports would mix the two up
    field  -- the field that it starts from
    words  -- the only answers there are; empty where the labels are the user's
    needed -- an answer without it is none
    """

    kind: str
    name: str
    field: str = ""
    words: tuple[str, ...] = ()
    needed: bool = False


VERDICT = Want("choice", "verdict", words=VERDICTS)
FIELDS: Mapping[str, tuple[str, ...]] = {
    "qa": ("question", "answer", "context"),
    "chat": ("dialogue", "response"),
    "completion": ("text",),
    "classification": ("text",),
    "multilabel": ("text",),
    "spans": ("text",),
    "preference": ("dialogue", "a", "b"),
}
VALUES: Mapping[str, Mapping[str, Want]] = {
    "qa": {
        "question": Want("textarea", "question_edit", "question"),
        "answer": Want("textarea", "answer_edit", "answer", needed=True),
        "verdict": VERDICT,
    },
    "chat": {
        "response": Want("textarea", "response_edit", "response", needed=True),
        "rating": Want("rating", "rating"),
        "flags": Want("choices", "flags", words=FLAGS),
    },
    "completion": {"text": Want("textarea", "text_edit", "text", needed=True), "verdict": VERDICT},
    "classification": {"label": Want("choice", "label", "text", needed=True)},
    "multilabel": {"labels": Want("choices", "labels", "text", needed=True)},
    "spans": {"spans": Want("labels", "spans", "text", needed=True)},
    "preference": {"choice": Want("choice", "choice", words=CHOICES, needed=True)},
}
OPTIONAL = ("context",)
"""Fields that a config need not show."""
LABELLED = {"classification": "label", "multilabel": "labels", "spans": "spans"}
"""The shapes whose labels are the user's, and the value that has them."""
