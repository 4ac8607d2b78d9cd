"""The run store: whole results or none."""

from pathlib import Path

import pytest

from slm.errors import SlmError
from slm_runs.store import Store, file_digest


def made(store: Store, key: str, text: str = "weights") -> Path:
    aside = store.aside(key)
    aside.start()
    (aside.out / "deep").mkdir()
    (aside.out / "deep" / "file").write_text(text)
    store.keep(aside, {"rows": 3}, {"seconds": 1.0, "memory": 2})
    return store.root / key


def test_a_kept_result_is_found_with_its_value(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.find("k") is None
    made(store, "k")
    found = store.find("k")
    assert found is not None
    assert found.value == {"rows": 3}
    assert (found.folder / "deep" / "file").read_text() == "weights"
    assert not (tmp_path / ".k").exists()


def test_a_result_that_was_changed_or_shortened_is_not_believed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    file = made(store, "k") / "out" / "deep" / "file"
    file.write_text("weighty")
    assert store.find("k") is None
    file.write_text("weights")  # the same content at another time is hashed again, and believed
    assert store.find("k") is not None
    file.unlink()
    assert store.find("k") is None


def test_the_digest_stands_for_content_not_for_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made(store, "a")
    made(store, "b")
    made(store, "c", "other weights")
    one, two, three = (store.find(key) for key in "abc")
    assert one
    assert two
    assert three
    assert one.digest == two.digest != three.digest


def test_checkpoints_survive_a_new_start_and_half_results_do_not(tmp_path: Path) -> None:
    aside = Store(tmp_path).aside("k")
    aside.start()
    (aside.out / "half").write_text("x")
    (aside.checkpoints / "step-3").write_text("y")
    aside.start()
    assert not list(aside.out.iterdir())
    assert (aside.checkpoints / "step-3").read_text() == "y"


def test_a_second_run_is_refused_while_the_first_holds_the_store(tmp_path: Path) -> None:
    with Store(tmp_path).locked(), pytest.raises(SlmError, match="another run is using it"), Store(tmp_path).locked():
        pass
    with Store(tmp_path).locked():
        pass


def test_a_store_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(SlmError, match="name a folder you may write with --runs"),
        Store(tmp_path / "file" / "s").locked(),
    ):
        pass


def test_a_source_is_hashed_again_only_when_it_changed(tmp_path: Path) -> None:
    store, file = Store(tmp_path / "store"), tmp_path / "a.csv"
    store.root.mkdir()
    file.write_text("a")
    first = store.content(file)
    assert first == file_digest(file)
    file.write_text("b")
    assert store.content(file) != first
    assert store.content(tmp_path / "*.csv") != ""
    assert store.content(tmp_path / "*.none") == ""
