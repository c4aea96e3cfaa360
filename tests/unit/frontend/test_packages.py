"""`/api/v1/packages`: parts that are no JSON, and the path that comes of them."""

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from clipper.core.settings import Settings
from clipper.deploy.packages import Packages
from clipper.frontend.admin_app import build_admin_app
from clipper.serving.services import Services


@pytest.fixture
async def client(services: Services, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Of a daemon that keeps packages."""
    services.packages = Packages(tmp_path)
    transport = httpx.ASGITransport(build_admin_app(services, Settings()))
    base_url = "http://127.0.0.1:1338/api/v1/packages"
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
        yield client


def content_of(path: str) -> bytes:
    return Path(path).read_bytes()


async def test_a_model_is_sent_and_has_a_path(client: httpx.AsyncClient, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("svm.joblib", b"\x80weights")
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    missing = await client.post(f"/{digest}")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_package")
    for start in (0, 40):
        part = content[start : start + 40] if start == 0 else content[40:]
        sent = await client.post(f"/{digest}/parts", params={"offset": start}, content=part)
        assert sent.status_code == 200
    there = await client.get(f"/{digest}/parts")
    assert there.json() == {"bytes": len(content)}
    path = (await client.post(f"/{digest}")).json()["path"]
    assert content_of(path) == b"\x80weights"


async def test_a_part_in_the_wrong_place_is_a_conflict(client: httpx.AsyncClient) -> None:
    refused = await client.post(f"/{'0' * 64}/parts", params={"offset": 5}, content=b"x")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "incompatible")
