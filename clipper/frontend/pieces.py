"""A body as it comes in, piece by piece, to be put together once."""

Piece = bytes | bytearray

MIN_PIECE_BYTES = 4096
"""A smaller one is joined with its neighbours."""


class Pieces:
    """The pieces of one body after another.

    A large body is copied once, when its reader joins the pieces, instead of with each of them.
    Small pieces are joined at once: a list of them would take many times the room of what they say.
    """

    def __init__(self) -> None:
        self._pieces: list[Piece] = []

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        if len(piece) >= MIN_PIECE_BYTES:
            self._pieces.append(piece)
        elif self._pieces and isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += piece
        else:
            self._pieces.append(bytearray(piece))

    def take(self) -> list[Piece]:
        """All pieces, at least one, and begin the next body."""
        pieces, self._pieces = self._pieces or [b""], []
        return pieces
