"""`clipperd`: from settings to adapters to layers to listeners, and back again at the end.

With more than one worker, this is the main process: it administers, and its workers answer. Only
this file and the workers' own name the adapters: which store, which container managers, which RPC.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import IO

import uvloop

from clipper import __version__
from clipper.core.errors import DeployError, SettingsError
from clipper.core.flags import parse_flags
from clipper.core.garbage import quieten
from clipper.core.logs import configure
from clipper.core.settings import Settings, build_variables, load_settings, pip_variables
from clipper.deploy.docker.manager import DockerManager
from clipper.deploy.instance import Taken, claim
from clipper.deploy.manager import ContainerManager
from clipper.deploy.process.manager import ProcessManager
from clipper.frontend.listener import Listener
from clipper.frontend.listeners import admin_listener, query_listener
from clipper.rpc.replica import GrpcReplica
from clipper.selection import own
from clipper.serving.engine import Bounds, Files
from clipper.serving.services import Services
from clipper.state.opening import open_store
from clipper.workers.crew import Crew
from clipper.workers.desk import Desk
from clipper.workers.process import WorkerProcess
from clipper.workers.supervisor import Supervisor

log = logging.getLogger(__name__)

Listeners = dict[str, Listener | Supervisor]
"""By name; the workers' supervisor stands for a query listener."""

BAD_SETTINGS = 2


def main() -> None:
    """Run the daemon; exit with 0 after SIGTERM, 2 where the settings cannot be used."""
    try:
        settings = load_settings(parse_flags(sys.argv[1:]))
        configure(settings.log_format, settings.log_level)
        uvloop.run(serve(settings))
    except SettingsError as error:
        sys.stderr.write(f"clipperd: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"  {error.hint}\n")
        sys.exit(BAD_SETTINGS)


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then answer what was admitted and stop.

    Raises:
        SettingsError: the store's URL or a listener's address cannot be used.
    """
    own.use(settings.policies_dir)
    place = _claim(Path(settings.data_dir))
    stop = _stop_on_signals()
    crew = Crew(settings.workers) if settings.workers > 1 else None
    docker = _docker_manager(settings)
    managers = _managers(settings, docker)
    store, bounds = open_store(settings.store), Bounds.of(settings)
    files = Files.of(settings, "journal")
    services = Services(store, managers, GrpcReplica, bounds, crew, files)
    listeners = _listeners(settings, services, crew, docker.is_caller)
    try:
        for name, listener in listeners.items():
            await _take(name, listener, listener.bind())
        services.start()
        await services.first_look()
        for name, listener in listeners.items():
            await _take(name, listener, listener.start())
            _announce(name, listener)
        quieten()
        await stop.wait()
        log.info("Draining, for at most %g s", settings.drain_s, extra={"action": "drain"})
        await _drain(settings, services, listeners)
    finally:
        await services.close()
        for listener in listeners.values():
            await listener.close()
        if place is not None:
            place.close()
    log.info("Stopped", extra={"action": "stopped"})


def _claim(data_dir: Path) -> IO[bytes] | None:
    """The data directory is ours for as long as the result is open.

    A directory that cannot be written is no reason to stay down: what needs it says so.
    """
    try:
        return claim(data_dir, "clipperd")
    except Taken as error:
        raise SettingsError(error.message, hint=error.hint) from error
    except DeployError as error:
        log.warning("%s", error.message, extra={"action": "data_dir_unusable"})
        return None


def _stop_on_signals() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; the second ends the process on the spot."""
    stop = asyncio.Event()

    def asked(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked, number)
    return stop


def _docker_manager(settings: Settings) -> DockerManager:
    return DockerManager(
        Path(settings.data_dir),
        settings.docker_image_prefix,
        grace_s=settings.container_grace_s,
        build_variables=build_variables(),
    )


def _managers(settings: Settings, docker: DockerManager) -> Mapping[str, ContainerManager]:
    process = ProcessManager(Path(settings.data_dir), pip_variables=pip_variables())
    managers: tuple[ContainerManager, ...] = (process, docker)
    return {manager.name: manager for manager in managers}


def _listeners(
    settings: Settings, services: Services, crew: Crew | None, is_model: Callable[[str], bool]
) -> Listeners:
    admin = admin_listener(services, settings, is_model)
    if crew is None:
        return {"query": query_listener(services, settings), "admin": admin}
    answer = Desk(crew, services, settings).answer
    address = (settings.host, settings.query_port)
    return {
        "query": Supervisor(address, settings.drain_s, crew, WorkerProcess, answer),
        "admin": admin,
    }


async def _take(name: str, listener: Listener | Supervisor, step: Awaitable[None]) -> None:
    """A step on the way to listening at an address, which somebody else may have."""
    try:
        await step
    except OSError as error:
        raise SettingsError(
            f"{name}_port {listener.port} on {listener.host} cannot be listened on: {error}",
            hint=f"Is another clipperd running? Else choose another with --{name}-port.",
        ) from error


def _announce(name: str, listener: Listener | Supervisor) -> None:
    log.info(
        "clipperd %s: %s listener on http://%s:%d",
        __version__,
        name,
        listener.host,
        listener.port,
        extra={"action": f"{name}_listening", "port": listener.port},
    )


async def _drain(settings: Settings, services: Services, listeners: Listeners) -> None:
    """Refuse new connections, answer what was admitted, let go of the rest at the grace's end."""
    for listener in listeners.values():
        listener.refuse()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.drain_s):
            await services.drain()
            await asyncio.gather(*(listener.drain() for listener in listeners.values()))


if __name__ == "__main__":
    main()
