"""The query listener's routes, as applications call them; the fast path aside."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from clipper.abstraction.layer import Limits
from clipper.core.tasks import Tasks
from clipper.frontend.query_app import build_query_app
from tests.fakes.frames import frame
from tests.fakes.predicting import application
from tests.fakes.world import World, id_of

pytestmark = pytest.mark.looptime

LATE = "Failed to retrieve a prediction response within the specified latency SLO"
NO_MODELS = "No connected models found for query"


class Client:
    """Calls the listener's application without a listener."""

    def __init__(self, world: World, http: httpx.AsyncClient) -> None:
        self.world = world
        self.http = http

    async def post_frames(self, path: str, *frames: bytes) -> httpx.Response:
        """A body of frames."""
        headers = {"Content-Type": "application/octet-stream"}
        return await self.http.post(path, content=b"".join(frames), headers=headers)

    async def post(self, path: str, body: object) -> httpx.Response:
        """Whatever the body, and with no word about its type, as many clients do."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post(path, content=content)


@asynccontextmanager
async def serving(
    token: str = "", *, limits: Limits | None = None, **fields: Any
) -> AsyncIterator[Client]:
    """Application `a`, linked to a model that answers with what it was asked."""
    world = World(limits=limits)
    services = await world.start()
    await services.catalogue.add_application(application("a", **fields))
    await world.deploy("m:1")
    await services.catalogue.link("a", ["m"])
    transport = httpx.ASGITransport(build_query_app(services, token), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1337") as http:
        yield Client(world, http)
    await services.close()


@pytest.mark.parametrize("path", ["/a/predict", "/a/predict/"])
async def test_a_prediction(path: str) -> None:
    async with serving() as client:
        answer = await client.post(path, {"input": "7"})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["output"] == 7


async def test_explain_is_asked_for_in_the_url() -> None:
    async with serving() as client:
        assert "timing" in (await client.post("/a/predict?explain=1", {"input": "7"})).json()
        for query in ("", "?explain=0", "?explain", "?x=explain=1"):
            assert "timing" not in (await client.post(f"/a/predict{query}", {"input": "7"})).json()


async def test_frames_are_read_by_the_same_route() -> None:
    async with serving() as client:
        one = await client.post_frames("/a/predict?explain=1&version=1", frame("strings", b"7"))
        assert (one.json()["output"], one.json()["cache"]) == (7, "none")
        again = await client.post("/a/predict?explain=1", {"input": "7"})
        assert again.json()["cache"] == "exact"
        two = await client.post_frames(
            "/a/predict/", frame("strings", b"7"), frame("strings", b"8")
        )
        assert [answer["output"] for answer in two.json()["batch_predictions"]] == [7, 8]


@pytest.mark.parametrize(
    ("query", "body", "error", "cause"),
    [
        ("", frame("bytes", b"7"), "Frame error", "this application takes strings"),
        ("", b'{"input": "7"}', "Frame error", "application/json"),
        ("?version=9", frame("strings", b"7"), "Query processing error", "version: 9 does not"),
        ("?slo_ms=x", frame("strings", b"7"), "Query processing error", "slo_ms is 'x'"),
        ("?context=%ff", frame("strings", b"7"), "Query processing error", "not UTF-8"),
    ],
    ids=range(5),
)
async def test_frames_and_parameters_that_are_none_are_refused(
    query: str, body: bytes, error: str, cause: str
) -> None:
    async with serving() as client:
        answer = await client.post_frames(f"/a/predict{query}", body)
        assert (answer.status_code, answer.json()["error"]) == (400, error)
        assert cause in answer.json()["cause"]


async def test_with_json_the_urls_other_parameters_mean_nothing() -> None:
    async with serving() as client:
        answer = await client.post("/a/predict?version=9&slo_ms=x&context=%ff", {"input": "7"})
        assert answer.json()["output"] == 7


async def test_a_late_model_is_answered_for_by_the_deadline() -> None:
    async with serving() as client:
        client.world.behaviour("m:1").hangs = True
        started = asyncio.get_running_loop().time()
        answer = (await client.post("/a/predict", {"input": "7"})).json()
        assert answer["default_explanation"] == LATE
        assert asyncio.get_running_loop().time() - started == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "Json error"),
        (b"null", "Json error"),
        (b"[" * 200_000, "Json error"),
        (b'{"input": NaN}', "Json error"),
        ({"input": 1}, "Json error"),
        ({"input": "1", "version": "9"}, "Query processing error"),
        ({"input": "1", "slo_ms": -1}, "Query processing error"),
    ],
    ids=range(7),
)
async def test_what_is_no_query_is_refused(body: object, error: str) -> None:
    async with serving() as client:
        answer = await client.post("/a/predict", body)
        assert answer.status_code == 400
        assert answer.json()["error"] == error
        assert answer.json()["cause"]


async def test_overload_is_refused_with_the_time_to_come_back() -> None:
    async with serving(limits=Limits(queue=1), on_overload="reject") as client:
        client.world.behaviour("m:1").hangs = True
        tasks = Tasks()
        for data in ("1", "2"):
            tasks.spawn("ask", client.post("/a/predict", {"input": data}))
            await asyncio.sleep(0.01)
        answer = await client.post("/a/predict", {"input": "3"})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert answer.json()["error"] == "Overloaded"
        await tasks.cancel()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/x/predict", 404),
        ("POST", "/predict", 404),
        ("POST", "//predict", 404),
        ("POST", "/a/predict//", 404),
        ("POST", "/a/b/predict", 404),
        ("POST", "/..%2fa/predict", 404),
        ("POST", "/a%00/predict", 404),
        ("POST", f"/{'x' * 300}/predict", 404),
        ("POST", "/nope", 404),
        ("GET", "/", 404),
        ("GET", "/a/predict", 405),
        ("PUT", "/a/predict", 405),
        ("DELETE", "/a/feedback", 405),
        ("POST", "/metrics", 405),
    ],
)
async def test_other_routes_and_methods_are_refused_in_json(
    method: str, path: str, status: int
) -> None:
    async with serving() as client:
        answer = await client.http.request(method, path, content=b'{"input": "1"}')
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "cause"}
        assert len(answer.content) < 1000


async def test_before_the_store_was_read_a_query_is_to_be_sent_again() -> None:
    world = World()
    transport = httpx.ASGITransport(build_query_app(world.services, ""))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        answer = await http.post("/a/predict", json={"input": "1"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    await world.services.close()


async def test_a_request_that_is_cancelled_withdraws_its_queries() -> None:
    async with serving() as client:
        client.world.behaviour("m:1").fixed_s = 0.05
        tasks = Tasks()
        asking = tasks.spawn("ask", client.post("/a/predict", {"input": "1"}))
        asyncio.get_running_loop().call_later(0.05, asking.cancel)
        await asyncio.sleep(1)
        services = client.world.services
        assert services.predictor.active == 0
        assert client.world.states("m:1") == {0: "ready"}
        stats = services.metrics.applications["a"]
        assert stats.answered + stats.cancelled == 1


# Feedback


async def test_feedback_names_a_query_or_an_input() -> None:
    async with serving(policy="exp3") as client:
        query_id = (await client.post("/a/predict", {"input": "7"})).json()["query_id"]
        by_query = await client.post("/a/feedback", {"query_id": query_id, "label": 7})
        assert (by_query.status_code, by_query.json()) == (200, {"learned": True})
        again = await client.post("/a/feedback", {"query_id": query_id, "label": 7})
        assert again.json() == {"learned": False}
        by_input = await client.post("/a/feedback", {"input": "8", "label": 7, "context": "u"})
        assert by_input.json() == {"learned": True}


async def test_uid_and_context_name_the_same() -> None:
    async with serving(policy="exp3") as client:
        for body in ({"uid": 5}, {"context": "5"}):
            await client.post("/a/feedback", {"input": "7", "label": 0, **body})
        await client.post("/a/update", {"uid": 5, "input": "7", "label": 0})
        await client.post("/a/update", {"uid": 0, "input": "7", "label": 0})
        state = await client.world.services.feedback.state("a", "5")
        assert state.losses == {"m:1": 3.0}
        default = await client.world.services.feedback.state("a", "0")
        assert default.losses == {"m:1": 1.0}


async def test_feedback_in_the_old_form_is_answered_in_the_old_words() -> None:
    async with serving(policy="exp3") as client:
        answer = await client.post("/a/update", {"uid": 1, "input": "7", "label": 1.0})
        assert (answer.status_code, answer.text) == (200, "Feedback received? 1")
        assert answer.headers["content-type"] == "application/json"
    async with serving() as client:
        answer = await client.post("/a/update", {"uid": 1, "input": "7", "label": 1})
        assert answer.text == "Feedback received? 0"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("update", b"{", 400),
        ("update", [], 400),
        ("update", {"input": "7", "label": 1}, 400),
        ("update", {"uid": 1, "label": 1}, 400),
        ("update", {"uid": 1, "input": "7"}, 400),
        ("update", {"uid": 1, "input": "7", "label": "x"}, 400),
        ("update", {"uid": 1, "input": "7", "label": True}, 400),
        ("update", {"uid": "1", "input": "7", "label": 1}, 400),
        ("update", {"uid": 1.5, "input": "7", "label": 1}, 400),
        ("update", {"uid": 1, "input": 7, "label": 1}, 400),
        ("feedback", {}, 400),
        ("feedback", {"label": 1}, 400),
        ("feedback", {"query_id": 0}, 400),
        ("feedback", {"query_id": "0", "label": 1}, 400),
        ("feedback", {"query_id": True, "label": 1}, 400),
        ("feedback", {"query_id": 0.0, "label": 1}, 400),
        ("feedback", {"query_id": 99, "label": 1}, 404),
        ("feedback", {"query_id": -1, "label": 1}, 404),
        ("feedback", {"query_id": 10**100, "label": 1}, 404),
        ("feedback", {"input": "7", "label": "x"}, 400),
        ("feedback", {"input": "7", "label": 5}, 400),
        ("feedback", {"input": "7", "label": 10**400}, 400),
        ("feedback", {"input": "7", "label": 1e200}, 400),
        ("feedback", {"input": "7", "label": 1, "context": 5}, 400),
        ("feedback", {"input": "7", "label": 1, "context": "x" * 2000}, 400),
        ("feedback", {"input": "7", "label": "x" * 100_000}, 400),
    ],
    ids=range(26),
)
async def test_feedback_of_a_wrong_shape_is_refused_and_nothing_learned(
    path: str, body: object, status: int
) -> None:
    async with serving(policy="exp3", loss="squared") as client:
        answer = await client.post(f"/a/{path}", body)
        assert answer.status_code == status, answer.text
        assert set(answer.json()) == {"error", "cause"}
        assert len(answer.content) < 1000
        state = await client.world.services.feedback.state("a", "0")
        assert state.pulls == {}


async def test_feedback_for_an_application_that_is_not_there() -> None:
    async with serving() as client:
        for path, body in (("feedback", {"query_id": 1, "label": 1}), ("update", {})):
            assert (await client.post(f"/x/{path}", body)).status_code == 404


# Metrics, health, token


async def test_metrics_are_the_old_releases_unless_prometheus_asks() -> None:
    async with serving() as client:
        await client.post("/a/predict", {"input": "7"})
        old = await client.http.get("/metrics")
        assert {"app:a:num_predictions": {"count": "1"}} in old.json()["counters"]
        plain = await client.http.get("/metrics", headers={"Accept": "text/plain"})
        assert plain.headers["content-type"].startswith("text/plain")
        assert 'clipper_queries_total{app="a",outcome="answered"} 1.0' in plain.text
        accept = "application/openmetrics-text; version=1.0.0,text/plain;q=0.5"
        opened = await client.http.get("/metrics", headers={"Accept": accept})
        assert opened.headers["content-type"].startswith("application/openmetrics-text")
        assert opened.text.endswith("# EOF\n")


async def test_health_is_told() -> None:
    async with serving() as client:
        assert (await client.http.get("/health/live")).status_code == 200
        assert (await client.http.get("/health/ready")).json() == {"ready": True, "not_ready": []}
        await client.world.services.catalogue.scale(id_of("m:1"), 0)
        await asyncio.sleep(1)
        answer = await client.http.get("/health/ready")
        assert answer.status_code == 503
        reasons = ["Application 'a' has no live replica of m:1, which is scaled to 0."]
        assert answer.json()["not_ready"] == reasons


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer wrong", "Basic s3cret", "s3cret"])
async def test_where_a_token_is_set_nothing_but_health_is_open_without_it(
    given: str | None,
) -> None:
    async with serving("s3cret") as client:
        headers = {} if given is None else {"Authorization": given}
        for method, path in (("POST", "/a/predict"), ("GET", "/metrics"), ("POST", "/a/feedback")):
            answer = await client.http.request(method, path, headers=headers, content=b"{}")
            assert answer.status_code == 401
            assert answer.json()["cause"].startswith("The query token is missing or wrong.")
        assert (await client.http.get("/health/live", headers=headers)).status_code == 200


async def test_with_the_token_everything_is_open() -> None:
    async with serving("s3cret") as client:
        client.http.headers["Authorization"] = "Bearer s3cret"
        assert (await client.post("/a/predict", {"input": "7"})).status_code == 200
        assert (await client.http.get("/metrics")).status_code == 200


async def test_the_routes_are_described() -> None:
    async with serving() as client:
        paths = (await client.http.get("/openapi.json")).json()["paths"]
        assert {"/{name}/predict", "/{name}/feedback", "/{name}/update", "/metrics"} <= set(paths)
        predict = paths["/{name}/predict"]["post"]
        assert set(predict["requestBody"]["content"]) == {
            "application/json",
            "application/octet-stream",
        }
        named = {parameter["name"]: parameter["in"] for parameter in predict["parameters"]}
        assert named.pop("name") == "path"
        assert named == dict.fromkeys(("explain", "version", "context", "slo_ms"), "query")
