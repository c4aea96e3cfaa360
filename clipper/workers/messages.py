"""What the main process and its workers say to each other.

Every message but the first is a request whose answer the other side awaits, or a note that wants
none. Replicas are named by the number of their life, which is never given twice.
"""

from typing import Any

import msgspec

from clipper.core.types import Model, ModelId
from clipper.workers.merging import Told


class Message(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """One of those below."""


# To a worker


class Adopt(Message, frozen=True):
    """Serve this configuration; keep nothing of what is gone."""

    number: int
    """Larger with each."""
    revision: int
    records: dict[str, msgspec.Raw]
    """As the store has them."""
    gone_applications: list[str] = []
    gone_models: list[ModelId] = []


class Post(Message, frozen=True):
    """Have a replica take batches; answered when it does."""

    life: int
    index: int
    model: Model
    address: str
    token: str


class Withdraw(Message, frozen=True):
    """Let go of a replica; answered when the batch in hand is, unless it is to be at once."""

    life: int
    at_once: bool = False


class Drop(Message, frozen=True):
    """Another process taught this context."""

    app: str
    context: str


class Tell(Message, frozen=True):
    """Tell what you have counted."""


class Cover(Message, frozen=True):
    """Take the connections of these places as well, which have nobody, and of no others."""

    places: list[int]


class Shut(Message, frozen=True):
    """Accept no connection any more; those that are open go on."""


class Drain(Message, frozen=True):
    """Refuse what is new; answered when all that was admitted is, or the grace is over."""

    grace_s: float


class Leave(Message, frozen=True):
    """Store what you have learned, and end."""


# To the main process


class Join(Message, frozen=True):
    """I am there; the answer is a Welcome."""


class Serving(Message, frozen=True):
    """I answer queries."""


class Reserve(Message, frozen=True):
    """I need query ids; the answer is the first of them."""

    count: int


class Taught(Message, frozen=True):
    """I taught this context; answered when the others know."""

    app: str
    context: str


class Failed(Message, frozen=True):
    """This life of a replica broke off."""

    life: int
    reason: str


class Noted(Message, frozen=True):
    """What I have counted so far."""

    told: Told


class Sum(Message, frozen=True):
    """What have all of us counted?"""


class Readiness(Message, frozen=True):
    """Why would queries not be answered by models?"""


# To either: from a worker that was asked about another's query, and then to that one


class Judge(Message, frozen=True):
    """The truth about a query; the answer is whether something was learned."""

    app: str
    query_id: int
    label: Any
    context: str | None


ToWorker = Adopt | Post | Withdraw | Drop | Tell | Cover | Shut | Drain | Leave | Judge
ToMain = Join | Serving | Reserve | Taught | Failed | Noted | Sum | Readiness | Judge


class Welcome(msgspec.Struct, frozen=True):
    """All that a worker has to know at its beginning."""

    settings: msgspec.Raw
    sockets: dict[int, list[int]]
    """Descriptors of the listening sockets that it inherited, by whose place it is."""
    adopt: Adopt | None
    """None: nothing is known yet."""
    posts: list[Post]


class Summed(msgspec.Struct, frozen=True):
    """What all have counted, and for how long."""

    told: Told
    uptime_s: float
