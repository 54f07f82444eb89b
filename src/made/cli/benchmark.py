"""``made benchmark SUITE`` and ``made benchmark table DIR``: parse, run or render, print."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from made.cli.running import (
    FAILED,
    INTERRUPTED,
    AsJson,
    Debug,
    Seed,
    Threads,
    print_json,
    print_table,
    reports_errors,
    say,
    using_threads,
)
from made.errors import OptionError

if TYPE_CHECKING:
    from made.benchmark.results import Result
    from made.benchmark.runner import Outcome, Plan


class _Suites(TyperGroup):
    """Takes every first word that is no command for the name of a suite to run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = not args or args[0] in self.commands
        return super().resolve_command(ctx, args if known else ["run", *args])


benchmark = typer.Typer(
    cls=_Suites,
    help="Published benchmarks: made benchmark SUITE --out DIR runs one, table shows results.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@benchmark.command()
@reports_errors
def run(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="made, debd or mnist.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of results.")],
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="A set (all of the suite); may be repeated.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Time for each set (made 30m, debd 20m, mnist 3h).", show_default=False),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="default: one fit; search: over its options (search; mnist: default).",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(envvar="MADE_DATA", help="The folder of data; see docs/data.md."),
    ] = None,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fit the sets of SUITE one after the other and score their test rows, once.

    Results that are in --out already are kept; after Ctrl-C the same command goes on.
    """
    from made.benchmark.suites import find_sets, find_suite

    # A wrong name is found before anything slow is imported.
    wanted = find_suite(suite)
    chosen = find_sets(wanted, sets or ())
    if data is None:
        raise OptionError(
            "Where is the data? Give its folder by --data, or by MADE_DATA in the environment; "
            "docs/data.md says how to get it."
        )
    if not data.is_dir():
        raise OptionError(f"--data {data} is no folder. docs/data.md says how to get the data.")
    from made.benchmark.runner import Plan, run

    plan = Plan(wanted, data, out, recipe or "", budget or "", seed, threads)
    _prepare(plan)
    outcomes: list[Outcome] = []
    try:
        with using_threads(threads):
            for outcome in run(plan, chosen):
                outcomes.append(outcome)
                _tell(plan, outcome, as_json, debug)
    except KeyboardInterrupt:
        there = sum(plan.result(one.name).exists() for one in chosen)
        say(
            f"Stopped. {there} of {len(chosen)} results are kept in {out / wanted.name}, and so is "
            "what was trained of the set under way. The same command goes on there."
        )
        raise typer.Exit(INTERRUPTED) from None
    failed = {one.name: str(one.error) for one in outcomes if one.error is not None}
    if as_json:
        print_json(
            {
                "suite": wanted.name,
                "out": str(out),
                "recipe": plan.recipe,
                "seed": seed,
                "budget_seconds": plan.seconds,
                "results": [one.result for one in outcomes if one.result is not None],
                "kept": [one.name for one in outcomes if one.kept],
                "failed": failed,
            }
        )
    else:
        _print_results([one.result for one in outcomes if one.result is not None])
    if failed:
        say(f"Error: {len(failed)} of {len(outcomes)} sets failed: {', '.join(failed)}.")
        raise typer.Exit(FAILED)


def _prepare(plan: Plan) -> None:
    from made.storage import check_writable

    folder = plan.out / plan.suite.name
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder / "any.json")


def _tell(plan: Plan, outcome: Outcome, as_json: bool, debug: bool) -> None:
    """Say in a line what became of a set."""
    if outcome.result is None:
        if debug and outcome.error is not None:
            traceback.print_exception(outcome.error)
        say(f"{outcome.name}: {outcome.error or type(outcome.error).__name__}")
        return
    if outcome.kept:
        say(
            f"{outcome.name}: kept the result that is there, {plan.result(outcome.name)} (of "
            f"{outcome.result['budget_seconds']:g} s)"
        )
    elif not as_json:
        one = outcome.result
        print(
            f"{one['set']}: test {one['test_nll']:.3f} +- {one['test_standard_error']:.3f} nats, "
            f"validation {one['validation_nll']:.3f}, {one['seconds']:.0f} s, "
            f"{one['configuration']['combination']} of {one['configuration']['n_members']}",
            flush=True,
        )


def _print_results(results: list[Result]) -> None:
    rows = [
        [
            one["set"],
            one["recipe"],
            str(one["seed"]),
            f"{one['test_nll']:.3f}",
            f"{one['test_standard_error']:.3f}",
            f"{one['validation_nll']:.3f}",
            f"{one['seconds']:.0f} s",
            one["configuration"]["combination"],
        ]
        for one in results
    ]
    if rows:
        print("\nTest negative log-likelihood in nats a row, lower is better\n")
        header = ["set", "recipe", "seed", "test", "+-", "validation", "time", "combination"]
        print_table(header, rows, to_the_left=2)


@benchmark.command()
@reports_errors
def table(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The --out of benchmark runs.")],
    markdown: Annotated[
        Path | None, typer.Option(help="Write the page of results to this file.")
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(help="The folder for its pictures; needs the extra docs.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show the results in DIR beside the published figures."""
    del debug
    if plots is not None and markdown is None:
        raise OptionError("--plots draws the pictures of a page: give its file by --markdown.")
    from made.storage import check_writable, write_bytes

    if markdown is not None:
        check_writable(markdown)
    from made.benchmark.results import read_results
    from made.benchmark.summaries import headline, to_json
    from made.benchmark.tables import combination_tables, published_tables

    results = read_results(folder)
    if markdown is not None:
        from made.benchmark.page import page

        pictures = None
        if plots is not None:
            from made.benchmark.plots import plot

            plot(results, plots)
            pictures = os.path.relpath(plots, markdown.parent)
        text = page(results, folder.as_posix(), pictures)
        write_bytes(markdown, text.encode())
        say(f"Written: {markdown}")
    tables = [*published_tables(results), *combination_tables(results)]
    if as_json:
        from dataclasses import asdict

        print_json(
            {
                "headline": headline(results),
                "results": to_json(results),
                "tables": [asdict(one) for one in tables],
            }
        )
        return
    if markdown is not None:
        return
    for one in tables:
        print(f"{one.title}\n")
        print_table(one.header, one.rows)
        print("\n" + "\n".join(one.notes) + "\n")
    print("\n".join(headline(results)))
