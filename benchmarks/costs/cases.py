"""What a query's cost may depend on: the configuration, connections, requests, what is remembered.

Models are behind replicas that cost next to nothing (`Instant`), so that what is seen is the
daemon's own. Where nothing else is said, ten queries come at a time, and share a turn of the event
loop. Those of one batch ask the same application, model and version, those of the next the next.
"""

import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle, islice

from costs.asking import Batch, Client, Tally, spent_us
from costs.bare import Bare
from costs.growth import Case, Round
from costs.house import MODEL, House, Instant, configuration, house, one_model
from costs.payloads import unique

from clipper.core.config import Config
from clipper.core.types import ModelId, ReplicaId

ASKING = 10
BATCHES = 50
"""In a round."""
TENFOLD = (1, 10, 100, 1000)
Requests = Iterator[bytes]


@asynccontextmanager
async def asked(
    tally: Tally, config: Config, replicas: Iterable[ReplicaId], connections: int = ASKING
) -> AsyncIterator[tuple[House, Client]]:
    """A house with replicas that cost next to nothing, and a client of it."""
    async with house(config, map(Instant, replicas)) as one:
        client = Client(tally)
        await client.connect(one.listener.port, connections)
        yield one, client
        client.close()


def firsts(models: Sequence[ModelId]) -> list[ReplicaId]:
    """One replica of each."""
    return [ReplicaId(model, 0) for model in models]


async def in_turn(client: Client, sources: Sequence[Requests], size: int = ASKING) -> Round:
    """A round's queries come from each source in turn, so many at a time."""
    turn = cycle(sources)

    async def measure(count: int = max(1, BATCHES * ASKING // size)) -> float:
        batches: list[Batch] = [list(islice(next(turn), size)) for _ in range(count)]
        return await spent_us(client, batches)

    await measure(len(sources))  # each of them once, as the first time is dearer
    return measure


@asynccontextmanager
async def applications(tally: Tally, size: int) -> AsyncIterator[Round]:
    """Applications of one model."""
    names = [f"app-{number}" for number in range(size)]
    async with asked(tally, one_model(*names), firsts([MODEL])) as (_, client):
        yield await in_turn(client, [unique(name) for name in names])


@asynccontextmanager
async def models(tally: Tally, size: int) -> AsyncIterator[Round]:
    """Models, each with an application and a replica."""
    ids = [ModelId(f"model-{number}", "1") for number in range(size)]
    config = configuration({f"app-{model.name}": (model.name,) for model in ids}, ids)
    async with asked(tally, config, firsts(ids)) as (_, client):
        yield await in_turn(client, [unique(name) for name in config.applications])


@asynccontextmanager
async def versions(tally: Tally, size: int) -> AsyncIterator[Round]:
    """Versions of one model, each with a replica; every query asks for one of them."""
    ids = [ModelId("model", str(number)) for number in range(size)]
    config = configuration({"app": ("model",)}, ids)
    async with asked(tally, config, firsts(ids)) as (_, client):
        yield await in_turn(client, [unique(version=model.version) for model in ids])


@asynccontextmanager
async def linked(tally: Tally, size: int) -> AsyncIterator[Round]:
    """Models that one application links, and chooses from by exp3."""
    ids = [ModelId(f"model-{number}", "1") for number in range(size)]
    config = configuration({"app": tuple(model.name for model in ids)}, ids, "exp3")
    async with asked(tally, config, firsts(ids)) as (_, client):
        yield await in_turn(client, [unique()])


@asynccontextmanager
async def replicas(tally: Tally, size: int) -> AsyncIterator[Round]:
    """Replicas of one model."""
    ids = [ReplicaId(MODEL, index) for index in range(size)]
    async with asked(tally, one_model(), ids) as (_, client):
        yield await in_turn(client, [unique()])


@asynccontextmanager
async def open_connections(tally: Tally, size: int) -> AsyncIterator[Round]:
    """Connections, of which ten ask at a time."""
    async with asked(tally, one_model(), firsts([MODEL]), size) as (_, client):
        yield await in_turn(client, [unique()])


@asynccontextmanager
async def asking_connections(tally: Tally, size: int) -> AsyncIterator[Round]:
    """Connections that all ask at a time."""
    async with asked(tally, one_model(), firsts([MODEL]), size) as (_, client):
        yield await in_turn(client, [unique()], size)


@asynccontextmanager
async def unread(tally: Tally, size: int, *, asking: int = 0) -> AsyncIterator[Round]:
    """The same, answered by a protocol that reads nothing: the kernel's and uvloop's share."""
    bare = Bare(tally)
    server, port = await bare.open()
    client = Client(tally)
    await client.connect(port, size)
    requests = unique()
    bare.request_bytes = len(next(requests))
    yield await in_turn(client, [requests], asking or size)
    client.close()
    server.close()


@asynccontextmanager
async def cached(tally: Tally, size: int) -> AsyncIterator[Round]:
    """Inputs in the cache, asked for again in turn."""
    async with asked(tally, one_model(), firsts([MODEL])) as (_, client):
        known = list(islice(unique(), size))
        for at in range(0, size, ASKING):
            await client.ask(known[at : at + ASKING])
        yield await in_turn(client, [cycle(known)])


@asynccontextmanager
async def inputs(tally: Tally, size: int) -> AsyncIterator[Round]:
    """Inputs of a request, which comes alone."""
    async with asked(tally, one_model(), firsts([MODEL])) as (_, client):
        requests = unique(inputs=size)

        async def measure() -> float:
            return await spent_us(client, [[one] for one in islice(requests, max(3, 200 // size))])

        yield measure


@asynccontextmanager
async def reconfigured(tally: Tally, size: int) -> AsyncIterator[Round]:
    """Applications when something is registered: the snapshot is built anew."""
    names = [f"app-{number}" for number in range(size)]
    async with asked(tally, one_model(*names), firsts([MODEL])) as (one, _):

        async def measure() -> float:
            began = time.thread_time_ns()
            one.snapshot()
            return (time.thread_time_ns() - began) / 1e3

        yield measure


lookup = partial(Case, cost_of="query", is_lookup=True)
cost = partial(Case, is_lookup=False)
CASES = (
    lookup("applications", sizes=TENFOLD, open=applications),
    lookup("models", sizes=TENFOLD, open=models),
    lookup("versions of a model", sizes=TENFOLD, open=versions),
    lookup("replicas of a model", sizes=TENFOLD, open=replicas),
    lookup("open connections", sizes=TENFOLD[1:], open=open_connections),
    lookup("inputs in the cache", sizes=(100, 1000, 10_000), open=cached),
    cost("asking connections", "query", TENFOLD, open=asking_connections),
    cost("asking connections", "bare answer", TENFOLD, open=unread),
    cost("open connections", "bare answer", TENFOLD[1:], open=partial(unread, asking=ASKING)),
    cost("models that exp3 chooses from", "query", TENFOLD, open=linked),
    cost("inputs in a request", "request", TENFOLD, open=inputs),
    cost("applications", "change of the configuration", TENFOLD, open=reconfigured),
)
