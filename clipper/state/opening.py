"""Which store a URL means."""

from clipper.core.errors import SettingsError
from clipper.state.memory import MemoryStore
from clipper.state.redis import RedisStore
from clipper.state.sqlite import SqliteStore
from clipper.state.store import Store

CHOICES = (
    "Choose sqlite:///var/lib/clipper/clipper.db (an absolute path), redis://HOST:6379/0, "
    "rediss://HOST:6379/0 (TLS) or memory:// (nothing is kept)."
)


def open_store(url: str) -> Store:
    """The store at the URL, not yet opened: `open` it, again if that fails, and `close` it.

    Raises:
        SettingsError: the URL is of no known form; the message shows no password.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise SettingsError("the store is no URL: it has no ://", hint=CHOICES)
    if scheme == "sqlite":
        return SqliteStore(_absolute(rest))
    if scheme in ("redis", "rediss"):
        return RedisStore(url)
    if scheme == "memory" and not rest:
        return MemoryStore()
    raise SettingsError(f"there is no store {scheme}://", hint=CHOICES)


def _absolute(rest: str) -> str:
    """The path of sqlite:///FILE, taken literally; three slashes or four."""
    path = "/" + rest.lstrip("/")
    if not rest.startswith("/") or path.endswith(("/", "/:memory:")) or "\0" in path:
        raise SettingsError(f"sqlite://{rest} names no file by an absolute path", hint=CHOICES)
    return path
