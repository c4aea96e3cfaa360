"""What every command of clipper-admin shares: the connection, the output, the exit codes.

Answers go to stdout, and with `--json` nothing but one JSON value does; everything else goes to
stderr. A command is a function of a Session and its own arguments; `command` gives it the options
that name the daemon, and turns errors into an exit code and a next step.

Whatever is printed may hold texts of models: nothing in it steers the terminal.
"""

import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Concatenate, NoReturn, ParamSpec

import httpx
import typer
from rich.console import Console
from rich.table import Table

from clipper.admin.client import ADMIN_URL, QUERY_URL, ClipperConnection
from clipper.admin.errors import (
    AdminError,
    BuildFailed,
    ClipperRefused,
    ClipperUnreachable,
    DeployTimeout,
    InvalidCall,
)
from clipper.core.escapes import lines, one_line

P = ParamSpec("P")

REFUSED, USAGE, UNREACHABLE, DEPLOY_FAILED = 1, 2, 3, 4
INTERRUPTED = 130  # as shells have it: 128 and the signal's number
EXIT_CODES = """\
Exit codes: 0 done; 1 the daemon refused; 2 wrong usage; 3 the daemon was not reached; \
4 a deployment failed or took too long."""

Url = Annotated[str | None, typer.Option(help="Address of the admin listener.")]
QueryUrl = Annotated[str | None, typer.Option(help="Address of the query listener.")]
Token = Annotated[str | None, typer.Option(help="Token of the admin listener.")]
QueryToken = Annotated[str | None, typer.Option(help="Token of the query listener.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, slots=True)
class Target:
    """Which daemon is meant, and the tokens it asks for."""

    url: str = ADMIN_URL
    query_url: str = QUERY_URL
    token: str | None = field(default=None, repr=False)
    query_token: str | None = field(default=None, repr=False)
    transport: httpx.BaseTransport | None = None
    """Takes the network's place in tests."""

    def but(self, **given: str | None) -> "Target":
        """The same with what was given in its place."""
        changes: dict[str, Any] = {key: value for key, value in given.items() if value}
        return replace(self, **changes)


def _console(*, stderr: bool) -> Console:
    # Names and logs are printed as they are: no markup, no colouring of what looks like a number.
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = 1000  # a pipe has no edge at which to wrap
    return console


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command."""

    clipper: ClipperConnection
    target: Target
    out: Console = field(default_factory=lambda: _console(stderr=False))
    err: Console = field(default_factory=lambda: _console(stderr=True))

    def show_json(self, value: object) -> None:
        """Print one JSON value."""
        typer.echo(json.dumps(value, indent=2))

    def say(self, text: str) -> None:
        """Print a sentence for a person."""
        self.err.print(lines(text), soft_wrap=True)

    def answer(self, text: str = "") -> None:
        """Print lines of an answer."""
        self.out.print(lines(text), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table; numbers are set to the right."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        body = [list(row) for row in rows]
        for index, column in enumerate(columns):
            numbers = bool(body) and all(isinstance(row[index], int | float) for row in body)
            table.add_column(column, justify="right" if numbers else "left", overflow="fold")
        for row in body:
            table.add_row(*(one_line(str(cell)) for cell in row))
        self.out.print(table)

    def facts(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Print names and values, a line each."""
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in pairs:
            table.add_row(name, one_line(str(value)))
        self.out.print(table)

    def confirm(self, question: str, yes: bool) -> None:
        """Ask a person; a script, which nobody could answer for, is not asked."""
        if not yes and asked_by_a_person():
            typer.confirm(question, err=True, abort=True)


def asked_by_a_person() -> bool:
    """Whether somebody sits at a terminal who can answer a question."""
    return sys.stdin.isatty()


def fail(error: AdminError) -> NoReturn:
    """End the command with what went wrong and what to do next."""
    console = _console(stderr=True)
    console.print(lines(f"Error: {error.message}"), soft_wrap=True)
    console.print(lines(f"Next:  {next_step(error)}"), soft_wrap=True)
    raise typer.Exit(exit_code(error))


def _interrupted() -> NoReturn:
    console = _console(stderr=True)
    console.print("Interrupted. What the daemon was asked to do, it goes on doing.")
    console.print("Next:  See how far it is: clipper-admin status", soft_wrap=True)
    raise typer.Exit(INTERRUPTED)


def next_step(error: AdminError) -> str:
    """What to do about it from a terminal; where the daemon talks of its API, the command."""
    command = ""
    if isinstance(error, ClipperRefused):
        command = "See the command's --help." if error.status == 422 else _NEXT.get(error.code, "")
    return command or error.hint or "Look further with clipper-admin doctor."


_NEXT = {
    "unknown_application": "See what there is: clipper-admin app list",
    "unknown_model": "See what there is: clipper-admin model list",
    "store_unavailable": "Find out more: clipper-admin status",
}


def exit_code(error: AdminError) -> int:
    """The exit code that tells a script what kind of failure it was."""
    if isinstance(error, ClipperRefused):
        # 502 is the API's word for "the model could not be brought up", whatever ended it.
        return DEPLOY_FAILED if error.status == 502 else REFUSED
    if isinstance(error, DeployTimeout | BuildFailed):
        return DEPLOY_FAILED
    return UNREACHABLE if isinstance(error, ClipperUnreachable) else USAGE


def parse_json(text: str, what: str, example: str = '"text"') -> Any:
    """A JSON argument, which looks as the example does.

    Raises:
        InvalidCall: it is not JSON.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidCall(
            f"{what} is not JSON: {error}.",
            hint=f"Quote it for the shell; text needs its own quotes: '{example}'.",
        ) from None


_TARGET = {"url": Url, "query_url": QueryUrl, "token": Token, "query_token": QueryToken}


def command(
    group: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[Concatenate[Session, P], None]]:
    """Register a function of a Session as a command of a group."""

    def register(
        function: Callable[Concatenate[Session, P], None],
    ) -> Callable[Concatenate[Session, P], None]:
        group.command(name)(_runner(function))
        return function

    return register


def _runner(function: Callable[..., None]) -> Callable[..., None]:
    """The function that typer calls: the same signature, but for the session and the target."""
    own = list(inspect.signature(function).parameters.values())[1:]
    shared = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for key, kind in _TARGET.items()
    ]
    context = inspect.Parameter(
        "context_", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context
    )
    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]

    @functools.wraps(function)
    def run(*, context_: typer.Context, **arguments: Any) -> None:
        given = {key: arguments.pop(key) for key in _TARGET}
        target = (context_.find_object(Target) or Target()).but(**given)
        try:
            with _connect(target) as clipper:
                function(Session(clipper, target), **arguments)
        except AdminError as error:
            fail(error)
        except KeyboardInterrupt:
            _interrupted()

    parameters = [context, *own, *shared]
    del run.__wrapped__  # typer would read its signature
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _connect(target: Target) -> ClipperConnection:
    return ClipperConnection(
        target.url,
        target.query_url,
        token=target.token,
        query_token=target.query_token,
        transport=target.transport,
    )
