"""What Label Studio, the network and the user can do wrong: each is one clear line, without the key in it."""

import base64
import json
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from slm.plugin import SlmError
from slm_annotation.values import Guess, Item
from slm_annotators.label_studio import LabelStudio

Open = Callable[..., Any]
JSON = {"content-type": "application/json"}


def items(count: int, text: str = "text") -> list[Item]:
    return [Item(f"k{n}", f"d{n}", f"faq.csv:{n}", {"text": f"{text} {n}"}) for n in range(count)]


def refused(act: Callable[[], Any], *keys: str) -> str:
    """What is said when it is refused: a line, without the keys."""
    with pytest.raises(SlmError) as failure:
        act()
    said = str(failure.value)
    assert "\n" not in said
    assert not [key for key in keys if key and key in said]
    return said


def token(**told: Any) -> str:
    """A JWT that says this, signed by nobody."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, told)]
    return ".".join([*parts, "c2lnbmVk"])


@pytest.fixture
def keyless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)


@pytest.mark.usefixtures("keyless")
@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "key: is missing; .*LABEL_STUDIO_API_KEY"),
        ("Token 0123456789", "holds characters that no key has"),
        ("schlüssel", "holds characters that no key has"),
        (token(token_type="access", exp=4e9), "is an access token, which ends within minutes"),
        (token(token_type="refresh", exp=1e9), "has expired; make a new one"),
        ("0" * 40, "the server does not know this key"),
        (token(token_type="refresh", exp=4e9), "has expired or was revoked"),
        ("a.b.c", "the server does not know this key"),
    ],
)
def test_keys_that_are_wrong(studio: Any, opened: Open, key: str, why: str) -> None:
    said = refused(lambda: opened(attrs.evolve(studio, key=key), "any title"), key)
    assert re.search(why, said), said


def test_a_legacy_token_where_they_are_switched_off(studio: Any, studio_jwt: Any, opened: Open) -> None:
    import httpx

    with httpx.Client(base_url=studio_jwt.url) as web:
        web.get("/user/login/")
        form = {
            "email": studio_jwt.email,
            "password": studio_jwt.password,
            "csrfmiddlewaretoken": web.cookies["csrftoken"],
        }
        web.post("/user/login/", data=form)
        legacy = web.get("/api/current-user/token").json()["token"]
    said = refused(lambda: opened(attrs.evolve(studio_jwt, key=legacy), "any title"), legacy)
    assert "switched off legacy tokens; take a personal access token" in said


def test_an_access_token_that_ends_on_the_way_is_renewed(studio_jwt: Any, opened: Open) -> None:
    project = opened(studio_jwt, studio_jwt.title())
    project.prepare()
    project.client.access = "ended"
    assert len(project.create(items(2))) == 2
    project.client.access = "ended"
    numbers = project.numbers()
    project.client.access = "ended"
    project.remove(sorted(numbers))
    assert project.numbers() == set()
    project.client.due = 0
    assert project.counts().entries == 0


def test_the_key_and_the_address_come_from_the_environment_where_none_is_stated(
    studio: Any, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url + "/")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.key + "\n")
    title = studio.title()
    project = opened(attrs.evolve(studio, url="", key=""), title)
    project.prepare()
    assert studio.api("GET", f"/api/projects/{project.number}/")["title"] == title
    assert project.place == f"{studio.url}/projects/{project.number}"


def test_the_key_is_in_no_repr(studio: Any, opened: Open) -> None:
    assert studio.key not in repr(LabelStudio(key=studio.key))
    assert studio.key not in repr(opened(studio, studio.title()))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("127.0.0.1:8080", "is not an address; write it as http://"),
        ("ftp://127.0.0.1", "is not an address"),
        ("http://", "is not an address"),
        ("http://ann:pw1234@127.0.0.1:8080", "has a login in it"),
        ("http://127.0.0.1:8080/sub/projects/3/data?tab=1", "write where it starts, http://127.0.0.1:8080/sub"),
        ("http://no-such-host.invalid", "check the host in url"),
    ],
)
def test_addresses_that_are_wrong(opened: Open, studio: Any, url: str, why: str) -> None:
    assert why in refused(lambda: opened(attrs.evolve(studio, url=url), "any title"), studio.key, "pw1234")


@pytest.mark.parametrize("title", ["", "ab", "x" * 51])
def test_titles_that_label_studio_refuses(title: str) -> None:
    with pytest.raises(ValueError, match="3 to 50 characters"):
        LabelStudio(project=title)


def test_a_server_that_is_away_at_the_start(opened: Open, studio: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    said = refused(lambda: opened(attrs.evolve(studio, url=url), "any title"), studio.key)
    assert said == f"{url}: logging in: nothing answers there; start Label Studio, or set url to where it runs"


def between(proxy: Any, studio: Any, opened: Open, **how: Any) -> tuple[Any, Any]:
    """A proxy before the server, and a project that was opened and made through it."""
    way = proxy(studio, **how)
    options = {"verify": str(how["certificate"])} if "certificate" in how else {}
    project = opened(attrs.evolve(studio, url=way.url), studio.title(), **options)
    project.prepare()
    return way, project


def once(status: int, part: str, **headers: str) -> Any:
    """A rule that refuses the first request for a path."""
    left = [True]

    def rule(method: str, path: str, body: bytes) -> Any:
        if part in path and left:
            left.clear()
            return status, {name.replace("_", "-"): value for name, value in headers.items()}, b"<html>away</html>"
        return None

    return rule


@pytest.mark.parametrize(("status", "headers"), [(502, {}), (503, {}), (504, {}), (429, {"retry_after": "1"}), (0, {})])
def test_reading_is_tried_again_where_that_helps(
    proxy: Any, studio: Any, opened: Open, status: int, headers: dict[str, str]
) -> None:
    way, project = between(proxy, studio, opened)
    rule = once(status, "/api/tasks/", **headers)
    way.rule = rule if status else lambda *request: rule(*request) and "lost"
    begun = time.monotonic()
    assert project.numbers() == set()
    assert time.monotonic() - begun > (0.99 if headers else 0.2)


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (502, b"<html>", "the server is away, says the proxy before it (502); run it again"),
        (429, b"", "too many requests (429)"),
        (500, b'{"detail": "boom"}', "the server failed (500: boom); its log says why"),
        (500, b'{"detail": "database is locked"}', "its SQLite database is locked by other work"),
        (
            403,
            b'{"detail": "You do not have permission."}',
            "the key's owner has no right to do this (403: You do not have",
        ),
        (409, b'{"detail": "twice"}', "the server refuses (409: twice)"),
        (413, b"<html>too large</html>", "one task is larger than the server takes (413)"),
        (200, b"<html>hello</html>", "the answer is not Label Studio's (application/json); check url"),
        (201, b'{"import": 3}', "the server imports in the background"),
        (201, b"[]", "the server told of 0"),
    ],
)
def test_an_import_that_is_refused_is_sent_once(
    proxy: Any, studio: Any, opened: Open, status: int, body: bytes, why: str
) -> None:
    way, project = between(proxy, studio, opened)
    way.rule = lambda method, path, _: (status, JSON, body) if "/import" in path else None
    said = refused(lambda: project.create(items(1)), studio.key)
    assert f"{way.url}: adding 1 tasks: {why}" in said
    assert way.counted("POST", "/import") == 1
    way.rule = lambda *request: None
    assert project.numbers() == set()


@pytest.mark.parametrize("how", ["lost", "stored"])
def test_a_connection_that_breaks_during_an_import_leaves_what_is_there_to_be_found(
    proxy: Any, studio: Any, opened: Open, how: str
) -> None:
    way, project = between(proxy, studio, opened)
    way.rule = lambda method, path, body: how if "/import" in path else None
    said = refused(lambda: project.create(items(3)), studio.key)
    assert "the connection broke; run it again: what is there is asked for first" in said
    assert way.counted("POST", "/import") == 1
    way.rule = lambda *request: None
    assert sorted(project.find(["k0", "k1", "k2"])) == (["k0", "k1", "k2"] if how == "stored" else [])


def test_a_server_that_goes_away_and_stays_away(proxy: Any, studio: Any, opened: Open) -> None:
    way, project = between(proxy, studio, opened)
    way.rule = lambda *request: "lost"
    said = refused(project.numbers, studio.key)
    assert said == f"{way.url}: reading ids: the connection broke; run it again: what is there is asked for first"


def test_an_import_that_a_proxy_finds_too_large_is_sent_in_parts(proxy: Any, studio: Any, opened: Open) -> None:
    way, project = between(proxy, studio, opened)
    way.rule = lambda method, path, body: (413, {}, b"") if len(body) > 1000 else None
    numbers = project.create(items(17))
    assert {key: found for key, (found,) in project.find([f"k{n}" for n in range(17)]).items()} == {
        f"k{n}": number for n, number in enumerate(numbers)
    }
    large = Item("big", "d", "faq.csv:9", {"text": "x" * 2000})
    assert "one task is larger than the server takes (413)" in refused(lambda: project.create([large]))


def test_a_proxy_that_takes_only_short_addresses_is_asked_in_parts(proxy: Any, studio: Any, opened: Open) -> None:
    way, project = between(proxy, studio, opened)
    numbers = project.create(items(300))
    way.rule = lambda method, path, body: (414, {}, b"") if len(path) > 3000 else None
    assert len(project.find([f"k{n}" for n in range(300)])) == 300
    project.guess({number: Guess({"label": "good"}, 0.5, "m") for number in numbers})
    assert studio.api("GET", f"/api/projects/{project.number}/")["total_predictions_number"] == 300


def test_predictions_that_an_import_drops_are_sent_after_it(proxy: Any, studio: Any, opened: Open) -> None:
    way, project = between(proxy, studio, opened)

    def dropped(method: str, path: str, body: bytes) -> bytes | None:
        if not path.partition("?")[0].endswith("/import"):
            return None
        tasks = json.loads(body)
        return json.dumps([tasks[0], *({**task, "predictions": []} for task in tasks[1:])]).encode()

    way.rule = dropped
    guess = Guess({"label": "good"}, 0.5, "m")
    numbers = project.create([attrs.evolve(item, guess=guess) for item in items(3)])
    told = [studio.api("GET", f"/api/tasks/{number}/")["predictions"] for number in numbers]
    assert [len(each) for each in told] == [1, 1, 1]


def test_a_server_that_drops_predictions_still_is_said_so(proxy: Any, studio: Any, opened: Open) -> None:
    way, project = between(proxy, studio, opened)
    numbers = project.create(items(2))
    way.rule = lambda method, path, body: (201, JSON, b'{"created": 1}') if "/predictions" in path else None
    said = refused(lambda: project.guess({number: Guess({"label": "good"}, 0.5, "m") for number in numbers}))
    assert "adding 2 predictions: the server took 1 of them" in said


def test_a_database_that_is_locked_is_waited_for_when_reading_and_said_when_writing(
    server: Callable[..., Any], opened: Open
) -> None:
    studio = server()
    project = opened(studio, studio.title())
    project.prepare()
    numbers = project.create(items(2))
    file = Path(studio.log).parent / "label_studio.sqlite3"
    base = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    base.execute("begin immediate")
    late = threading.Timer(120, lambda: base.execute("rollback"))  # it may wait for an hour: then the test has failed
    late.start()
    assert "its SQLite database is locked by other work; run it again" in refused(lambda: project.remove(numbers))
    late.cancel()
    late.join()
    base.execute("rollback")
    base.execute("begin exclusive")
    release = threading.Timer(7, lambda: base.execute("rollback"))
    release.start()
    assert project.numbers() == set(numbers)
    release.join()
    base.close()


@pytest.mark.parametrize("auth", ["studio", "studio_jwt"])
def test_a_server_at_a_path(proxy: Any, opened: Open, request: pytest.FixtureRequest, auth: str) -> None:
    server = request.getfixturevalue(auth)
    way, project = between(proxy, server, opened, prefix="/annotate/studio")
    project.create(items(2))
    assert project.place.startswith(f"{way.url}/projects/")
    assert {path.startswith("/annotate/studio/api/") for _, path, _ in way.seen} == {True}


@pytest.mark.parametrize(
    ("status", "where", "why"),
    [
        (302, "/user/login/?next=/api", "answers with its login page"),
        (
            301,
            "https://elsewhere.example.test/api/x?key=abc",
            "redirects to https://elsewhere.example.test/api/x; set url",
        ),
    ],
)
def test_redirects_are_not_followed(proxy: Any, studio: Any, opened: Open, status: int, where: str, why: str) -> None:
    way = proxy(studio)
    way.rule = lambda *request: (status, {"location": where}, b"")
    assert why in refused(lambda: opened(attrs.evolve(studio, url=way.url), "any title"), studio.key, "abc")
    assert len(way.seen) == 1


@pytest.mark.parametrize(
    "answer", [(200, {"content-type": "text/html"}, b"<p>"), (200, JSON, b'{"ok": 1}'), (200, JSON, b"3")]
)
def test_what_answers_is_not_label_studio(proxy: Any, studio: Any, studio_jwt: Any, opened: Open, answer: Any) -> None:
    for server in (studio, studio_jwt):
        way = proxy(server)
        way.rule = lambda *request: answer
        said = refused(lambda: opened(attrs.evolve(server, url=way.url), "any title"), server.key)  # noqa: B023
        assert "the answer is not Label Studio's" in said
        assert said.endswith("check url")


def test_a_certificate_that_is_trusted_by_its_file_or_not_looked_at(
    proxy: Any, studio_jwt: Any, opened: Open, certificate: Callable[..., Path]
) -> None:
    file = certificate()
    way, project = between(proxy, studio_jwt, opened, certificate=file)
    assert len(project.create(items(2))) == 2
    server = attrs.evolve(studio_jwt, url=way.url)
    assert opened(server, project.title, verify=file.name).counts().entries == 2
    assert opened(server, project.title, verify=False).counts().entries == 2


@pytest.mark.parametrize(
    ("host", "days", "trusted", "why"),
    [
        ("127.0.0.1", 10, False, "is not trusted (self-signed certificate); name the file of its authority as verify"),
        ("127.0.0.1", -1, True, "is not valid (certificate has expired); it has to be renewed there"),
        ("127.0.0.9", 10, True, "is another host's ("),
    ],
)
def test_certificates_that_are_wrong(
    proxy: Any,
    studio: Any,
    opened: Open,
    certificate: Callable[..., Path],
    host: str,
    days: int,
    trusted: bool,
    why: str,
) -> None:
    file = certificate(host, days)
    server = attrs.evolve(studio, url=proxy(studio, certificate=file).url)
    verify = str(file) if trusted else True
    said = refused(lambda: opened(server, "any title", verify=verify), studio.key)
    assert f"{server.url}: logging in: its certificate {why}" in said


def test_http_and_https_mixed_up(proxy: Any, studio: Any, opened: Open, certificate: Callable[..., Path]) -> None:
    plain = attrs.evolve(studio, url=studio.url.replace("http://", "https://"))
    assert "if the server speaks plain HTTP, url begins with http://" in refused(lambda: opened(plain, "any title"))
    secure = proxy(studio, certificate=certificate())
    mixed = attrs.evolve(studio, url=secure.url.replace("https://", "http://"))
    assert "the connection broke" in refused(lambda: opened(mixed, "any title"))


@pytest.mark.parametrize("name", ["none.pem", "empty.pem"])
def test_a_file_of_certificates_that_is_none(studio: Any, opened: Open, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    server = attrs.evolve(studio, url="https://127.0.0.1:1")
    said = refused(lambda: opened(server, "any title", verify=name))
    assert said == f"verify: {name}: can't be read as certificates; name a PEM file"
