"""Query ids: unique across daemons and restarts, without a look at the store for each."""

from collections.abc import Awaitable, Callable

from clipper.core.errors import StateError

BLOCK = 2**32
"""Ids reserved at a time: at a hundred thousand queries a second, half a day's worth."""


class QueryIds:
    """Hands out consecutive ids from a block that nobody else was given."""

    def __init__(self, reserve: Callable[[str, int], Awaitable[int]], block: int = BLOCK) -> None:
        self._reserve = reserve
        self._block = block
        self._next_block: int | None = None
        self._blocks: list[int] = []
        """The first ids of those that were reserved."""
        self.next = 0
        self._end = 0

    async def renew(self) -> None:
        """Have a block ahead whenever half of this one is used; call it now and then.

        Raises:
            StateError: the store cannot be reached; the block in hand goes on.
        """
        if not self.has_block:
            self.next = await self._reserve_block()
            self._end = self.next + self._block
        if self._next_block is None and self._end - self.next < self._block // 2:
            self._next_block = await self._reserve_block()

    async def _reserve_block(self) -> int:
        first = await self._reserve("query_id", self._block)
        self._blocks.append(first)
        return first

    def were_ours(self, query_id: int) -> bool:
        """Whether nobody else can have given this id."""
        return any(query_id in range(first, first + self._block) for first in self._blocks)

    @property
    def has_block(self) -> bool:
        """Whether there are ids to give."""
        return self._end > 0

    def take(self) -> int:
        """The next id."""
        query_id = self.next
        self.next += 1
        if self.next >= self._end and self._next_block is not None:
            self._begin(self._next_block)
        return query_id

    def carve(self, count: int) -> int:
        """The first of as many ids for somebody else to give.

        Raises:
            StateError: there are not so many, for want of the store.
        """
        if self._end - self.next < count and self._next_block is not None:
            self._begin(self._next_block)
        if self._end - self.next < count:
            raise StateError("No query ids could be reserved yet.", hint="Try again shortly.")
        first = self.next
        self.next += count
        return first

    def _begin(self, block: int) -> None:
        self.next, self._next_block = block, None
        self._end = block + self._block
