"""Files and pages come over HTTP within bounds, from public addresses alone, and failures are one clear line."""

import gzip
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import Hardware, SlmError, Source, Work
from slm_loaders.fetching.addresses import Failure
from slm_loaders.fetching.answers import Limits
from slm_loaders.fetching.client import open_client
from slm_loaders.fetching.http import download, remote_state

HERE = ("127.0.0.1/32",)
QUICK = Limits(connect=2, read=0.3, total=1.0, size=100_000, retries=0)


def get(url: str, limits: Limits = QUICK, allowed: tuple[str, ...] = HERE, **request: Any) -> Any:
    with open_client(url, allowed=allowed, limits=limits, secret=request.pop("secret", None)) as client:
        return client.get(url, **request)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path, tmp_path / "kept", Hardware())


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1", "0", "[::ffff:127.0.0.1]", "[::]", "10.0.0.1",
     "192.168.1.1", "169.254.169.254", "[fe80::1]", "[fd00::1]", "100.64.0.1", "user@127.0.0.1",
     "example.com@127.0.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1"],
)  # fmt: skip
def test_private_addresses_are_refused_in_every_spelling(host: str, work: Work) -> None:
    with pytest.raises(SlmError, match=r"leads to a private address \(.*\); set private = true"):
        download(Source(f"http://{host}:1/a.csv"), work)


@pytest.mark.parametrize("host", ["0177.0.0.1", "a b", "\n", "", "x:99999", "[::1", "①②⑦.⓪.⓪.①", "a" * 70, "a..b"])
def test_what_is_no_host_is_refused(host: str, work: Work) -> None:
    with pytest.raises(SlmError, match=r"not an address of the web|no host"):
        download(Source(f"http://{host}/a.csv"), work)


def test_redirects_are_followed_and_checked(site: Any, elsewhere: Any) -> None:
    site.on("/a", status=302, Location="/b")
    site.on("/b", "there")
    site.on("/away", status=307, Location=f"{elsewhere.url}/x")
    elsewhere.on("/x", "private")
    assert get(f"{site.url}/a").body == b"there"
    with pytest.raises(Failure, match=r"/away: redirects to .*/x: leads to a private address \(127\.0\.0\.2\)"):
        get(f"{site.url}/away")
    assert elsewhere.seen == []
    assert get(f"{site.url}/away", allowed=("127.0.0.0/8",)).body == b"private"


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("/loop", "redirects in a circle"),
        ("ftp://example.com/", "not an address of the web"),
        ("file:///etc/passwd", "not an address of the web"),
        ("http://[", "not an address of the web"),
    ],
)
def test_redirects_that_lead_nowhere_are_said(location: str, says: str, site: Any) -> None:
    site.on("/loop", status=301, Location=location)
    with pytest.raises(Failure, match=says):
        get(f"{site.url}/loop")


def test_redirects_without_end_are_ended(site: Any) -> None:
    for n in range(20):
        site.on(f"/{n}", status=302, Location=f"/{n + 1}")
    with pytest.raises(Failure, match="redirects more than 10 times"):
        get(f"{site.url}/0")


def test_credentials_stay_with_their_host(site: Any, other: Any) -> None:
    site.on("/a", status=302, Location="/b")
    site.on("/b", status=302, Location=f"{other.url}/c")
    other.on("/c", "done")
    get(f"{site.url.replace('//', '//me:word@')}/a", secret={"X-Key": "hidden"})
    for _, _, headers, _ in site.seen:
        assert headers["authorization"] == "Basic bWU6d29yZA=="
        assert headers["x-key"] == "hidden"
    assert not {"authorization", "x-key"} & set(other.seen[0][2])


def test_the_agent_names_itself(site: Any) -> None:
    site.on("/", "hello")
    get(site.url)
    assert site.seen[0][2]["user-agent"].startswith("slm/")


@pytest.mark.parametrize(
    ("status", "says"),
    [(400, "400"), (401, "a login is wanted"), (403, "access is refused"), (404, "no such page"), (410, "gone"),
     (418, "answers 418"), (500, r"server failed \(500\)"), (503, r"server failed \(503\)")],
)  # fmt: skip
def test_refusals_say_what_to_do(status: int, says: str, site: Any) -> None:
    site.on("/a", "no", status)
    with pytest.raises(Failure, match=rf"/a\?token=\*\*\*: .*{says}.*; \w+") as caught:
        get(f"{site.url.replace('//', '//me:word@')}/a?token=very-secret")
    assert not {"word", "very-secret"} & set(str(caught.value).replace(":", " ").replace("@", " ").split())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pieces", "says"),
    [
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",), "broke"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",), "broke"),
        ((b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nno gzip at all",), "compression is broken"),
        ((b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"abc" * 99)[:-9],), "broke off"),
        ((b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nabc",), "packed as 'br'"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\nabc",), "has 8.38 GB, over the limit of 97.7 KB"),
        ((b"hello, I am a mail server\r\n",), "not HTTP"),
        ((b"",), "broke"),
    ],
)
def test_broken_answers_are_said(pieces: tuple[bytes, ...], says: str, site: Any) -> None:
    site.raw("/a", *pieces)
    with pytest.raises(Failure, match=f"/a: .*{says}"):
        get(f"{site.url}/a")


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"])
def test_endless_answers_end(head: bytes, site: Any) -> None:
    piece = gzip.compress(bytes(10_000)) if b"gzip" in head else bytes(10_000)
    site.raw("/a", head, piece, forever=True)
    with pytest.raises(Failure, match=r"over the limit of 97\.7 KB"):
        get(f"{site.url}/a")


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"])
def test_slow_answers_end(head: bytes, site: Any) -> None:
    def drip(handler: Any) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        for _ in range(40):
            time.sleep(0.1)
            handler.wfile.write(b"a")

    site.routes["/drip"] = drip
    site.routes["/still"] = lambda handler: time.sleep(1.5)
    with pytest.raises(Failure, match="takes too long"):
        get(f"{site.url}/drip")
    with pytest.raises(Failure, match="takes too long"):
        get(f"{site.url}/still")


@pytest.mark.parametrize("wait", ["0", "1", "date", ""])
def test_a_busy_server_is_asked_again(wait: str, site: Any) -> None:
    def route(handler: Any) -> None:
        site.on("/a", "now")
        handler.send_response(429)
        if wait:
            handler.send_header("Retry-After", formatdate(time.time() + 1, usegmt=True) if wait == "date" else wait)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    site.routes["/a"] = route
    assert get(f"{site.url}/a", Limits(retries=1)).body == b"now"


def test_a_long_pause_is_not_waited_for(site: Any) -> None:
    site.on("/a", status=503, Retry_After="86400")
    with pytest.raises(Failure, match=r"asks to wait 86,400 s \(503\)"):
        get(f"{site.url}/a", Limits(retries=3))
    assert len(site.seen) == 1


def test_a_broken_connection_is_tried_again(site: Any) -> None:
    def route(handler: Any) -> None:
        handler.close_connection = True
        site.on("/a", "whole")

    site.routes["/a"] = route
    assert get(f"{site.url}/a", Limits(retries=1)).body == b"whole"


@pytest.mark.parametrize("host", ["127.0.0.1:1", "nowhere.invalid"])
def test_hosts_that_are_not_there_are_said(host: str) -> None:
    with pytest.raises(Failure, match=r"connection is refused|no host 'nowhere.invalid'"):
        get(f"http://{host}/")


@pytest.mark.parametrize(
    ("host", "days", "says"),
    [
        ("127.0.0.1", 10, "self-signed"),
        ("127.0.0.1", -5, "expired|self-signed"),
        ("127.0.0.9", 10, "self-signed|match"),
    ],
)
def test_certificates_that_are_not_valid_are_refused(host: str, days: int, says: str, secure: Any) -> None:
    with pytest.raises(Failure, match=rf"its certificate is not valid \(.*({says}).*SSL_CERT_FILE"):
        get(secure(host, days).url)


@pytest.mark.parametrize(
    ("host", "days", "says"), [("127.0.0.1", -5, "expired"), ("127.0.0.9", 10, "mismatch"), ("127.0.0.1", 10, "")]
)
def test_a_certificate_that_is_trusted_still_has_to_fit(
    host: str, days: int, says: str, secure: Any, certificate: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    site = secure(host, days)
    site.on("/", "safe")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / f"{host}-{days}.pem"))
    if says:
        with pytest.raises(Failure, match=f"its certificate is not valid .*{says}"):
            get(site.url)
    else:
        assert get(site.url).body == b"safe"


def test_plain_http_is_not_taken_for_https(site: Any) -> None:
    with pytest.raises(Failure, match="no secure connection"):
        get(site.url.replace("http:", "https:"))


def test_headers_of_two_lines_are_refused(site: Any) -> None:
    with pytest.raises(SlmError, match=r"the header 'X-Key' holds characters") as caught:
        get(site.url, secret={"X-Key": "very\r\nsecret"})
    assert "secret" not in str(caught.value)


def test_certificates_that_are_not_there_are_said(site: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/none.pem")
    with pytest.raises(SlmError, match="SSL_CERT_FILE: can't be read as certificates"):
        get(site.url)


def test_proxies_are_used_where_private_addresses_are_allowed(site: Any, work: Work, monkeypatch: Any) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    monkeypatch.delenv("no_proxy", raising=False)
    site.routes["http://intranet.invalid/a.csv"] = lambda handler: handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na,b"
    )
    address = Source("http://intranet.invalid/a.csv")
    assert download(address, work, private=True).read_bytes() == b"a,b"
    with pytest.raises(SlmError, match="proxies of the environment are used only with private = true"):
        download(address, work)


def test_a_file_is_fetched_once_and_again_when_it_changed(site: Any, work: Work) -> None:
    def route(handler: Any) -> None:
        fresh = handler.headers.get("If-None-Match") == f'"{len(content[0])}"'
        handler.send_response(304 if fresh else 200)
        handler.send_header("ETag", f'"{len(content[0])}"')
        handler.send_header("Content-Length", "0" if fresh else str(len(content[0])))
        handler.end_headers()
        if handler.command != "HEAD" and not fresh:
            handler.wfile.write(content[0])

    content = [b"a,b\n1,2\n"]
    site.routes["/t.csv.gz"] = route
    source = Source(f"{site.url}/t.csv.gz?token=very-secret")
    first = download(source, work, private=True)
    assert (first.read_bytes(), first.name[-7:]) == (content[0], ".csv.gz")
    assert download(source, work, private=True) == first
    assert "if-none-match" in site.seen[-1][2]
    state = remote_state(source, private=True)
    content[0] += b"3,4\n"
    assert download(source, work, private=True).read_bytes() == content[0]
    assert remote_state(source, private=True) != state
    kept = b"".join(file.name.encode() + file.read_bytes() for file in work.checkpoints.iterdir())
    assert b"very-secret" not in kept
    assert b"127.0.0.1" not in kept


@pytest.mark.parametrize("resumes", [True, False])
def test_a_fetch_that_broke_off_goes_on(resumes: bool, site: Any, work: Work) -> None:
    content = bytes(range(256)) * 400

    def route(handler: Any) -> None:
        begun = handler.headers.get("Range", "")
        at = int(begun[6:-1]) if begun and resumes else 0
        handler.send_response(206 if at else 200)
        handler.send_header("ETag", '"one"')
        handler.send_header("Content-Length", str(len(content) - at))
        if at:
            handler.send_header("Content-Range", f"bytes {at}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        if len(site.seen) < 3:
            handler.wfile.write(content[at : at + 30_000])
            handler.close_connection = True
        else:
            handler.wfile.write(content[at:])

    site.routes["/big.bin"] = route
    assert download(Source(f"{site.url}/big.bin"), work, private=True).read_bytes() == content
    ranges = [headers.get("range") for _, _, headers, _ in site.seen]
    assert ranges == ([None, "bytes=30000-", "bytes=60000-"] if resumes else [None, *ranges[1:]])
    assert all(headers.get("if-range") == '"one"' for _, _, headers, _ in site.seen[1:])


def test_a_file_over_the_limit_is_refused_before_it_is_read(site: Any, work: Work) -> None:
    site.raw("/huge.csv", b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", bytes(9999), forever=True)
    site.raw("/endless.csv", b"HTTP/1.1 200 OK\r\n\r\n", bytes(9999), forever=True)
    with pytest.raises(SlmError, match=r"/huge.csv: the answer has 10 GB, over the limit of 8 GB; fetch it"):
        download(Source(f"{site.url}/huge.csv"), work, private=True)
    with pytest.raises(SlmError, match=r"/endless.csv: the answer is over the limit of 977 KB"):
        download(Source(f"{site.url}/endless.csv"), work, private=True, limit=1_000_000)


def test_a_web_page_in_place_of_a_file_is_refused(site: Any, work: Work) -> None:
    site.on("/blob/faqs.csv", "\n<!DOCTYPE html><html><body>Please log in</body></html>")
    with pytest.raises(SlmError, match=r"is a web page, not a \.csv file; take the address of the raw file"):
        download(Source(f"{site.url}/blob/faqs.csv"), work, private=True)


@pytest.mark.parametrize("path", ["/none", "/silent"])
def test_the_state_is_unknown_where_the_server_says_none(path: str, site: Any) -> None:
    site.on("/silent", "hello")
    assert remote_state(Source(site.url + path), private=True) is None
    assert remote_state(Source(site.url + "/silent")) is None


def test_connections_are_closed(site: Any, recwarn: Callable[..., Any]) -> None:
    site.on("/a", "a" * 1000)
    with suppress(Failure), open_client(site.url, allowed=HERE, limits=QUICK) as client:
        for _ in range(3):
            with client.open(f"{site.url}/a") as answer:
                next(iter(answer.chunks))
        client.get(f"{site.url}/none")
