"""The health service, without a network."""

import asyncio
from typing import Any

import grpc
import pytest
from clipper_container.health import Health
from clipper_container.health_pb2 import HealthCheckRequest, HealthCheckResponse

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN
MODEL = HealthCheckRequest(service="clipper.v1.Model")


class Aborted(Exception):
    """The call ended with a status."""


class Context:
    """One call: what was written, or how it was aborted."""

    def __init__(self) -> None:
        self.written: list[int] = []

    async def write(self, response: Any) -> None:
        self.written.append(response.status)

    async def abort(self, code: Any, details: str) -> None:
        raise Aborted(code, details)


@pytest.mark.parametrize("service", ["", "clipper.v1.Model"])
async def test_the_container_and_its_service_share_one_status(service: str) -> None:
    health = Health()
    request = HealthCheckRequest(service=service)
    assert (await health.check(request, Context())).status == NOT_SERVING
    health.set(SERVING)
    assert (await health.check(request, Context())).status == SERVING


async def test_checking_a_service_that_is_not_there_is_not_found() -> None:
    with pytest.raises(Aborted) as error:
        await Health().check(HealthCheckRequest(service="Other"), Context())
    assert error.value.args[0] is grpc.StatusCode.NOT_FOUND


async def test_every_watcher_sees_every_change_and_nothing_twice() -> None:
    health = Health()
    contexts = [Context(), Context()]
    async with asyncio.TaskGroup() as group:
        for context in contexts:
            group.create_task(health.watch(MODEL, context))
        for status in (SERVING, SERVING, NOT_SERVING):
            await asyncio.sleep(0)
            health.set(status)
        await asyncio.sleep(0)
        health.close()
    assert [context.written for context in contexts] == [[NOT_SERVING, SERVING, NOT_SERVING]] * 2


async def test_a_closed_service_tells_its_last_status_and_ends_the_watch() -> None:
    health = Health()
    context = Context()
    health.close()
    await health.watch(MODEL, context)
    assert context.written == [NOT_SERVING]


async def test_watching_a_service_that_is_not_there_says_so_once() -> None:
    health = Health()
    context = Context()
    async with asyncio.TaskGroup() as group:
        group.create_task(health.watch(HealthCheckRequest(service="Other"), context))
        await asyncio.sleep(0)
        health.set(SERVING)
        await asyncio.sleep(0)
        health.close()
    assert context.written == [SERVICE_UNKNOWN]
