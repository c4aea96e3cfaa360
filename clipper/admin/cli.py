"""`clipper-admin`: the daemon's administration from a terminal."""

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

import clipper
from clipper.admin.client import ADMIN_URL, QUERY_URL
from clipper.admin.commands import applications, build, daemon, models, queries, selection
from clipper.admin.environment import VARIABLES
from clipper.admin.terminal import EXIT_CODES, Target

ENVIRONMENT = {argument: list(names) for argument, names in VARIABLES.items()}

app = typer.Typer(
    name="clipper-admin",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=EXIT_CODES,
)
app.add_typer(applications.app, name="app")
app.add_typer(models.app, name="model")
queries.add_to(app)
selection.add_to(app, applications.app)
build.add_to(models.app)
daemon.add_to(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"clipper-admin {clipper.__version__}")
        raise typer.Exit


@app.callback()
def target(
    context: typer.Context,
    url: Annotated[
        str, typer.Option(envvar=ENVIRONMENT["url"], help="Address of the admin listener.")
    ] = ADMIN_URL,
    query_url: Annotated[
        str, typer.Option(envvar=ENVIRONMENT["query_url"], help="Address of the query listener.")
    ] = QUERY_URL,
    token: Annotated[
        str | None,
        typer.Option(envvar=ENVIRONMENT["token"], help="Token of the admin listener."),
    ] = None,
    query_token: Annotated[
        str | None,
        typer.Option(envvar=ENVIRONMENT["query_token"], help="Token of the query listener."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Administer a running clipperd.

    \b
    A model served in three steps:
      clipper-admin app create digits --input-type floats --slo-ms 20 --default-output -1
      clipper-admin model deploy svm 1 svm.joblib --framework sklearn --input-type floats
      clipper-admin app link digits svm
    Then ask it:
      clipper-admin query digits '[0.1, 0.5, 0.9]'
    """
    context.obj = (context.obj or Target()).but(
        url=url, query_url=query_url, token=token, query_token=query_token
    )


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that lacks a letter is no failure
            stream.reconfigure(errors="backslashreplace")
    app()


if __name__ == "__main__":
    main()
