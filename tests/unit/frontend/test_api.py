"""`/api/v1`: what each resource gives and takes, and how it says no."""

import asyncio
from typing import Any

import httpx
import pytest

from clipper.core.errors import StateError
from clipper.core.types import Input, ModelId, ReplicaId
from clipper.deploy.manager import Exit
from clipper.serving.services import Services
from tests.fakes.serving import BROKEN, FakeManager

pytestmark = pytest.mark.looptime

APP = {"name": "a", "input_type": "doubles", "default_output": "-1", "slo_ms": 20}
MODEL = {"name": "m", "version": "1", "input_type": "doubles"}
DEPLOYMENT = {"framework": "noop", "path": "/models/m"}
APPLICATION = {
    "name": "a",
    "input_type": "doubles",
    "default_output": "-1",
    "latency_slo_micros": 20000,
    "slo_ms": 20.0,
    "linked_models": [],
    "selection_policy": {"name": "single"},
    "loss": "zero_one",
    "labels": {},
    "on_overload": "default",
    "confidence_threshold": 0.0,
}
REGISTERED = {
    "name": "m",
    "version": "1",
    "input_type": "doubles",
    "labels": [],
    "container_name": "NO_CONTAINER",
    "model_data_path": "",
    "batch_size": -1,
    "batching": {"controller": "aimd", "size": None, "wait_ms": 0.0},
    "hedging": 0.0,
    "approximate_cache": None,
    "is_current": True,
    "deployment": None,
    "replicas": {"wanted": 0, "ready": 0},
}


async def call(
    admin: httpx.AsyncClient, method: str, path: str, body: Any = None, *, expect: int = 200
) -> Any:
    """The JSON of an answer that has the expected status."""
    response = await admin.request(method, f"/api/v1{path}", json=body)
    assert response.status_code == expect, response.text
    return response.json() if response.content else None


async def refusal(
    admin: httpx.AsyncClient, method: str, path: str, body: Any = None, *, expect: int
) -> tuple[str, str]:
    """Code and message of a refusal that has the expected status and shape."""
    answer = await call(admin, method, path, body, expect=expect)
    assert list(answer) == ["error"]
    assert set(answer["error"]) == {"code", "message", "hint"}
    return answer["error"]["code"], answer["error"]["message"]


async def create(admin: httpx.AsyncClient, **app: Any) -> Any:
    """An application."""
    return await call(admin, "POST", "/applications", {**APP, **app}, expect=201)


async def register(admin: httpx.AsyncClient, **model: Any) -> Any:
    """A model version."""
    return await call(admin, "POST", "/models", {**MODEL, **model}, expect=201)


async def deploy(admin: httpx.AsyncClient, **model: Any) -> Any:
    """A model version with a replica."""
    return await register(admin, **{"deployment": DEPLOYMENT, **model})


async def test_an_application_is_created_shown_and_deleted(admin: httpx.AsyncClient) -> None:
    assert await create(admin) == APPLICATION
    assert await call(admin, "GET", "/applications/a") == APPLICATION
    assert await call(admin, "DELETE", "/applications/a", expect=204) is None
    assert await call(admin, "GET", "/applications") == []


async def test_applications_are_listed_by_name(admin: httpx.AsyncClient) -> None:
    await create(admin, name="b")
    await create(admin)
    listed = await call(admin, "GET", "/applications")
    assert [app["name"] for app in listed] == ["a", "b"]


async def test_every_setting_of_an_application_comes_back(admin: httpx.AsyncClient) -> None:
    policy = {"name": "exp3", "eta": 0.5}
    settings = {
        "selection_policy": policy,
        "loss": "squared",
        "on_overload": "reject",
        "confidence_threshold": 0.5,
    }
    body = {"name": "a", "input_type": "d", "latency_slo_micros": 1500, **settings}
    created = await call(admin, "POST", "/applications", body, expect=201)
    assert created == {
        **APPLICATION,
        **settings,
        "default_output": "",
        "latency_slo_micros": 1500,
        "slo_ms": 1.5,
    }


async def test_a_policy_may_be_given_by_name(admin: httpx.AsyncClient) -> None:
    created = await create(admin, selection_policy="exp3")
    assert created["selection_policy"] == {"name": "exp3"}


@pytest.mark.parametrize(("slo_ms", "micros"), [(0.001, 1), (0.5, 500), (1, 1000), (33.333, 33333)])
async def test_the_latency_objective_is_kept_in_microseconds(
    admin: httpx.AsyncClient, slo_ms: float, micros: int
) -> None:
    assert (await create(admin, slo_ms=slo_ms))["latency_slo_micros"] == micros


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/applications/a", None),
        ("DELETE", "/applications/a", None),
        ("GET", "/applications/a/selection", None),
        ("PATCH", "/applications/a", {"selection_policy": "exp3"}),
        ("PUT", "/applications/a/links/m", None),
        ("DELETE", "/applications/a/links/m", None),
    ],
)
async def test_an_unknown_application_is_named(
    admin: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    code, message = await refusal(admin, method, path, body, expect=404)
    assert code == "unknown_application"
    assert "a" in message.replace("'", " ").split()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/models/m", None),
        ("GET", "/models/m/versions/1", None),
        ("DELETE", "/models/m/versions/1", None),
        ("PUT", "/models/m/current", {"version": "1"}),
        ("PUT", "/models/m/versions/1/replicas", {"replicas": 2}),
        ("GET", "/models/m/versions/1/logs", None),
    ],
)
async def test_an_unknown_model_is_named(
    admin: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    code, message = await refusal(admin, method, path, body, expect=404)
    assert code == "unknown_model"
    assert "'m'" in message


async def test_a_taken_name_is_a_conflict(admin: httpx.AsyncClient) -> None:
    await create(admin)
    code, message = await refusal(admin, "POST", "/applications", APP, expect=409)
    assert (code, message) == ("already_exists", "application 'a' already exists")
    await register(admin)
    code, message = await refusal(admin, "POST", "/models", MODEL, expect=409)
    assert code == "already_exists"


async def test_links_come_and_go(admin: httpx.AsyncClient) -> None:
    await create(admin)
    await register(admin)
    assert await call(admin, "PUT", "/applications/a/links/m", expect=204) is None
    assert (await call(admin, "GET", "/applications/a"))["linked_models"] == ["m"]
    code, _ = await refusal(admin, "PUT", "/applications/a/links/m", expect=409)
    assert code == "already_exists"
    assert await call(admin, "DELETE", "/applications/a/links/m", expect=204) is None
    code, _ = await refusal(admin, "DELETE", "/applications/a/links/m", expect=404)
    assert code == "unknown_model"


async def test_a_link_needs_the_model_and_its_input_type(admin: httpx.AsyncClient) -> None:
    await create(admin)
    code, message = await refusal(admin, "PUT", "/applications/a/links/m", expect=404)
    assert (code, message) == ("unknown_model", "No model with name 'm' exists.")
    await register(admin, input_type="strings")
    code, _ = await refusal(admin, "PUT", "/applications/a/links/m", expect=409)
    assert code == "incompatible"


async def test_a_second_link_is_a_conflict_under_a_policy_for_one(
    admin: httpx.AsyncClient,
) -> None:
    await create(admin)
    await register(admin)
    await register(admin, name="o")
    await call(admin, "PUT", "/applications/a/links/m", expect=204)
    _, message = await refusal(admin, "PUT", "/applications/a/links/o", expect=409)
    assert message == "A model with name m is already linked to 'a'."


async def test_a_model_is_registered_without_containers(admin: httpx.AsyncClient) -> None:
    assert await register(admin) == REGISTERED
    details = await call(admin, "GET", "/models/m/versions/1")
    assert details.pop("replica_states") == []
    assert set(details.pop("batches_ended_by").values()) == {0}
    assert details.pop("approximate_cache_state") is None
    assert details.pop("description") is None
    assert details == REGISTERED


async def test_a_container_name_is_kept(admin: httpx.AsyncClient) -> None:
    model = await register(admin, container_name="mine:1", labels=["x"], batch_size=4)
    assert (model["container_name"], model["labels"], model["batch_size"]) == ("mine:1", ["x"], 4)


async def test_a_deployed_model_has_replicas(admin: httpx.AsyncClient) -> None:
    model = await deploy(admin, deployment={**DEPLOYMENT, "replicas": 2})
    assert model["container_name"] == "process"
    assert model["model_data_path"] == "/models/m"
    assert model["deployment"] == {
        "manager": "process",
        "framework": "noop",
        "path": "/models/m",
        "model_data": "",
        "replicas": 2,
        "image": "",
        "requirements": [],
        "output": "",
        "gpus": [],
        "memory_bytes": 0,
        "cpus": 0.0,
        "network": "",
    }
    await asyncio.sleep(0.1)
    details = await call(admin, "GET", "/models/m/versions/1")
    assert details["replicas"] == {"wanted": 2, "ready": 2}
    states = details["replica_states"]
    assert [(state["index"], state["state"]) for state in states] == [(0, "ready"), (1, "ready")]
    assert states[0]["identity"] == "pid 4711"
    assert set(states[0]) == {
        *("index", "state", "identity", "restarts", "last_exit", "batch_size_limit"),
        *("limit_reason", "latency", "batches", "queries", "gpus"),
    }
    assert states[0]["limit_reason"].startswith("no full batch yet")
    assert set(details["batches_ended_by"].values()) == {0}


async def test_a_version_that_needs_something_says_so(admin: httpx.AsyncClient) -> None:
    needs = {"gpus": ["0,1", "2"], "requirements": ["lightgbm>=4"], "memory_bytes": 1 << 30}
    model = await deploy(admin, deployment={**DEPLOYMENT, "replicas": 3, **needs})
    assert {key: model["deployment"][key] for key in needs} == needs
    details = await call(admin, "GET", "/models/m/versions/1")
    assert [state["gpus"] for state in details["replica_states"]] == ["0,1", "2", "0,1"]


async def test_only_a_model_that_is_deployed_may_be_left_to_say_what_it_takes(
    admin: httpx.AsyncClient,
) -> None:
    body = {key: value for key, value in MODEL.items() if key != "input_type"}
    code, message = await refusal(admin, "POST", "/models", body, expect=400)
    assert (code, "input_type" in message) == ("invalid_input", True)
    model = await call(admin, "POST", "/models", {**body, "deployment": DEPLOYMENT}, expect=201)
    assert model["input_type"] == "floats"


async def test_a_replica_that_ended_says_how(
    admin: httpx.AsyncClient, containers: FakeManager
) -> None:
    await deploy(admin)
    containers.containers[ReplicaId(ModelId("m", "1"), 0)].end(Exit(-9, "was killed by SIGKILL"))
    await asyncio.sleep(0.1)
    details = await call(admin, "GET", "/models/m/versions/1")
    assert details["replicas"] == {"wanted": 1, "ready": 0}
    (state,) = details["replica_states"]
    assert (state["state"], state["restarts"]) == ("backing_off", 1)
    assert "SIGKILL" in state["last_exit"]


async def test_a_deploy_that_fails_says_why_and_leaves_nothing(admin: httpx.AsyncClient) -> None:
    body = {**MODEL, "deployment": {**DEPLOYMENT, "path": BROKEN}}
    code, message = await refusal(admin, "POST", "/models", body, expect=502)
    assert code == "deploy_failed"
    assert "no such file" in message
    assert await call(admin, "GET", "/models") == []


async def test_a_deployed_version_cannot_be_deployed_again(admin: httpx.AsyncClient) -> None:
    await deploy(admin)
    body = {**MODEL, "deployment": DEPLOYMENT}
    code, _ = await refusal(admin, "POST", "/models", body, expect=409)
    assert code == "already_exists"


async def test_replicas_attach_to_a_registration_of_the_same_input_type(
    admin: httpx.AsyncClient,
) -> None:
    await register(admin)
    other = {**MODEL, "input_type": "strings", "deployment": DEPLOYMENT}
    code, _ = await refusal(admin, "POST", "/models", other, expect=409)
    assert code == "incompatible"
    assert (await deploy(admin))["deployment"] is not None


async def test_models_and_versions_are_listed_in_the_order_of_their_registration(
    admin: httpx.AsyncClient,
) -> None:
    for name, version in (("n", "1"), ("m", "2"), ("m", "1")):
        await register(admin, name=name, version=version)
    models = await call(admin, "GET", "/models")
    assert [(one["name"], one["version"], one["is_current"]) for one in models] == [
        ("m", "2", False),
        ("m", "1", True),
        ("n", "1", True),
    ]
    versions = await call(admin, "GET", "/models/m")
    assert [one["version"] for one in versions] == ["2", "1"]


async def test_a_model_is_rolled_back(admin: httpx.AsyncClient) -> None:
    await register(admin)
    await register(admin, version="2")
    model = await call(admin, "PUT", "/models/m/current", {"version": "1"})
    assert (model["version"], model["is_current"]) == ("1", True)
    _, message = await refusal(admin, "PUT", "/models/m/current", {"version": "9"}, expect=404)
    assert message == "Cannot set non-existent version '9' for model with name 'm'"


async def test_a_version_is_deleted(admin: httpx.AsyncClient) -> None:
    await deploy(admin)
    assert await call(admin, "DELETE", "/models/m/versions/1", expect=204) is None
    assert await call(admin, "GET", "/models") == []


async def test_scaling_returns_at_once(admin: httpx.AsyncClient) -> None:
    await deploy(admin)
    scaled = await call(admin, "PUT", "/models/m/versions/1/replicas", {"replicas": 3})
    assert scaled["replicas"]["wanted"] == 3
    await asyncio.sleep(0.1)
    assert (await call(admin, "GET", "/models/m/versions/1"))["replicas"]["ready"] == 3
    scaled = await call(admin, "PUT", "/models/m/versions/1/replicas", {"replicas": 0})
    assert scaled["replicas"] == {"wanted": 0, "ready": 0}


async def test_a_model_without_containers_cannot_be_scaled(admin: httpx.AsyncClient) -> None:
    await register(admin)
    path = "/models/m/versions/1/replicas"
    code, _ = await refusal(admin, "PUT", path, {"replicas": 2}, expect=409)
    assert code == "incompatible"


@pytest.mark.parametrize("replicas", [-1, 1.0, True, "2", None, 100_000, 2**65])
async def test_a_number_of_replicas_is_a_small_integer(
    admin: httpx.AsyncClient, replicas: Any
) -> None:
    await deploy(admin)
    path = "/models/m/versions/1/replicas"
    _, message = await refusal(admin, "PUT", path, {"replicas": replicas}, expect=422)
    assert message.startswith("replicas: ")


async def test_the_last_lines_of_a_replica_are_shown(
    admin: httpx.AsyncClient, containers: FakeManager
) -> None:
    await deploy(admin)
    containers.lines[ReplicaId(ModelId("m", "1"), 0)] = ["loading", "loaded", "ready"]
    path = "/models/m/versions/1/logs"
    assert (await call(admin, "GET", path))["lines"] == ["loading", "loaded", "ready"]
    assert (await call(admin, "GET", f"{path}?tail=2&replica=0"))["lines"] == ["loaded", "ready"]
    code, _ = await refusal(admin, "GET", f"{path}?replica=7", expect=404)
    assert code == "unknown_model"
    _, message = await refusal(admin, "GET", f"{path}?tail=-1", expect=422)
    assert message.startswith("tail: ")


async def test_nothing_is_learned_under_a_policy_that_learns_nothing(
    admin: httpx.AsyncClient,
) -> None:
    await create(admin)
    assert await call(admin, "GET", "/applications/a/selection") == {
        "application": "a",
        "context": "0",
        "policy": "single",
        "models": [],
        "comparisons": [],
        "verdict": "",
        "reason": "",
        "state": None,
    }


async def test_what_was_learned_is_shown_by_context(
    admin: httpx.AsyncClient, services: Services
) -> None:
    await create(admin, selection_policy="exp3")
    await deploy(admin)
    await call(admin, "PUT", "/applications/a/links/m", expect=204)
    assert await services.feedback.by_input("a", Input(b"\0" * 8), 1, "user-17")
    shown = await call(admin, "GET", "/applications/a/selection?context=user-17")
    assert (shown["context"], shown["policy"]) == ("user-17", "exp3")
    assert shown["state"]["pulls"] == {"m:1": 1}
    assert (await call(admin, "GET", "/applications/a/selection"))["state"]["pulls"] == {}


async def test_how_models_stand_is_shown(admin: httpx.AsyncClient, services: Services) -> None:
    await create(admin, selection_policy="exp3", loss="absolute")
    await deploy(admin)
    await call(admin, "PUT", "/applications/a/links/m", expect=204)
    assert await services.feedback.by_input("a", Input(b"\0" * 8), 0.75, None)
    (standing,) = (await call(admin, "GET", "/applications/a/selection"))["models"]
    assert (standing["model"], standing["share"], standing["judged"]) == ("m:1", 1.0, 1)
    assert standing["loss_low"] <= standing["loss"] <= standing["loss_high"]
    assert not standing["is_worse"]


async def test_a_trial_shows_what_it_compares(admin: httpx.AsyncClient, services: Services) -> None:
    policy = {"name": "canary", "candidate": "m:1", "margin": 0.2}
    await create(admin, selection_policy=policy)
    for version in "12":
        await deploy(admin, version=version)
    await call(admin, "PUT", "/applications/a/links/m", expect=204)
    assert await services.feedback.by_input("a", Input(b"\0" * 8), 1, None)
    shown = await call(admin, "GET", "/applications/a/selection")
    loss, failures, latency = shown["comparisons"]
    assert (loss["what"], loss["allowed"], loss["is_significant"]) == ("loss", 0.2, False)
    assert (loss["candidate"]["model"], loss["incumbent"]["model"]) == ("m:1", "m:2")
    assert {loss["candidate"]["seen"], loss["incumbent"]["seen"]} == {0, 1}
    assert (failures["candidate"]["mean"], latency["incumbent"]["mean"]) == (None, None)
    change = {"selection_policy": {**policy, "margin": 0.3}}
    await call(admin, "PATCH", "/applications/a", change)
    shown = await call(admin, "GET", "/applications/a/selection")
    assert shown["state"]["arms"] == {}
    assert [model["judged"] for model in shown["models"]] == [0, 0]


async def test_another_policy_begins_afresh_and_the_same_goes_on(
    admin: httpx.AsyncClient, services: Services
) -> None:
    await create(admin, selection_policy="exp3")
    await deploy(admin)
    await call(admin, "PUT", "/applications/a/links/m", expect=204)
    assert await services.feedback.by_input("a", Input(b"\0" * 8), 1, None)
    for policy, judged in (({"name": "exp3", "eta": 0.5}, 1), ("ucb1", 0), ("exp3", 0)):
        changed = await call(admin, "PATCH", "/applications/a", {"selection_policy": policy})
        asked = policy if isinstance(policy, dict) else {"name": policy}
        assert changed["selection_policy"] == asked
        (standing,) = (await call(admin, "GET", "/applications/a/selection"))["models"]
        assert standing["judged"] == judged


async def test_a_policy_for_one_model_does_not_do_for_two(admin: httpx.AsyncClient) -> None:
    await create(admin, selection_policy="exp3")
    for name in ("m", "n"):
        await call(admin, "POST", "/models", {**MODEL, "name": name}, expect=201)
        await call(admin, "PUT", f"/applications/a/links/{name}", expect=204)
    body = {"selection_policy": "single"}
    _, message = await refusal(admin, "PATCH", "/applications/a", body, expect=409)
    assert "2 are linked" in message


async def test_the_status_counts_what_there_is(
    admin: httpx.AsyncClient, services: Services
) -> None:
    await create(admin)
    await deploy(admin)
    services.status.started = asyncio.get_running_loop().time() - 12.5
    status = await call(admin, "GET", "/status")
    assert status.pop("version")
    assert status.pop("uptime_s") == pytest.approx(12.5, abs=0.5)
    assert status == {
        "store": {"url": "memory://", "state": "unavailable"},
        "ready": True,
        "not_ready": [],
        "troubles": [],
        "applications": 1,
        "models": 1,
        "replicas": {"ready": 1, "starting": 0, "backing_off": 0},
        "workers": {"wanted": 1, "serving": 1},
    }


async def test_the_status_says_why_the_daemon_is_not_ready(admin: httpx.AsyncClient) -> None:
    await create(admin)
    await register(admin)
    await call(admin, "PUT", "/applications/a/links/m", expect=204)
    status = await call(admin, "GET", "/status")
    assert status["ready"] is False
    assert "m:1" in status["not_ready"][0]


async def test_deployments_under_way_are_listed(
    admin: httpx.AsyncClient, containers: FakeManager
) -> None:
    assert await call(admin, "GET", "/deployments") == []
    containers.opens.clear()
    deploying = asyncio.get_running_loop().create_task(deploy(admin))
    await asyncio.sleep(2)
    assert await call(admin, "GET", "/deployments") == [
        {
            "model": "m:1",
            "phase": "starting",
            "elapsed_s": pytest.approx(2, abs=0.5),
            "last_line": "",
        }
    ]
    body = {**MODEL, "deployment": DEPLOYMENT}
    code, _ = await refusal(admin, "POST", "/models", body, expect=409)
    assert code == "already_exists"
    containers.opens.set()
    assert (await deploying)["is_current"]
    assert await call(admin, "GET", "/deployments") == []


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("/applications", {**APP, "slo_mss": 5}, "slo_mss"),
        ("/applications", {**APP, "confidence_threshold": 1.7}, "confidence_threshold"),
        ("/applications", {**APP, "confidence_threshold": "0.7"}, "confidence_threshold"),
        ("/applications", {**APP, "slo_ms": 0}, "slo_ms"),
        ("/applications", {**APP, "slo_ms": "20"}, "slo_ms"),
        ("/applications", {**APP, "slo_ms": 1e300}, "slo_ms"),
        ("/applications", {**APP, "latency_slo_micros": 5}, "latency_slo_micros"),
        ("/applications", {"name": "a", "input_type": "d"}, "slo_ms"),
        ("/applications", {"name": "a", "input_type": "d", "latency_slo_micros": 0}, "micros"),
        ("/applications", {"name": "a", "input_type": "d", "latency_slo_micros": 1.0}, "micros"),
        ("/applications", {"name": "a", "input_type": "d", "latency_slo_micros": 2**31}, "micros"),
        ("/applications", {"input_type": "doubles", "slo_ms": 1}, "name"),
        ("/applications", {**APP, "name": 7}, "name"),
        ("/applications", {**APP, "on_overload": "panic"}, "on_overload"),
        ("/applications", {**APP, "selection_policy": 3}, "selection_policy"),
        ("/applications", {**APP, "selection_policy": {"eta": 1}}, "selection_policy"),
        ("/models", {**MODEL, "approximate_cache": {}}, "approximate_cache"),
        ("/models", {**MODEL, "version": 1}, "version"),
        ("/models", {**MODEL, "labels": "x"}, "labels"),
        ("/models", {**MODEL, "labels": [1]}, "labels.0"),
        ("/models", {**MODEL, "timeout_s": 0}, "timeout_s"),
        ("/models", {**MODEL, "batching": {"wait": 1}}, "batching.wait"),
        ("/models", {**MODEL, "deployment": {"framework": "noop", "path": 5}}, "deployment.path"),
        ("/models", {**MODEL, "deployment": {**DEPLOYMENT, "replicas": 0}}, "deployment.replicas"),
        ("/models", {**MODEL, "deployment": {**DEPLOYMENT, "manager": "k8s"}}, "manager"),
        ("/models", {**MODEL, "deployment": {**DEPLOYMENT, "path": "/m\x00"}}, "deployment.path"),
        ("/models", {**MODEL, "deployment": {**DEPLOYMENT, "paht": "/m"}}, "deployment.paht"),
    ],
    ids=str,
)
async def test_what_the_schema_does_not_allow_is_refused_by_name(
    admin: httpx.AsyncClient, path: str, body: Any, key: str
) -> None:
    code, message = await refusal(admin, "POST", path, body, expect=422)
    assert code == "invalid_request"
    assert key in message
    assert await call(admin, "GET", path) == []


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("/applications", {**APP, "input_type": "complex"}, "complex"),
        ("/applications", {**APP, "loss": "hinge"}, "loss"),
        ("/applications", {**APP, "selection_policy": "exp5"}, "selection_policy"),
        ("/applications", {**APP, "selection_policy": {"name": "exp3", "gamma": 1}}, "gamma"),
        ("/models", {**MODEL, "input_type": "complex"}, "complex"),
        ("/models", {**MODEL, "batch_size": 0}, "batch size"),
        ("/models", {**MODEL, "batch_size": 2**40}, "batch size"),
        ("/models", {**MODEL, "batching": {"controller": "best"}}, "batching.controller"),
        ("/models", {**MODEL, "batching": {"wait_ms": -2}}, "batching.wait_ms"),
        ("/models", {**MODEL, "batching": {"controller": "quantile", "size": 2}}, "batching.size"),
        ("/models", {**MODEL, "hedging": 0.2}, "hedging"),
        (
            "/models",
            {**MODEL, "approximate_cache": {"metric": "angular", "radius": 9}},
            "The radius is 9",
        ),
        ("/models", {**MODEL, "batching": {"controller": "fixed"}}, "batching.size"),
        ("/models", {**MODEL, "deployment": {**DEPLOYMENT, "framework": "../x"}}, "framework"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_by_name(
    admin: httpx.AsyncClient, path: str, body: Any, key: str
) -> None:
    _, message = await refusal(admin, "POST", path, body, expect=400)
    assert key in message
    assert await call(admin, "GET", path) == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a:b", "a,b", ".x", "x" * 300, "a\x00"])
async def test_names_are_from_an_allow_list(admin: httpx.AsyncClient, name: str) -> None:
    for path, body in (
        ("/applications", {**APP, "name": name}),
        ("/models", {**MODEL, "name": name}),
        ("/models", {**MODEL, "version": name}),
        ("/models", {**MODEL, "name": name, "deployment": DEPLOYMENT}),
    ):
        code, message = await refusal(admin, "POST", path, body, expect=400)
        assert code == "invalid_input"
        assert "Invalid" in message


async def test_a_fixed_batch_size_is_kept(admin: httpx.AsyncClient) -> None:
    model = await register(admin, batching={"controller": "fixed", "size": 8})
    assert model["batch_size"] == 8
    assert model["batching"] == {"controller": "fixed", "size": 8, "wait_ms": 0.0}


async def test_an_approximate_cache_comes_back_with_its_state(admin: httpx.AsyncClient) -> None:
    model = await register(admin, approximate_cache={"metric": "angular", "radius": 0.1})
    assert model["approximate_cache"] == {
        **{"metric": "angular", "radius": 0.1, "audit": 0.02, "budget": 0.01},
        **{"margin": None, "tolerance": None},
    }
    details = await call(admin, "GET", "/models/m/versions/1")
    assert details["approximate_cache_state"] == {
        **{"is_on": True, "reason": "", "entries": 0, "hits": 0},
        **{"audited": 0, "disagreed": 0, "upper_bound": 1.0},
    }


async def test_batching_and_hedging_come_back_as_they_were_asked_for(
    admin: httpx.AsyncClient,
) -> None:
    model = await register(admin, batching={"controller": "quantile", "wait_ms": 2}, hedging=0.05)
    assert model["batching"] == {"controller": "quantile", "size": None, "wait_ms": 2.0}
    assert (model["batch_size"], model["hedging"]) == (-1, 0.05)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xef\xbb\xbf{}",
        b'{"name": "\xff"}',
        b'{"name": NaN}',
        b'{"slo_ms": 1e999}',
        b'{"slo_ms": ' + b"9" * 5000 + b"}",
        b"[" * 200_000,
        b'{"name": ' + b"[" * 200_000,
    ],
    ids=lambda body: repr(body[:30]),
)
@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}], ids=str)
async def test_what_is_no_json_object_is_refused(
    admin: httpx.AsyncClient, body: bytes, headers: dict[str, str]
) -> None:
    response = await admin.post("/api/v1/applications", content=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_input"


@pytest.mark.parametrize("depth", [100, 500, 900])
async def test_a_deep_value_is_refused(admin: httpx.AsyncClient, depth: int) -> None:
    body = b'{"name": ' + b"[" * depth + b"]" * depth + b"}"
    response = await admin.post("/api/v1/applications", content=body)
    assert response.status_code in (400, 422)


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data", "nonsense"])
async def test_the_content_type_says_nothing(admin: httpx.AsyncClient, content_type: str) -> None:
    content = b'{"name": "a", "input_type": "d", "slo_ms": 5}'
    headers = {"Content-Type": content_type}
    response = await admin.post("/api/v1/applications", content=content, headers=headers)
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/applications/", 404, "not_found"),
        ("PATCH", "/applications", 405, "method_not_allowed"),
        ("GET", "/applications/a%2Fb", 404, "not_found"),
        ("GET", "/applications/%2e%2e", 404, "unknown_application"),
        ("GET", "/applications/%252e", 404, "unknown_application"),
        ("GET", "/applications/a%00", 404, "unknown_application"),
    ],
)
async def test_other_methods_and_routes_are_refused_in_json(
    admin: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    assert (await refusal(admin, method, path, expect=status))[0] == code


async def test_a_store_that_fails_is_unavailable(
    admin: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise StateError("The disk is full.", hint="Make room.")

    monkeypatch.setattr(services.catalogue, "add_application", fail)
    response = await admin.post("/api/v1/applications", json=APP)
    assert response.status_code == 503
    assert response.headers["retry-after"]
    expected = {"code": "store_unavailable", "message": "The disk is full.", "hint": "Make room."}
    assert response.json() == {"error": expected}


async def test_every_route_is_in_the_schema_with_its_errors(admin: httpx.AsyncClient) -> None:
    schema = (await admin.get("/openapi.json")).json()
    created = schema["paths"]["/api/v1/applications"]["post"]
    body = created["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/ApplicationRequest"}
    for status in ("400", "404", "409", "422", "503"):
        answer = created["responses"][status]["content"]["application/json"]["schema"]
        assert answer == {"$ref": "#/components/schemas/ErrorAnswer"}
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    assert schema["components"]["schemas"]["ApplicationRequest"]["additionalProperties"] is False
    assert not [path for path in schema["paths"] if path.startswith("/admin")]
