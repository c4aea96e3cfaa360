"""The admin listener over a serving layer without processes, and a client of it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from clipper.core.settings import Settings
from clipper.frontend.admin_app import build_admin_app
from clipper.serving.services import Services
from tests.fakes.serving import FakeManager, make_services


@pytest.fixture
def containers() -> FakeManager:
    """What runs."""
    return FakeManager()


@pytest.fixture
async def services(containers: FakeManager) -> AsyncIterator[Services]:
    """Nothing is registered yet."""
    services = await make_services(containers)
    yield services
    await services.close()


@pytest.fixture
async def admin(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a daemon that is bound to loopback and has no token."""
    transport = httpx.ASGITransport(build_admin_app(services, Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1338") as client:
        yield client
