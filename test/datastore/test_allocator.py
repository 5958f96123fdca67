"""The allocator: numbers keyed by meaning, kept in a file."""

import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.allocator import Allocator, AllocatorError


def kill(ids: Allocator) -> None:
    """Leave the file as a process that dies would."""
    ids._file.close()


def test_numbers_start_at_one_per_kind_and_stay():
    ids = Allocator(None)
    assert [ids.get("chain", "a"), ids.get("chain", "b"), ids.get("list", "a"), ids.get("chain", "a")] == [1, 2, 1, 1]
    assert (ids.find("chain", "b"), ids.find("chain", "c"), ids.find("none", "c")) == (2, None, None)
    assert (ids.meaning("chain", 2), ids.meaning("chain", 3), ids.meaning("none", 1)) == ("b", None, None)


def test_the_smallest_free_number_is_given_first():
    ids = Allocator(None)
    for name in "abcd":
        ids.get("k", name)
    ids.release("k", "c")
    ids.release("k", "a")
    assert [ids.get("k", "e"), ids.get("k", "f"), ids.get("k", "g")] == [1, 3, 5]


def test_rename_keeps_the_number():
    ids = Allocator(None)
    ids.get("k", "a")
    ids.get("k", "b")
    ids.rename("k", "a", "z")
    assert (ids.find("k", "a"), ids.get("k", "z"), ids.meaning("k", 1)) == (None, 1, "z")
    with pytest.raises(ValueError, match="k: 'b' already has number 2"):
        ids.rename("k", "z", "b")
    with pytest.raises(KeyError):
        ids.rename("k", "a", "c")
    ids.rename("k", "b", "b")
    assert ids.get("k", "b") == 2


def test_releasing_what_has_no_number_is_an_error():
    with pytest.raises(KeyError):
        Allocator(None).release("k", "a")


def test_the_file_gives_back_what_was_flushed_and_nothing_else(tmp_path: Path):
    path = tmp_path / "ids.sqlite"
    ids = Allocator(path)
    for name in "abc":
        ids.get("k", name)
    ids.release("k", "b")
    ids.rename("k", "c", "z")
    ids.flush()
    ids.get("k", "never flushed")
    kill(ids)
    again = Allocator(path)
    assert dict(again.items("k")) == {"a": 1, "z": 3}
    assert [again.get("k", "new"), again.get("k", "newer")] == [2, 4]


def test_a_number_moved_between_flushes_is_written_once(tmp_path: Path):
    path = tmp_path / "ids.sqlite"
    ids = Allocator(path)
    ids.get("k", "a")
    ids.flush()
    ids.release("k", "a")
    assert ids.get("k", "b") == 1
    ids.close()
    assert dict(Allocator(path).items("k")) == {"b": 1}


def test_a_number_given_back_is_gone_from_the_file(tmp_path: Path):
    path = tmp_path / "ids.sqlite"
    ids = Allocator(path)
    ids.get("k", "a")
    ids.flush()
    assert not ids.empty
    ids.release("k", "a")
    ids.close()
    assert Allocator(path).empty


@pytest.mark.parametrize("content", [b"not a database, but long enough to be taken for one" * 40, b"\x00" * 4096])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "ids.sqlite"
    path.write_bytes(content)
    with pytest.raises(AllocatorError, match=str(path)):
        Allocator(path)


def test_a_file_of_a_later_format_is_refused(tmp_path: Path):
    path = tmp_path / "ids.sqlite"
    Allocator(path).close()
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 7")
    with pytest.raises(AllocatorError, match="format 7, this program knows 1"):
        Allocator(path)


def test_a_row_that_can_not_be_ours_is_refused(tmp_path: Path):
    path = tmp_path / "ids.sqlite"
    Allocator(path).close()
    file = sqlite3.connect(path)
    file.execute("INSERT INTO ids VALUES ('k', -1, 'a')")
    file.commit()
    file.close()
    with pytest.raises(AllocatorError, match=r"row \('k', -1, 'a'\)"):
        Allocator(path)


def test_a_second_process_on_the_file_is_refused(tmp_path: Path):
    path = tmp_path / "ids.sqlite"
    first = Allocator(path)
    first.get("k", "a")
    first.flush()
    with pytest.raises(AllocatorError, match="locked"):
        Allocator(path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(AllocatorError, match="missing"):
        Allocator(tmp_path / "missing" / "ids.sqlite")


@given(st.lists(st.tuples(st.sampled_from(["get", "release", "rename", "flush"]), st.sampled_from("abcde"), st.sampled_from("abcde"))))
def test_against_a_plain_model(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str]]):
    path = tmp_path_factory.mktemp("ids") / "ids.sqlite"
    ids, model, kept = Allocator(path), {}, {}
    for step, one, other in steps:
        if step == "get":
            free = next(n for n in range(1, 9) if n not in model.values())
            assert ids.get("k", one) == model.setdefault(one, free)
        elif step == "release" and one in model:
            ids.release("k", one)
            del model[one]
        elif step == "rename" and one in model and other not in model:
            ids.rename("k", one, other)
            model[other] = model.pop(one)
        elif step == "flush":
            ids.flush()
            kept = dict(model)
        assert dict(ids.items("k")) == model
    kill(ids)
    assert dict(Allocator(path).items("k")) == kept


def test_a_hundred_thousand_numbers_are_written_and_read_at_once(tmp_path: Path):
    path = tmp_path / "ids.sqlite"
    ids, start = Allocator(path), time.perf_counter()
    for number in range(100_000):
        ids.get("identity", f"10.0.0.0/8 + set {number}")
    ids.flush()
    ids.close()
    again = Allocator(path)
    taken = time.perf_counter() - start
    assert again.find("identity", "10.0.0.0/8 + set 99999") == 100_000
    assert taken < 60, f"{taken:.1f} s: one transaction for all of them takes well under a second"
