"""Query ids: unique across daemons and restarts, without a look at the store for each."""

from collections.abc import Awaitable, Callable

BLOCK = 2**32
"""Ids reserved at a time: at a hundred thousand queries a second, half a day's worth."""


class QueryIds:
    """Hands out consecutive ids from a block that nobody else was given."""

    def __init__(self, reserve: Callable[[str, int], Awaitable[int]]) -> None:
        self._reserve = reserve
        self._next_block: int | None = None
        self.next = 0
        self._end = 0

    async def renew(self) -> None:
        """Have a block ahead whenever half of this one is used; call it now and then.

        Raises:
            StateError: the store cannot be reached; the block in hand goes on.
        """
        if not self._end:
            self.next = await self._reserve("query_id", BLOCK)
            self._end = self.next + BLOCK
        if self._next_block is None and self._end - self.next < BLOCK // 2:
            self._next_block = await self._reserve("query_id", BLOCK)

    def take(self) -> int:
        """The next id."""
        query_id = self.next
        self.next += 1
        if self.next >= self._end and self._next_block is not None:
            self.next, self._next_block = self._next_block, None
            self._end = self.next + BLOCK
        return query_id
