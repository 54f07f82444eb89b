"""Results as tables: rows of text, for a terminal or for a page.

Knows what stands in which column; the numbers come from `summaries`. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from made.benchmark.results import (
    BEST_POWER,
    KEPT,
    MEAN,
    MIXTURE,
    PRODUCT,
    RECIPES,
    SMOOTH_EM,
    Result,
    combination_of,
)
from made.benchmark.suites import published
from made.benchmark.summaries import (
    MISSING,
    Figure,
    best_published,
    gain_of,
    gain_over,
    is_credible,
    losses_of_default,
    main_recipe,
    mark,
    measured,
    minutes_of,
    nll_of,
    of_set,
    recipes_of,
    suites_of,
)

SYMBOLS = "+ better, = within the 95% interval, - worse than the best published figure"
_TITLES = {"made": "MADE's sets", "debd": "DEBD", "mnist": "Binarized MNIST"}


@dataclass(frozen=True)
class Table:
    """A title, notes, a header, and rows of as many cells."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Return the rows in the form of Markdown."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def published_tables(results: Sequence[Result]) -> list[Table]:
    """Return ours beside what is published, for every suite that has results."""
    makers = {"made": _made_tables, "debd": _debd_tables, "mnist": _mnist_tables}
    tables = []
    for suite in suites_of(results):
        make = makers.get(suite)
        tables += make(results) if make else [_plain_table(results, suite)]
    return [*tables, *_default_tables(results)]


def _made_tables(results: Sequence[Result]) -> list[Table]:
    known = published()["made"]
    apart = known["not_comparable"]
    sets = [name for name in known["sets"] if name not in apart]
    rows = [
        [row["model"], *(_published_cell(row, known["sets"], name) for name in sets)]
        for row in known["rows"]
    ]
    rows.append(["95% interval of the last row", *(f"{best_published(n)[1]:.2f}" for n in sets)])
    rows.append(["best published", *(f"{best_published(n)[0]:.2f}" for n in sets)])
    recipes = recipes_of(results, "made")
    for recipe in recipes:
        cells = []
        for name in sets:
            ours = measured(results, "made", name, recipe)
            best, interval = best_published(name)
            cells.append(
                MISSING if ours is None else f"{ours.text()} {mark(best - ours.value, interval)}"
            )
        rows.append([f"ours, {recipe}", *cells])
    if len(recipes) > 1:
        gains = [gain_over(results, "made", name, "search", "default") for name in sets]
        rows.append(["gain of search over default, paired", *map(_signed, gains)])
    main = Table(
        "MADE's sets: test negative log-likelihood, nats a row, lower is better",
        ["model", *sets],
        rows,
        (
            f"{SYMBOLS}. The interval is the one published with MADE, mask sampling, the only one "
            "there; it is of the same test rows. Which rows of web were for validation is not "
            "known: ours are another part of what it is trained on.",
            "~ published as approximate. ± is the spread over seeds where there are several, else "
            "the standard error of the test rows. Of runs of different times the longest count.",
            f"Source: {known['source']}.",
        ),
    )
    tables = [main]
    for name in apart:
        if recipe_rows := [
            [f"ours, {recipe}, other rows", ours.text()]
            for recipe in recipes
            if (ours := measured(results, "made", name, recipe)) is not None
        ]:
            others = [
                [row["model"], _published_cell(row, known["sets"], name)] for row in known["rows"]
            ]
            tables.append(
                Table(
                    "RCV1: not comparable",
                    ["model", "nats a row"],
                    others + recipe_rows,
                    (
                        "The published split could not be had: ours is a part of its validation "
                        "rows, cut in three, with a sixth of the training rows. No mark, no count.",
                    ),
                )
            )
    return tables


def _published_cell(row: dict, sets: list[str], name: str) -> str:
    about = "~" if name in row.get("about", ()) else ""
    return f"{about}{row['nll'][sets.index(name)]:.2f}"


def _debd_tables(results: Sequence[Result]) -> list[Table]:
    known = published()["debd"]
    rows = []
    for name, row in known["rows"].items():
        made = MISSING if row["made"] is None else f"{row['made']:.2f}"
        if row["made"] is not None and not is_credible(row):
            made = f"({made})"
        recipe = main_recipe(results, "debd", name)
        cells = [MISSING] * 5
        ours = measured(results, "debd", name, recipe) if recipe else None
        if recipe and ours is not None:
            gain = round(-ours.value - row["best"], 2) + 0.0
            paired = gain_over(results, "debd", name, "search", "default")
            cells = [ours.negative().text(), recipe, f"{gain:+.2f}",
                     mark(-ours.value - row["best"], ours.half_width), _signed(paired)]  # fmt: skip
        rows.append([name, *cells[:2], made, f"{row['best']:.2f}", row["model"], *cells[2:]])
    header = ["set", "ours", "recipe", "MADE, 8 orderings", "best exact model", "which",
              "difference to it", "", "gain of search over default, paired"]  # fmt: skip
    notes = (
        "+ better, = within the 95% interval of our test rows, - worse than the best exact model "
        "(none of the published figures has an interval).",
        "kosarek has no figure of MADE, and that of kdd is out of line with all others: neither "
        "counts. Of runs of different times the longest count.",
        f"Source: {known['source']}.",
    )
    return [Table("DEBD: test log-likelihood, nats a row, higher is better", header, rows, notes)]


def _mnist_tables(results: Sequence[Result]) -> list[Table]:
    known = published()["mnist"]
    lines = [
        (row["nll"], [row["model"], f"{'~' if row.get('about') else ''}{row['nll']:.2f}", ""])
        for row in known["rows"]
    ]
    best_made = next(row["nll"] for row in known["rows"] if row.get("best_made"))
    for recipe in recipes_of(results, "mnist"):
        ours = measured(results, "mnist", known["set"], recipe)
        if ours is not None:
            sign = mark(best_made - ours.value, ours.half_width)
            lines.append((ours.value, [f"ours, {recipe}", ours.text(), sign]))
    rows = [cells for _, cells in sorted(lines, key=lambda line: -line[0])]
    notes = (
        "+ better, = within the 95% interval of our test rows, - worse than the best published "
        "MADE.",
        f"Data: {known['source']}. Figures on dynamically binarized digits are another data set.",
    )
    title = "Binarized MNIST: test negative log-likelihood, nats a row, lower is better"
    return [Table(title, ["model", "nats", ""], rows, notes)]


def _plain_table(results: Sequence[Result], suite: str) -> Table:
    keys = dict.fromkeys((one["set"], one["recipe"]) for one in results if one["suite"] == suite)
    rows = []
    for name, recipe in keys:
        ours = measured(results, suite, name, recipe)
        rows.append([name, recipe, MISSING if ours is None else ours.text()])
    return Table(f"{suite}: test nats a row, lower is better", ["set", "recipe", "test"], rows)


def _default_tables(results: Sequence[Result]) -> list[Table]:
    """Return what a fit without a search loses, where both were run."""
    rows = []
    for (suite, name), loss in losses_of_default(results).items():
        found = [of_set(results, suite, name, recipe) for recipe in RECIPES]
        cells = []
        for ones in found:
            cells += [nll_of(ones, KEPT).text(3), f"{minutes_of(ones):.1f}"]
        rows.append([f"{_TITLES.get(suite, suite)}: {name}", *cells, f"{100 * loss:+.2f}%"])
    header = ["set", "default", "minutes", "search", "minutes", "loss of the default"]
    notes = ("Test nats a row, lower is better. The loss is a share of the nats of the search.",)
    return [Table("One default, without a search", header, rows, notes)] if rows else []


def combination_tables(results: Sequence[Result]) -> list[Table]:
    """Return how the combinations of the same members score, a table for each suite."""
    return [
        _combination_table([one for one in results if one["suite"] == suite], suite)
        for suite in suites_of(results)
    ]


def _combination_table(results: Sequence[Result], suite: str) -> Table:
    rows = []
    for name, recipe in dict.fromkeys((one["set"], one["recipe"]) for one in results):
        found = of_set(results, suite, name, recipe)
        rows.append(
            [
                f"{name}, {recipe}",
                f"{nll_of(found, MEAN).value:.3f}",
                nll_of(found, MIXTURE).text(3),
                *(_signed(gain_of(found, way), 3) for way in (SMOOTH_EM, PRODUCT, BEST_POWER)),
                _signed(gain_of(found, KEPT), 3),
                ", ".join(dict.fromkeys(one["configuration"]["combination"] for one in found)),
                _normalizer(found, PRODUCT),
                _normalizer(found, KEPT),
                f"{minutes_of(found):.1f}",
            ]
        )
    header = ["set, recipe", MEAN, MIXTURE, "smooth EM", "product", "best power", KEPT,
              "which was kept", "log Z of the product", "log Z of the kept", "minutes"]  # fmt: skip
    notes = (
        "Test nats a row of the mean member and the mixture, lower is better; then what each "
        "combination gains over the mixture of equal weights, paired by test rows. ± is the "
        "spread over seeds where there are several, else the standard error.",
        "Where Z is not 1 figures are conservative, less the upper limit of log Z; the 95% limits "
        "stand in brackets (of the lowest seed). Minutes are of the fit or the search, on as many "
        "threads as the command says.",
    )
    return Table(f"{_TITLES.get(suite, suite)}: our combinations", header, rows, notes)


def _normalizer(results: Sequence[Result], combination: str) -> str:
    line = combination_of(results[0], combination)
    lower, upper = line["log_normalizer_lower"], line["log_normalizer_upper"]
    if lower == upper == 0:
        return "0"
    return f"{line['log_normalizer']:.3f} [{lower:.3f}, {upper:.3f}]"


def _signed(gain: Figure | None, decimals: int = 2) -> str:
    return MISSING if gain is None else gain.text(decimals, sign=True)
