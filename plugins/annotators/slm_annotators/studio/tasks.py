"""Items and guesses as tasks and predictions, and tasks as entries."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from slm.plugin import SlmError
from slm_annotation.values import Answer, Entry, Guess, Item

from .controls import Controls
from .listing import moment
from .predictions import to_result
from .results import to_data, to_fields, to_values
from .shapes import EXTERNAL

KEY, DIGEST, SOURCE = EXTERNAL
SINCE = "ext_since"


def task_of(item: Item, controls: Controls) -> dict[str, Any]:
    """A task as an import takes it."""
    task: dict[str, Any] = {"data": data_of(item, controls)}
    if item.guess:
        task["predictions"] = [prediction_of(item.guess, item.fields, controls, item.source or item.key)]
    return task


def data_of(item: Item, controls: Controls) -> dict[str, Any]:
    """A task's data, with what the item is known by.

    Half a surrogate pair is refused: the server stores it, and from then on fails at every page with that task.
    """
    place = item.source or item.key
    try:
        data = to_data(item, controls) | ({SINCE: item.since} if item.since else {})
        json.dumps(data, ensure_ascii=False).encode()
    except SlmError as error:
        raise SlmError(f"{place}: {error}") from None
    except UnicodeEncodeError as error:
        broken = error.object[error.start : error.end]
        raise SlmError(f"{place}: holds {broken!a}, half a character; mend the text, or leave the record out") from None
    return data


def prediction_of(guess: Guess, fields: Mapping[str, Any], controls: Controls, place: str) -> dict[str, Any]:
    """A prediction; SlmError where it does not fit the label config, which the server would not say."""
    score = float(guess.score)
    if not (math.isfinite(score) and 0 <= score <= 1):
        raise SlmError(f"{place}: the guess of '{guess.model}' has the score {score:g}; it has to be from 0 to 1")
    try:
        result = to_result(guess.values, fields, controls)
    except SlmError as error:
        raise SlmError(f"{place}: the guess of '{guess.model}': {error}") from None
    return {"model_version": guess.model, "score": score, "result": result}


def is_same(there: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    """Whether a prediction of the server's says what one says that would be sent: it gives regions an id."""
    said, own = [
        [{k: v for k, v in region.items() if k != "id"} for region in each["result"]] for each in (there, sent)
    ]
    return there.get("model_version") == sent["model_version"] and said == own


def entry_of(task: Mapping[str, Any], controls: Controls, people: Mapping[int, str]) -> Entry:
    """A task as it stands in the project; `people` are the e-mails of those who answered, by id."""
    data = task["data"] if isinstance(task["data"], dict) else {}
    known = {name: str(data[name]) for name in (*EXTERNAL, SINCE) if data.get(name) is not None}
    answers = sorted(
        (answer_of(each, data, controls, people) for each in task["annotations"]), key=lambda each: each.id
    )
    return Entry(
        number=task["id"],
        key=known.get(KEY) or f"task-{task['id']}",
        digest=known.get(DIGEST, "") if KEY in known else "",
        source=known.get(SOURCE, ""),
        fields=to_fields(data, controls),
        updated=moment(task["updated_at"]),
        answers=tuple(answers),
        since=known.get(SINCE, ""),
    )


def answer_of(
    annotation: Mapping[str, Any], data: Mapping[str, Any], controls: Controls, people: Mapping[int, str]
) -> Answer:
    """What one person said. Of a skipped task, what was filled in before counts for nothing."""
    person = annotation.get("completed_by")
    skipped = bool(annotation.get("was_cancelled"))
    values, fault = ({}, "") if skipped else to_values(annotation.get("result"), data, controls)
    return Answer(
        id=annotation["id"],
        annotator=people.get(person, f"user-{person}") if person else "nobody",
        created=moment(annotation["created_at"]),
        updated=moment(annotation["updated_at"]),
        seconds=float(annotation.get("lead_time") or 0),
        skipped=skipped,
        values=values,
        fault=fault,
    )
