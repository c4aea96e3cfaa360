"""The standard grpc.health.v1 service, by hand: one status for the container's two names."""

import asyncio
from typing import Any

import grpc

from clipper_container.health_pb2 import HealthCheckRequest, HealthCheckResponse

SERVICE = "grpc.health.v1.Health"
NAMES = frozenset({"", "clipper.v1.Model"})
"""The container as a whole, and the one service that matters."""

Status = HealthCheckResponse.ServingStatus


class Health:
    """A status that can be asked for and watched; it starts as NOT_SERVING."""

    def __init__(self) -> None:
        self._status: Status = HealthCheckResponse.NOT_SERVING
        self._changed = asyncio.Event()
        self._closed = False

    def set(self, status: Status) -> None:
        """Change the status and tell every watcher."""
        self._status = status
        self._tell()

    def close(self) -> None:
        """End every watch, once it has told the last status."""
        self._closed = True
        self._tell()

    def _tell(self) -> None:
        # A fresh event for the next change: each watcher holds the one it waits for.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def check(self, request: HealthCheckRequest, context: Any) -> HealthCheckResponse:
        """The status now."""
        if request.service not in NAMES:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"No service {request.service!r} here.")
        return HealthCheckResponse(status=self._status)

    async def watch(self, request: HealthCheckRequest, context: Any) -> None:
        """The status now and at each change."""
        told: Status | None = None
        while True:
            changed = self._changed
            known = request.service in NAMES
            status = self._status if known else HealthCheckResponse.SERVICE_UNKNOWN
            if status != told:
                told = status
                await context.write(HealthCheckResponse(status=status))
            if self._closed:
                return
            await changed.wait()

    def handlers(self) -> dict[str, Any]:
        """The service's methods by their path, as a gRPC server takes them."""
        codec: dict[str, Any] = {
            "request_deserializer": HealthCheckRequest.FromString,
            "response_serializer": HealthCheckResponse.SerializeToString,
        }
        return {
            f"/{SERVICE}/Check": grpc.unary_unary_rpc_method_handler(self.check, **codec),
            f"/{SERVICE}/Watch": grpc.unary_stream_rpc_method_handler(self.watch, **codec),
        }
