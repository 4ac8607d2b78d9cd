"""The chat page in a real browser: headless Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def page() -> Iterator[Any]:
    """An empty page; skipped where the system has no Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this system: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser.new_page()
        browser.close()


def test_a_newcomer_asks_on_the_page_and_reads_the_answer(served: Any, page: Any) -> None:
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(served.url)
    page.get_by_label("Model").select_option("bot")
    page.get_by_label("Your text").fill("hello there")
    page.locator("#send").click()
    page.locator("#log .note").wait_for()  # speed and length, once the answer is whole
    assert page.locator("#log .user").inner_text() == "hello there"
    expected = served.openai().chat.completions.create(
        model="bot", messages=[{"role": "user", "content": "hello there"}]
    )
    assert page.locator("#log .assistant").text_content() == expected.choices[0].message.content
    assert wrong == []


def test_a_text_is_classified_on_the_page(served: Any, page: Any) -> None:
    page.goto(served.url)
    page.get_by_label("Model").select_option("sorter")
    page.get_by_label("Your text").fill("turn the lights on")
    page.locator("#send").click()
    page.locator("#log").filter(
        has_text="%"
    ).wait_for()  # a function to wait for would need eval, which the page forbids
    assert any(label in page.locator("#log").inner_text() for label in ("lights", "music", "weather"))
