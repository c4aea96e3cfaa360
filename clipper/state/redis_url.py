"""What a Redis URL may say: redis[s]://[user[:password]@]host[:port][/database][?TLS options]."""

import re
from urllib.parse import SplitResult, urlsplit

from redis.asyncio.connection import parse_url

from clipper.core.errors import SettingsError

_TLS_OPTIONS = frozenset(
    {"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}
)


def without_password(url: str) -> str:
    """The URL as it may be shown; options are left out, too.

    Raises:
        SettingsError: it is no Redis URL; the message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        raise _refused("its address or its port has the wrong form") from None
    _check(parts)
    try:
        parse_url(url)
    except ValueError:
        raise _refused("one of its options has the wrong form") from None
    user = f"{parts.username}@" if parts.username else ""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{user}{host}{port}{parts.path}"


def _check(parts: SplitResult) -> None:
    if parts.scheme not in ("redis", "rediss"):
        raise _refused("it does not begin with redis:// or rediss://")
    if not parts.hostname or parts.fragment:
        raise _refused("it has no host; are there characters in it that must be %-encoded?")
    if not re.fullmatch(r"(/\d{0,6})?", parts.path):
        raise _refused(f"its database {parts.path!r} is no number")
    options = {option.partition("=")[0] for option in parts.query.split("&") if option}
    if unknown := options - (_TLS_OPTIONS if parts.scheme == "rediss" else set()):
        raise _refused(f"it has unknown options: {', '.join(sorted(unknown))}")


def _refused(problem: str) -> SettingsError:
    return SettingsError(
        f"the Redis URL in store cannot be used: {problem}",
        hint="Write redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE], or rediss:// for TLS; "
        f"options of the latter: {', '.join(sorted(_TLS_OPTIONS))}.",
    )
