"""Run with the old client's interpreter: makes its calls, and prints what came of each as JSON.

Arguments: the admin address, the query address, and a JSON list of [method, [arguments]].
"""

import json
import sys
from typing import Any

from clipper_admin import ClipperConnection, ClipperException
from clipper_admin.container_manager import ContainerManager


class Addresses(ContainerManager):  # type: ignore[misc]
    """Knows where the daemon is, and starts nothing."""

    cluster_identifier = "test"

    def __init__(self, admin: str, query: str) -> None:
        self.admin, self.query = admin, query

    def start_clipper(self, *arguments: Any) -> None:
        """It runs already."""

    def connect(self) -> None:
        """There is nothing to connect."""

    def deploy_model(self, **arguments: Any) -> None:
        """The daemon runs the models."""

    def stop_models(self, models: Any) -> None:
        """There are no containers."""

    def stop_all_model_containers(self) -> None:
        """There are no containers."""

    def get_num_replicas(self, name: str, version: str) -> int:
        """None are ours."""
        return 0

    def get_admin_addr(self) -> str:
        """`host:port`."""
        return self.admin

    def get_query_addr(self) -> str:
        """`host:port`."""
        return self.query

    def get_metric_addr(self) -> str:
        """`host:port`."""
        return self.admin


def outcome(connection: Any, method: str, arguments: list[Any]) -> dict[str, Any]:
    """What one call returned, or what it raised."""
    try:
        return {"value": getattr(connection, method)(*arguments)}
    except ClipperException as error:
        return {"raised": error.msg}


if __name__ == "__main__":
    connection = ClipperConnection(Addresses(sys.argv[1], sys.argv[2]))
    connection.connect()
    calls = json.loads(sys.argv[3])
    print(json.dumps([outcome(connection, *call) for call in calls]))  # noqa: T201
