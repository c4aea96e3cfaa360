"""A daemon with models in Docker containers that are not trusted, and what is seen from outside."""

import time
from pathlib import Path
from typing import Any

import docker
import httpx

from tests.fakes.clipperd import Clipperd
from tests.fakes.watching import until

FAKES = Path(__file__).parent
TOKEN = "correct-horse-battery"
MEMORY_BYTES = 256 << 20
REPLACED_S = 20.0


class Prison:
    """A daemon with the admin token TOKEN, its engine, and models of JSON from this folder."""

    def __init__(self, daemon: Clipperd, engine: docker.DockerClient) -> None:
        self.daemon = daemon
        self.engine = engine

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.daemon.call(
            method, path, headers={"Authorization": f"Bearer {TOKEN}"}, **options
        )

    def deploy(self, name: str, model: str, timeout_s: float = 60, **wishes: Any) -> httpx.Response:
        path = f"{FAKES}/{model}"
        deployment = {"manager": "docker", "framework": "python", "path": path, **wishes}
        body = {"name": name, "version": "1", "input_type": "json", "deployment": deployment}
        return self.call("POST", "/api/v1/models", json=body | {"timeout_s": timeout_s})

    def serve(self, name: str, model: str, slo_s: float, **wishes: Any) -> None:
        app = {"name": name, "input_type": "json", "slo_ms": slo_s * 1000, "default_output": "none"}
        assert self.call("POST", "/api/v1/applications", json=app).status_code == 201
        deployed = self.deploy(name, model, **{"memory_bytes": MEMORY_BYTES, **wishes})
        assert deployed.status_code == 201, deployed.text
        assert self.call("PUT", f"/api/v1/applications/{name}/links/{name}").is_success

    def ask(self, name: str, input: Any) -> Any:
        return self.call("POST", f"/{name}/predict", json={"input": input}).json()

    def order(self, do: str, **details: Any) -> Any:
        """What the prisoner says came of it."""
        answer = self.ask("prisoner", {"do": do, "at": time.monotonic_ns(), **details})
        assert not answer["default"], answer
        return answer["output"]

    def state(self, name: str) -> dict[str, Any]:
        body = self.call("GET", f"/api/v1/models/{name}/versions/1").json()
        state: dict[str, Any] = body["replica_states"][0]
        return state

    def inside(self, name: str) -> dict[str, Any]:
        """The container of a model, as the engine has it."""
        identity = self.state(name)["identity"].removeprefix("docker ")
        config: dict[str, Any] = self.engine.api.inspect_container(identity)
        return config

    def where(self, name: str) -> dict[str, Any]:
        (network,) = self.inside(name)["NetworkSettings"]["Networks"].values()
        return dict(network)

    def await_replaced(self, name: str, before: str) -> None:
        """Until another container answers."""

        def answers() -> bool:
            state = self.state(name)
            is_another = state["state"] == "ready" and state["identity"] not in ("", before)
            question = f"sane at {time.monotonic_ns()}?"
            return is_another and self.ask(name, question)["output"] == question

        # What was in flight is tried once more, and ends the next one as well.
        until(answers, REPLACED_S, f"an answer of another container of {name}")
