"""What long work tells whoever watches it.

Work calls a `Progress`; it never prints. `terminal_progress` draws a bar on standard
error when that is a terminal and is silent otherwise. Knows nothing of the work.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Progress(Protocol):
    """Watches one piece of long work."""

    def update(self, done: float, total: float, note: str = "") -> None:
        """Report that ``done`` of ``total`` is finished; ``note`` is shown beside the bar."""


class NoProgress:
    """Watches without a word."""

    def update(self, done: float, total: float, note: str = "") -> None:
        del done, total, note


class Part:
    """Shows the progress of one part of a work as progress of the whole.

    The part begins at ``start`` and is ``size`` long, of ``total``; ``label`` says which it is.
    """

    def __init__(
        self, whole: Progress, start: float, size: float, total: float, label: str = ""
    ) -> None:
        self._whole, self._label = whole, label
        self._start, self._size, self._total = start, size, total

    def update(self, done: float, total: float, note: str = "") -> None:
        text = "  ".join(part for part in (self._label, note) if part)
        self._whole.update(self._start + self._size * done / total, self._total, text)


class _Bar:
    def __init__(self, bar: RichProgress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def update(self, done: float, total: float, note: str = "") -> None:
        self._bar.update(self._task, completed=done, total=total, note=note)


@contextlib.contextmanager
def terminal_progress(description: str, *, show: bool = True) -> Iterator[Progress]:
    """Yield a progress bar with the time left, or a silent one where nobody looks."""
    if not (show and sys.stderr.isatty()):
        yield NoProgress()
        return
    # Imported here: it is needed only when a person is looking.
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _Bar(bar, bar.add_task(description, total=None, note=""))
