"""The Python client of the daemon, with the method names of the old release's client.

with ClipperConnection() as clipper:
    clipper.register_application("digits", "floats", "-1", slo_micros=20_000)
    clipper.deploy_model("svm", 1, "floats", "svm.joblib")
    clipper.link_model_to_app("digits", "svm")
    print(clipper.predict("digits", [0.5, 1.0]).output)
"""

from types import TracebackType
from typing import Any, Self

import httpx

from clipper.admin.applications import ApplicationCalls
from clipper.admin.deploying import DeployCalls
from clipper.admin.environment import from_environment
from clipper.admin.errors import (
    AdminError,
    ClipperRefused,
    ClipperTimeout,
    ClipperUnreachable,
    DeployTimeout,
    InvalidCall,
)
from clipper.admin.listener import Listener
from clipper.admin.messages import FeedbackResult, Prediction, request
from clipper.admin.models import ModelCalls
from clipper.admin.queries import QueryCalls

ADMIN_URL = "http://127.0.0.1:1338"
QUERY_URL = "http://127.0.0.1:1337"

__all__ = [
    "AdminError",
    "ClipperConnection",
    "ClipperRefused",
    "ClipperTimeout",
    "ClipperUnreachable",
    "DeployTimeout",
    "FeedbackResult",
    "InvalidCall",
    "Prediction",
]


class ClipperConnection(ApplicationCalls, DeployCalls, ModelCalls, QueryCalls):
    """A running daemon. Nothing is sent before the first call; threads may share a connection.

    What is not given comes from CLIPPER_URL, CLIPPER_QUERY_URL, CLIPPER_TOKEN and
    CLIPPER_QUERY_TOKEN, or else is as the daemon has it by default.

    Information comes as the dicts of `/api/v1` and is documented with the API, at `/docs` of the
    admin listener.
    """

    def __init__(
        self,
        url: str | None = None,
        query_url: str | None = None,
        token: str | None = None,
        query_token: str | None = None,
        timeout_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        found = {"url": ADMIN_URL, "query_url": QUERY_URL} | from_environment()
        self.admin = Listener(
            url or found["url"], token or found.get("token"), timeout_s, transport
        )
        self.query = Listener(
            query_url or found["query_url"],
            query_token or found.get("query_token"),
            timeout_s,
            transport,
        )

    def connect(self) -> None:
        """Check that both listeners answer.

        Raises:
            ClipperUnreachable: one does not; the message names its address.
        """
        for listener in (self.admin, self.query):
            listener.call(request("GET", "health", "live"))

    def status(self) -> dict[str, Any]:
        """The daemon at a glance: version, uptime, store, readiness, what is registered."""
        status: dict[str, Any] = self.admin.call(request("GET", "api", "v1", "status"))
        return status

    def get_deployments(self) -> list[dict[str, Any]]:
        """The deployments in progress: model, phase, seconds so far."""
        deployments: list[dict[str, Any]] = self.admin.call(
            request("GET", "api", "v1", "deployments")
        )
        return deployments

    def get_metric_addr(self) -> str:
        """`host:port` where `/metrics` is in Prometheus' format."""
        return self.admin.address

    def close(self) -> None:
        """Close the connections."""
        self.admin.close()
        self.query.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
