"""The asyncio query client."""

import asyncio
from typing import Any

import numpy as np
import pytest

from clipper.admin.aio import AsyncQueryClient
from clipper.admin.client import ClipperConnection
from clipper.admin.errors import ClipperRefused, ClipperUnreachable


async def test_many_queries_at_once_get_their_own_answers(
    clipper: ClipperConnection, queries: AsyncQueryClient
) -> None:
    clipper.register_application("a", "floats", "-1", 20_000)
    clipper.link_model_to_app("a", "m")
    async with queries:
        calls = [queries.predict("a", np.array([index, 1.0], np.float32)) for index in range(20)]
        predictions = await asyncio.gather(*calls)
        assert [one.output for one in predictions] == [index + 1.0 for index in range(20)]
        assert len({one.query_id for one in predictions}) == 20
        batch = await queries.predict_batch("a", [[1.0], [2.0]])
        assert [one.output for one in batch] == [1.0, 2.0]
        assert (await queries.feedback("a", 1, query_id=batch[0].query_id)).learned


async def test_refusals_and_silence_are_told_apart(daemon: Any, queries: AsyncQueryClient) -> None:
    async with queries:
        with pytest.raises(ClipperRefused, match="no application"):
            await queries.predict("nope", [1.0])
        daemon.down.add(1337)
        with pytest.raises(ClipperUnreachable, match=":1337"):
            await queries.predict("nope", [1.0])
