"""The old release's admin routes: every text of the contract, and what JSON is refused."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from clipper.core.types import (
    ApproximateCache,
    Deployment,
    Input,
    InputType,
    Model,
    ModelId,
    ReplicaId,
)
from clipper.deploy.manager import Exit
from clipper.serving.services import Services
from tests.fakes.serving import FakeManager

pytestmark = pytest.mark.looptime

APP = {
    "name": "a",
    "input_type": "doubles",
    "default_output": "-1.0",
    "latency_slo_micros": 100000,
}
MODEL = {
    "model_name": "m",
    "model_version": "1",
    "labels": ["x", "y"],
    "input_type": "doubles",
    "container_name": "clipper/noop:1",
    "model_data_path": "DEPRECATED",
    "batch_size": -1,
}
PARSING = "Error parsing JSON: "


async def post(admin: httpx.AsyncClient, route: str, body: Any) -> httpx.Response:
    """As the old client does it; every answer to it claims to be JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = await admin.post(f"/admin/{route}", content=content)
    assert response.headers["content-type"] == "application/json"
    return response


async def ok(admin: httpx.AsyncClient, route: str, **body: Any) -> str:
    """The text of a success."""
    response = await post(admin, route, body)
    assert response.status_code == 200, response.text
    return response.text


async def refused(admin: httpx.AsyncClient, route: str, **body: Any) -> str:
    """The text of a refusal."""
    response = await post(admin, route, body)
    assert response.status_code == 400, response.text
    return response.text


async def with_link(admin: httpx.AsyncClient, **app: Any) -> None:
    """Application a, model m:1, and a link between them."""
    await ok(admin, "add_app", **{**APP, **app})
    await ok(admin, "add_model", **MODEL)
    await ok(admin, "add_model_links", app_name="a", model_names=["m"])


async def deploy(services: Services, replicas: int) -> None:
    """Model m:1 with that many replicas, all of them ready."""
    deployment = Deployment("process", "noop", "/models/m", replicas=replicas)
    model = Model(ModelId("m", "1"), InputType.DOUBLES, deployment=deployment)
    await services.deployer.deploy(model, 1.0)
    await asyncio.sleep(0.1)


async def test_ping_is_answered_in_plain_words(admin: httpx.AsyncClient) -> None:
    response = await admin.get("/admin/ping")
    assert (response.status_code, response.text) == (200, "PONG")
    assert response.headers["content-type"] == "application/json"


async def test_an_application_is_added(admin: httpx.AsyncClient) -> None:
    assert await ok(admin, "add_app", **APP) == "Successfully added application with name 'a'"
    assert json.loads(await ok(admin, "get_application", name="a")) == {**APP, "linked_models": []}


async def test_adding_an_application_is_not_idempotent(admin: httpx.AsyncClient) -> None:
    await ok(admin, "add_app", **APP)
    assert await refused(admin, "add_app", **APP) == "application 'a' already exists"


async def test_an_application_is_deleted_once(admin: httpx.AsyncClient) -> None:
    await ok(admin, "add_app", **APP)
    expected = "Successfully deleted application with name 'a'"
    assert await ok(admin, "delete_app", name="a") == expected
    assert await refused(admin, "delete_app", name="a") == "Application 'a' does not exist"


async def test_a_model_is_added_and_becomes_current(admin: httpx.AsyncClient) -> None:
    text = await ok(admin, "add_model", **{**MODEL, "input_type": "d"})
    assert text == "Successfully added model with name 'm' and input type 'doubles'"
    shown = json.loads(await ok(admin, "get_model", model_name="m", model_version="1"))
    expected = {key: value for key, value in MODEL.items() if key != "batch_size"}
    assert shown == {**expected, "is_current_version": True}


async def test_no_labels_come_back_as_no_labels(admin: httpx.AsyncClient) -> None:
    await ok(admin, "add_model", **{**MODEL, "labels": []})
    shown = json.loads(await ok(admin, "get_model", model_name="m", model_version="1"))
    assert shown["labels"] == []


async def test_a_version_cannot_be_added_twice(admin: httpx.AsyncClient) -> None:
    await ok(admin, "add_model", **MODEL)
    expected = "model with name 'm' and version '1' already exists"
    assert await refused(admin, "add_model", **MODEL) == expected


@pytest.mark.parametrize(
    ("key", "value", "kind", "shown"),
    [
        ("model_name", "m:n", "model name", "m:n"),
        ("model_name", "m,n", "model name", "m,n"),
        ("model_version", "1:2", "model version", "1:2"),
        ("labels", ["good", "b,d"], "label", "b,d"),
    ],
)
async def test_separators_are_refused_in_the_old_words(
    admin: httpx.AsyncClient, key: str, value: Any, kind: str, shown: str
) -> None:
    text = await refused(admin, "add_model", **{**MODEL, key: value})
    assert text == f"Invalid {kind} supplied: {shown}. Contains one of: ',', ':'"


@pytest.mark.parametrize("batch_size", [0, -2, -(2**31)])
async def test_batch_sizes_are_positive_or_the_default(
    admin: httpx.AsyncClient, batch_size: int
) -> None:
    text = await refused(admin, "add_model", **{**MODEL, "batch_size": batch_size})
    assert text == "The batch size must be positive or DEFAULT_BATCH_SIZE, which is -1"


async def test_the_batch_size_is_checked_before_the_names(admin: httpx.AsyncClient) -> None:
    text = await refused(admin, "add_model", **{**MODEL, "batch_size": 0, "model_name": "m:n"})
    assert text.startswith("The batch size must be positive")


async def test_a_new_version_keeps_the_input_type_of_linked_applications(
    admin: httpx.AsyncClient,
) -> None:
    await with_link(admin)
    changed = {**MODEL, "model_version": "2", "input_type": "strings"}
    text = await refused(admin, "add_model", **changed)
    assert "'m'" in text
    assert "'a'" in text
    assert "input_type" in text


async def test_a_version_is_rolled_back(admin: httpx.AsyncClient) -> None:
    await ok(admin, "add_model", **MODEL)
    await ok(admin, "add_model", **{**MODEL, "model_version": "2"})
    text = await ok(admin, "set_model_version", model_name="m", model_version="1")
    assert text == "Successfully set model with name 'm' to version '1'"
    models = json.loads(await ok(admin, "get_all_models", verbose=True))
    current = {model["model_version"]: model["is_current_version"] for model in models}
    assert current == {"1": True, "2": False}


async def test_setting_a_version_needs_the_model_and_the_version(
    admin: httpx.AsyncClient,
) -> None:
    text = await refused(admin, "set_model_version", model_name="m", model_version="1")
    assert text == "Cannot set version for nonexistent model 'm'"
    await ok(admin, "add_model", **MODEL)
    text = await refused(admin, "set_model_version", model_name="m", model_version="7")
    assert text == "Cannot set non-existent version '7' for model with name 'm'"


async def test_rolling_to_a_version_of_another_input_type_is_refused(
    admin: httpx.AsyncClient,
) -> None:
    await ok(admin, "add_app", **APP)
    await ok(admin, "add_model", **{**MODEL, "input_type": "strings"})
    await ok(admin, "add_model", **{**MODEL, "model_version": "2"})
    await ok(admin, "add_model_links", app_name="a", model_names=["m"])
    text = await refused(admin, "set_model_version", model_name="m", model_version="1")
    assert "incompatible input_type" in text


async def test_a_version_is_deleted_once(admin: httpx.AsyncClient) -> None:
    await ok(admin, "add_model", **MODEL)
    version = {"model_name": "m", "model_version": "1"}
    text = await ok(admin, "delete_versioned_model", **version)
    assert text == "Successfully deleted model with name 'm' and version '1'"
    text = await refused(admin, "delete_versioned_model", **version)
    assert text == "model with name 'm' and version '1' does not exist"
    await ok(admin, "add_model", **MODEL)


async def test_a_model_is_linked(admin: httpx.AsyncClient) -> None:
    await ok(admin, "add_app", **APP)
    await ok(admin, "add_model", **MODEL)
    text = await ok(admin, "add_model_links", app_name="a", model_names=["m"])
    assert text == "Successfully linked model with name 'm' to application 'a'"
    assert json.loads(await ok(admin, "get_linked_models", app_name="a")) == ["m"]


async def test_links_are_refused_in_the_order_of_the_contract(admin: httpx.AsyncClient) -> None:
    async def link(*models: str) -> str:
        return await refused(admin, "add_model_links", app_name="a", model_names=list(models))

    assert await link("m") == "No app with name 'a' exists."
    await ok(admin, "add_app", **APP)
    assert await link("m", "n") == "No model with name 'm' exists."
    await ok(admin, "add_model", **{**MODEL, "model_name": "text", "input_type": "strings"})
    assert "has incompatible input_type 'strings'" in await link("text", "text")
    expected = "Please provide the name of the model that you want to link to the application 'a'"
    assert await link() == expected
    await ok(admin, "add_model", **MODEL)
    await ok(admin, "add_model", **{**MODEL, "model_name": "o"})
    assert (await link("m", "o")).startswith("Applications must be linked with at most one model. ")
    await ok(admin, "add_model_links", app_name="a", model_names=["o"])
    assert await link("o") == "The model with name 'o' is already linked to 'a'"
    assert await link("m") == "A model with name o is already linked to 'a'."


async def test_a_policy_for_many_models_may_be_linked_to_many(admin: httpx.AsyncClient) -> None:
    await ok(admin, "add_app", **APP, selection_policy="exp3")
    await ok(admin, "add_model", **MODEL)
    await ok(admin, "add_model", **{**MODEL, "model_name": "o"})
    await ok(admin, "add_model_links", app_name="a", model_names=["m", "o"])
    assert json.loads(await ok(admin, "get_linked_models", app_name="a")) == ["m", "o"]


async def test_a_link_is_removed_once(admin: httpx.AsyncClient) -> None:
    link = {"app_name": "a", "model_names": ["m"]}
    assert await refused(admin, "delete_model_links", **link) == "No app with name a exists."
    await with_link(admin)
    assert await ok(admin, "delete_model_links", **link) == "Success!"
    text = await refused(admin, "delete_model_links", **link)
    assert text == "Cannot remove nonexistent link between app a and model m"


async def test_linked_models_of_an_unknown_application_are_refused(
    admin: httpx.AsyncClient,
) -> None:
    text = await refused(admin, "get_linked_models", app_name="a")
    assert text == "No application with name 'a' exists."


async def test_applications_are_listed_by_name_and_in_full(admin: httpx.AsyncClient) -> None:
    assert json.loads(await ok(admin, "get_all_applications", verbose=True)) == []
    await ok(admin, "add_app", **{**APP, "name": "b"})
    await with_link(admin)
    assert json.loads(await ok(admin, "get_all_applications", verbose=False)) == ["a", "b"]
    assert json.loads(await ok(admin, "get_all_applications", verbose=True)) == [
        {**APP, "linked_models": ["m"]},
        {**APP, "name": "b", "linked_models": []},
    ]


async def test_models_are_listed_by_id(admin: httpx.AsyncClient) -> None:
    assert json.loads(await ok(admin, "get_all_models", verbose=False)) == []
    await ok(admin, "add_model", **{**MODEL, "model_version": "2"})
    await ok(admin, "add_model", **MODEL)
    assert json.loads(await ok(admin, "get_all_models", verbose=False)) == ["m:2", "m:1"]


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("get_application", {"name": "a"}),
        ("get_application", {"name": "../x"}),
        ("get_model", {"model_name": "m", "model_version": "1"}),
        ("get_container", {"model_name": "m", "model_version": "1", "replica_id": 0}),
    ],
)
async def test_what_does_not_exist_is_an_empty_object_to_a_get(
    admin: httpx.AsyncClient, route: str, body: Any
) -> None:
    assert await ok(admin, route, **body) == "{}"


async def test_ready_replicas_are_containers(
    admin: httpx.AsyncClient, services: Services, containers: FakeManager
) -> None:
    assert json.loads(await ok(admin, "get_all_containers", verbose=False)) == []
    await deploy(services, replicas=3)
    containers.containers[ReplicaId(ModelId("m", "1"), 1)].end(Exit(-9, "was killed by SIGKILL"))
    await asyncio.sleep(0.1)
    assert json.loads(await ok(admin, "get_all_containers", verbose=False)) == ["m:1:0", "m:1:2"]
    expected = {
        "model_id": "m:1",
        "model_name": "m",
        "model_version": "1",
        "model_replica_id": 2,
        "input_type": "doubles",
    }
    assert json.loads(await ok(admin, "get_all_containers", verbose=True))[1] == expected
    wanted = {"model_name": "m", "model_version": "1"}
    assert json.loads(await ok(admin, "get_container", **wanted, replica_id=2)) == expected
    assert await ok(admin, "get_container", **wanted, replica_id=1) == "{}"


async def test_the_state_of_a_policy_that_learns_nothing_is_the_default_output(
    admin: httpx.AsyncClient,
) -> None:
    await ok(admin, "add_app", **APP)
    assert await ok(admin, "get_state", app_name="a", uid=7) == "-1.0"


async def test_the_state_is_that_of_the_user(admin: httpx.AsyncClient, services: Services) -> None:
    await ok(admin, "add_app", **APP, selection_policy="exp3")
    await deploy(services, replicas=1)
    await ok(admin, "add_model_links", app_name="a", model_names=["m"])
    assert await services.feedback.by_input("a", Input(b"\0" * 8), 1, "7")
    assert json.loads(await ok(admin, "get_state", app_name="a", uid=7))["pulls"] == {"m:1": 1}
    assert json.loads(await ok(admin, "get_state", app_name="a", uid=0))["pulls"] == {}


async def test_the_state_of_an_unknown_application_is_refused(admin: httpx.AsyncClient) -> None:
    text = await refused(admin, "get_state", app_name="a", uid=0)
    assert text == "No application with name 'a' exists."


REQUIRED: dict[str, dict[str, Any]] = {
    "add_app": APP,
    "delete_app": {"name": "a"},
    "add_model": MODEL,
    "set_model_version": {"model_name": "m", "model_version": "1"},
    "delete_versioned_model": {"model_name": "m", "model_version": "1"},
    "add_model_links": {"app_name": "a", "model_names": ["m"]},
    "delete_model_links": {"app_name": "a", "model_names": ["m"]},
    "get_linked_models": {"app_name": "a"},
    "get_all_applications": {"verbose": True},
    "get_application": {"name": "a"},
    "get_all_models": {"verbose": True},
    "get_model": {"model_name": "m", "model_version": "1"},
    "get_all_containers": {"verbose": True},
    "get_container": {"model_name": "m", "model_version": "1", "replica_id": 0},
    "get_state": {"app_name": "a", "uid": 0},
}


@pytest.mark.parametrize(
    ("route", "key"), [(route, key) for route, body in REQUIRED.items() for key in body]
)
async def test_every_key_is_required(admin: httpx.AsyncClient, route: str, key: str) -> None:
    body = {name: value for name, value in REQUIRED[route].items() if name != key}
    text = await refused(admin, route, **body)
    assert text == f"{PARSING}JSON object does not have required key: {key}"


@pytest.mark.parametrize(
    ("route", "key"), [(route, key) for route, body in REQUIRED.items() for key in body]
)
async def test_a_value_of_another_type_is_refused_by_name(
    admin: httpx.AsyncClient, route: str, key: str
) -> None:
    text = await refused(admin, route, **{**REQUIRED[route], key: {"not": "this"}})
    assert text.startswith(f"{PARSING}Type mismatch! JSON key {key} expected type ")


@pytest.mark.parametrize(
    "literal", [b"true", b"1.0", b"1e3", b'"5"', b"null", b"2147483648", b"-2147483649", b"[1]"]
)
@pytest.mark.parametrize(
    ("route", "key"),
    [("add_app", "latency_slo_micros"), ("add_model", "batch_size"), ("get_state", "uid")],
)
async def test_integers_are_literals_of_32_bits(
    admin: httpx.AsyncClient, route: str, key: str, literal: bytes
) -> None:
    body = json.dumps({**REQUIRED[route], key: "@"}).encode().replace(b'"@"', literal)
    response = await post(admin, route, body)
    assert response.status_code == 400
    assert f"JSON key {key} expected type 32-bit integer" in response.text


@pytest.mark.parametrize("verbose", [0, 1, "true", None])
async def test_verbose_is_a_boolean(admin: httpx.AsyncClient, verbose: Any) -> None:
    assert "expected type boolean" in await refused(admin, "get_all_models", verbose=verbose)


@pytest.mark.parametrize("models", ["m", [1], [["m"]], {"m": 1}])
async def test_model_names_are_an_array_of_strings(admin: httpx.AsyncClient, models: Any) -> None:
    text = await refused(admin, "add_model_links", app_name="a", model_names=models)
    assert "expected type array of strings" in text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"7",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        '{"name": "a"}'.encode("utf-16"),
        b'{"name": "\xff"}',
        b'{"\xff": 1}',
        b'{"name": "\\ud800"}',
        b'{"name": "a", "x": NaN}',
        b'{"name": "a", "x": -Infinity}',
        b'{"name": "a", "x": 1e999}',
        b'{"name": "a", "x": ' + b"9" * 5000 + b"}",
        b"[" * 200_000,
        b'{"name": ' + b"[" * 200_000,
        b'{"name": "a", "x": ' + b'{"x":' * 100_000 + b"1" + b"}" * 100_001,
    ],
    ids=lambda body: repr(body[:30]),
)
async def test_what_is_no_json_object_is_refused(admin: httpx.AsyncClient, body: bytes) -> None:
    response = await post(admin, "get_application", body)
    assert response.status_code == 400
    assert response.text.startswith(PARSING)
    assert len(response.text) < 300


@pytest.mark.parametrize("depth", [10, 100, 500, 900])
async def test_a_deep_value_in_the_place_of_a_name_is_refused(
    admin: httpx.AsyncClient, depth: int
) -> None:
    body = b'{"name": ' + b"[" * depth + b"]" * depth + b"}"
    response = await post(admin, "get_application", body)
    assert response.status_code == 400
    assert response.text.startswith(PARSING)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "nonsense", "text/xml"]
)
async def test_the_content_type_says_nothing(admin: httpx.AsyncClient, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    response = await admin.post("/admin/add_app", content=json.dumps(APP), headers=headers)
    assert response.status_code == 200


async def test_foreign_keys_are_ignored(admin: httpx.AsyncClient) -> None:
    await ok(admin, "add_app", **APP, candidate_model_names=["m"], whatever=None)
    await ok(admin, "add_model", **MODEL, whatever={"a": 1e300})


async def test_of_a_key_given_twice_the_last_counts(admin: httpx.AsyncClient) -> None:
    response = await post(admin, "delete_app", b'{"name": "first", "name": "last"}')
    assert response.text == "Application 'last' does not exist"


@pytest.mark.parametrize("route", ["add_app", "add_model"])
async def test_an_unknown_input_type_is_named(admin: httpx.AsyncClient, route: str) -> None:
    text = await refused(admin, route, **{**REQUIRED[route], "input_type": "complex"})
    assert text == "complex is not a valid input string"


@pytest.mark.parametrize("slo", [0, -1, -(2**31)])
async def test_a_latency_objective_is_positive(admin: httpx.AsyncClient, slo: int) -> None:
    assert "latency_slo_micros" in await refused(
        admin, "add_app", **{**APP, "latency_slo_micros": slo}
    )


BAD_NAMES = ["", "../x", "a/b", ".hidden", "-x", "a b", "x" * 129, "a\x00", "a\n", "über", "a%2fb"]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize(
    ("route", "key"),
    [("add_app", "name"), ("add_model", "model_name"), ("add_model", "model_version")],
)
async def test_names_are_from_an_allow_list(
    admin: httpx.AsyncClient, services: Services, route: str, key: str, name: str
) -> None:
    assert "Invalid" in await refused(admin, route, **{**REQUIRED[route], key: name})
    assert not services.catalogue.config.applications
    assert not services.catalogue.config.models


async def test_the_longest_name_is_accepted(admin: httpx.AsyncClient) -> None:
    await ok(admin, "add_app", **{**APP, "name": "A1._-" + "x" * 123})


async def test_our_keys_are_taken(admin: httpx.AsyncClient, services: Services) -> None:
    ours = {
        "selection_policy": {"name": "exp3", "eta": 0.5},
        "loss": "absolute",
        "on_overload": "reject",
        "confidence_threshold": 0.7,
    }
    await ok(admin, "add_app", **APP, **ours)
    app = services.catalogue.config.applications["a"]
    assert (app.policy, app.policy_params) == ("exp3", {"eta": 0.5})
    assert (app.loss, app.on_overload) == ("absolute", "reject")
    assert app.confidence_threshold == 0.7


async def test_without_our_keys_the_defaults_apply(
    admin: httpx.AsyncClient, services: Services
) -> None:
    await ok(admin, "add_app", **APP)
    app = services.catalogue.config.applications["a"]
    assert (app.policy, app.loss, app.on_overload) == ("single", "zero_one", "default")
    assert app.confidence_threshold == 0.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("confidence_threshold", 1.7),
        ("confidence_threshold", "much"),
        ("confidence_threshold", True),
        ("loss", "hinge"),
        ("loss", 1),
        ("on_overload", "panic"),
        ("selection_policy", "exp5"),
        ("selection_policy", "ensemble"),
        ("selection_policy", {"eta": 0.1}),
        ("selection_policy", {"name": ["exp3"]}),
        ("selection_policy", ["exp3"]),
        ("selection_policy", 3),
    ],
)
async def test_a_key_of_ours_that_cannot_be_honoured_is_refused_by_name(
    admin: httpx.AsyncClient, services: Services, key: str, value: Any
) -> None:
    assert key in await refused(admin, "add_app", **APP, **{key: value})
    assert not services.catalogue.config.applications


@pytest.mark.parametrize("params", [{"eta": 0}, {"eta": "fast"}, {"gamma": 0.1}])
async def test_parameters_that_a_policy_does_not_take_are_refused(
    admin: httpx.AsyncClient, params: Any
) -> None:
    text = await refused(admin, "add_app", **APP, selection_policy={"name": "exp3", **params})
    assert "exp3" in text


@pytest.mark.parametrize(
    ("batch_size", "batching", "expected"),
    [
        (8, {"controller": "aimd"}, None),
        (-1, {"controller": "aimd", "wait_ms": 0}, -1),
        (-1, {}, -1),
        (-1, {"controller": "fixed", "size": 8}, 8),
        (8, {"controller": "fixed", "size": 8, "wait_ms": 0.0}, 8),
        (4, {"controller": "fixed", "size": 8}, None),
        (-1, {"controller": "fixed"}, None),
        (-1, {"controller": "fixed", "size": 0}, None),
        (-1, {"controller": "fixed", "size": True}, None),
        (-1, {"controller": "fixed", "size": 2.0}, None),
        (-1, {"controller": "aimd", "size": 8}, None),
        (-1, {"controller": "quantile"}, -1),
        (-1, {"controller": "best"}, None),
        (-1, {"controller": "aimd", "wait_ms": 2}, -1),
        (-1, {"controller": "aimd", "wait_ms": False}, None),
        (-1, {"controller": "aimd", "wait_ms": -1}, None),
        (-1, {"controller": "aimd", "wait_ms": 1e9}, None),
        (-1, {"controller": "aimd", "wait": 2}, None),
        (-1, "aimd", None),
    ],
)
async def test_batching_is_taken_or_refused_by_name(
    admin: httpx.AsyncClient, services: Services, batch_size: int, batching: Any, expected: Any
) -> None:
    body = {**MODEL, "batch_size": batch_size, "batching": batching}
    if expected is None:
        assert "batching" in await refused(admin, "add_model", **body)
    else:
        await ok(admin, "add_model", **body)
        model = services.catalogue.config.models[ModelId("m", "1")]
        assert model.batch_size == expected
        asked = batching.get("controller", "aimd"), batching.get("wait_ms", 0)
        assert asked in ((model.controller, model.batch_wait_ms), ("fixed", model.batch_wait_ms))


async def test_an_approximate_cache_is_kept(admin: httpx.AsyncClient, services: Services) -> None:
    asked = {"metric": "euclidean", "radius": 2, "audit": 0.5, "margin": None}
    await ok(admin, "add_model", **MODEL, approximate_cache=asked)
    model = services.catalogue.config.models[ModelId("m", "1")]
    assert model.approximate_cache == ApproximateCache("euclidean", 2.0, audit=0.5)


@pytest.mark.parametrize(
    "asked",
    [
        "angular",
        {},
        {"metric": "angular"},
        {"radius": 0.1},
        {"metric": "cosine", "radius": 0.1},
        {"metric": "angular", "radius": "0.1"},
        {"metric": "angular", "radius": None},
        {"metric": "angular", "radius": True},
        {"metric": "angular", "radius": 0.1, "budgett": 0.1},
    ],
)
async def test_an_approximate_cache_that_cannot_be_read_is_refused_by_name(
    admin: httpx.AsyncClient, asked: Any
) -> None:
    text = await refused(admin, "add_model", **MODEL, approximate_cache=asked)
    assert "approximate_cache" in text


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"metric": "angular", "radius": 3}, "The radius is 3"),
        ({"metric": "euclidean", "radius": -1}, "The radius is -1"),
        ({"metric": "angular", "radius": 0.1, "audit": 0}, "The audited share is 0"),
        ({"metric": "angular", "radius": 0.1, "budget": 1}, "The budget is 1"),
        ({"metric": "angular", "radius": 0.1, "margin": -1}, "The margin is -1"),
        ({"metric": "angular", "radius": 0.1, "tolerance": -1}, "The tolerance is -1"),
    ],
)
async def test_an_approximate_cache_out_of_range_is_refused(
    admin: httpx.AsyncClient, asked: Any, problem: str
) -> None:
    assert problem in await refused(admin, "add_model", **MODEL, approximate_cache=asked)


async def test_texts_are_never_near_each_other(admin: httpx.AsyncClient) -> None:
    body = {**MODEL, "input_type": "strings"}
    asked = {"metric": "angular", "radius": 0.1}
    text = await refused(admin, "add_model", **body, approximate_cache=asked)
    assert "Inputs of type strings have no distance" in text


async def test_what_is_refused_leaves_nothing_behind(
    admin: httpx.AsyncClient, services: Services
) -> None:
    await refused(admin, "add_model", **MODEL, approximate_cache={})
    assert not services.catalogue.config.models


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/admin/add_app", 405),
        ("POST", "/admin/ping", 405),
        ("POST", "/admin/add_app/", 404),
        ("POST", "/admin/nothing", 404),
        ("POST", "/admin/", 404),
        ("GET", "//admin/ping", 404),
        ("GET", "/admin//ping", 404),
    ],
)
async def test_other_methods_and_routes_are_refused_in_json(
    admin: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await admin.request(method, httpx.URL(f"http://127.0.0.1:1338{path}"))
    assert response.status_code == status
    assert set(response.json()) == {"error", "cause"}
    assert response.headers["content-type"] == "application/json"
