"""Load on a query listener: callers that ask one query after the other, and note every answer."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.fakes.watching import until

CALL_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: http.client.HTTPMessage
    took_s: float

    @property
    def kind(self) -> str:
        """`model`, `default`, or the status of a refusal."""
        if self.status != 200:
            return str(self.status)
        return "default" if self.body["default"] else "model"


class Caller:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_TIMEOUT_S)

    def ask(self, app: str, input: Any, **options: Any) -> Answer:
        """One query; raises OSError or HTTPException where no answer comes."""
        return self.post(f"/{app}/predict", {"input": input, **options})

    def post(self, path: str, body: Any) -> Answer:
        """Any request; likewise."""
        started = time.monotonic()
        self._connection.request("POST", path, json.dumps(body))
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        return Answer(response.status, answer, response.headers, time.monotonic() - started)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class Load:
    """Callers at work, until `stop`; what they saw is safe to look at all the while."""

    def __init__(
        self, port: int, app: str, callers: int, make: Callable[[int], Any], pause_s: float = 0.0
    ) -> None:
        """`make` gives the input of the query of each number."""
        self.answers: list[Answer] = []
        self.refused = 0
        """Connections that could not be made."""
        self.broken = 0
        """Queries that were sent and got no answer."""
        self._port = port
        self._app = app
        self._make = make
        self._pause_s = pause_s
        self._numbers = count()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Return when the last query is answered."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        caller = Caller(self._port)
        while not self._stopping.is_set():
            self._stopping.wait(self._pause_s)
            try:
                self.answers.append(caller.ask(self._app, self._make(next(self._numbers))))
            except ConnectionRefusedError:
                self.refused += 1
                caller.close()
                self._stopping.wait(0.02)
            except (OSError, http.client.HTTPException):
                self.broken += 1
                caller.close()
        caller.close()

    def await_answers(self, count: int, within_s: float = 20.0) -> None:
        """Return when there are so many more of them."""
        wanted = len(self.answers) + count
        until(lambda: len(self.answers) >= wanted, within_s, f"{count} more answers")

    def kinds(self) -> Counter[str]:
        """How many answers of which kind there are."""
        return Counter(answer.kind for answer in list(self.answers))

    def explanations(self) -> Counter[str]:
        """Why the default answered."""
        answers = [one.body for one in list(self.answers) if one.kind == "default"]
        return Counter(body["default_explanation"] for body in answers)


@contextmanager
def load(
    port: int,
    app: str,
    callers: int = 8,
    make: Callable[[int], Any] = lambda number: number,
    pause_s: float = 0.0,
) -> Iterator[Load]:
    """Load for as long as the block runs, with a pause before each query."""
    callers_at_work = Load(port, app, callers, make, pause_s)
    callers_at_work.start()
    try:
        yield callers_at_work
    finally:
        callers_at_work.stop()
