"""A body's pieces: joined they are the body, and small ones take no more room than it."""

import sys

import pytest

from clipper.frontend.pieces import MIN_PIECE_BYTES, Pieces

LARGE = bytes(range(256)) * (MIN_PIECE_BYTES // 256)


@pytest.mark.parametrize(
    "body",
    [
        [],
        [b""],
        [b"a"],
        [b"a", b"bc"],
        [LARGE],
        [LARGE, LARGE],
        [b"a", LARGE, b"b", b"c", LARGE, b"d"],
    ],
    ids=range(7),
)
def test_pieces_joined_are_the_body_and_the_next_one_begins_empty(body: list[bytes]) -> None:
    pieces = Pieces()
    for _ in range(2):
        for piece in body:
            pieces.add(piece)
        taken = pieces.take()
        assert taken, "at least one, of nothing"
        assert b"".join(taken) == b"".join(body)


def test_large_pieces_are_not_copied() -> None:
    pieces = Pieces()
    pieces.add(LARGE)
    assert pieces.take()[0] is LARGE


def test_small_pieces_take_about_the_room_of_what_they_say() -> None:
    for sizes in ([2], [1, MIN_PIECE_BYTES]):
        pieces, said = Pieces(), 0
        for number in range(100_000 // len(sizes)):
            piece = b"x" * sizes[number % len(sizes)]
            pieces.add(piece)
            said += len(piece)
        taken = pieces.take()
        held = sys.getsizeof(taken) + sum(map(sys.getsizeof, taken))
        assert held < 1.2 * said
