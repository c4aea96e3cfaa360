"""A store in Redis, for several daemons that share what they serve.

The configuration is one hash beside its revision, a cell is a hash of value and version, a counter
is a number; Lua scripts compare and change them in one step, which Redis runs alone. Keys start
with a prefix, so that others may use the same database.

No call is retried here: one that broke off may have been carried out, and would then meet its own
change as a conflict. How long a change outlives Redis itself is for Redis's persistence to say.
"""

import asyncio
import re
from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from clipper.core.errors import StateError
from clipper.state.failures import (
    SCHEMA_VERSION,
    cell_changed,
    check_schema,
    configuration_changed,
    not_open,
)
from clipper.state.redis_url import without_password
from clipper.state.store import CHANGES_KEPT, NOW, Cell, Changes, Configuration

TIMEOUT_S = 3.0
"""For one round trip, connecting included; a Redis that is slower counts as down."""
CONNECTIONS = 16
SCAN_COUNT = 1000

# Sets the schema where the store is new; returns what it is.
_CLAIM = """
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
"""

# KEYS: revision, configuration. Not MULTI: a Redis without memory refuses to queue even reads.
_READ = """
return {redis.call('GET', KEYS[1]) or '0', redis.call('HGETALL', KEYS[2])}
"""

# KEYS: revision, configuration. ARGV: expected, number of deletions, their keys, keys and values.
_COMMIT = """
if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return 0 end
local first = 3 + tonumber(ARGV[2])
for i = first, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
for i = 3, first - 1 do redis.call('HDEL', KEYS[2], ARGV[i]) end
return redis.call('INCR', KEYS[1])
"""

# KEYS: cell, swaps, swapped. ARGV: expected, value, the cell's name, how many swaps are told of.
_SWAP = """
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'value', ARGV[2])
local number = redis.call('INCR', KEYS[2])
redis.call('ZADD', KEYS[3], number, ARGV[3])
if number % 100 == 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', number - tonumber(ARGV[4]))
end
return redis.call('HINCRBY', KEYS[1], 'version', 1)
"""

# KEYS: swaps, swapped. ARGV: since, how cells' keys begin.
_CHANGES = """
local answer = {redis.call('GET', KEYS[1]) or '0'}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[1], '+inf')) do
  table.insert(answer, name)
  table.insert(answer, redis.call('HGET', ARGV[2] .. name, 'version') or '0')
end
return answer
"""

# The first class that fits; of others, a ResponseError is a refusal, the rest a broken connection.
_FAULTS: tuple[tuple[type[Exception], str, str], ...] = (
    (AuthenticationError, "refuses the password", "Correct the user and password in --store."),
    (NoPermissionError, "refuses the user", "Let the user of --store run commands and scripts."),
    (BusyLoadingError, "is still loading its data", "Wait until it has."),
    (OutOfMemoryError, "is out of memory", "Raise its maxmemory, or free some."),
    (ReadOnlyError, "is a read-only replica", "Name the primary in --store."),
    (ResponseError, "refuses the command", "Look into Redis's own log."),
    (Exception, "cannot be reached", "Start Redis there, or correct --store."),
)


class RedisStore:
    """A handle on one prefix of one Redis database.

    Raises:
        SettingsError: the URL is no Redis URL.
    """

    def __init__(self, url: str, *, prefix: str = "clipper") -> None:
        self.url = without_password(url)
        self._address = url
        self._prefix = prefix
        self._client: Redis | None = None
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def open(self) -> None:
        """Connect, and create or check the schema.

        Raises:
            NewerSchema: a newer release wrote it.
            StateError: Redis cannot be reached, or refuses.
        """
        if self._client is not None:
            return
        client = _connect(self._address)
        try:
            await self._claim(client)
        except BaseException:
            await client.aclose()
            raise
        self._client = client

    async def close(self) -> None:
        """Close the connections once the calls under way are done."""
        client, self._client = self._client, None
        if client is not None:
            await self._idle.wait()
            await client.aclose()

    async def revision(self) -> int:
        """The configuration's revision; 0 when nothing was ever written."""
        return int(await self._answer(self._redis().get(self._key("revision"))) or 0)

    async def read(self) -> Configuration:
        """All configuration, consistent."""
        keys = (self._key("revision"), self._key("configuration"))
        revision, flat = await self._answer(self._redis().eval(_READ, 2, *keys))
        records = {_text(key): value for key, value in zip(flat[::2], flat[1::2], strict=True)}
        return Configuration(int(revision), MappingProxyType(records))

    async def commit(self, changes: Mapping[str, bytes | None], *, expected: int) -> int:
        """Write (or with None, delete) records in one step; returns the new revision.

        Raises:
            Conflict: the revision is not the expected one; nothing was written.
        """
        deleted: list[bytes] = []
        written: list[bytes] = []
        for key, value in changes.items():
            if value is None:
                deleted.append(_bytes(key))
            else:
                written += (_bytes(key), value)
        keys = (self._key("revision"), self._key("configuration"))
        counts = (expected, len(deleted))
        call = self._redis().eval(_COMMIT, 2, *keys, *counts, *deleted, *written)
        revision = await self._answer(call)
        if not revision:
            raise configuration_changed(expected)
        return int(revision)

    async def get(self, key: str) -> Cell | None:
        """One cell, or None."""
        call = self._redis().hmget(self._key("cell", key), "value", "version")
        value, version = await self._answer(call)
        return None if version is None else Cell(value, int(version))

    async def swap(self, key: str, value: bytes, *, expected: int) -> int:
        """Write a cell whose version is the expected one (0: absent); returns its new version.

        Raises:
            Conflict: it has another version; nothing was written.
        """
        keys = (self._key("cell", key), self._key("swaps"), self._key("swapped"))
        values = (expected, value, _bytes(key), CHANGES_KEPT)
        version = await self._answer(self._redis().eval(_SWAP, 3, *keys, *values))
        if not version:
            raise cell_changed(key, expected)
        return int(version)

    async def changes(self, since: int) -> Changes:
        """Which cells were swapped since that position."""
        if since == NOW:
            return Changes(int(await self._answer(self._redis().get(self._key("swaps"))) or 0), {})
        keys = (self._key("swaps"), self._key("swapped"))
        call = self._redis().eval(_CHANGES, 2, *keys, since, self._key("cell", ""))
        position, *flat = await self._answer(call)
        if int(position) - CHANGES_KEPT > since or int(position) < since:
            return Changes(int(position), None)
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return Changes(int(position), {_text(key): int(version) for key, version in pairs})

    async def discard(self, prefix: str) -> None:
        """Delete every cell whose key starts with the prefix; one written meanwhile may stay."""
        pattern = re.sub(rb"([*?\[\]\\])", rb"\\\1", self._key("cell", prefix)) + b"*"
        cursor = 0
        while True:
            scan = self._redis().scan(cursor, match=pattern, count=SCAN_COUNT)
            cursor, keys = await self._answer(scan)
            if keys:
                await self._answer(self._redis().unlink(*keys))
            if cursor == 0:
                return

    async def reserve(self, counter: str, count: int) -> int:
        """The first of `count` integers that nobody else was or will be given; starts at 0."""
        following = await self._answer(self._redis().incrby(self._key("counter", counter), count))
        return int(following) - count

    async def _claim(self, client: Redis) -> None:
        found = await self._answer(client.eval(_CLAIM, 1, self._key("schema"), SCHEMA_VERSION))
        if not re.fullmatch(rb"\d{1,9}", found):
            raise StateError(
                f"the store {self.url} has an unreadable schema: {found!r}",
                hint="Name another database in --store, or correct the key clipper:schema.",
            )
        check_schema(self.url, int(found))

    def _redis(self) -> Redis:
        if self._client is None:
            raise not_open(self.url)
        return self._client

    def _key(self, *parts: str) -> bytes:
        return _bytes(":".join((self._prefix, *parts)))

    async def _answer(self, call: Awaitable[Any]) -> Any:
        """Await a call for as long as a round trip may take, and translate what Redis raises."""
        self._calls += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await call
        except (RedisError, OSError, UnicodeError) as error:  # OSError: TimeoutError, too
            raise self._fault(error) from error
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    def _fault(self, error: Exception) -> StateError:
        what, hint = next((what, hint) for kind, what, hint in _FAULTS if isinstance(error, kind))
        cause = str(error) or f"no answer within {TIMEOUT_S:g} s"
        return StateError(f"the store {self.url} {what} ({cause})", hint=hint)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")


def _connect(url: str) -> Redis:
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return Redis.from_pool(pool)
