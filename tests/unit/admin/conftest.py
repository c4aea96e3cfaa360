"""A daemon in a dict that speaks both listeners' HTTP, and the clients wired to it."""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from clipper.admin.aio import AsyncQueryClient
from clipper.admin.cli import app as cli
from clipper.admin.client import ClipperConnection
from clipper.admin.terminal import Target
from clipper.frontend.frames import read_frames
from clipper.serving.errands import unknown_query

Json = dict[str, Any]
Answer = tuple[int, Any]


class Refusal(Exception):
    """The fake daemon says no."""

    def __init__(self, status: int, code: str, message: str, hint: str = "Do otherwise.") -> None:
        super().__init__(message)
        self.answer = (status, {"error": {"code": code, "message": message, "hint": hint}})


LATENCY = {"fixed_ms": 1.5, "per_query_ms": 0.01, "p99_factor": 1.1}
FOUND_BY_AIMD = {"controller": "aimd", "size": None, "wait_ms": 0}


class FakeDaemon:
    """Applications, models and answers in memory; ports 1337 and 1338 as the real one has them."""

    def __init__(self) -> None:
        self.apps: dict[str, Json] = {}
        self.models: dict[tuple[str, str], Json] = {}
        self.queries: dict[int, Json] = {}
        self.requests: list[httpx.Request] = []
        self.tokens: dict[int, str] = {}
        self.down: set[int] = set()
        self.logs: list[str] = []
        self.says: dict[str, Callable[[Any], Any]] = {}
        """What models answer that do not add up their input."""
        self.latencies: dict[str, Json | None] = {}
        """Of those whose replicas take another time than others."""
        self.selection: Json = {}
        """What was learned, in place of nothing."""
        self.deploy_error = ""
        self.last_line = ""
        self.last_exit = ""
        self.stuck = False
        self.status: Json = {
            "version": "0.1.0",
            "uptime_s": 3725.0,
            "store": {"url": "memory://", "state": "ok"},
            "ready": True,
            "not_ready": [],
        }
        self._ids = itertools.count(7)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer as the real daemon does."""
        self.requests.append(request)
        port = request.url.port or 80
        if port in self.down:
            raise httpx.ConnectError("Connection refused", request=request)
        wanted = self.tokens.get(port)
        if wanted and request.headers.get("Authorization") != f"Bearer {wanted}":
            body = {"error": {"code": "unauthorized", "message": "No valid token.", "hint": ""}}
            return httpx.Response(401, json=body)
        try:
            status, answer = (self._admin if port == 1338 else self._query)(request)
        except Refusal as refusal:
            status, answer = refusal.answer
        if answer is None:
            return httpx.Response(status)
        return httpx.Response(status, json=answer)

    def _query(self, request: httpx.Request) -> Answer:
        body = self._body(request)
        match request.method, request.url.path.strip("/").split("/"):
            case "GET", ["health", "live"]:
                return 200, {"status": "live"}
            case "GET", ["metrics"]:
                return 200, {"counters": [{"app:a:num_predictions": {"count": "1"}}]}
            case "POST", [app, _] if app not in self.apps:
                return 404, {"error": "Not Found", "cause": f"There is no application {app}."}
            case "POST", [app, "predict"]:
                return 200, self._predict(self.apps[app], body)
            case "POST", [app, "feedback"]:
                known = "input" in body or body["query_id"] in self.queries
                if not known:
                    error = unknown_query(app, body["query_id"])
                    cause = f"{error.message} {error.hint}"
                    return 404, {"error": "Not Found", "cause": cause}
                return 200, {"learned": bool(self.apps[app]["linked_models"])}
        return 404, {"error": "Not Found", "cause": request.url.path}

    def _body(self, request: httpx.Request) -> Json:
        if request.headers["Content-Type"] != "application/octet-stream":
            return json.loads(request.content) if request.content else {}
        app = self.apps.get(request.url.path.split("/")[1], {"input_type": "floats"})
        inputs = read_frames([request.content], app["input_type"])
        dtype = {"integers": "<i4", "floats": "<f4", "doubles": "<f8", "bytes": "u1"}
        arrays = [np.frombuffer(one.data, dtype[app["input_type"]]) for one in inputs]
        return {"input_batch": [array.tolist() for array in arrays]}

    def _predict(self, app: Json, body: Json) -> Json:
        if "input" in body:
            return self._answer(app, body["input"])
        answers = [self._answer(app, one) for one in body["input_batch"]]
        return answers[0] if len(answers) == 1 else {"batch_predictions": answers}

    def _answer(self, app: Json, value: Any) -> Json:
        query_id = next(self._ids)
        self.queries[query_id] = app
        if app["linked_models"]:
            says = self.says.get(app["linked_models"][-1])
            output = sum(value) if isinstance(value, list) else value
            output = says(value) if says else output
            return {"query_id": query_id, "output": output, "default": False, "models": ["m:1"]}
        return {
            "query_id": query_id,
            "output": app["default_output"],
            "default": True,
            "default_explanation": "No connected models found for query",
        }

    def _admin(self, request: httpx.Request) -> Answer:
        body = json.loads(request.content) if request.content else {}
        method, parts = request.method, request.url.path.strip("/").split("/")
        if (method, parts) == ("GET", ["health", "live"]):
            return 200, {"status": "live"}
        assert parts[:2] == ["api", "v1"], parts
        kind, names = parts[2], parts[3:]
        if kind == "status":
            ready = sum(model["replicas"]["ready"] for model in self.models.values())
            counts = {"ready": ready, "starting": 0, "backing_off": 0}
            totals = {"applications": len(self.apps), "models": len(self.models)}
            return 200, {"replicas": counts} | totals | self.status
        if kind == "deployments":
            return 200, [
                {"model": "m:1", "phase": "starting", "elapsed_s": 1.2}
                | {"last_line": self.last_line}
            ]
        if kind == "applications":
            return self._applications(method, names, body, request)
        return self._models(method, names, body, request)

    def _applications(
        self, method: str, names: list[str], body: Json, request: httpx.Request
    ) -> Answer:
        if names and names[0] not in self.apps:
            message = f"Application '{names[0]}' does not exist"
            raise Refusal(404, "unknown_application", message)
        match method, names:
            case "GET", []:
                return 200, list(self.apps.values())
            case "POST", []:
                return 201, self._add_application(body)
            case "GET", [name]:
                return 200, self.apps[name]
            case "PATCH", [name]:
                self.apps[name] |= body
                return 200, self.apps[name]
            case "DELETE", [name]:
                del self.apps[name]
                return 204, None
            case "PUT", [name, "links", model]:
                return self._link(self.apps[name]["linked_models"], model)
            case "DELETE", [name, "links", model]:
                self.apps[name]["linked_models"].remove(model)
                return 204, None
            case "GET", [name, "selection"]:
                context = request.url.params.get("context", "0")
                answer = {"application": name, "context": context, "policy": "single"}
                answer |= {"models": [], "comparisons": [], "verdict": "", "reason": ""}
                return 200, answer | {"state": {"m": 0.5}} | self.selection
        raise Refusal(405, "method_not_allowed", "No.")

    def _link(self, linked: list[str], model: str) -> Answer:
        if model in linked:
            raise Refusal(409, "already_exists", f"{model} is already linked")
        linked.append(model)
        return 204, None

    def _add_application(self, body: Json) -> Json:
        if body["name"] in self.apps:
            raise Refusal(409, "already_exists", f"application '{body['name']}' already exists")
        policy = body["selection_policy"]
        policy = {"name": policy} if isinstance(policy, str) else policy
        defaults = {
            "loss": "zero_one",
            "labels": {},
            "on_overload": "default",
            "confidence_threshold": 0.0,
        }
        app: Json = {"linked_models": []} | defaults | body
        app |= {"selection_policy": policy, "slo_ms": body["latency_slo_micros"] / 1000}
        self.apps[body["name"]] = app
        return app

    def _models(self, method: str, names: list[str], body: Json, request: httpx.Request) -> Answer:
        match method, names:
            case "GET", []:
                return 200, list(self.models.values())
            case "POST", []:
                return 201, self._add_model(body)
            case "GET", [name]:
                versions = [one for one in self.models.values() if one["name"] == name]
                if not versions:
                    raise Refusal(404, "unknown_model", f"No model {name}.")
                return 200, versions
            case "PUT", [name, "current"]:
                return 200, self._set_current(name, body["version"])
        name, _, version, *rest = names
        model = self._model(name, version)
        match method, rest:
            case "GET", []:
                return 200, model | {"replica_states": self._replicas(model)}
            case "DELETE", []:
                del self.models[name, version]
                return 204, None
            case "PUT", ["replicas"]:
                count = body["replicas"]
                ready = model["replicas"]["ready"] if self.stuck else count
                model["replicas"] = {"wanted": count, "ready": ready}
                return 200, model | {"replica_states": self._replicas(model)}
            case "GET", ["logs"]:
                return 200, {"lines": self.logs[-int(request.url.params["tail"]) :]}
        raise Refusal(405, "method_not_allowed", "No.")

    def _model(self, name: str, version: str) -> Json:
        try:
            return self.models[name, version]
        except KeyError:
            message = f"model with name '{name}' and version '{version}' does not exist"
            raise Refusal(404, "unknown_model", message) from None

    def _add_model(self, body: Json) -> Json:
        key = body["name"], body["version"]
        if key in self.models:
            raise Refusal(409, "already_exists", f"model {key} already exists")
        if self.deploy_error:
            raise Refusal(502, "deploy_failed", self.deploy_error)
        deployment = body.get("deployment")
        if deployment:
            unsaid: Json = {
                "manager": "process",
                "framework": "sklearn",
                "path": "",
                "model_data": "",
            }
            unsaid |= {"image": "", "requirements": [], "gpus": [], "memory_bytes": 0}
            deployment = unsaid | deployment
        count = deployment["replicas"] if deployment else 0
        defaults = {"input_type": "floats", "labels": [], "batch_size": -1}
        model = (
            defaults
            | body
            | {
                "description": None,
                "container_name": body.get("container_name", "NO_CONTAINER"),
                "deployment": deployment,
                "batching": body.get("batching") or FOUND_BY_AIMD,
                "approximate_cache": body.get("approximate_cache"),
                "approximate_cache_state": None,
                "batches_ended_by": {"limit": 1, "queue_empty": 2, "wait_expired": 0},
                "replicas": {"wanted": count, "ready": count},
            }
        )
        self.models[key] = model
        return self._set_current(*key)

    def _set_current(self, name: str, version: str) -> Json:
        chosen = self._model(name, version)
        for model in self.models.values():
            if model["name"] == name:
                model["is_current"] = model is chosen
        return chosen

    def _replicas(self, model: Json) -> list[Json]:
        return [
            {
                "index": index,
                "state": "ready",
                "identity": f"pid {4711 + index}",
                "gpus": "",
                "restarts": 0,
                "last_exit": self.last_exit,
                "batch_size_limit": 16,
                "limit_reason": "no full batch yet",
                "latency": self.latencies.get(model["name"], LATENCY),
                "batches": 3,
                "queries": 40,
            }
            for index in range(model["replicas"]["wanted"])
        ]


@pytest.fixture
def daemon() -> FakeDaemon:
    """A daemon without sockets."""
    return FakeDaemon()


@pytest.fixture
def clipper(daemon: FakeDaemon) -> Iterator[ClipperConnection]:
    """A connection to it."""
    with ClipperConnection(transport=httpx.MockTransport(daemon)) as connection:
        yield connection


@pytest.fixture
def queries(daemon: FakeDaemon) -> AsyncQueryClient:
    """The asyncio client, wired to it."""
    return AsyncQueryClient(transport=httpx.MockTransport(daemon))


@pytest.fixture
def run(daemon: FakeDaemon) -> Callable[..., Result]:
    """`clipper-admin` with these arguments, in this process."""

    def invoke(*arguments: str, **options: Any) -> Result:
        target = Target(transport=httpx.MockTransport(daemon))
        return CliRunner().invoke(cli, list(arguments), obj=target, **options)

    return invoke
