"""Real daemons for tests: on ports of their own, and gone afterwards with all they started."""

from collections.abc import Iterator

import pytest

from clipper.admin.client import ClipperConnection
from tests.fakes.clipperd import Clipperd, clipperd


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    """Settings of a file's daemon; a file that needs other ones overrides this."""
    return {}


@pytest.fixture(scope="module")
def daemon(
    settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Clipperd]:
    """A daemon for all tests of a file."""
    with clipperd(tmp_path_factory.mktemp("clipperd"), **settings) as one:
        yield one


@pytest.fixture
def clipper(daemon: Clipperd) -> Iterator[ClipperConnection]:
    """A client of it; what a test registers goes when the test ends."""
    with daemon.connect() as connection:
        yield connection
        for name in connection.get_all_apps():
            connection.unregister_application(name)
        connection.stop_all_model_containers()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipperd]:
    """A daemon for all tests of a file, whose environment tells `clipper-admin` where it is."""
    with clipperd(tmp_path_factory.mktemp("clipperd"), store="memory://") as daemon:
        daemon.environment |= {"CLIPPER_URL": daemon.url, "CLIPPER_QUERY_URL": daemon.query_url}
        yield daemon
