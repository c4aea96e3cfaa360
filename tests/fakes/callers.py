"""Somebody who waits for an output, and tasks that they wait for."""

from clipper.abstraction.queue import Task
from clipper.core.errors import ClipperError
from clipper.core.types import Input, Output


class Caller:
    """Remembers everything that it was told: once, if all is well."""

    def __init__(self) -> None:
        self.told: list[Output | ClipperError] = []

    def __call__(self, outcome: Output | ClipperError) -> None:
        self.told.append(outcome)

    @property
    def outcome(self) -> Output | ClipperError:
        """The one thing that it was told."""
        (one,) = self.told
        return one

    @property
    def value(self) -> object:
        """The value of the one output that it was told."""
        assert isinstance(self.outcome, Output), self.outcome
        return self.outcome.value


class Asked:
    """A task with one caller, and how often it was settled."""

    def __init__(self, data: bytes = b"1", deadline: float = 1.0) -> None:
        self.caller = Caller()
        self.settled: list[Output | None] = []
        self.task = Task(Input(data), deadline, self._on_settled, [self.caller])

    def _on_settled(self, task: Task, output: Output | None) -> None:
        self.settled.append(output)
