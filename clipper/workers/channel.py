"""Messages between two processes over a socket that nobody else has.

One JSON object a line. A call has a number, under which its answer or its error comes back; a note
has none. Both sides may call at any time. When the other process ends, however suddenly, the socket
does, and so does `run`: whoever awaits an answer is told.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from clipper.core.errors import ClipperError, Unanswered, error_of
from clipper.core.tasks import Tasks

T = TypeVar("T")
In = TypeVar("In")

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 256 * 1024 * 1024
"""Of a message; a configuration of a million records has half as much."""

Answer = Callable[[In], Awaitable[Any]]


class Fault(msgspec.Struct, frozen=True):
    """One of our errors on its way."""

    code: str
    message: str
    hint: str = ""


class Envelope(msgspec.Struct, Generic[In], omit_defaults=True):
    """A call, a note (whose number is 0), an answer, or a fault in place of one."""

    number: int = 0
    message: In | None = None
    value: msgspec.Raw = msgspec.Raw(b"null")
    fault: Fault | None = None


class Writer(Protocol):
    """Where what is sent goes."""

    def write(self, data: bytes) -> object:
        """Send this, soon."""

    def close(self) -> object:
        """Nothing more is sent."""


class Channel(Generic[In]):
    """One end; `kind` is the type of the messages that come in."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: Writer,
        kind: Any,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = msgspec.json.Decoder(Envelope[kind])
        self._encoder = msgspec.json.Encoder(enc_hook=dict)  # a mapping proxy is no dict
        self._awaited: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._number = 0
        self._tasks = Tasks()
        self.is_over = False
        """Whether one of us is gone."""

    @classmethod
    async def over(cls, sock: socket.socket, kind: Any) -> "Channel[In]":
        """One end of a socket pair."""
        reader, writer = await asyncio.open_unix_connection(sock=sock, limit=MAX_LINE_BYTES)
        return cls(reader, writer, kind)

    async def first(self, message: object, kind: type[T]) -> T:
        """Call before `run` has begun: nothing else that comes is looked at until then."""
        self._send(Envelope(1, message))
        self._number = 1
        envelope = await self._receive()
        if envelope is None or envelope.fault is not None:
            raise Unanswered()
        return msgspec.json.decode(envelope.value, type=kind)

    def close(self) -> None:
        """Say nothing more; the other side's `run` ends."""
        self.is_over = True
        self._writer.close()

    async def run(self, answer: Answer[In]) -> None:
        """Have messages answered until the other side is gone."""
        try:
            while (envelope := await self._receive()) is not None:
                if envelope.message is not None:
                    self._tasks.spawn(
                        f"answer {type(envelope.message).__name__}",
                        self._answer(envelope.number, envelope.message, answer),
                    )
                else:
                    self._settle(envelope)
        finally:
            self.is_over = True
            for future in self._awaited.values():
                if not future.done():
                    future.set_exception(Unanswered())
            self._writer.close()
            await self._tasks.cancel()

    async def _receive(self) -> Envelope[In] | None:
        """The next message; None where the other side is gone."""
        try:
            line = await self._reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return self._decoder.decode(line)

    def _settle(self, envelope: Envelope[In]) -> None:
        future = self._awaited.get(envelope.number)
        if future is None or future.done():  # it came too late
            return
        if envelope.fault is None:
            future.set_result(envelope.value)
        else:
            fault = envelope.fault
            future.set_exception(error_of(fault.code, fault.message, fault.hint))

    async def _answer(self, number: int, message: In, answer: Answer[In]) -> None:
        try:
            value = await answer(message)
            reply = Envelope[In](number, value=msgspec.Raw(self._encoder.encode(value)))
        except ClipperError as error:
            reply = Envelope(number, fault=Fault(error.code, error.message, error.hint))
        except Exception:
            log.exception("%s could not be answered", type(message).__name__)
            reply = Envelope(number, fault=Fault("error", "Something went wrong in the daemon."))
        if number:
            self._send(reply)

    def call(self, message: object, timeout_s: float, kind: type[T]) -> Awaitable[T]:
        """Send a message at once, and await the answer.

        Raises:
            Unanswered: the other side is gone, or silent for so long.
            ClipperError: its error.
        """
        self._number += 1
        self._awaited[self._number] = asyncio.get_running_loop().create_future()
        if self.is_over:
            self._awaited[self._number].set_exception(Unanswered())
        self._send(Envelope(self._number, message))
        return self._answer_to(self._number, type(message).__name__, timeout_s, kind)

    async def _answer_to(self, number: int, name: str, timeout_s: float, kind: type[T]) -> T:
        try:
            async with asyncio.timeout(timeout_s):
                return msgspec.json.decode(await self._awaited[number], type=kind)
        except TimeoutError:
            raise Unanswered(f"{name} was not answered within {timeout_s:g} s.") from None
        finally:
            del self._awaited[number]

    def tell(self, message: object) -> None:
        """Send a message that wants no answer."""
        self._send(Envelope(0, message))

    def _send(self, envelope: Envelope[Any]) -> None:
        if not self.is_over:
            self._writer.write(self._encoder.encode(envelope) + b"\n")
