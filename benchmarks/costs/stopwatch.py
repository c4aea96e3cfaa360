"""A stopwatch that is switched wherever a query passes from one stage to the next.

At every moment it runs for one stage: calling a function of another stage switches it over, and
returning switches it back, so that each stage is charged with its own time only. Switching costs
something itself, of which a part falls into the stage that is called, the rest into the caller's.
On functions that do nothing, over and over, that is a third of what it is on the real path, where
nothing is at hand; so only the proportion is taken from there, and the sum from the real path.
"""

import time
from collections.abc import Callable, Generator
from typing import Any

ROUNDS = 5
CALLS = 20_000
ELSEWHERE = 0
"""The stage outside all functions that are watched: the event loop, and whoever waits."""


class Stopwatch:
    """Time and calls by stage; stages are numbers from 1."""

    __slots__ = ("calls", "clock", "made", "now", "since", "spent")

    def __init__(self, stages: int, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self.clock = clock
        self.now = ELSEWHERE
        self.since = self.clock()
        self.spent = [0] * (stages + 1)
        self.calls = [0] * (stages + 1)
        """How often a stage was entered."""
        self.made = [0] * (stages + 1)
        """How often it entered another."""

    def reset(self) -> None:
        """Begin at nothing."""
        for figures in (self.spent, self.calls, self.made):
            figures[:] = [0] * len(figures)
        self.since = self.clock()

    def watched(self, call: Callable[..., Any], stage: int) -> Callable[..., Any]:
        """The function, with its time charged to a stage."""
        clock, spent, calls, made = self.clock, self.spent, self.calls, self.made

        def timed(*args: Any) -> Any:
            outer = self.now
            made[outer] += 1
            calls[stage] += 1
            self.now = stage
            now = clock()
            spent[outer] += now - self.since
            self.since = now
            try:
                return call(*args)
            finally:
                now = clock()
                spent[stage] += now - self.since
                self.since = now
                self.now = outer

        return timed

    def watched_steps(self, call: Callable[..., Any], stage: int) -> Callable[..., Any]:
        """The coroutine function, with every step of its coroutines charged to a stage."""

        async def stepped(*args: Any) -> Any:
            return await _Steps(call(*args), self, stage)

        return stepped


class _Steps:
    """Awaits a coroutine step by step; what it yields goes to the event loop as it is."""

    def __init__(self, coroutine: Any, watch: Stopwatch, stage: int) -> None:
        self._send = watch.watched(coroutine.send, stage)
        self._throw = watch.watched(coroutine.throw, stage)

    def __await__(self) -> Generator[Any, Any, Any]:
        step, value = self._send, None
        while True:
            try:
                yielded = step(value)
            except StopIteration as end:
                return end.value
            try:
                step, value = self._send, (yield yielded)
            except BaseException as error:  # noqa: BLE001 -- it is handed on, into the coroutine
                step, value = self._throw, error


def callers_share() -> float:
    """Of what one switch and back costs, the part that is charged to the caller's stage."""
    own_ns, callers_ns = min((_switching_ns() for _ in range(ROUNDS)), key=sum)
    return callers_ns / (own_ns + callers_ns)


def _switching_ns() -> tuple[float, float]:
    """What it costs in the stage that is called, and in the caller's, beyond the call itself."""
    watch = Stopwatch(2)

    def nothing() -> None:
        pass

    def repeat(call: Callable[[], None]) -> None:
        for _ in range(CALLS):
            call()

    def skip() -> None:
        for _ in range(CALLS):
            pass

    caller = watch.watched(repeat, 1)
    caller(watch.watched(nothing, 2))
    own_ns, callers_ns = watch.spent[2] / CALLS, watch.spent[1] / CALLS
    watch.reset()
    caller(nothing)
    call_ns = watch.spent[1] / CALLS
    watch.reset()
    watch.watched(skip, 1)()
    loop_ns = watch.spent[1] / CALLS
    return own_ns - (call_ns - loop_ns), callers_ns - loop_ns
