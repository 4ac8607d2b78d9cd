"""Datasets of the Hub, from a server that answers as the Hub does, from its cache, and from folders.

The Hub's address is fixed when its library is imported: each test reads in a process of its own.
"""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pyarrow
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Value
from pyarrow import parquet

from slm.plugin import Hardware, SlmError, Source, Work
from slm_loaders.hub import Hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"
READ = """
import json, sys
from pathlib import Path
from slm.plugin import Hardware, SlmError, Source, Work
from slm_loaders.hub import Hub

for options, address, folder in json.loads(sys.argv[1]):
    told = []
    work = Work(Path(folder), Path(folder), Hardware(), emit=lambda kind, data: told.append(data["text"]))
    try:
        state = Hub(**options).state(Source(address, Path(folder)))
        batches = list(Hub(**options).load(Source(address, Path(folder)), work))
        rows = [row for batch in batches for row in batch.rows.to_pylist()]
        found = {"rows": rows, "address": batches[0].address, "numbers": [n for b in batches for n in b.numbers]}
    except SlmError as error:
        found = {"error": str(error)}
    print(json.dumps({"warnings": told, **found, "state": state}))
"""
CARD = """---
configs:
- config_name: en
  data_files: [{split: train, path: en/train.parquet}, {split: test, path: en/test.parquet}]
- config_name: de
  data_files: de.parquet
---
"""


class Front(http.server.ThreadingHTTPServer):
    """The part of the Hub's HTTP interface that reading a dataset takes, over folders: `repos` by name."""

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.root, self.seen = root, list[str]()


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers of the Hub: a dataset's facts, its files' facts, and its files; errors have a header that names them."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Front)
        self.server.seen.append(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = unquote(self.path.partition("?")[0])
        parts = path.removeprefix("/api").removeprefix("/datasets/").split("/")
        repo, rest = "/".join(parts[:2]), parts[2:]
        folder = self.server.root / repo
        if repo == "me/gated" and self.headers.get("authorization") != "Bearer hf_s3cret":
            self.refuse(403 if self.headers.get("authorization") else 401, "GatedRepo")
        elif not path.startswith(("/api/datasets/", "/datasets/")) or not folder.is_dir():
            self.refuse(404, "RepoNotFound")
        elif len(rest) > 1 and rest[1] not in ("main", COMMIT):
            self.refuse(404, "RevisionNotFound")
        elif path.startswith("/api"):
            self.facts(folder, rest, body)
        else:
            self.file(folder / "/".join(rest[2:]))

    do_HEAD = do_POST = do_GET

    def facts(self, folder: Path, rest: list[str], body: bytes) -> None:
        files = [self.fact(folder, path) for path in sorted(folder.rglob("*")) if path.is_file()]
        if rest and rest[0] == "tree":
            below = "/".join(rest[2:])
            return self.send(200, [each for each in files if each["path"].startswith(below)])
        if rest and rest[0] == "paths-info":
            asked = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode())["paths"]
            return self.send(200, [each for each in files if each["path"] in asked])
        siblings = [{"rfilename": each["path"]} for each in files]
        return self.send(200, {"id": folder.name, "sha": COMMIT, "siblings": siblings, "private": False, "tags": []})

    def fact(self, folder: Path, path: Path) -> dict[str, Any]:
        oid = hashlib.sha1(path.read_bytes()).hexdigest()
        return {"type": "file", "path": path.relative_to(folder).as_posix(), "size": path.stat().st_size, "oid": oid}

    def file(self, path: Path) -> None:
        if path.is_file():
            whole = path.read_bytes()
            self.send(200, whole, {"ETag": f'"{hashlib.sha1(whole).hexdigest()}"', "X-Repo-Commit": COMMIT})
        else:
            self.refuse(404, "EntryNotFound", {"X-Repo-Commit": COMMIT})

    def refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self.send(status, {"error": code}, {"X-Error-Code": code, "X-Error-Message": code, **(headers or {})})

    def send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        start, end = 0, len(body)
        if "range" in self.headers and status == 200:
            first, _, last = self.headers["range"].removeprefix("bytes=").partition("-")
            start, end, status = int(first), min(int(last or end) + 1, end), 206
        self.send_response(status)
        for name, text in {"Content-Length": str(end - start), "Accept-Ranges": "bytes", **(headers or {})}.items():
            self.send_header(name, text)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(body)}")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[start:end])

    def log_message(self, *parts: Any) -> None:
        """Nothing: what was asked is in `seen`."""


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """A Hub with the datasets me/faq (two configurations), me/plain and me/gated."""
    made = {f"me/{name}": tmp_path / "hub" / "me" / name for name in ("faq", "plain", "gated", "script")}
    for folder in made.values():
        (folder / "en").mkdir(parents=True)
    parquet.write_table(pyarrow.table({"q": ["a", "b"], "n": [1, 2]}), made["me/faq"] / "en/train.parquet")
    parquet.write_table(pyarrow.table({"q": ["c"], "n": [3]}), made["me/faq"] / "en/test.parquet")
    german = {"q": ["ä"], "turns": [[{"role": "user", "content": "x"}]]}
    parquet.write_table(pyarrow.table(german), made["me/faq"] / "de.parquet")
    (made["me/faq"] / "README.md").write_text(CARD)
    for name in ("me/plain", "me/gated"):
        (made[name] / "train.csv").write_text("q,n\nplain,1\n")
    (made["me/script"] / "script.py").write_text("raise SystemExit")
    with Front(tmp_path / "hub") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Read (options, address) pairs in one process, with a cache of its own; `front` is the Hub, if it may be asked."""

    def load(*cases: tuple[dict[str, Any], str], front: Front | None = None) -> list[dict[str, Any]]:
        place = f"http://127.0.0.1:{front.server_address[1]}" if front else "http://127.0.0.1:1"
        env = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": place, "HF_HUB_DISABLE_XET": "1"}
        env |= {"HF_HUB_OFFLINE": "0" if front else "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        told = json.dumps([(*case, str(tmp_path)) for case in cases])
        done = subprocess.run([sys.executable, "-c", READ, told], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return [json.loads(line) for line in done.stdout.splitlines()]

    return load


def test_a_dataset_is_read_by_configuration_split_and_revision(front: Front, load: Callable[..., Any]) -> None:
    train, test, german, streamed, plain, commit, files = load(
        ({}, "hub://me/faq?config=en"),
        ({"config": "en", "part": "test"}, "hf://datasets/me/faq"),
        ({}, "hub://me/faq?config=de"),
        ({"streaming": True}, "hub://me/faq?config=en&split=train"),
        ({}, "hub://me/plain"),
        ({}, f"hub://me/plain@{COMMIT}"),
        ({}, "hub://me/faq/en/test.parquet"),
        front=front,
    )
    assert train["rows"] == [{"q": "a", "n": 1}, {"q": "b", "n": 2}]
    assert (train["numbers"], train["address"]) == ([1, 2], "hub://me/faq?config=en&split=train")
    assert train["warnings"] == ["hub://me/faq: its split train is read; part = '...' takes another (test)"]
    assert (test["rows"], test["address"]) == ([{"q": "c", "n": 3}], "hf://datasets/me/faq?config=en&split=test")
    assert german["rows"] == [{"q": "ä", "turns": [{"role": "user", "content": "x"}]}]
    assert streamed["rows"] == train["rows"]
    assert plain["rows"] == commit["rows"] == [{"q": "plain", "n": 1}]
    assert plain["warnings"] == []
    assert files["rows"] == test["rows"]
    assert {each["state"] for each in (train, plain, commit)} == {COMMIT}


def test_what_the_hub_refuses_is_one_line_with_what_there_is(front: Front, load: Callable[..., Any]) -> None:
    cases = [
        ({}, "hub://me/nope", "no such dataset, or a private one"),
        ({}, "hub://me/gated", "is gated; ask for access on its page, then set token"),
        ({"token": "hf_wr0ng"}, "hub://me/gated", "is gated; ask for access"),
        ({}, "hub://me/faq", "which configuration? set config = '...' (there: ['en', 'de'])"),
        ({"config": "fr"}, "hub://me/faq", "no configuration fr (there: ['en', 'de'])"),
        ({"part": "dev"}, "hub://me/faq?config=en", "no split 'dev' (there: train, test)"),
        ({"part": "dev", "streaming": True}, "hub://me/faq?config=en", "no split 'dev' (there: train, test)"),
        ({"revision": "v2"}, "hub://me/plain", "no revision v2"),
        ({}, "hub://me/script", "is made by a script, which is not run"),
        ({}, "hub://me/faq/en/none.csv", "neither the Hub nor the cache has it"),
        ({}, "hub://plain", "is no dataset of the Hub; write hub://owner/name"),
        ({}, "hub://me/plain?sprit=train", "unknown ?sprit="),
        ({"revision": "v2"}, "hub://me/plain@v1", "two of revision"),
    ]
    found = load(*[(options, address) for options, address, _ in cases[:-3]], front=front)
    for (_, address, message), told in zip(cases, found, strict=False):
        assert told.get("error", told).startswith(address.partition("?")[0])
        assert message in told["error"]
        assert "\n" not in told["error"]
        assert "wr0ng" not in told["error"]
    for options, address, message in cases[-3:]:
        with pytest.raises(SlmError) as caught:
            Hub(**options).state(Source(address))
        assert message in str(caught.value)


def test_a_token_opens_what_is_gated(front: Front, load: Callable[..., Any]) -> None:
    option, address = load(
        ({"token": "hf_s3cret"}, "hub://me/gated"), ({}, "hub://me/gated?token=hf_s3cret"), front=front
    )
    assert option["rows"] == address["rows"] == [{"q": "plain", "n": 1}]
    assert option["address"] == address["address"] == "hub://me/gated?split=train"


def test_without_the_hub_the_cache_is_read(front: Front, load: Callable[..., Any]) -> None:
    plain: tuple[dict[str, Any], str] = ({}, "hub://me/plain")
    english: tuple[dict[str, Any], str] = ({"config": "en", "part": "test"}, "hub://me/faq")
    (missing,) = load(plain)
    assert missing["error"] == (
        "hub://me/plain: is not in the cache, and the Hub is not asked (HF_HUB_OFFLINE); unset that once"
    )
    fetched = load(plain, english, front=front)
    again = load(plain, english, ({**english[0], "streaming": True}, english[1]), ({"config": "de"}, "hub://me/faq"))
    assert [each["rows"] for each in again[:3]] == [fetched[0]["rows"], fetched[1]["rows"], fetched[1]["rows"]]
    assert "error" in again[3]
    assert "\n" not in again[3]["error"]


def test_without_the_hub_a_download_of_its_files_is_read(
    front: Front, load: Callable[..., Any], tmp_path: Path
) -> None:
    code = "from huggingface_hub import snapshot_download as get; get('me/faq', repo_type='dataset')"
    place = f"http://127.0.0.1:{front.server_address[1]}"
    env = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": place, "HF_HUB_OFFLINE": "0"}
    subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    train, german = load(({"config": "en"}, "hub://me/faq"), ({"config": "de", "revision": "main"}, "hub://me/faq"))
    assert train["rows"] == [{"q": "a", "n": 1}, {"q": "b", "n": 2}]
    assert german["rows"][0]["q"] == "ä"
    assert (train["state"], train["address"]) == (COMMIT, "hub://me/faq?config=en&split=train")


def test_a_folder_saved_by_datasets_is_read(tmp_path: Path, read: Callable[..., Any]) -> None:
    features = Features(
        {
            "text": Value("large_string"),
            "label": ClassLabel(names=["ham", "spam"]),
            "tags": List(ClassLabel(names=["x", "y"])),
            "turns": List({"role": Value("string"), "content": Value("string")}),
            "picture": Image(),
        }
    )
    turns = [{"role": "user", "content": "hi"}]
    rows = [
        {"text": "a", "label": 1, "tags": [0, 1], "turns": turns, "picture": None},
        {"text": "b", "label": -1, "tags": [], "turns": [], "picture": None},
        {"text": "c", "label": None, "tags": None, "turns": None, "picture": None},
    ]
    data = Dataset.from_list(rows, features=features)
    data.save_to_disk(str(tmp_path / "one"))
    DatasetDict({"train": data, "test": data.select([0])}).save_to_disk(str(tmp_path / "two"))
    found = read(Hub(), "one")
    assert found.rows == [
        {"text": "a", "label": "spam", "tags": ["x", "y"], "turns": turns},
        {"text": "b", "label": None, "tags": [], "turns": []},
        {"text": "c", "label": None, "tags": None, "turns": None},
    ]
    assert found.warnings == ["one?split=train: columns of pictures, sound or video are left out: picture"]
    two = read(Hub(part="test"), "two")
    assert (len(two.rows), two.addresses) == (1, ["two?split=test"])
    with pytest.raises(SlmError, match=r"two: no split 'dev' \(there: train, test\)"):
        read(Hub(part="dev"), "two")


def test_a_folder_of_data_files_is_read_by_its_card(tmp_path: Path, read: Callable[..., Any]) -> None:
    folder = tmp_path / "repo"
    (folder / "en").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    parquet.write_table(pyarrow.table({"q": ["c"], "n": [3]}), folder / "en/test.parquet")
    parquet.write_table(pyarrow.table({"q": ["a"], "n": [1]}), folder / "en/train.parquet")
    parquet.write_table(pyarrow.table({"q": ["ä"]}), folder / "de.parquet")
    assert read(Hub(config="en", part="test"), "repo").rows == [{"q": "c", "n": 3}]
    assert read(Hub(config="de"), "repo").rows == [{"q": "ä"}]
    with pytest.raises(SlmError, match=r"repo: which configuration\? set config = '...' \(there: \['en', 'de'\]\)"):
        read(Hub(), "repo")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "repo: no such folder"),
        ({}, "repo: no data files that are known"),
        ({"repo.py": "raise SystemExit"}, "repo: is made by a script, which is not run"),
        ({"train.jsonl": "{broken"}, "repo: can't be read"),
        ({"train.parquet": "PAR1"}, "repo: can't be read"),
        ({"state.json": "{}"}, "repo: can't be read"),
        ({"a/one.csv": "a\n1\n", "b/two.jsonl": "[1"}, "repo: can't be read"),
    ],
)
def test_a_folder_that_is_no_dataset_is_one_line(
    files: dict[str, str] | None, message: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    for name, text in (files or {}).items():
        (tmp_path / "repo" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "repo" / name).write_text(text)
    if files == {}:
        (tmp_path / "repo").mkdir()
    with pytest.raises(SlmError, match=message) as caught:
        read(Hub(), "repo")
    assert "\n" not in str(caught.value)


def test_reading_may_end_early(tmp_path: Path) -> None:
    Dataset.from_dict({"text": ["a"] * 30_000}).save_to_disk(str(tmp_path / "one"))
    batches = Hub().load(Source("one", tmp_path), Work(tmp_path, tmp_path, Hardware()))
    assert len(next(iter(batches)).rows) == 10_000
    batches.close()  # type: ignore[attr-defined]
