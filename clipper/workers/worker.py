"""The program of a worker, which answers queries as the main process tells it to.

    python -m clipper.workers.worker NUMBER

Its standard input is the channel to the main process, over which it gets its settings: tokens and
passwords are in no list of processes. Like the daemon's own module it names the adapters.
"""

import os
import socket
import sys

import uvloop

from clipper.core.errors import Unanswered
from clipper.core.logs import configure
from clipper.core.settings import Settings
from clipper.frontend.listeners import query_listener
from clipper.rpc.replica import GrpcReplica
from clipper.selection import own
from clipper.serving.engine import Bounds, Files
from clipper.state.opening import open_store
from clipper.workers.channel import Channel
from clipper.workers.life import Life
from clipper.workers.messages import Join, ToWorker, Welcome
from clipper.workers.process import die_with_the_main_process, own_channel
from clipper.workers.sockets import Places, copies

ORPHANED = 1


def main() -> None:
    """Answer queries until the main process is gone, or says that it is time to leave."""
    die_with_the_main_process()
    uvloop.run(work(int(sys.argv[1]), own_channel()))


async def work(number: int, sock: socket.socket) -> None:
    """One life, from the first word to the last."""
    channel = await Channel[ToWorker].over(sock, ToWorker)
    try:
        welcome = await channel.first(Join(), Welcome)
    except Unanswered:
        return
    settings = Settings.model_validate_json(bytes(welcome.settings))
    configure(settings.log_format, settings.log_level, speaker=f"worker {number}")
    own.use(settings.policies_dir)
    life = Life(
        channel,
        open_store(settings.store),
        GrpcReplica,
        Bounds.of(settings),
        Files.of(settings, f"journal-{number}"),
    )
    sockets = {
        place: [socket.socket(fileno=descriptor) for descriptor in descriptors]
        for place, descriptors in welcome.sockets.items()
    }
    listener = query_listener(life.backend, settings, copies(sockets[number]))
    if not await life.run(welcome, Places(listener, sockets, number)):
        os._exit(ORPHANED)  # there is nobody to answer to: go at once
    await life.close()


if __name__ == "__main__":
    main()
