"""The study of combinations as pictures: a panel for each set, against the number of members."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np

from combining_tables import FOUR, SIZES, TWO, Line, Result, most_members
from made.benchmark.results import BEST_POWER, EM, MIXTURE, PRODUCT

_DASHES = {"all": "-", "fixed": "--"}
_COLORS = {
    MIXTURE: "tab:blue", EM: "tab:orange", PRODUCT: "tab:green", BEST_POWER: "tab:red",
    TWO: "tab:purple", FOUR: "tab:brown",
}  # fmt: skip
# The best power often is 0, the product itself: a broad line shows under the other.
_WIDTHS = {BEST_POWER: 3.0}
_ACROSS = 4


def plot(results: list[Result], folder: Path) -> None:
    """Draw the gain over one ordering, and the acceptance, against the number of members."""
    gains = (MIXTURE, EM, PRODUCT, BEST_POWER)
    draw(results, gains, "gain", "nats over the mean member", folder / "combining-members.png")
    rates = (PRODUCT, BEST_POWER, TWO, FOUR)
    draw(results, rates, "log_normalizer", "log Z", folder / "combining-acceptance.png")


def draw(
    results: list[Result], names: tuple[str, ...], metric: str, label: str, path: Path
) -> None:
    import matplotlib.pyplot as plt

    panels = [(name, list(group)) for name, group in groupby(results, key=lambda r: r["set"])]
    n_down = -(-len(panels) // _ACROSS)
    figure, axes = plt.subplots(
        n_down, _ACROSS, figsize=(3.4 * _ACROSS, 2.6 * n_down), squeeze=False
    )
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    for axis, (title, models) in zip(axes.flat, panels, strict=False):
        for result in models:
            for name in names:
                lines = [line for line in result["lines"] if line["combination"] == name]
                axis.errorbar(
                    [line["members"] for line in lines],
                    [line[metric] for line in lines],
                    errors(lines, metric),
                    color=_COLORS[name], linestyle=_DASHES[result["orderings"]],
                    marker=".", markersize=4, linewidth=_WIDTHS.get(name, 1.2), capsize=2,
                    alpha=0.45 if name in _WIDTHS else 1.0,
                )  # fmt: skip
        axis.set_xscale("log", base=2)
        sizes = [n for n in SIZES if n <= max(map(most_members, models))]
        axis.set_xticks(sizes, map(str, sizes))
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel(label)
    for axis in axes.flat[max(len(panels) - _ACROSS, 0) : len(panels)]:
        axis.set_xlabel("members")
    keys = [
        plt.Line2D([], [], color=_COLORS[name], label=name, linewidth=_WIDTHS.get(name, 1.2),
                   alpha=0.45 if name in _WIDTHS else 1.0)
        for name in names
    ]  # fmt: skip
    keys += [
        plt.Line2D([], [], color="gray", linestyle=dash, label=f"{kind} orderings")
        for kind, dash in _DASHES.items()
    ]
    figure.legend(handles=keys, loc="upper center", ncols=len(keys) // 2)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.55 / n_down / 2.6))
    figure.savefig(path, dpi=80)


def errors(lines: list[Line], metric: str) -> np.ndarray:
    """Return the lengths of the error bars, below and above: one standard error, or limits."""
    if metric == "gain":
        return np.array([[line["gain_error"] for line in lines]] * 2)
    middle = np.array([line["log_normalizer"] for line in lines])
    lower = np.array([line["log_normalizer_lower"] for line in lines])
    upper = np.array([line["log_normalizer_upper"] for line in lines])
    return np.maximum([middle - lower, upper - middle], 0.0)
