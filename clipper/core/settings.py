"""The daemon's settings: what there is, where each comes from, and what is refused.

A setting `x_y` is the flag `--x-y`, the variable `CLIPPER_X_Y` and the top-level key `x_y` of a
TOML file; the flag wins over the variable, the variable over the file, the file over the default.
An unknown name is an error wherever it stands, and so is a value of another type or out of range.
This is the only module that reads the environment.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from clipper.core.errors import SettingsError
from clipper.core.sources import (
    TOKENS,
    Given,
    Layer,
    from_environment,
    from_file,
    from_flags,
    overlay,
    read_text,
)


def _address_or_name(host: str) -> str:
    """Refuse ports, brackets and URLs where only a host belongs."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252})", host):
            raise ValueError("it must be an address or a host name") from None
    return host


Host = Annotated[str, AfterValidator(_address_or_name)]
Port = Annotated[int, Field(ge=0, le=65535)]
Token = Annotated[str, Field(pattern=r"\A[\x21-\x7e]+\z", repr=False)]
Count = Annotated[int, Field(ge=1, le=100_000_000)]
Size = Annotated[int, Field(ge=1, le=1 << 40)]
Duration = Annotated[float, Field(gt=0, le=3600)]


_PIP = re.compile(
    r"PIP_\w+|HOME|PATH|TMPDIR|NETRC|XDG_(CONFIG|CACHE)_HOME|(?i:https?|all|no)_(?i:proxy)"
    r"|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|CC|CXX|C(XX)?FLAGS|LDFLAGS"
)
_DOCKER = re.compile(r"DOCKER_(HOST|TLS_VERIFY|CERT_PATH|CONFIG)")


class Settings(BaseModel):
    """Everything that can be set; immutable, and valid one by one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    config: str = Field("", description="TOML file of settings; none is read unless named")
    host: Host = Field(
        "127.0.0.1", description="address that both listeners bind, without a port; 0.0.0.0 for all"
    )
    query_port: Port = Field(
        1337, description="port of the query listener, 0 to 65535; 0 takes a free one"
    )
    admin_port: Port = Field(
        1338, description="port of the admin listener, 0 to 65535; 0 takes a free one"
    )
    store: str = Field(
        "",
        repr=False,  # its URL may hold a password
        description="where configuration and selection state live: sqlite:///FILE, redis://HOST, "
        "rediss://HOST or memory://; by default clipper.db in the data directory",
    )
    data_dir: str = Field(
        "",
        description="directory of the daemon's own files; by default $XDG_DATA_HOME/clipper or "
        "~/.local/share/clipper",
    )
    admin_token: Token = Field(
        "",
        description="bearer token asked of admin clients, printable ASCII without spaces; none "
        "is asked by default; admin_token_file keeps it out of the list of processes",
    )
    admin_token_file: str = Field("", description="file that holds admin_token and nothing else")
    query_token: Token = Field(
        "",
        description="bearer token asked of applications, printable ASCII without spaces; "
        "none is asked by default",
    )
    query_token_file: str = Field("", description="file that holds query_token and nothing else")
    insecure: bool = Field(
        False, description="listen beyond this machine without an admin token: true or false"
    )
    cache_bytes: int = Field(
        32 << 20, ge=0, le=1 << 40, description="memory for cached outputs in bytes; 0 stores none"
    )
    max_body_bytes: Size = Field(
        16 << 20, description="largest request body in bytes, at least 1; a larger one gets 413"
    )
    read_timeout_s: Duration = Field(
        30.0, description="seconds, above 0 to 3600, in which a client must have sent its request"
    )
    drain_s: float = Field(
        30.0, ge=0, le=3600, description="seconds, 0 to 3600, to finish queries after SIGTERM"
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="form of the log on stderr, text or json"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe records that are logged: debug, info, warning or error"
    )
    queue_limit: Count = Field(
        10_000, description="queries that may wait for one model version, at least 1"
    )
    queue_bytes: Size = Field(
        256 << 20, description="bytes of inputs that may wait for one model version, at least 1"
    )
    batch_timeout_s: Duration = Field(
        30.0, description="seconds, above 0 to 3600, after which a silent replica is given up"
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        1,
        description="processes that answer queries on the one port, 1 to 64, each on a core of its "
        "own at best; cache_bytes, queue_limit, queue_bytes and journal_size bound them together",
    )
    decision_log: str = Field(
        "",
        description="file to which each lesson of each selection policy is appended as a line of "
        "JSON, for clipper-admin replay; readable by its owner only, and at 256 MiB renamed to "
        "FILE.1, in the place of the one before; none by default",
    )
    policies_dir: str = Field(
        "",
        description="folder of selection policies of your own, Python files whose classes "
        "applications name as module:Class; none by default",
    )
    docker_image_prefix: Annotated[str, Field(pattern=r"\A[a-z0-9][a-z0-9._:/-]*\z")] = Field(
        "clipper", description="how names of container images begin, in lower case"
    )
    container_grace_s: float = Field(
        60.0,
        ge=0,
        le=3600,
        description="seconds, 0 to 3600, that Docker containers outlive a daemon that was killed; "
        "one that is started on its data directory meanwhile takes them over",
    )
    journal_size: Count = Field(
        65_536, description="recent queries that feedback can name by query_id, at least 1"
    )


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Put flags, environment and file together; flags may be text, and None is not given.

    `data_dir` and `store` of the result are always set, and the tokens are read from their files.

    Raises:
        SettingsError: something is unknown, malformed, out of range or does not go together.
    """
    variables = os.environ if environ is None else environ  # noqa: TID251 - the one reader
    kinds = {key: field.annotation for key, field in Settings.model_fields.items()}
    layers = [from_environment(variables, kinds), from_flags(flags, kinds)]
    config = overlay(layers).get("config")
    if config is not None:
        layers.insert(0, from_file(config, kinds))
    given = overlay(layers)
    values = {key: entry.value for key, entry in given.items()}
    for key in TOKENS:
        if f"{key}_file" in given:
            values[key] = _read_token(key, given[f"{key}_file"])
    settings = _validate(values, given)
    _check_ports(settings)
    _check_exposure(settings)
    _check_sharing(settings)
    _check_policies(settings)
    return _with_places(settings, variables)


def pip_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What pip is to have of our environment: its configuration, proxies, certificates, compilers.

    None of it is for models to see: there may be passwords in it.
    """
    return _matching(_PIP, environ)


def build_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a build of an image is to have: what pip is, and where the Docker engine is."""
    return pip_variables(environ) | _matching(_DOCKER, environ)


def _matching(names: re.Pattern[str], environ: Mapping[str, str] | None) -> dict[str, str]:
    variables = os.environ if environ is None else environ  # noqa: TID251 - the one reader
    return {key: value for key, value in variables.items() if names.fullmatch(key)}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host: 127.0.0.0/8, ::1 or localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _read_token(key: str, file: Given) -> str:
    token = read_text(file.value, file.source).strip()
    if not token:
        raise SettingsError(
            f"the file {file.value} ({file.source}) is empty", hint=f"Write the {key} into it."
        )
    return token


def _validate(values: Mapping[str, Any], given: Layer) -> Settings:
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    key = str(first["loc"][0])
    entry = given.get(key) or given[f"{key}_file"]
    shown = "" if key in TOKENS else f" {values[key]!r}"[:80]
    problem = first["msg"].removeprefix("Value error, ").replace("Input should be", "it must be")
    if first["type"] == "string_pattern_mismatch":
        problem = "it does not have the form of one"
    raise SettingsError(
        f"{key} cannot be{shown or ' used'} ({entry.source}): {problem}",
        hint=f"{key}: {Settings.model_fields[key].description}.",
    )


def _check_ports(settings: Settings) -> None:
    if settings.query_port == settings.admin_port != 0:
        raise SettingsError(
            f"query_port and admin_port are both {settings.query_port}",
            hint="Give each listener its own port, for example --query-port 1337 "
            "--admin-port 1338.",
        )


def _check_exposure(settings: Settings) -> None:
    if settings.admin_token or settings.insecure or is_loopback(settings.host):
        return
    raise SettingsError(
        f"host {settings.host} is reachable from other machines, and no admin_token is set",
        hint="Set --admin-token-file FILE (or CLIPPER_ADMIN_TOKEN), or keep --host 127.0.0.1; "
        "--insecure lets anybody who reaches the port administer this daemon.",
    )


def _check_sharing(settings: Settings) -> None:
    if settings.workers > 1 and settings.store.startswith("memory:"):
        raise SettingsError(
            f"workers is {settings.workers}, and the store memory:// cannot be shared by processes",
            hint="Set --store sqlite:///FILE or redis://HOST, or --workers 1.",
        )


def _check_policies(settings: Settings) -> None:
    if settings.policies_dir and not Path(settings.policies_dir).is_dir():
        raise SettingsError(
            f"policies_dir {settings.policies_dir} is no folder",
            hint="Name a folder that is there.",
        )
    if settings.decision_log and not Path(settings.decision_log).absolute().parent.is_dir():
        raise SettingsError(
            f"decision_log {settings.decision_log} is a file in a folder that is not there",
            hint="Make the folder first.",
        )


def _with_places(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Fill in where the daemon keeps its files and, unless told, its store."""
    data_dir = _data_dir(settings, environ)
    store = settings.store or f"sqlite:///{data_dir / 'clipper.db'}"
    places = {"data_dir": str(data_dir), "store": store}
    for key in ("policies_dir", "decision_log"):
        if named := getattr(settings, key):
            places[key] = str(Path(named).absolute())
    return settings.model_copy(update=places)


def _data_dir(settings: Settings, environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME", "")
    if settings.data_dir:
        tilde = settings.data_dir.startswith("~/") and home
        return Path(home + settings.data_dir[1:] if tilde else settings.data_dir).absolute()
    if environ.get("XDG_DATA_HOME", "").startswith("/"):
        return Path(environ["XDG_DATA_HOME"], "clipper")
    if home.startswith("/"):
        return Path(home, ".local", "share", "clipper")
    if settings.store.startswith("sqlite:///"):
        return Path(settings.store.removeprefix("sqlite://")).parent
    raise SettingsError(
        "there is no home directory to keep the daemon's files in (HOME is not set)",
        hint="Set --data-dir DIR, or --store sqlite:///FILE to keep everything beside that file.",
    )
