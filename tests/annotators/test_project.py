"""A project on the real server: made, filled, listed, changed, and emptied."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from slm.plugin import SlmError
from slm_annotation.values import Answer, Counts, Entry, Guess, Item

Open = Callable[..., Any]


def items(count: int, first: int = 0, guess: Guess | None = None) -> list[Item]:
    numbers = range(first, first + count)
    return [Item(f"k{n}", f"d{n}", f"faq.csv:{n}", {"text": f"text {n} 😀\r\n"}, guess) for n in numbers]


def label(value: str) -> dict[str, Any]:
    return {"from_name": "label", "to_name": "shown_text", "type": "choices", "value": {"choices": [value]}}


def entries(project: Any, since: str | None = None, **how: Any) -> list[Entry]:
    return [entry for page in project.changed(since, **how) for entry in page]


def made(open_project: Open, server: Any, **options: Any) -> Any:
    project = open_project(server, server.title(), **options)
    project.prepare()
    return project


@pytest.fixture(params=["studio", "studio_jwt"])
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_a_project_is_made_filled_answered_and_read_with_either_key(server: Any, opened: Open) -> None:
    title = server.title()
    project = opened(server, title)
    assert "made the project" in project.prepare()[0]
    numbers = project.create(items(3, guess=Guess({"label": "bad"}, 0.25, "m1")))
    server.answer(numbers[1], label("good"), lead_time=2.5)
    again = opened(server, title)
    assert again.prepare() == []
    assert again.place == project.place == f"{server.url}/projects/{again.number}"
    assert again.counts() == Counts(3, 1)
    assert again.numbers() == set(numbers)
    read = {entry.number: entry for entry in entries(again)}
    assert [(e.key, e.digest, e.source, e.fields) for e in map(read.get, numbers)] == [
        (i.key, i.digest, i.source, i.fields) for i in items(3)
    ]
    (answer,) = read[numbers[1]].answers
    assert (answer.annotator, answer.seconds, answer.values) == (server.email, 2.5, {"label": "good"})
    assert read[numbers[1]].updated >= answer.created


def test_a_project_is_found_by_its_id_and_its_shape_read_from_it(studio: Any, opened: Open) -> None:
    number = made(opened, studio, shape="spans", labels=["EMAIL", "NAME"]).number
    found = opened(studio, str(number), "", ())
    assert (found.shape, found.labels) == ("spans", ("EMAIL", "NAME"))


def test_without_a_shape_the_project_has_to_be_there_and_titles_that_are_near_are_named(
    studio: Any, opened: Open
) -> None:
    title = studio.title()
    opened(studio, title.upper()).prepare()
    with pytest.raises(SlmError, match=f"there is no project '{title}' .there is '{title.upper()}'"):
        opened(studio, title, "", ())
    with pytest.raises(SlmError, match="'slm annotate push' makes it"):
        opened(studio, title).counts()


def test_two_projects_of_one_title_are_named_by_their_ids(studio: Any, opened: Open) -> None:
    title = studio.title()
    ids = [studio.api("POST", "/api/projects/", {"title": title})["id"] for _ in range(2)]
    with pytest.raises(SlmError, match=f"2 projects are titled '{title}'.*{ids[0]}.*name yours by its id") as failure:
        opened(studio, title)
    assert str(ids[1]) in str(failure.value)


def test_a_project_made_by_hand_gets_its_label_config(studio: Any, opened: Open) -> None:
    title = studio.title()
    studio.api("POST", "/api/projects/", {"title": title})
    project = opened(studio, title)
    with pytest.raises(SlmError, match="label config is empty"):
        entries(project)
    assert "gave the project a label config" in project.prepare()[0]
    assert len(project.create(items(1))) == 1


def test_labels_that_the_project_lacks_are_added_and_those_it_has_stay(studio: Any, opened: Open) -> None:
    title = studio.title()
    opened(studio, title).prepare()
    project = opened(studio, title, labels=["bad", "new"])
    assert [remark.partition(": ")[2] for remark in project.prepare()] == [
        "has labels that the data has not: good",
        "added the labels new",
    ]
    assert project.labels == ("good", "bad", "new")
    assert project.prepare()[1:] == []


def test_a_config_that_cant_carry_the_shape_is_refused_by_name(studio: Any, opened: Open) -> None:
    title = studio.title()
    opened(studio, title).prepare()
    with pytest.raises(SlmError, match=r"/projects/\d+: label config: .*question|answer"):
        opened(studio, title, "qa", ())


def test_answers_of_several_people_skips_and_deletions_are_seen_and_drafts_are_not(studio: Any, opened: Open) -> None:
    project = made(opened, studio)
    one, two, three = project.create(items(3))
    ann = studio.api(
        "POST", "/api/users/", {"email": f"{studio.title()[5:]}@example.test", "username": studio.title()[5:]}
    )
    first = studio.answer(one, label("good"))
    studio.answer(one, label("bad"), user=ann["id"])
    studio.answer(two, was_cancelled=True)
    studio.api("POST", f"/api/tasks/{three}/drafts", {"result": [label("bad")], "lead_time": 1})
    read = {entry.number: entry.answers for entry in entries(project)}
    assert [(a.annotator, a.values) for a in read[one]] == [
        (studio.email, {"label": "good"}),
        (ann["email"], {"label": "bad"}),
    ]
    assert [(a.skipped, a.values, a.fault) for a in read[two]] == [(True, {}, "")]
    assert read[three] == ()
    assert project.counts() == Counts(3, 3)
    assert {entry.number for entry in entries(project, answered=True)} == {one, two}
    since = entries(project)[-1].updated
    studio.api("DELETE", f"/api/annotations/{first}/")
    last = entries(project, since)[-1]
    assert (last.number, [a.annotator for a in last.answers]) == (one, [ann["email"]])
    assert project.counts() == Counts(3, 2)


def test_who_left_is_told_apart_from_others_who_left(studio: Any, opened: Open) -> None:
    project = made(opened, studio)
    (number,) = project.create(items(1))
    people = []
    for _ in range(2):
        name = studio.title()[5:]
        people.append(studio.api("POST", "/api/users/", {"email": f"{name}@example.test", "username": name})["id"])
        studio.answer(number, label("good"), user=people[-1])
        studio.api("DELETE", f"/api/organizations/1/memberships/{people[-1]}/")
    (entry,) = entries(project)
    assert [answer.annotator for answer in entry.answers] == [f"user-{person}" for person in people]


def test_an_answer_that_cant_be_used_says_why(studio: Any, opened: Open) -> None:
    project = made(opened, studio)
    (number,) = project.create(items(1))
    studio.answer(number, label("unheard of"))
    ((answer,),) = [entry.answers for entry in entries(project)]
    assert isinstance(answer, Answer)
    assert "unheard of" in answer.fault


@pytest.mark.parametrize("count", [2, 5, 11])
def test_pages_are_whole_while_others_write(
    studio: Any, opened: Open, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr("slm_annotators.studio.listing.PAGE", 3)
    project = made(opened, studio)
    numbers = project.create(items(count))
    seen = []
    for page in project.changed(None):
        seen += [entry.number for entry in page]
        if len(seen) < count + 3:
            studio.answer(seen[0], label("good"))
    assert set(seen) == set(numbers)
    times = [entry.updated for entry in entries(project)]
    assert times == sorted(times)
    assert len({len(time) for time in times}) == 1


def test_many_tasks_of_one_moment_are_all_read(studio: Any, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slm_annotators.studio.listing.PAGE", 4)
    project = made(opened, studio)
    numbers = project.create(items(11))
    for number in numbers[:9]:
        studio.answer(number, label("good"))
    body = {"selectedItems": {"all": False, "included": numbers[:9]}}
    studio.api("POST", "/api/dm/actions/", body, id="delete_tasks_annotations", project=project.number)
    read = entries(project)
    assert len({entry.updated for entry in read if entry.number in numbers[:9]}) == 1
    assert [entry.number for entry in read][:2] == numbers[9:]
    assert sorted(entry.number for entry in read) == numbers
    assert {e.number for e in entries(project, read[-1].updated)} == set(numbers[:9])


def test_ids_are_told_from_gaps(studio: Any, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slm_annotators.studio.listing.LEAF", 4)
    project, other = made(opened, studio), made(opened, studio)
    assert project.numbers() == set()
    numbers = project.create(items(20))
    other.create(items(7))
    numbers += project.create(items(20, 20))
    gone = {numbers[n] for n in (0, 3, 4, 17, 39)}
    project.remove(sorted(gone))
    assert project.numbers() == set(numbers) - gone
    assert project.counts().entries == 35


def test_entries_are_found_by_key_the_lowest_number_first(studio: Any, opened: Open) -> None:
    project = made(opened, studio)
    first = project.create(items(3))
    second = project.create(items(2))
    assert project.find(["k0", "k2", "none", 'q"\\', "k0"]) == {"k0": [first[0], second[0]], "k2": [first[2]]}
    long = [Item("x" * 300 + str(n), "d", "s", {"text": "t"}) for n in range(400)]
    numbers = project.create(long)
    assert project.find([item.key for item in long]) == {
        item.key: [number] for item, number in zip(long, numbers, strict=True)
    }


def test_an_update_replaces_the_fields_and_keeps_answers_and_what_others_noted(studio: Any, opened: Open) -> None:
    project = made(opened, studio)
    (number,) = project.create(items(1))
    studio.answer(number, label("good"))
    data = studio.api("GET", f"/api/tasks/{number}/")["data"]
    studio.api("PATCH", f"/api/tasks/{number}/", {"data": {**data, "team": "red"}})
    project.update(number, Item("k0", "d9", "faq.csv:0", {"text": "new"}, since="2026-01-01T00:00:00.000000Z"))
    (entry,) = entries(project)
    assert (entry.digest, entry.fields, entry.since) == ("d9", {"text": "new"}, "2026-01-01T00:00:00.000000Z")
    assert [answer.values for answer in entry.answers] == [{"label": "good"}]
    assert studio.api("GET", f"/api/tasks/{number}/")["data"]["team"] == "red"
    project.remove([number])
    with pytest.raises(SlmError, match=f"changing task {number}: it was deleted there"):
        project.update(number, items(1)[0])


def test_what_others_put_there_is_read_and_has_a_key_of_its_number(studio: Any, opened: Open) -> None:
    project = made(opened, studio)
    body = [{"data": {"text": "s3://bucket/a 1"}}, {"data": {"text": "mine", "ext_id": 7, "ext_hash": "h"}}]
    mine, numbered = studio.api("POST", f"/api/projects/{project.number}/import", body, return_task_ids="true")[
        "task_ids"
    ]
    read = {entry.number: entry for entry in entries(project)}
    assert (read[mine].key, read[mine].digest, read[mine].fields) == (f"task-{mine}", "", {"text": "s3://bucket/a 1"})
    assert (read[numbered].key, read[numbered].digest) == ("7", "h")


def test_guesses_are_added_once_shown_and_kept_out_of_deleted_tasks(studio: Any, opened: Open) -> None:
    project = made(opened, studio)
    one, two, gone = project.create(items(3, guess=Guess({"label": "bad"}, 0.5, "m1")))
    project.remove([gone])
    for _ in range(2):
        project.guess({number: Guess({"label": "good"}, 0.75, "m2") for number in (one, two, gone)})
    told = studio.api("GET", f"/api/tasks/{one}/")["predictions"]
    assert sorted((each["model_version"], each["score"]) for each in told) == [("m1", 0.5), ("m2", 0.75)]
    assert studio.api("GET", f"/api/projects/{project.number}/")["model_version"] == "m2"


@pytest.mark.parametrize(
    ("guess", "why"),
    [
        (Guess({"label": "unheard of"}, 0.5, "m"), "unheard of"),
        (Guess({"label": "good"}, 1.5, "m"), "score 1.5; it has to be from 0 to 1"),
        (Guess({"label": "good"}, float("nan"), "m"), "score nan"),
    ],
)
def test_a_guess_that_does_not_fit_is_refused_before_anything_is_sent(
    studio: Any, opened: Open, guess: Guess, why: str
) -> None:
    project = made(opened, studio)
    with pytest.raises(SlmError, match=why) as failure:
        project.create([*items(2), *items(1, 2, guess)])
    assert "faq.csv:2" in str(failure.value)
    assert project.counts().entries == 0


def test_half_a_character_is_refused_because_the_server_would_choke_on_it_for_good(studio: Any, opened: Open) -> None:
    project = made(opened, studio)
    with pytest.raises(SlmError, match=r"faq.csv:1: holds '\\ud83d', half a character"):
        project.create([Item("k", "d", "faq.csv:1", {"text": "a \ud83d"})])


def test_a_label_config_that_was_changed_under_us_is_read_anew(studio: Any, opened: Open) -> None:
    project = made(opened, studio)
    (number,) = project.create(items(1))
    config = studio.api("GET", f"/api/projects/{project.number}/")["label_config"]
    wider = config.replace('<Choice value="bad"', '<Choice value="late" /><Choice value="bad"')
    assert wider != config
    studio.api("PATCH", f"/api/projects/{project.number}/", {"label_config": wider})
    studio.answer(number, label("late"))
    ((answer,),) = [entry.answers for entry in entries(project)]
    assert (answer.values, answer.fault) == ({"label": "late"}, "")
    studio.api(
        "PATCH", f"/api/projects/{project.number}/", {"label_config": '<View><Text name="t" value="$text"/></View>'}
    )
    with pytest.raises(SlmError, match="label config: nothing asks for 'label'"):
        project.create(items(1, 5))


def test_a_project_deleted_under_us_is_said_so(studio: Any, opened: Open) -> None:
    project = made(opened, studio)
    project.create(items(1))
    studio.api("DELETE", f"/api/projects/{project.number}/")
    for act in (
        project.counts,
        lambda: entries(project),
        lambda: project.create(items(1)),
        lambda: project.recent(None),
    ):
        with pytest.raises(SlmError, match="deleted"):
            act()


def test_predictions_that_the_server_loses_under_a_load_are_sent_again(studio: Any, opened: Open) -> None:
    """SQLite answers 201 and drops predictions when several import at once; each of these sees to its own."""
    projects = [made(opened, studio) for _ in range(3)]
    faults: list[Exception] = []

    def push(project: Any) -> None:
        try:
            for first in range(0, 600, 200):
                project.create(items(200, first, Guess({"label": "good"}, 0.5, "m")))
        except SlmError as error:
            faults.append(error)

    threads = [threading.Thread(target=push, args=[project]) for project in projects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [fault for fault in faults if "locked" not in str(fault)]
    for project in projects:
        facts = studio.api("GET", f"/api/projects/{project.number}/")
        assert facts["total_predictions_number"] == facts["task_number"]


def test_figures_tell_whether_anything_changed(studio: Any, opened: Open) -> None:
    project = made(opened, studio)
    assert project.recent(None).newest == ""
    (number, _) = project.create(items(2))
    before = project.recent(None)
    assert (before.changed, before.newest) == (2, entries(project)[-1].updated)
    assert project.recent(before.newest).changed == 1
    studio.answer(number, label("good"))
    after = project.recent(before.newest)
    assert (after.changed, after.newest > before.newest) == (2, True)
    assert project.recent("2099-01-01T00:00:00+02:00").newest == after.newest


def test_pages_are_short_where_tasks_are_long(studio: Any, opened: Open) -> None:
    project = made(opened, studio)
    long = [Item(f"k{n}", "d", "s", {"text": "x" * 150_000}) for n in range(300)]
    numbers = [number for at in range(0, 300, 50) for number in project.create(long[at : at + 50])]
    pages = [[entry.number for entry in page] for page in project.changed(None)]
    assert sorted(number for page in pages for number in page) == numbers
    assert len(pages[1]) < 60
