"""Many users at once over kept connections, each of whom does one thing after the other."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from http_answer import post, read_answer


class User:
    """One connection to the query listener."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """One request; anything but 200 ends the benchmark."""
        self._writer.write(post(path, json.dumps(body).encode()))
        received = b""
        while (answer := read_answer(received)) is None:
            more = await self._reader.read(65_536)
            if not more:
                raise SystemExit("The daemon closed the connection.")
            received += more
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {answer.body.decode()}")
        found: dict[str, Any] = json.loads(answer.body)
        return found

    async def predict(self, app: str, input: Any, **more: Any) -> dict[str, Any]:
        """One prediction, with its timing."""
        return await self.call(f"/{app}/predict?explain=1", {"input": input, **more})

    async def teach(self, app: str, query_id: int, label: Any) -> None:
        """Tell the truth about it."""
        await self.call(f"/{app}/feedback", {"query_id": query_id, "label": label})


def play(url: str, scripts: Sequence[Callable[[User], Coroutine[Any, Any, Any]]]) -> list[Any]:
    """What each user's script returned; all run at the same time."""
    port = int(url.rpartition(":")[2])

    async def one(script: Callable[[User], Coroutine[Any, Any, Any]]) -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await script(User(reader, writer))
        finally:
            writer.close()

    async def all_() -> list[Any]:
        return await asyncio.gather(*map(one, scripts))

    return asyncio.run(all_())
