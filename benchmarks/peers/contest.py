"""A system that is up and ready to be measured, whichever it is."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import httpx
from peers.payload import Payload


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where it answers, and how its answers are understood."""

    port: int
    payload: Payload
    output: Callable[[Any], float]
    marker: bytes = b""
    """What is in an answer with 200 that the model gave; nothing where nobody else answers."""
    defaults: Callable[[], float] = lambda: 0.0
    """How many answers so far were not the model's."""

    @property
    def url(self) -> str:
        """Where requests are posted."""
        return f"http://127.0.0.1:{self.port}{self.payload.path}"

    def ask(self, serial: int) -> float:
        """The answer to one request.

        Raises:
            httpx.HTTPError: there was none.
        """
        body = self.payload.body(serial, run=0)
        headers = {"Content-Type": "application/json"}
        answer = httpx.post(self.url, content=body, headers=headers, timeout=10)
        answer.raise_for_status()
        return self.output(json.loads(answer.content))


@dataclass(frozen=True, slots=True)
class Contestant:
    """A system with one of its settings."""

    system: str
    setting: str
    apart: bool
    """Whether the model runs in a process of its own."""
    serve: Callable[[str, float], AbstractContextManager[Endpoint]]
    """From a model's name and an SLO in seconds to a running system.

    Raises:
        DidNotStart: with what its log says.
    """
    repeats: bool = False
    """Whether it is asked the same again and again, in a closed loop only."""

    def __str__(self) -> str:
        return named(self.system, self.setting)


class DidNotStart(Exception):
    """A system cannot be measured; the message says why."""


def named(system: str, setting: str) -> str:
    """A system with its setting."""
    return f"{system} ({setting})" if setting else system
