"""The command line: parse, call one function, print, exit code.

Only typer is imported here: ``made --help`` must answer at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from made._version import __version__
from made.cli.ask import explain, impute, query
from made.cli.benchmark import benchmark
from made.cli.combine import combine, pool, verify
from made.cli.demo import demo
from made.cli.fit import fit
from made.cli.info import info
from made.cli.running import set_started
from made.cli.schema import schema
from made.cli.use import sample, score

app = typer.Typer(
    name="made",
    help="Exact probabilities for tables, by masked autoencoders.",
    no_args_is_help=True,
    add_completion=False,
    # Plain help and one-line errors; rich markup costs a fifth of a second to import.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    schema, fit, score, sample, query, impute, explain, info, combine, pool, verify, demo
):  # fmt: skip
    app.command()(command)
app.add_typer(benchmark, name="benchmark")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"made {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    del version


def run(started: float) -> None:
    """Run the command line of this process, which started at ``started`` (monotonic)."""
    set_started(started)
    app()
