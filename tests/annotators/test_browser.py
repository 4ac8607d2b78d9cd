"""People at work: a real browser, logged in to the real server, on the pages that our label configs make."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slm_annotation.mirror import Mirror
from slm_annotation.rows import rows
from slm_annotation.syncing import pull
from slm_annotation.values import Item
from slm_annotators.studio.configs import config_for
from slm_annotators.studio.controls import Controls, read_config
from slm_annotators.studio.results import to_data, to_result, to_values

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
TEXT = "👩\u200d👩\u200d👧 Mail  to bob@x.io,\r\nthen\tcall  e\u0301ve 555 — café\n\n  & <b>Ann</b>.\nEnd here."
EDGES = """([first, last]) => {
  const within = (words) => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) {
      const node = walker.currentNode, at = node.data.indexOf(words)
      if (at >= 0 && node.parentElement.closest('[class*="richtext"]')) return [node, at]
    }
  }
  const box = (node, at) => {
    const range = document.createRange()
    range.setStart(node, at)
    range.setEnd(node, at + 1)
    return range.getBoundingClientRect()
  }
  const [one, start] = within(first), [other, end] = within(last)
  const left = box(one, start), right = box(other, end + last.length - 1)
  return [left.left + 0.5, left.top + left.height / 2, right.right - 0.5, right.top + right.height / 2]
}"""
"""Where the first character of some words is on the page, and the last of others."""


@pytest.fixture(scope="module")
def page(studio: Any) -> Iterator[Any]:
    """The page of a person who has logged in; it reaches the server alone."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this system: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.route(lambda url: not url.startswith(studio.url), lambda route: route.abort())
        page.goto(f"{studio.url}/user/login/", wait_until="domcontentloaded")
        page.fill("input[name=email]", studio.email)
        page.fill("input[name=password]", studio.password)
        page.press("input[name=password]", "Enter")
        page.wait_for_url(lambda url: "login" not in url, wait_until="commit")
        yield page
        browser.close()


@pytest.fixture
def asked(studio: Any, page: Any) -> Callable[..., Any]:
    """Opens a task with an item in it, and the guess for it; gives its number and the controls."""

    def open_task(shape: str, labels: list[str], fields: dict[str, Any], guess: dict[str, Any]) -> tuple[int, Controls]:
        config = config_for(shape, labels)
        controls = read_config(config, shape, {})
        project = studio.api("POST", "/api/projects/", {"title": studio.title(), "label_config": config})["id"]
        data = to_data(Item("key-1", "abc", "faqs.csv:17", fields), controls)
        guesses = [{"model_version": "m", "score": 0.7, "result": to_result(guess, fields, controls)}] if guess else []
        task = {"data": data, "predictions": guesses}
        reply = studio.api("POST", f"/api/projects/{project}/import", [task], return_task_ids=True)
        number = int(reply["task_ids"][0])
        page.goto(f"{studio.url}/projects/{project}/data?task={number}", wait_until="domcontentloaded")
        page.get_by_role("button", name="Submit").wait_for(timeout=90_000)
        return number, controls

    return open_task


def submitted(studio: Any, page: Any, task: int, controls: Controls) -> tuple[dict[str, Any], str]:
    """What comes over the API once the page's answer is there."""
    with page.expect_response(lambda reply: "/annotations" in reply.url and reply.request.method == "POST") as reply:
        page.get_by_role("button", name="Submit").click()
    assert reply.value.status == 201
    found = studio.api("GET", f"/api/tasks/{task}/")
    assert len(found["annotations"]) == 1
    return to_values(found["annotations"][0]["result"], found["data"], controls)


def shown(page: Any, what: Any) -> None:
    """Wait for what the guess put on the page; now and then the editor opens a task without: once more, then."""
    from playwright.sync_api import TimeoutError as Late

    try:
        what.wait_for(timeout=15_000)
    except Late:
        page.reload(wait_until="domcontentloaded")
        what.wait_for(timeout=60_000)


def test_a_guess_is_seen_corrected_submitted_and_pulled(
    studio: Any, page: Any, asked: Callable[..., Any], opened: Callable[..., Any], tmp_path: Path
) -> None:
    labels = ["R&D <b>", "$5 off", "music"]
    task, controls = asked("classification", labels, {"text": "Turn it up & dance"}, {"label": "$5 off"})
    shown(page, page.get_by_role("radio", name="$\u20605 off", checked=True))
    page.get_by_role("radio", name="R&D <b>").check()
    assert submitted(studio, page, task, controls) == ({"label": "R&D <b>"}, "")
    project = opened(studio, str(studio.api("GET", f"/api/tasks/{task}/")["project"]), labels=labels)
    mirror = Mirror(tmp_path / "mirror.sqlite3")
    assert pull(project, mirror).created == 1
    (row,) = rows(mirror.entries(), "classification", "majority")
    mirror.close()
    assert (row["text"], row["label"], row["source"]) == ("Turn it up & dance", "R&D <b>", "faqs.csv:17")
    assert row["lead_time"] > 0


def test_spans_are_marked_with_the_mouse_and_lie_on_their_words(
    studio: Any, page: Any, asked: Callable[..., Any]
) -> None:
    task, controls = asked("spans", ["EMAIL", "NAME"], {"text": TEXT}, {})
    page.get_by_text("bob@x.io").last.wait_for()
    wanted = [("bob@x.io", "bob@x.io"), ("Ann", "Ann"), ("then", "call"), ("call", "Ann"), ("Mail", "bob")]
    for number, (first, last) in enumerate(wanted):
        page.keyboard.press("Escape")
        page.keyboard.press("12"[number % 2])
        left, top, right, bottom = page.evaluate(EDGES, [first, last])
        page.mouse.move(left, top)
        page.mouse.down()
        page.mouse.move((left + right) / 2, bottom, steps=4)
        page.mouse.move(right, bottom, steps=4)
        page.mouse.up()
    values, fault = submitted(studio, page, task, controls)
    assert fault == ""
    expected = [(TEXT.index(first), TEXT.index(last) + len(last)) for first, last in wanted]
    assert [(each["start"], each["end"]) for each in values["spans"]] == sorted(expected)
    assert {each["text"]: each["label"] for each in values["spans"]}["bob@x.io"] == "EMAIL"


@pytest.mark.parametrize("guess", [{}, {"answer": "In Paris, France.\r\nTruly."}])
def test_what_was_only_read_is_good_as_it_was(
    studio: Any, page: Any, asked: Callable[..., Any], guess: dict[str, Any]
) -> None:
    fields = {"question": "Where is it?", "answer": "In Paris.\r\nTruly.", "context": ""}
    task, controls = asked("qa", [], fields, guess)
    if guess:
        shown(page, page.get_by_text("In Paris, France."))
    wanted = {"question": "Where is it?", "answer": guess.get("answer", fields["answer"])}
    verdict = {"verdict": "fixed" if guess else "good"}
    assert submitted(studio, page, task, controls) == (wanted | verdict, "")


def test_a_text_that_is_edited_comes_back_as_it_was_written(studio: Any, page: Any, asked: Callable[..., Any]) -> None:
    talk = [{"role": "user", "content": "Hi 👋\nhow are <you>?"}]
    task, controls = asked("chat", [], {"dialogue": talk, "response": "Fine."}, {"response": "Fine, I think."})
    box = page.locator("textarea").first
    shown(page, box)
    page.get_by_text("how are <you>?").last.wait_for()
    box.fill("Fine 👍,\nthanks.")
    page.get_by_role("checkbox", name="Off topic").check()
    page.locator('[class*="rate"] [role=radio]').nth(3).click()
    values, fault = submitted(studio, page, task, controls)
    assert (values, fault) == ({"response": "Fine 👍,\nthanks.", "flags": ["off-topic"], "rating": 4}, "")
