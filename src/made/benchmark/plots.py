"""Results as pictures: a panel for each set of a suite. Needs matplotlib, of the extra ``docs``.

Knows the form of the results and of a page; knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from made.benchmark.page import PICTURES, picture_name
from made.benchmark.results import Result
from made.benchmark.suites import SUITES
from made.benchmark.summaries import suites_of
from made.errors import OptionError

_COLORS = {"default": "tab:blue", "search": "tab:red"}
_PARTS = {"training": "history", "orderings": "by_orderings"}
_LABELS = {"training": "seconds", "orderings": "members"}
_ACROSS = 4
# Of what was scored while training, the share that is shown: first epochs are far off.
_SHOWN = 0.9


def plot(results: Sequence[Result], folder: Path) -> list[Path]:
    """Draw every picture of the page into a folder and return where they are.

    Raises
    ------
    OptionError
        If matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise OptionError(
            "--plots needs matplotlib, which is not installed: pip install 'made[docs]'."
        ) from error
    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for suite in suites_of(results):
        of_suite = [one for one in results if one["suite"] == suite]
        for kind in PICTURES:
            path = folder / picture_name(kind, suite)
            _draw(of_suite, suite, kind, path)
            drawn.append(path)
    return drawn


def _draw(results: Sequence[Result], suite: str, kind: str, path: Path) -> None:
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    there = {one["set"] for one in results}
    known = SUITES[suite].sets if suite in SUITES else sorted(there)
    panels = [name for name in known if name in there]
    across = min(_ACROSS, len(panels))
    down = -(-len(panels) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(3.4 * max(across, 2), 2.6 * down + 0.5), squeeze=False
    )
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    for axis, name in zip(axes.flat, panels, strict=False):
        _panel(axis, [one for one in results if one["set"] == name], kind)
        axis.set_title(name, fontsize=10)
    for axis in axes[:, 0]:
        axis.set_ylabel("validation nats a row")
    for axis in axes.flat[max(len(panels) - across, 0) : len(panels)]:
        axis.set_xlabel(_LABELS[kind])
    recipes = [recipe for recipe in _COLORS if any(one["recipe"] == recipe for one in results)]
    keys = [Line2D([], [], color=_COLORS[recipe], label=recipe) for recipe in recipes]
    figure.legend(handles=keys, loc="upper center", ncols=len(keys), title="recipe")
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.6 / (2.6 * down + 0.5)))
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _panel(axis: Any, results: Sequence[Result], kind: str) -> None:
    """Draw a line for each recipe and seed of one set."""
    for one in results:
        points = np.array(one[_PARTS[kind]], dtype=float).reshape(-1, 2)
        axis.plot(*points.T, color=_COLORS[one["recipe"]], marker=".", markersize=3, linewidth=1.2)
    axis.set_xscale("log", base=2 if kind == "orderings" else 10)
    if kind == "orderings":
        sizes = sorted({int(size) for one in results for size, _ in one["by_orderings"]})
        shown = sizes[:: 1 if len(sizes) < 7 else 2]
        axis.set_xticks(shown, [str(size) for size in shown])
        axis.minorticks_off()
    else:
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        heights = np.array([nats for one in results for _, nats in one["history"]])
        if len(heights):
            top = float(np.quantile(heights, _SHOWN))
            axis.set_ylim(heights.min() - 0.05 * (top - heights.min()) - 1e-3, top + 1e-3)
    axis.grid(alpha=0.3)
