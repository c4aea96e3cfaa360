"""The journal: recent queries by id, bounded by number and by bytes."""

import pytest

from clipper.core.types import ModelId
from clipper.selection.policy import Selection
from clipper.serving.journal import Journal, Record

NOTE = Record("a")
"""Of a query that nothing can be learned from."""


def lesson(size: int = 10, app: str = "a") -> Record:
    """Of a query that something can be learned from."""
    return Record(app, "0", Selection((ModelId("m", "1"),), 1.0), {}, size)


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
