"""Files are found and unpacked safely: links, archives, bombs and what is cut short are named in one line."""

import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import zstandard
from attrs import evolve

from slm.plugin import SlmError, Source
from slm_loaders.csv import Csv
from slm_loaders.json import Json
from slm_loaders.jsonl import Jsonl
from slm_loaders.opening import packing
from slm_loaders.opening.files import File, claims_of, read_chunks
from slm_loaders.text import Text
from slm_loaders.yaml import Yaml

TABLE = b"text,label\nfine,x\nbad,y\n"


def zipped(path: Path, **members: bytes) -> Path:
    """A zip archive; `__` in a name stands for a dot."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return path


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv"])
def test_packed_files_are_known_by_their_bytes(pack: Any, name: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / name).write_bytes(pack(TABLE))
    assert [row["text"] for row in read(Csv(), name).rows] == ["fine", "bad"]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_packed_files_in_several_parts_are_read_whole(pack: Any, tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.csv.zst").write_bytes(pack(TABLE) + pack(b"more,z\n"))
    assert [row["text"] for row in read(Csv(), "t.csv.zst").rows] == ["fine", "bad", "more"]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
@pytest.mark.parametrize("keep", [0.3, 0.999])
def test_a_packed_file_cut_short_is_refused(pack: Any, keep: float, tmp_path: Path, read: Callable[..., Any]) -> None:
    whole = pack("\n".join(f"{n},text {n * 7919}" for n in range(5000)).encode())
    (tmp_path / "t.csv.gz").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(SlmError, match=r"t\.csv\.gz: the compressed file is broken or cut short"):
        read(Csv(), "t.csv.gz")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])  # zstd has no checksum by default
def test_a_packed_file_with_a_broken_middle_is_refused(pack: Any, tmp_path: Path, read: Callable[..., Any]) -> None:
    whole = bytearray(pack(os.urandom(50_000).hex().encode()))
    whole[len(whole) // 2 : len(whole) // 2 + 40] = bytes(40)
    (tmp_path / "t.csv.gz").write_bytes(whole)
    with pytest.raises(SlmError, match=r"t\.csv\.gz: (the compressed file is broken|.*binary)"):
        read(Csv(), "t.csv.gz")


def test_an_archive_gives_its_fitting_files_with_their_addresses(tmp_path: Path, read: Callable[..., Any]) -> None:
    zipped(tmp_path / "a.zip", **{"b/t.tsv": b"text\tlabel\nq\tr\n", "a.csv": TABLE, "notes.md": b"# no", "b/": b"",
                                  "__MACOSX/._a.csv": b"\0", ".hidden.csv": b"no"})  # fmt: skip
    found = read(Csv(), "a.zip")
    assert found.addresses == ["a.zip/a.csv", "a.zip/a.csv", "a.zip/b/t.tsv"]
    assert [row["text"] for row in found.rows] == ["fine", "bad", "q"]
    assert read(Text(), "a.zip").addresses == ["a.zip/notes.md"]


def test_a_packed_file_within_an_archive_is_read(tmp_path: Path, read: Callable[..., Any]) -> None:
    zipped(tmp_path / "a.zip", t__csv__gz=gzip.compress(TABLE))
    assert read(Csv(), "a.zip").addresses == ["a.zip/t.csv.gz"] * 2


def test_real_archives_of_tables_are_read(data: Path, read: Callable[..., Any]) -> None:
    folder = data / "messy/frictionless"
    assert read(Csv(), "table.csv.zip", folder).rows == read(Csv(), "table.csv", folder).rows
    assert len(set(read(Csv(), "table-multiple-files.zip", folder).addresses)) == 2


def test_a_log_packed_a_hundred_to_one_is_read_whole(tmp_path: Path, read: Callable[..., Any]) -> None:
    lines = b'{"text": "the service is up and answers as it should, nothing else to report today"}\n' * 400_000
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(lines))
    assert (tmp_path / "t.jsonl.gz").stat().st_size < len(lines) / 100
    assert sum(len(batch.numbers) for batch in read(Jsonl(), "t.jsonl.gz").batches) == 400_000


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_bomb_is_refused_before_it_goes_off(pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "FREE", 4 << 20)
    (tmp_path / "t.csv.gz").write_bytes(pack(b"a,b\n" * (8 << 20)))
    chunks = read_chunks(File(tmp_path / "t.csv.gz", "t.csv.gz"))
    with pytest.raises(SlmError, match=r"t\.csv\.gz: unpacks from [\d,]+ bytes to over \d+ MB, 200 times") as caught:
        assert all(len(chunk) < 128 << 20 for chunk in chunks)
    assert "\n" not in str(caught.value)


def test_an_archive_that_overlaps_itself_is_refused(
    tmp_path: Path, read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "FREE", 4 << 20)
    zipped(tmp_path / "a.zip", **{f"{n}.csv": b"a,b\n" * (1 << 18) for n in range(20)})
    with pytest.raises(SlmError, match=r"a\.zip: unpacks from [\d,]+ bytes to over"):
        read(Csv(), "a.zip")


def test_archives_in_an_archive_are_not_opened(tmp_path: Path, read: Callable[..., Any]) -> None:
    inner = zipped(tmp_path / "inner.zip", t__csv=TABLE).read_bytes()
    zipped(tmp_path / "a.zip", **{f"{n}.zip": inner for n in range(16)})
    with pytest.raises(SlmError, match=r"a\.zip: no \.csv or \.tsv or \.tab file .*; it holds 0\.zip, .* and 11 more"):
        read(Csv(), "a.zip")


@pytest.mark.parametrize("name", ["../../etc/cron.csv", "/etc/t.csv", "..\\t.csv", "C:\\t.csv", "a/../../t.csv"])
def test_a_name_that_leads_out_of_its_archive_is_refused(name: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    zipped(tmp_path / "a.zip", **{name: TABLE, "fine.csv": TABLE})
    with pytest.raises(SlmError, match=r"a\.zip: its file '.*t?\.csv' leads out of the archive"):
        read(Csv(), "a.zip")


def test_an_encrypted_archive_is_refused(tmp_path: Path, read: Callable[..., Any]) -> None:
    raw = bytearray(zipped(tmp_path / "a.zip", t__csv=TABLE).read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(raw)
    with pytest.raises(SlmError, match=r"a\.zip: 't\.csv' is encrypted; unpack it first"):
        read(Csv(), "a.zip")


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.95])
def test_an_archive_cut_short_is_refused(keep: float, tmp_path: Path, read: Callable[..., Any]) -> None:
    whole = zipped(tmp_path / "a.zip", t__csv=os.urandom(9000).hex().encode()).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(SlmError, match=r"a\.zip.*: the (zip archive|compressed file) is broken or cut short"):
        read(Csv(), "a.zip")


def test_an_archive_with_broken_content_is_refused(tmp_path: Path, read: Callable[..., Any]) -> None:
    raw = bytearray(zipped(tmp_path / "a.zip", t__csv=b"a,b\n" + os.urandom(9000).hex().encode()).read_bytes())
    raw[4000:4040] = bytes(40)
    (tmp_path / "a.zip").write_bytes(raw)
    with pytest.raises(SlmError, match=r"a\.zip/t\.csv: the (zip archive|compressed file) is broken or cut short"):
        read(Csv(), "a.zip")


def test_an_archive_packed_in_an_unusual_way_is_refused(tmp_path: Path, read: Callable[..., Any]) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("t.csv", TABLE)
    with pytest.raises(SlmError, match=r"a\.zip: 't\.csv' is packed in an unusual way; unpack it first"):
        read(Csv(), "a.zip")


def test_an_office_document_is_named_as_such(data: Path, read: Callable[..., Any]) -> None:
    with pytest.raises(SlmError, match=r"simple\.docx: is an office document"):
        read(Text(), "simple.docx", data / "messy/documents")


def test_a_tar_archive_is_named_as_such(tmp_path: Path, read: Callable[..., Any]) -> None:
    import tarfile

    with tarfile.open(tmp_path / "t.csv.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("t.csv")
        entry.size = len(TABLE)
        archive.addfile(entry, io.BytesIO(TABLE))
    with pytest.raises(SlmError, match=r"t\.csv\.gz: is a tar archive"):
        read(Csv(), "t.csv.gz")


def test_a_pattern_leaves_out_hidden_files_and_links_that_lead_out(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "d").mkdir()
    for name in ("a.csv", "._a.csv", ".b.csv"):
        (tmp_path / "d" / name).write_bytes(TABLE)
    (tmp_path / "secret.csv").write_bytes(TABLE)
    (tmp_path / "d/link.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "d/inner.csv").symlink_to(tmp_path / "d/a.csv")
    (tmp_path / "d/gone.csv").symlink_to(tmp_path / "d/nothing")
    found = read(Csv(), "d/*.csv")
    assert sorted(set(found.addresses)) == ["d/a.csv", "d/inner.csv"]
    assert found.warnings == [
        "gone.csv: left out, no file but a device, a pipe or a broken link",
        "link.csv: left out, a link that leads out of the folder d",
    ]
    assert set(read(Csv(), "d/.b*.csv").addresses) == {"d/.b.csv"}


def test_a_pipe_is_not_waited_for(tmp_path: Path, read: Callable[..., Any]) -> None:
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(SlmError, match=r"t\.csv: is a device or a pipe"):
        read(Csv(), "t.csv")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a server on this machine that gives what is in tmp_path/site."""
    (tmp_path / "site").mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "site"))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("name", "loader", "content"),
    [
        ("t.csv", Csv(private=True), TABLE),
        ("t.csv.gz", Csv(private=True), gzip.compress(TABLE)),
        ("t.json", Json(private=True), b'[{"text": "fine"}, {"text": "bad"}]'),
        ("t.jsonl.zst", Jsonl(private=True), zstandard.compress(b'{"text": "fine"}\n{"text": "bad"}\n')),
        ("t.yaml", Yaml(private=True), b"- text: fine\n- text: bad\n"),
        ("t.txt", Text(private=True), b"fine\n\nbad\n"),
    ],
)
def test_a_file_on_the_web_is_read_and_known_by_its_address_without_secrets(
    name: str, loader: Any, content: bytes, served: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "site" / name).write_bytes(content)
    found = read(loader, f"{served}/{name}?token=s3cret")
    assert [row["text"] for row in found.rows] == ["fine", "bad"]
    assert set(found.addresses) == {f"{served}/{name}?token=***"}
    assert loader.state(Source(f"{served}/{name}"))
    assert loader.state(Source("t.csv")) is None
    with pytest.raises(SlmError, match="private") as caught:
        read(evolve(loader, private=False), f"{served}/{name}?token=s3cret")
    assert "s3cret" not in str(caught.value)


def test_claims_cover_packed_files_and_those_of_the_web() -> None:
    assert {".csv", ".csv.zst", ".csv.zip", "https://*.csv", "http://*.csv.gz"} <= set(claims_of(".csv"))
