"""Which event loops a test runs on: the standard one, unless its module names others."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

LOOPS: Mapping[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """All that a test may name in its mark `asyncio(loop_factories=...)`."""
    mark = item.get_closest_marker("asyncio")
    is_choosy = mark is not None and "loop_factories" in mark.kwargs
    return LOOPS if is_choosy else {"asyncio": LOOPS["asyncio"]}
