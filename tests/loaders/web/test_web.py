"""Pages are read as a good guest reads them: their main text, once, within bounds, and nothing lost in silence."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import Hardware, SlmError, Source, Work
from slm_loaders.fetching.robots import parse_robots
from slm_loaders.web import Web

WORDS = "Every year the river rises in spring, and the people of the valley move their sheep to the hills above it. "


def page(name: str, *links: str, head: str = "") -> str:
    text = f"<h1>{name}</h1><p>About {name}: {WORDS}</p><h2>More on {name}</h2><p>{WORDS * 2}{name}</p>"
    anchors = "".join(f'<a href="{link}">to {link}</a> ' for link in links)
    return f"<html lang=en><head><title>{name}</title>{head}</head><body><main>{text}</main>{anchors}</body></html>"


def web(**options: Any) -> Web:
    return Web(**{"private": True, "rate": 0, "retries": 0, "timeout": 5, **options})


def test_a_page_gives_text_title_date_and_language(site: Any, read: Callable[..., Any]) -> None:
    site.on("/a", page("Sheep", head='<meta property="article:published_time" content="2024-05-06T10:00Z">'))
    found = read(web(), f"{site.url}/a?token=secret")
    (row,) = found.rows
    assert row["url"] == found.addresses[0] == f"{site.url}/a?token=***"
    assert (row["title"], row["date"], row["language"]) == ("Sheep", "2024-05-06", "en")
    assert row["text"].startswith("# Sheep\n\nAbout Sheep: Every year")
    assert "to /" not in row["text"]


def test_a_page_may_be_cut_into_sections(site: Any, read: Callable[..., Any]) -> None:
    site.on("/a", page("Sheep"))
    found = read(web(per="section"), f"{site.url}/a")
    assert [(row["title"], n) for row, n in zip(found.rows, found.numbers, strict=True)] == [
        ("Sheep", 1),
        ("More on Sheep", 5),
    ]


@pytest.mark.parametrize(
    ("header", "meta", "encoding"),
    [
        ("text/html; charset=cp1251", "", "cp1251"),
        ("text/html; charset=iso-8859-1", "", "cp1252"),
        ("text/html; charset=iso-8859-1", "", "utf-8"),
        ("text/html", "<meta charset=gb2312>", "gb18030"),
        ("text/html", '<meta http-equiv=Content-Type content="text/html; charset=Shift_JIS">', "cp932"),
        ("text/html; charset=utf-8", "<meta charset=latin-1>", "utf-8"),
        ("text/html; charset=nonsense", "", "utf-8"),
        ("text/html", "", "utf-8-sig"),
        ("text/html", "", "utf-16"),
        ("text/html", "", "cp1252"),
    ],
)
def test_the_charset_is_found(header: str, meta: str, encoding: str, site: Any, read: Callable[..., Any]) -> None:
    text = {"cp1251": "Отара", "gb18030": "羊群在山上", "cp932": "羊の群れです"}.get(encoding, "Schäfchen für “Größe”")
    site.on("/a", page(f"{text} {text}", head=meta).encode(encoding), kind=header)
    (row,) = read(web(), f"{site.url}/a").rows
    assert text in row["text"]


def test_a_page_nested_without_end_keeps_its_text(site: Any, read: Callable[..., Any]) -> None:
    site.on("/a", "<html>" + "<div>" * 20_000 + "deep down there is text")
    assert [row["text"] for row in read(web(), f"{site.url}/a").rows] == ["deep down there is text"]


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ("%PDF-1.7", "application/pdf", "is a PDF, not a web page; read it with use = 'documents'"),
        (b"\x89PNG\r\n", "image/png", "is a PNG image, not a web page; leave it out"),
        ("{}", "application/json", "is application/json, not a web page; read it with use = 'rest'"),
        ("a,b", "text/csv", "use = 'csv'"),
        ("", "text/html", "is empty"),
        ("<html><body><div id=app></div><script src=a.js></script></body></html>", "text/html", "without its scripts"),
        ("<html><body><noscript>Please enable JavaScript</noscript><div id=root>Loading</div><script></script></body>"
         "</html>", "text/html", "without its scripts"),
        ("<html><body>You need to enable JavaScript to go on.</body></html>", "text/html", "without its scripts"),
        ("<html><head><meta http-equiv=refresh content='0; url=en/'></head></html>", "text/html", "sends on to .*en/;"),
        ("<html><frameset><frame src=/b></frameset></html>", "text/html", "but frames"),
        ("<html><body><p hidden>nothing to see</p></body></html>", "text/html", "has no text"),
        ("<html><p " + " ".join(f"a{n}=1" for n in range(20_000)) + ">text</p>", "text/html", "can't be taken apart"),
    ],
)  # fmt: skip
def test_what_gives_no_text_is_said(
    body: str | bytes, kind: str, says: str, site: Any, read: Callable[..., Any]
) -> None:
    site.on("/a", body, kind=kind)
    site.on("/b", page("fine"))
    with pytest.raises(SlmError, match=f"/a: .*{says}"):
        read(web(), f"{site.url}/a")
    found = read(web(urls=(f"{site.url}/a", "not an address")), f"{site.url}/b")
    assert [row["title"] for row in found.rows] == ["fine"]
    assert re.search(says, found.rejected[0].why)
    assert [reject.place for reject in found.rejected] == [f"{site.url}/a", "not an address"]


def test_text_that_is_no_html_is_taken_as_it_is(site: Any, read: Callable[..., Any]) -> None:
    site.on("/notes.md", "# Notes\r\n\r\n<b> is not taken for a tag", kind="text/plain")
    (row,) = read(web(), f"{site.url}/notes.md").rows
    assert row["text"] == "# Notes\n\n<b> is not taken for a tag"


def test_a_failing_page_is_an_error_alone_and_a_reject_in_a_list(
    site: Any, tmp_path: Path, read: Callable[..., Any]
) -> None:
    site.on("/b", page("fine"))
    (tmp_path / "pages.txt").write_text(f"# my pages\n\n{site.url}/b\n{site.url}/b#part\n{site.url}/none\n")
    with pytest.raises(SlmError, match=r"/none: there is no such page \(404\); check the address"):
        read(web(), f"{site.url}/none")
    found = read(web(), "pages.txt")
    assert [row["title"] for row in found.rows] == ["fine"]
    assert [(reject.place, reject.why) for reject in found.rejected] == [
        (f"{site.url}/none", "there is no such page (404); check the address")
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_a_sitemap_gives_its_pages(packed: bool, site: Any, read: Callable[..., Any]) -> None:
    import gzip

    places = [*(f"<url><loc> {site.url}/{n}?a=1&amp;b=2 </loc></url>" for n in range(3)), "<!-- <loc>/no</loc> -->"]
    urls = (
        f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{"".join(places)}</urlset>'
    )
    inner = f"<sitemapindex><sitemap><loc><![CDATA[{site.url}/inner.xml]]></loc></sitemap></sitemapindex>"
    site.on("/sitemap.xml", gzip.compress(inner.encode()) if packed else inner, kind="application/xml")
    site.on("/inner.xml", gzip.compress(urls.encode()) if packed else urls, kind="application/gzip")
    for n in range(3):
        site.on(f"/{n}", page(f"page {n}"))
    assert [row["title"] for row in read(web(), f"{site.url}/sitemap.xml").rows] == ["page 0", "page 1", "page 2"]
    found = read(web(exclude=("*/1[?]*",), limit=1), f"{site.url}/sitemap.xml")
    assert [row["title"] for row in found.rows] == ["page 0"]
    assert found.warnings == [f"{site.url}/sitemap.xml: 1 more pages are known and not read; raise limit to read them"]


@pytest.mark.parametrize("inside", ["<!--", "<loc>", "<loc", "<?x ?>", "<!DOCTYPE x>"])
def test_sitemaps_that_are_broken_end_soon(inside: str, site: Any, read: Callable[..., Any]) -> None:
    site.on("/s.xml", "<urlset>" + inside * 1_000_000, kind="application/xml")
    site.on("/t.xml", inside * 1_000_000, kind="application/xml")
    for path in ("/s.xml", "/t.xml"):
        with pytest.raises(SlmError, match=r"names no page|no text|apart|no HTML|is empty"):
            read(web(), site.url + path)


def test_a_crawl_stays_within_its_bounds(site: Any, other: Any, read: Callable[..., Any]) -> None:
    site.on(
        "/docs/index.html", page("start", "a", "b#x", "b?utm_source=mail", "/blog/", "mailto:me", "x.pdf", other.url)
    )
    site.on("/docs/a", page("a", "c", "./a", "index.html", "//[", "javascript:void(0)"))
    site.on("/docs/b", page("b", "private/d"))
    site.on("/docs/c", page("c", "e"))
    site.on("/docs/private/d", page("d"))
    found = read(web(crawl=10, depth=2, exclude=("*/private/*",)), f"{site.url}/docs/index.html")
    assert [row["title"] for row in found.rows] == ["start", "a", "b", "c"]
    assert Counter(site.paths()).most_common(1)[0][1] == 1
    assert other.seen == []
    assert found.warnings == [f"{site.url}/docs/index.html: links to files of other kinds are not followed: .pdf (1)"]
    fewer = read(web(crawl=2), f"{site.url}/docs/index.html")
    assert [row["title"] for row in fewer.rows] == ["start", "a"]
    assert "more pages are known and not read; raise crawl" in fewer.warnings[-1]


def test_the_same_page_is_given_once(site: Any, read: Callable[..., Any]) -> None:
    same = '<link rel="canonical" href="/a">'
    site.on("/a", page("a", "print", "copy", "2", head=same))
    site.on("/print", page("a", head=same).replace("About", "Print of"))
    site.on("/copy", page("a"))
    site.on("/2", page("two", head=same).replace("sheep", "goats and cows and ducks and hens and pigs of all ages"))
    found = read(web(crawl=10), f"{site.url}/a")
    assert [row["title"] for row in found.rows] == ["a", "two"]
    assert found.warnings == [f"{site.url}/a: pages left out because another has the same text: 2"]


def test_a_killed_crawl_goes_on_where_it_was(site: Any, tmp_path: Path, read: Callable[..., Any]) -> None:
    for n in range(6):
        site.on(f"/{n}", page(f"page {n}", str(n + 1)), ETag=f'"{n}"')
    killed = web(crawl=6).load(Source(f"{site.url}/0"), Work(tmp_path, tmp_path, Hardware()))
    assert [batch.rows["title"][0].as_py() for _, batch in zip(range(3), killed, strict=False)] == [
        f"page {n}" for n in range(3)
    ]
    killed.close()
    before = site.paths()
    found = read(web(crawl=6), f"{site.url}/0")
    assert [row["title"] for row in found.rows] == [f"page {n}" for n in range(6)]
    assert [path for path in site.paths()[len(before) :] if path != "/robots.txt"] == ["/3", "/4", "/5"]


def test_a_later_run_asks_for_what_changed(site: Any, read: Callable[..., Any]) -> None:
    site.on("/a", page("a"), ETag='"1"')
    read(web(robots=False), f"{site.url}/a")
    site.on("/a", status=304)
    assert [row["title"] for row in read(web(robots=False), f"{site.url}/a").rows] == ["a"]
    assert site.seen[-1][2]["if-none-match"] == '"1"'
    site.on("/a", page("b"), ETag='"2"')
    assert [row["title"] for row in read(web(robots=False), f"{site.url}/a").rows] == ["b"]


def test_robots_are_kept_to(site: Any, read: Callable[..., Any]) -> None:
    site.on("/robots.txt", "User-agent: *\nDisallow: /no\nAllow: /no/but\n", kind="text/plain")
    for path in ("/", "/no", "/no/but"):
        site.on(path, page(path, "/no", "/no/but"))
    with pytest.raises(SlmError, match=r"/no: the site's robots\.txt asks programs not to read it; .* robots = false"):
        read(web(), f"{site.url}/no")
    found = read(web(crawl=9), f"{site.url}/")
    assert [row["title"] for row in found.rows] == ["/", "/no/but"]
    assert [reject.place for reject in found.rejected] == [f"{site.url}/no"]
    assert "/no" not in site.paths()
    assert read(web(robots=False), f"{site.url}/no").rows


@pytest.mark.parametrize(("status", "allowed"), [(404, True), (403, True), (500, False), (503, False), (429, False)])
def test_a_site_whose_robots_fail_is_left_alone(
    status: int, allowed: bool, site: Any, read: Callable[..., Any]
) -> None:
    site.on("/robots.txt", status=status)
    site.on("/a", page("a"))
    if allowed:
        assert read(web(), f"{site.url}/a").rows
    else:
        with pytest.raises(SlmError, match=rf"/a: .*robots\.txt can't be read \(.*{status}"):
            read(web(), f"{site.url}/a")


@pytest.mark.parametrize(
    ("robots", "path", "allowed"),
    [
        ("User-agent: *\nDisallow: /", "/a", False),
        ("User-agent: *\nDisallow:", "/a", True),
        ("User-agent: other\nDisallow: /", "/a", True),
        ("User-agent: *\nDisallow: /\n\nUser-Agent: SLM\nAllow: /", "/a", True),
        ("User-agent: slm\nUser-agent: other\nDisallow: /a", "/a/b", False),
        ("User-agent: slm\nDisallow: /a\n\nUser-agent: slm\nDisallow: /b", "/b", False),
        ("User-agent: *\nDisallow: /*.php$", "/x/y.php", False),
        ("User-agent: *\nDisallow: /*.php$", "/x/y.php?z", True),
        ("User-agent: *\nDisallow: /*.php$", "/x.php/y.php", False),
        ("User-agent: *\nDisallow: /a$", "/ab", True),
        ("User-agent: *\nDisallow: /a*$", "/ab", False),
        ("User-agent: *\nDisallow: /ab*b$", "/ab", True),
        ("User-agent: *\nDisallow: /" + "a*" * 100 + "b", "/" + "a" * 5000, True),
        ("User-agent: *\nDisallow: /a?b=", "/a?b=1", False),
        ("User-agent: *\nDisallow: /p%61th", "/path", False),
        ("User-agent: *\nAllow: /a/b\nDisallow: /a", "/a/bc", True),
        ("User-agent: *\nAllow: /a\nDisallow: /a", "/a", True),
        ("\ufeffUser-agent: * # all\nDisallow: /a # no", "/a", False),
        ("Disallow: /a", "/a", True),
        ("<html>not found</html>", "/a", True),
    ],
)
def test_robots_are_understood(robots: str, path: str, allowed: bool) -> None:
    found = parse_robots(robots.removeprefix("\ufeff"))
    assert (found.why_not(f"https://example.com{path}") == "") is allowed


def test_the_delay_a_site_asks_for_is_kept(site: Any, read: Callable[..., Any], monkeypatch: Any) -> None:
    assert parse_robots("User-agent: *\nCrawl-delay: 2.5").delay == 2.5
    assert parse_robots("User-agent: *\nCrawl-delay: 99999").delay == 300
    slept: list[float] = []
    monkeypatch.setattr("slm_loaders.fetching.sites.time.sleep", slept.append)
    for n in range(3):
        site.on(f"/{n}", page(f"page {n}", str(n + 1)))
    read(web(crawl=3, rate=0.5), f"{site.url}/0")
    assert [round(seconds) for seconds in slept] == [0, 2, 4]


def test_private_pages_are_refused_unless_allowed(site: Any, read: Callable[..., Any]) -> None:
    site.on("/a", page("a"))
    with pytest.raises(SlmError, match=r"/a: leads to a private address \(127\.0\.0\.1\); set private"):
        read(Web(retries=0), f"{site.url}/a")
    assert site.seen == []


def test_the_state_is_the_servers_word_for_one_page(site: Any) -> None:
    site.on("/a", page("a"), ETag='"x"')
    assert str(web().state(Source(f"{site.url}/a"))).startswith('"x"')
    assert web(crawl=2).state(Source(f"{site.url}/a")) is None
    assert web().state(Source(f"{site.url}/none")) is None


def test_nothing_secret_is_kept(site: Any, tmp_path: Path, read: Callable[..., Any]) -> None:
    site.on("/a", page("a"))
    found = read(web(headers=("Cookie: id=hidden",)), f"{site.url.replace('//', '//me:word@')}/a?api_key=very-secret")
    assert site.seen[-1][2]["cookie"] == "id=hidden"
    assert site.seen[-1][1] == "/a?api_key=very-secret"
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    shown = (
        kept + repr(found.rows).encode() + repr(found.addresses).encode() + repr(web(headers=("A: hidden",))).encode()
    )
    assert not any(secret in shown for secret in (b"hidden", b"word@", b"very-secret"))


def test_real_pages_give_their_main_text(data: Path, site: Any, read: Callable[..., Any]) -> None:
    from lxml import html

    scores = {}
    for folder in sorted(path.parent for path in data.glob("messy/html-pages/*/source.html")):
        site.on("/page", (folder / "source.html").read_bytes())
        (row,) = read(web(robots=False), f"{site.url}/page?{folder.name}").rows
        main = html.fromstring((folder / "expected.html").read_text(encoding="utf-8"))
        wanted, given = (Counter(re.findall(r"\w+", text)) for text in (" ".join(main.itertext()), row["text"]))
        scores[folder.name] = 2 * (wanted & given).total() / (wanted.total() + given.total())
    assert len(scores) == 23
    assert min(scores.values()) > 0.8
    assert sum(scores.values()) / len(scores) > 0.95, scores
