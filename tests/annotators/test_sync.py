"""A data set and a real project in step: what goes there, what comes back, and what changed on both sides."""

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from slm.plugin import SlmError
from slm_annotation.mirror import Mirror
from slm_annotation.records import to_item
from slm_annotation.rows import rows
from slm_annotation.syncing import pull, push
from slm_annotation.values import Guess, Item, Untaken


def record(n: int, text: str = "", label: str | None = None) -> dict[str, Any]:
    said = text or f"text number {n}"
    return {"id": f"{n:032x}", "source": f"texts.csv:{n + 2}", "text": said, "label": label}


def items(texts: Sequence[str], key: str = "") -> list[Item]:
    made = []
    for n, text in enumerate(texts):
        one = {**record(n, text), "id": f"{abs(hash(text)):032x}"[:32], "name": f"row {n}"}
        made.append(to_item(one, "classification", key))
    return made


def choice(label: str) -> dict[str, Any]:
    return {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}}


@pytest.fixture
def step(studio: Any, opened: Callable[..., Any], tmp_path: Path) -> Iterator[tuple[Any, Mirror, Any]]:
    """A fresh project, its mirror, and the server."""
    project = opened(studio, studio.title())
    project.prepare()
    mirror = Mirror(tmp_path / "mirror.sqlite3")
    yield project, mirror, studio
    mirror.close()


def region(project: Any, label: str) -> dict[str, Any]:
    """A label as the project's editor writes it."""
    from slm_annotators.studio.results import to_result

    (made,) = to_result({"label": label}, {"text": "x"}, project.known())
    return dict(made)


def test_what_is_there_is_not_sent_again(step: Any) -> None:
    project, mirror, _ = step
    texts = [f"text {n}" for n in range(25)]
    first = push(project, mirror, items(texts))
    assert (first.new, first.unchanged) == (25, 0)
    again = push(project, mirror, items([*texts, "one more", "text 3"]))
    assert (again.new, again.unchanged, again.twins) == (1, 25, 1)
    assert project.counts().entries == 26


def test_a_fresh_mirror_learns_what_the_project_has(step: Any, tmp_path: Path) -> None:
    project, mirror, _ = step
    push(project, mirror, items(["a text", "another"]))
    other = Mirror(tmp_path / "other.sqlite3")
    done = push(project, other, items(["a text", "another", "a third"]))
    assert (done.new, done.unchanged) == (1, 2)
    other.close()


def test_answers_come_with_who_and_when_and_changes_are_told_apart(step: Any) -> None:
    project, mirror, studio = step
    push(project, mirror, items([f"text {n}" for n in range(6)]))
    numbers = sorted(project.numbers())
    made = [studio.answer(number, region(project, "good"), lead_time=7.5) for number in numbers[:3]]
    studio.answer(numbers[3], was_cancelled=True)
    changes = pull(project, mirror)
    assert (changes.created, changes.skipped, changes.corrected, changes.deleted) == (3, 1, 0, 0)
    found = {row["task"]: row for row in rows(mirror.entries(), "classification", "majority")}
    assert {row["label"] for row in found.values()} == {"good"}
    assert found[numbers[0]]["annotators"] == [studio.email]
    assert found[numbers[0]]["lead_time"] == 7.5
    assert found[numbers[0]]["annotated_at"].startswith("20")
    studio.api("PATCH", f"/api/annotations/{made[0]}/", {"result": [region(project, "bad")]})
    studio.api("DELETE", f"/api/annotations/{made[1]}/")
    changes = pull(project, mirror)
    assert (changes.created, changes.corrected, changes.deleted) == (0, 1, 1)
    found = {row["task"]: row["label"] for row in rows(mirror.entries(), "classification", "latest")}
    assert found == {numbers[0]: "bad", numbers[2]: "good"}


def test_a_pull_without_changes_reads_no_task(step: Any) -> None:
    project, mirror, _ = step
    push(project, mirror, items([f"text {n}" for n in range(20)]))
    pull(project, mirror)
    before = mirror.fact("since")
    pages = list(project.changed(before))
    changes = pull(project, mirror)
    assert changes == type(changes)()
    assert all(entry.updated >= before for page in pages for entry in page)


def test_a_task_deleted_there_is_forgotten_here_and_can_be_sent_again(step: Any) -> None:
    project, mirror, studio = step
    texts = ["a text", "another", "a third"]
    push(project, mirror, items(texts))
    studio.answer(max(project.numbers()), region(project, "good"))
    pull(project, mirror)
    studio.api("DELETE", f"/api/tasks/{max(project.numbers())}/")
    changes = pull(project, mirror)
    assert (changes.went, changes.deleted) == (1, 1)
    assert push(project, mirror, items(texts)).new == 1


def test_tasks_that_others_put_there_are_records_too(step: Any) -> None:
    project, mirror, studio = step
    push(project, mirror, items(["a text"]))
    studio.api("POST", f"/api/projects/{project.number}/import", [{"data": {"text": "by someone else"}}])
    pull(project, mirror)
    (number,) = [entry.number for entry in mirror.entries() if not entry.digest]
    studio.answer(number, region(project, "bad"))
    pull(project, mirror)
    (row,) = rows(mirror.entries(), "classification", "majority")
    assert (row["text"], row["label"]) == ("by someone else", "bad")
    assert push(project, mirror, items(["a text"])).gone == 0


def test_rows_may_move_and_change_here_without_harm(step: Any) -> None:
    project, mirror, _ = step
    push(project, mirror, items(["first", "second", "third"]))
    done = push(project, mirror, items(["new at the top", "first", "second", "third"]))
    assert (done.new, done.updated, done.unchanged) == (1, 0, 3)
    done = push(project, mirror, items(["new at the top", "first", "second, edited", "third"]))
    assert (done.new, done.updated, done.unchanged, done.gone) == (0, 1, 3, 0)
    texts = {entry.fields["text"] for page in project.changed(None) for entry in page}
    assert texts == {"new at the top", "first", "second, edited", "third"}


@pytest.mark.parametrize(("prefer", "text", "counted"), [("local", "mine", 0), ("remote", "theirs", 1)])
def test_a_change_on_both_sides_is_listed_until_someone_decides(
    step: Any, prefer: str, text: str, counted: int
) -> None:
    project, mirror, studio = step
    push(project, mirror, items(["theirs", "other"]))
    number = next(entry.number for entry in mirror.entries() if entry.fields["text"] == "theirs")
    studio.answer(number, region(project, "good"))
    for _ in range(2):
        done = push(project, mirror, items(["mine", "other"]))
        (conflict,) = done.conflicts
        assert str(conflict) == f"texts.csv:2: changed here, and task {number} has 1 answer; decide with --prefer"
    assert studio.api("GET", f"/api/tasks/{number}/")["data"]["text"] == "theirs"
    done = push(project, mirror, items(["mine", "other"]), prefer=prefer)
    assert (done.conflicts, done.updated) == ((), 1)
    assert studio.api("GET", f"/api/tasks/{number}/")["data"]["text"] == text
    assert len(list(rows(mirror.entries(), "classification", "majority"))) == counted
    again = push(project, mirror, items(["mine", "other"]))
    assert (again.conflicts, again.updated, again.unchanged) == ((), 0, 2)


@pytest.mark.parametrize(("at", "text"), [("2000-01-01T00:00:00.000000Z", "theirs"), ("2999", "mine")])
def test_the_newest_side_may_decide(step: Any, at: str, text: str) -> None:
    project, mirror, studio = step
    push(project, mirror, items(["theirs"]))
    (number,) = project.numbers()
    studio.answer(number, region(project, "good"))
    push(project, mirror, items(["mine"]), prefer="newest", changed_at=lambda item: at)
    assert studio.api("GET", f"/api/tasks/{number}/")["data"]["text"] == text


def test_an_edit_of_the_text_in_the_project_is_kept(step: Any) -> None:
    project, mirror, studio = step
    push(project, mirror, items(["a tipo", "other"]))
    number = next(entry.number for entry in mirror.entries() if entry.fields["text"] == "a tipo")
    data = studio.api("GET", f"/api/tasks/{number}/")["data"]
    studio.api("PATCH", f"/api/tasks/{number}/", {"data": {**data, "text": "a typo"}})
    done = push(project, mirror, items(["a tipo", "other"]))
    assert (done.changes.edited, done.unchanged, done.updated) == (1, 2, 0)
    done = push(project, mirror, items(["a tipo, changed here too", "other"]))
    assert [conflict.why for conflict in done.conflicts] == ["an edit of its text"]


def test_named_records_keep_their_task_however_they_change_and_move(step: Any) -> None:
    project, mirror, _ = step
    push(project, mirror, items(["first", "second"], key="name"), named=True)
    done = push(project, mirror, items(["quite different", "second"], key="name"), named=True)
    assert (done.new, done.updated, done.unchanged) == (0, 1, 1)


def test_guesses_go_along_and_are_remembered(step: Any) -> None:
    project, mirror, studio = step

    def pick(new: Sequence[Item], there: Sequence[Item]) -> list[Item]:
        return [attrs.evolve(item, guess=Guess({"label": "bad"}, 0.75, "model 1")) for item in new[:2]]

    done = push(project, mirror, items(["first", "second", "third"]), pick=pick)
    assert (done.new, done.left) == (2, 1)
    (task, *_) = sorted(project.numbers())
    (prediction,) = studio.api("GET", f"/api/tasks/{task}/")["predictions"]
    assert prediction["score"] == 0.75
    assert {guess.values["label"] for guess in mirror.guesses().values()} == {"bad"}


def test_a_project_of_another_server_is_not_mixed_up(step: Any, studio_jwt: Any, opened: Callable[..., Any]) -> None:
    project, mirror, _ = step
    push(project, mirror, items(["first"]))
    other = opened(studio_jwt, studio_jwt.title())
    other.prepare()
    assert push(other, mirror, items(["first", "second"])).new == 2


def test_the_mirror_says_when_it_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "mirror.sqlite3"
    file.write_text(json.dumps(["no data base"]) * 100)
    with pytest.raises(SlmError, match=r"mirror.sqlite3: is broken .*; delete it, and everything is read again"):
        Mirror(file)


@pytest.fixture
def between(proxy: Any, studio: Any, opened: Callable[..., Any], tmp_path: Path) -> Iterator[tuple[Any, Any, Mirror]]:
    """A proxy before the server, a fresh project that is reached through it, and its mirror."""
    way = proxy(studio)
    project = opened(attrs.evolve(studio, url=way.url), studio.title())
    project.prepare()
    mirror = Mirror(tmp_path / "mirror.sqlite3")
    yield way, project, mirror
    mirror.close()


def is_import(method: str, path: str) -> bool:
    return method == "POST" and path.partition("?")[0].endswith("/import")


@pytest.mark.parametrize(
    ("answer", "sure"),
    [(status, True) for status in (400, 401, 403, 404, 413, 422)]
    + [(status, False) for status in (408, 409, 429, 500, 502, 504, "lost", "stored")],
)
def test_what_a_refused_push_left_open_is_noted_and_nothing_else(
    between: tuple[Any, Any, Mirror], answer: int | str, sure: bool
) -> None:
    way, project, mirror = between
    said = answer if isinstance(answer, str) else (answer, {}, b"")
    way.rule = lambda method, path, body: said if is_import(method, path) else None
    with pytest.raises(SlmError) as failure:
        push(project, mirror, items(["a text"]))
    assert isinstance(failure.value, Untaken) == sure
    assert (mirror.fact("sending") is None) == sure
    way.rule = lambda *request: None
    if sure:
        done = push(project, mirror, items(["a text", "another"]))
        assert (done.new, done.unchanged, project.counts().entries) == (2, 0, 2)
        assert mirror.fact("doubtful") is None


def test_a_config_that_changes_under_an_import_is_refused_by_the_server_and_leaves_nothing_open(
    between: tuple[Any, Any, Mirror], studio: Any
) -> None:
    way, project, mirror = between
    address = f"/api/projects/{project.number}/"
    config = studio.api("GET", address)["label_config"]

    def rule(method: str, path: str, body: bytes) -> None:
        if is_import(method, path):
            studio.api("PATCH", address, {"label_config": config.replace("$text", "$other")})

    way.rule = rule
    with pytest.raises(Untaken, match=r"the server refuses \(400: .*other"):
        push(project, mirror, items(["a text"]))
    assert mirror.fact("sending") is None
    way.rule = lambda *request: None
    assert push(project, mirror, items(["a text"])).new == 1


def test_an_import_in_halves_of_which_the_second_is_refused_is_asked_for(
    between: tuple[Any, Any, Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slm_annotation.syncing.GRACE", (0.0, 0.0))
    way, project, mirror = between
    sizes: list[int] = []

    def rule(method: str, path: str, body: bytes) -> Any:
        if not is_import(method, path):
            return None
        sizes.append(len(json.loads(body)))
        return {4: (413, {}, b""), 2: None if sizes == [4, 2] else (403, {}, b"")}[sizes[-1]]

    way.rule = rule
    texts = [f"text {n}" for n in range(4)]
    with pytest.raises(SlmError) as failure:
        push(project, mirror, items(texts))
    assert not isinstance(failure.value, Untaken)
    assert sizes == [4, 2, 2]
    assert len(mirror.fact("sending")["keys"]) == 4
    way.rule = lambda *request: None
    done = push(project, mirror, items(texts))
    assert (done.new, done.unchanged, project.counts().entries) == (2, 2, 4)


def test_a_guess_that_does_not_fit_leaves_nothing_open(step: Any) -> None:
    project, mirror, _ = step

    def pick(new: Sequence[Item], there: Sequence[Item]) -> list[Item]:
        return [attrs.evolve(item, guess=Guess({"label": "unheard of"}, 0.5, "m")) for item in new]

    with pytest.raises(Untaken, match="unheard of"):
        push(project, mirror, items(["a text"]), pick=pick)
    assert mirror.fact("sending") is None


@pytest.mark.parametrize("where", ["http://127.0.0.1:{closed}", "http://no-such-host.invalid", "https://{plain}"])
def test_tasks_for_a_server_that_was_not_reached_are_untaken(step: Any, where: str) -> None:
    from slm_annotators.studio.importing import import_tasks

    project, _, studio = step
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    project.client.url = where.format(closed=closed, plain=studio.url.removeprefix("http://"))
    with pytest.raises(Untaken):
        import_tasks(project.client, project.number, [{"data": {"text": "a text"}}])
