"""The journal: recent queries by id, bounded by number and by bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from clipper.core.outputs import output_of
from clipper.core.settings import Settings
from clipper.core.types import ModelId
from clipper.selection.policy import Selection
from clipper.serving.engine import Files
from clipper.serving.journal import Journal, Record
from clipper.serving.states import REMEMBERED
from clipper.state.entries import EntryFile

NOTE = Record("a")
"""Of a query that nothing can be learned from."""


def lesson(size: int = 10, app: str = "a") -> Record:
    """Of a query that something can be learned from."""
    return Record(app, 0, "0", Selection((ModelId("m", "1"),), 1.0), {}, size)


def held(journal: Journal, *ids: int) -> list[int]:
    return [id for id in ids if journal.read(id) is not None]


def test_an_empty_journal_knows_no_query() -> None:
    journal = Journal(4)
    assert held(journal, -1, 0, 1, 3, 4, 2**63) == []


@pytest.mark.parametrize("record", [NOTE, lesson()], ids=["note", "lesson"])
def test_what_was_written_is_read(record: Record) -> None:
    journal = Journal(4)
    journal.write(7, record)
    assert journal.read(7) is record
    assert held(journal, -1, 3, 6, 8, 11) == []


@pytest.mark.parametrize("record", [NOTE, lesson()], ids=["note", "lesson"])
def test_the_oldest_is_forgotten_where_the_journal_is_full(record: Record) -> None:
    journal = Journal(4)
    for id in range(100, 106):
        journal.write(id, record)
    assert held(journal, *range(100, 106)) == [102, 103, 104, 105]


def test_lessons_are_bounded_in_bytes() -> None:
    journal = Journal(100, capacity_bytes=100)
    for id in range(5):
        journal.write(id, lesson(40))
    assert held(journal, *range(5)) == [3, 4]


def test_a_lesson_larger_than_the_journal_is_not_kept() -> None:
    journal = Journal(100, capacity_bytes=100)
    journal.write(1, lesson(101))
    assert held(journal, 1) == []
    journal.write(2, lesson(100))
    assert held(journal, 2) == [2]


def test_notes_and_lessons_do_not_drive_each_other_out() -> None:
    journal = Journal(2)
    journal.write(0, lesson())
    for id in (1, 2, 3, 4):
        journal.write(id, NOTE)
    journal.write(5, lesson())
    assert held(journal, *range(6)) == [0, 3, 4, 5]


def test_a_deleted_applications_queries_are_forgotten_and_no_others() -> None:
    journal = Journal(10, capacity_bytes=60)
    for id, record in enumerate((NOTE, Record("b"), lesson(20), lesson(20, "b"))):
        journal.write(id, record)
    journal.forget("a")
    assert held(journal, -1, *range(4)) == [1, 3]
    journal.write(4, lesson(20))
    journal.write(5, lesson(20))
    assert held(journal, 3, 4, 5) == [3, 4, 5], "there is room again"


def restarted(path: Path, journal: Journal) -> Journal:
    """The journal of the next life."""
    journal.save(journal.take())
    another = Journal(100, file=EntryFile(path, 100))
    another.recall()
    return another


def test_what_can_be_learned_from_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal"
    journal = Journal(100, file=EntryFile(path, 100))
    journal.recall()
    models = (ModelId("m", "1"), ModelId("n", "2"))
    outputs = {models[0]: output_of({"a": [1, None]})}
    record = Record("a", 3, "user", Selection(models, 0.25, models[1:]), outputs, 40)
    journal.write(7, record)
    journal.write(8, NOTE)
    again = restarted(path, restarted(path, journal)).read(7)
    assert again is not None
    assert (again.app, again.registered, again.context) == ("a", 3, "user")
    assert (again.selection, again.outputs, again.size) == (record.selection, outputs, 40)


def test_after_a_restart_the_newest_are_there_and_the_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(100, file=EntryFile(path, 100))
    for id in range(1000):
        journal.write(id, lesson())
        journal.save(journal.take())
    again = restarted(path, journal)
    known = held(again, *range(1000))
    assert known[-1] == 999
    assert 50 <= len(known) <= 100
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 20_000


def test_what_was_judged_is_known_to_be_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(100, file=EntryFile(path, 200))
    for id in (1, 2):
        journal.write(id, lesson())
    journal.judge(1)
    again = restarted(path, restarted(path, journal))
    found = [again.read(id) for id in (1, 2)]
    assert [one.is_judged for one in found if one is not None] == [True, False]


def test_what_was_judged_does_not_wait_long_to_be_written(tmp_path: Path) -> None:
    journal = Journal(1000, file=EntryFile(tmp_path / "journal", 1000))
    for id in range(REMEMBERED // 2):
        journal.write(id, lesson())
    assert not journal.pressed.is_set()
    for id in range(REMEMBERED // 2):
        journal.judge(id)
    assert journal.pressed.is_set()
    journal.take()
    assert not journal.pressed.is_set()


def test_ids_that_are_given_anew_are_the_new_queries() -> None:
    journal = Journal(3)
    old, new = lesson(), lesson()
    for id in (1, 2):
        journal.write(id, old)
    journal.write(1, new)
    assert journal.read(1) is new
    for id in (3, 4, 5):
        journal.write(id, lesson())
    assert held(journal, 1, 2, 3, 4, 5) == [3, 4, 5]


@pytest.mark.parametrize("cut", [1, 3, 9])
def test_an_entry_that_was_cut_off_is_none(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal"
    journal = Journal(100, file=EntryFile(path, 100))
    for id in range(3):
        journal.write(id, lesson())
    journal.save(journal.take())
    path.write_bytes(path.read_bytes()[:-cut])
    assert held(restarted(path, Journal(100)), 0, 1, 2) == [0, 1]


def test_a_file_that_is_no_journal_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"\x04\0\0\0nope")
    assert held(restarted(path, Journal(100)), 0) == []


def test_where_it_cannot_be_written_the_journal_goes_on_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = Journal(100, file=EntryFile(tmp_path / "file" / "journal", 100))
    journal.write(1, lesson())
    journal.save(journal.take())
    journal.write(2, lesson())
    assert held(journal, 1, 2) == [1, 2]
    assert journal.take() == []


def test_with_fewer_workers_what_those_before_wrote_is_taken_over(tmp_path: Path) -> None:
    opened(tmp_path, 3, lambda journal, number: journal.write(number, lesson()))
    fewer = opened(tmp_path, 2, lambda journal, number: journal.judge(2) if not number else None)
    assert [held(journal, 0, 1, 2) for journal in fewer] == [[0, 2], [1]]
    again = opened(tmp_path, 3)
    assert [held(journal, 0, 1, 2) for journal in again] == [[0, 2], [1], []]
    found = again[0].read(2)
    assert found is not None
    assert found.is_judged, "it does not come back as one that was not"


def opened(
    folder: Path, workers: int, act: Callable[[Journal, int], object] = lambda journal, number: None
) -> list[Journal]:
    """The journals of so many workers in one life, in which each of them acts once."""
    settings, journals = Settings(data_dir=str(folder), workers=workers), []
    for number in range(workers):
        files = Files.of(settings, f"journal-{number}")
        assert files.journal is not None
        journal = Journal(100, file=EntryFile(files.journal, 200))
        journal.recall([EntryFile(path, 200) for path in files.inherited])
        act(journal, number)
        journal.save(journal.take())
        journals.append(journal)
    return journals


def test_an_entry_that_cannot_be_read_hides_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal"
    journal = Journal(100, file=EntryFile(path, 200))
    EntryFile(path, 200).append([b"of another release", b""])
    journal.write(7, lesson())
    assert held(restarted(path, journal), 7) == [7]
    assert "2 entries of the journal cannot be read" in caplog.text
