"""The admin listener as a whole: who may call it, and what it says when something is wrong."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from clipper.core.settings import Settings
from clipper.frontend.admin_app import build_admin_app
from clipper.serving.services import Services

TOKEN = "correct-horse"
MODEL = "172.18.0.2"
APP = b'{"name": "a", "input_type": "d", "default_output": "", "latency_slo_micros": 1000}'

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def serve(services: Services) -> Serve:
    """A client of a daemon with these settings."""

    @asynccontextmanager
    async def client(peer: str = "127.0.0.1", **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
        app = build_admin_app(services, Settings(**settings), MODEL.__eq__)
        transport = httpx.ASGITransport(app, client=(peer, 40_000))
        url = "http://127.0.0.1:1338"
        async with httpx.AsyncClient(transport=transport, base_url=url) as admin:
            yield admin

    return client


async def test_without_a_token_everybody_on_the_machine_may_call(serve: Serve) -> None:
    async with serve() as admin:
        assert (await admin.get("/api/v1/applications")).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_the_token_opens_everything(serve: Serve, scheme: str) -> None:
    async with serve(admin_token=TOKEN) as admin:
        admin.headers["Authorization"] = f"{scheme} {TOKEN}"
        for path in ("/api/v1/status", "/admin/ping", "/metrics", "/docs", "/openapi.json"):
            assert (await admin.get(path)).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN} {TOKEN}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        "Bearer \xff\xfe",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/status"),
        ("POST", "/api/v1/applications"),
        ("POST", "/admin/add_app"),
        ("GET", "/admin/ping"),
        ("GET", "/metrics"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/nothing"),
        ("GET", f"/api/v1/status?token={TOKEN}&access_token={TOKEN}&admin_token={TOKEN}"),
    ],
)
async def test_without_the_token_nothing_opens(
    serve: Serve, services: Services, method: str, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {b"Authorization": authorization.encode("latin-1")}
    async with serve(admin_token=TOKEN) as admin:
        response = await admin.request(method, path, headers=headers, content=APP)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["content-type"] == "application/json"
    assert "error" in response.json()
    assert TOKEN not in response.text
    assert not services.catalogue.config.applications


@pytest.mark.parametrize("path", ["/api/v1/status", "/admin/ping", "/metrics", "/health/live"])
async def test_beyond_loopback_a_model_may_call_nothing_whatever_it_knows(
    serve: Serve, path: str
) -> None:
    settings = {"host": "0.0.0.0", "admin_token": TOKEN}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with serve(MODEL, **settings) as admin:
        response = await admin.get(path, headers=headers)
    assert response.status_code == 403
    assert "container may not administer" in response.text
    async with serve("172.18.0.1", **settings) as admin:
        assert (await admin.get(path, headers=headers)).status_code in (200, 404)


async def test_two_authorizations_are_none(serve: Serve) -> None:
    headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer other")]
    async with serve(admin_token=TOKEN) as admin:
        assert (await admin.get("/admin/ping", headers=headers)).status_code == 401


async def test_health_needs_no_token(serve: Serve) -> None:
    async with serve(admin_token=TOKEN) as admin:
        assert (await admin.get("/health/live")).status_code == 200
        assert (await admin.get("/health/ready")).status_code == 200
        assert (await admin.get("/health/other")).status_code == 401


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:1338",
        "localhost",
        "LOCALHOST:1",
        "localhost.",
        "[::1]:1338",
        "127.9.9.9",
    ],
)
@pytest.mark.parametrize("bound", ["127.0.0.1", "localhost", "::1"])
async def test_a_daemon_on_loopback_answers_to_the_names_of_loopback(
    serve: Serve, host: str, bound: str
) -> None:
    async with serve(host=bound) as admin:
        assert (await admin.get("/admin/ping", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:1338",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example@localhost",
        "localhost@evil.example",
        "localhost:1338:evil",
        "localhost/evil",
        "10.0.0.1",
        "[::2]",
        "::1]",
        "",
        " ",
    ],
)
@pytest.mark.parametrize("path", ["/admin/ping", "/api/v1/status", "/health/live", "/metrics"])
async def test_a_daemon_on_loopback_answers_to_no_other_name(
    serve: Serve, host: str, path: str
) -> None:
    async with serve() as admin:
        response = await admin.get(path, headers={"Host": host})
    assert response.status_code == 403
    assert "error" in response.json()


async def test_two_hosts_must_both_be_ours(serve: Serve) -> None:
    async with serve() as admin:
        headers = [("Host", "localhost"), ("Host", "evil.example")]
        assert (await admin.get("/admin/ping", headers=headers)).status_code == 403


async def test_a_daemon_for_other_machines_answers_to_every_name(serve: Serve) -> None:
    async with serve(host="0.0.0.0", admin_token=TOKEN) as admin:
        headers = {"Host": "clipper.internal", "Authorization": f"Bearer {TOKEN}"}
        assert (await admin.get("/admin/ping", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8080"},
        {"Origin": "http://localhost:1338"},
        {"Origin": "http://[bad"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8080"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:1338"},
    ],
    ids=str,
)
@pytest.mark.parametrize("content_type", ["text/plain", "application/json"])
async def test_a_page_of_another_origin_changes_nothing(
    serve: Serve, services: Services, headers: dict[str, str], content_type: str
) -> None:
    async with serve() as admin:
        headers = {**headers, "Content-Type": content_type}
        response = await admin.post("/admin/add_app", content=APP, headers=headers)
        assert response.status_code == 403
        assert set(response.json()) == {"error", "cause"}
        response = await admin.delete("/api/v1/applications/a", headers=headers)
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "forbidden"
    assert not services.catalogue.config.applications


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://127.0.0.1:1338"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:1338"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
async def test_programs_and_the_own_page_may_post(serve: Serve, headers: dict[str, str]) -> None:
    async with serve() as admin:
        response = await admin.post("/admin/add_app", content=APP, headers=headers)
        assert response.status_code == 200


async def test_no_page_of_another_origin_is_let_in_by_cors(serve: Serve) -> None:
    async with serve() as admin:
        headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        response = await admin.options("/admin/add_app", headers=headers)
        assert response.status_code == 405
        assert not [name for name in response.headers if name.startswith("access-control")]


async def test_the_daemon_is_live_and_ready(serve: Serve) -> None:
    async with serve() as admin:
        live, ready = await admin.get("/health/live"), await admin.get("/health/ready")
    assert (live.status_code, live.json()) == (200, {"live": True})
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "not_ready": []})


async def test_a_daemon_that_is_not_ready_says_why(serve: Serve, services: Services) -> None:
    services.predictor.is_loaded = False
    async with serve() as admin:
        ready = await admin.get("/health/ready")
        assert (await admin.get("/health/live")).status_code == 200
    assert ready.status_code == 503
    assert ready.json()["ready"] is False
    assert "memory://" in ready.json()["not_ready"][0]


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/plain;version=9.9.9"])
async def test_metrics_are_text_for_prometheus(
    serve: Serve, services: Services, accept: str | None
) -> None:
    services.metrics.application("a").answered += 3
    async with serve() as admin:
        headers = {} if accept is None else {"Accept": accept}
        response = await admin.get("/metrics", headers=headers)
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'clipper_queries_total{app="a",outcome="answered"} 3.0' in response.text


async def test_metrics_are_openmetrics_where_asked_for(serve: Serve, services: Services) -> None:
    services.metrics.application("a").answered += 3
    async with serve() as admin:
        accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4"
        response = await admin.get("/metrics", headers={"Accept": accept})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert 'clipper_queries_total{app="a",outcome="answered"} 3.0' in response.text
    assert response.text.endswith("# EOF\n")


async def test_the_documentation_is_served(serve: Serve) -> None:
    async with serve() as admin:
        response = await admin.get("/docs")
    assert response.status_code == 200
    assert "text/html" in response.headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nothing", 404),
        ("GET", "/%00", 404),
        ("GET", "/%252e%252e/etc/passwd", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/health/live", 405),
        ("GET", "/metrics/", 404),
    ],
)
async def test_other_routes_and_methods_are_refused_in_json(
    serve: Serve, method: str, path: str, status: int
) -> None:
    async with serve() as admin:
        response = await admin.request(method, path)
    assert response.status_code == status
    assert set(response.json()) == {"error", "cause"}
    if status == 405:
        assert response.headers["allow"]


async def test_a_long_path_is_not_repeated_in_full(serve: Serve) -> None:
    async with serve() as admin:
        assert len((await admin.get("/" + "x" * 5000)).text) < 500


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [("POST", "/admin/add_app", APP), ("GET", "/api/v1/applications", b"")],
)
async def test_what_nobody_foresaw_is_logged_and_not_told(
    serve: Serve,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    content: bytes,
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("the password is swordfish")

    async with serve() as admin:
        monkeypatch.setattr(services.catalogue, "config", Broken())
        monkeypatch.setattr(services.catalogue, "add_application", Broken)
        with caplog.at_level(logging.ERROR):
            response = await admin.request(method, path, content=content)
    assert response.status_code == 500
    assert "error" in response.json()
    assert "swordfish" not in response.text
    assert path in caplog.text
    assert caplog.records[-1].exc_info


@pytest.mark.parametrize("path", ["/admin/add_app", "/api/v1/applications"])
async def test_a_client_that_leaves_while_it_sends_gets_no_answer_and_makes_no_noise(
    services: Services, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    messages: list[Any] = [
        {"type": "http.request", "body": APP[:10], "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:1338")],
    }
    await build_admin_app(services, Settings())(scope, receive, send)
    assert sent == []
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert not services.catalogue.config.applications
