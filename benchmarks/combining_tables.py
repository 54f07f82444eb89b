"""The study of combinations as text: results -> Markdown tables, and the page that holds them.

Knows the form of the results that `combining.py` writes and the names in them; knows nothing of
models. All figures are test nats a row, higher is better, and come from the files alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from made.benchmark.results import BEST_POWER, EM, MEAN, MIXTURE, PRODUCT, SMOOTH_EM, SPARSE_EM

SETS = {
    "mushrooms": "made", "dna": "made", "adult": "made", "nips": "made", "ocr_letters": "made",
    "nltcs": "debd20", "plants": "debd20", "jester": "debd20", "tretail": "debd20",
    "accidents": "debd20", "web": "made", "connect4": "made", "rcv1_partial": "made",
}  # fmt: skip
ORDERINGS: dict[str, str | int] = {"fixed": 16, "all": "all"}
BEST_MEMBER, LEARNED_PRODUCT, TWO, FOUR = (
    "best member by validation", "product, learned weights", "product of 2 mixtures",
    "product of 4 mixtures",
)  # fmt: skip
# What saw the validation rows no more than by one number may be chosen by them.
CHOSEN, CANDIDATES = (
    "the best of mixture, powers and trees",
    (MIXTURE, PRODUCT, BEST_POWER, TWO, FOUR),
)
SIZES = (1, 4, 16, 64, 256, 1024)
# A difference counts if it is so many of its standard errors away from 0, and so many nats.
CLEAR, SHOWN = 2.0, 0.0005

Result = dict[str, Any]
Line = dict[str, Any]


def stored(folder: Path) -> list[Result]:
    """Return the results that are there, in the order of the sets."""
    paths = [folder / f"{name}-{orderings}.json" for name in SETS for orderings in ORDERINGS]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def lines_of(result: Result, n_members: int) -> dict[str, Line]:
    """Return the lines of the combinations of the first ``n_members``, by name."""
    lines = {line["combination"]: line for line in result["lines"] if line["members"] == n_members}
    if lines:
        known = [lines[name] for name in CANDIDATES if name in lines]
        lines[CHOSEN] = max(known, key=lambda line: line["validation"])
    return lines


def most_members(result: Result) -> int:
    return max(line["members"] for line in result["lines"])


def signed(value: float) -> str:
    # Adding 0 turns -0.0 into 0.0.
    return f"{round(value, 3) + 0.0:+.3f}"


def difference(line: Line) -> str:
    power = f" (a = {line['power']:g})" if line["combination"] == BEST_POWER else ""
    return f"{signed(line['difference'])} +- {line['difference_error']:.3f}{power}"


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def differences(results: list[Result], *sizes: int) -> str:
    """Return the differences to the mixture of equal weights, with their standard errors."""
    names = (EM, PRODUCT, LEARNED_PRODUCT, BEST_POWER, FOUR)
    head = ["EM weights", "product", "product, learned weights", "best power", FOUR]

    def rows() -> Iterator[list[str]]:
        for n_members in sizes:
            for result in results:
                if lines := lines_of(result, n_members):
                    mixture = lines[MIXTURE]
                    kind = result["orderings"] if len(sizes) == 1 else str(n_members)
                    yield [
                        f"{result['set']}, {kind}",
                        f"{lines[MEAN]['test']:.2f}",
                        f"{mixture['test']:.2f} +- {mixture['test_error']:.2f}",
                        *(difference(lines[name]) for name in names),
                        f"{lines[PRODUCT]['acceptance']:.3f}",
                    ]

    kind = "orderings" if len(sizes) == 1 else "members"
    return table([f"set, {kind}", MEAN, "mixture", *head, "Z of the product"], rows())


def summary(results: list[Result], n_members: int) -> str:
    """Return how often each combination beats the mixture of equal weights, and by how much."""
    names = (
        PRODUCT, LEARNED_PRODUCT, BEST_POWER, FOUR, CHOSEN, EM, SMOOTH_EM, SPARSE_EM, BEST_MEMBER,
    )  # fmt: skip
    models = [(result, lines) for result in results if (lines := lines_of(result, n_members))]

    def rows() -> Iterator[list[str]]:
        for name in names:
            found = sorted(
                ((lines[name], _model(result, n_members)) for result, lines in models),
                key=lambda pair: pair[0]["difference"],
            )
            marks = [_verdict(line) for line, _ in found]
            yield [
                name,
                *(str(marks.count(mark)) for mark in (1, 0, -1)),
                *(f"{difference(line)}, {model}" for line, model in (found[-1], found[0])),
            ]

    head = [
        f"{n_members} members, {len(models)} models",
        "better",
        "alike",
        "worse",
        "most",
        "least",
    ]
    return table(head, rows())


def _verdict(line: Line) -> int:
    """Return 1 if a combination is clearly better than the mixture, -1 if worse, else 0."""
    if abs(line["difference"]) < max(CLEAR * line["difference_error"], SHOWN):
        return 0
    return 1 if line["difference"] > 0 else -1


def _model(result: Result, n_members: int) -> str:
    # Beyond 16 members all models are trained on all orderings.
    return result["set"] + (f" {result['orderings']}" if n_members <= 16 else "")


def members(results: list[Result], name: str) -> str:
    """Return test nats against the number of members, and how much of the gain 16 bring."""

    def rows() -> Iterator[list[str]]:
        for result in results:
            most = most_members(result)
            if most < 256:
                continue
            found = {n: lines_of(result, n).get(name) for n in SIZES}
            share = found[16]["gain"] / found[most]["gain"]  # type: ignore[index]
            yield [
                result["set"],
                f"{lines_of(result, most)[MEAN]['test']:.2f}",
                *(f"{line['test']:.2f}" if line else "" for line in found.values()),
                f"{share:.0%}",
            ]

    return table(["set", MEAN, *map(str, SIZES), "share of 16"], rows())


def learned(results: list[Result]) -> str:
    """Return what learned weights of all members gain, on the rows that taught them and others."""

    def rows() -> Iterator[list[str]]:
        for result in results:
            most = most_members(result)
            if most < 256:
                continue
            lines = lines_of(result, most)
            there = lines[EM]["validation"] - lines[MIXTURE]["validation"]
            yield [
                f"{result['set']}, {most}",
                str(result["validation_rows"]),
                signed(there),
                *(difference(lines[name]) for name in (EM, SMOOTH_EM, SPARSE_EM)),
                str(lines[SPARSE_EM]["kept"]),
            ]

    return table(
        ["set, members", "validation rows", "gain of EM there", "EM, on test rows", "smooth EM",
         "sparse EM", "members that sparse EM keeps"],
        rows(),
    )  # fmt: skip


def normalizers(results: list[Result], name: str) -> str:
    """Return what draws buy on one set: Z, the width of its limits in log, and their price."""

    def rows() -> Iterator[list[str]]:
        for n_members in SIZES[1:]:
            lines = lines_of(result, n_members)
            if PRODUCT not in lines or FOUR not in lines:
                continue
            product = lines[PRODUCT]
            low, upper = product["log_normalizer_lower"], product["log_normalizer_upper"]
            price = upper - product["log_normalizer"]
            powers = lines[BEST_POWER]
            yield [
                str(n_members),
                str(product["draws"]),
                f"{product['acceptance']:.4f}",
                f"{upper - low:.2f}",
                signed(product["difference"]),
                signed(product["difference"] + price),
                f"{powers['acceptance']:.3f} (a = {powers['power']:g})",
                f"{lines[FOUR]['acceptance']:.3f}",
            ]

    found = [each for each in results if (each["set"], each["orderings"]) == (name, "all")]
    result = found[0] if found else {"lines": []}
    return table(
        [f"members of {name}, all", "draws", "Z of the product", "width of log Z",
         "product less mixture", "by the estimate of log Z", "Z of the best power",
         f"Z of the {FOUR}"],
        rows(),
    )  # fmt: skip


def full(result: Result) -> str:
    """Return test nats of everything: a row for each combination, a column for each size."""
    cells = {(line["combination"], line["members"]): line for line in result["lines"]}
    shown = [n for n in SIZES if (MEAN, n) in cells]
    title = f"{result['set']}, {result['orderings']} orderings, test nats"
    lines = [f"{title:<44}" + "".join(f"{f'K = {n}':>10}" for n in shown)]
    for name in dict.fromkeys(name for name, _ in cells):
        values = [cells.get((name, n)) for n in shown]
        figures = "".join(f"{line['test']:10.3f}" if line else " " * 10 for line in values)
        last = cells[name, max(n for each, n in cells if each == name)]
        error = f"   +- {last['difference_error']:.3f} to the mixture"
        lines.append(f"{name:<44}{figures}{error}")
    return "\n".join(lines) + "\n"


Tables = dict[str, Callable[[], str]]


def page_tables(results: list[Result]) -> Tables:
    """Return the tables of docs/combining-orderings.md by the names that stand there."""
    return {
        "summary-16": lambda: summary(results, 16),
        "summary-256": lambda: summary(results, 256),
        "differences-16": lambda: differences(results, 16),
        "differences-256": lambda: differences(results, 256, 1024),
        "members-mixture": lambda: members(results, MIXTURE),
        "members-product": lambda: members(results, PRODUCT),
        "normalizers": lambda: normalizers(results, "nips"),
        "learned": lambda: learned(results),
    }


def filled(text: str, tables: Tables) -> str:
    """Return a page with its tables made anew; each stands between two comments.

    A table begins after ``<!-- table NAME -->`` and ends before ``<!-- end -->``; names that are
    not in ``tables`` are left as they are.
    """

    def fill(match: re.Match[str]) -> str:
        make = tables.get(match[2])
        return match[0] if make is None else f"{match[1]}\n\n{make()}\n\n<!-- end -->"

    return re.sub(r"(<!-- table ([\w-]+) -->)\n.*?<!-- end -->", fill, text, flags=re.DOTALL)
