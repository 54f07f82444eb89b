"""`made.fit`: every option in one signature, handed on to the recipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from made.density.density import Density
from made.fitting import RowSource, checkpoints_of, fit_table
from made.progress import terminal_progress
from made.search import remove_search, search_table
from made.training.state import Epoch


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a fit. ``density`` holds the best weights so far."""

    def __init__(self, density: Density, checkpoint: Path | None) -> None:
        super().__init__("training was interrupted")
        self.density = density
        self.checkpoint = checkpoint


def fit(
    train: Any,
    valid: Any = None,
    *,
    orderings: str | int | None = None,
    networks: int | None = None,
    members: int | None = None,
    combine: str = "auto",
    questions: bool = False,
    hidden: Sequence[int] | int | None = None,
    seed: int = 0,
    max_time: str | float | None = None,
    max_epochs: int | None = None,
    search: str | float | None = None,
    preset: str = "default",
    activation: str | None = None,
    residual: bool | None = None,
    normalization: str | None = None,
    direct_input: bool | None = None,
    direct_hidden: bool | None = None,
    conditioning: bool | None = None,
    dropout: float | None = None,
    hidden_degrees: str | None = None,
    spread: str | None = None,
    initialization: str | None = None,
    orderings_per_step: int | None = None,
    order_penalty: float | None = None,
    validation_members: int | None = None,
    batch_size: int | None = None,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    warm_up: int | None = None,
    schedule: str | None = None,
    clip_norm: float | None = None,
    average_decay: float | None = None,
    patience: int | None = None,
    precision: str | None = None,
    schema: Any = None,
    na: Sequence[str] = (),
    keep: Sequence[str] = (),
    split: str | None = None,
    header: bool = True,
    id_column: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: str | float = 30.0,
    resume: bool = False,
    on_epoch: Callable[[Epoch], None] | None = None,
    progress: bool = True,
) -> Density:
    """Fit an exact joint density to a table.

    Minimises E_x E_pi [-log q(x | pi)] over the weights of one masked autoencoder, with another
    connectivity pi at every step (Germain et al. 2015, section 4), and returns the mixture of
    ``members`` connectivities, or another combination of them that is better on ``valid``.

    Parameters
    ----------
    train : array, tensor, frame or path, (n_rows, n_columns)
        A table as it is: texts, categories, numbers, dates, truth values, missing cells. Files:
        .csv, .csv.gz, .parquet, .npy, .npz; an .npz file with arrays "train" and "valid" gives
        both.
    valid : like ``train``, optional
        Rows for early stopping; by default a tenth of ``train``, picked by the seed.
    orderings : "auto", "all" or int
        Orderings that training cycles through; "all" draws a fresh one at every step; "auto" (the
        default) is 16 where there are 15 rows or more for each column, else "all"; but 2 from
        5000 rows on, or from 2000 where columns are many, and 1 of images.
    networks : int
        Networks that are trained one after another, each from a seed of its own, in equal shares
        of the time; their members form one ensemble. By default 1; of bits in thousands of rows,
        or in fewer than twice the columns, 4 where there are four minutes or more, and of images
        one for every ten minutes.
    members : int
        Connectivities of each network: by default 16, or 64 of bits with fresh orderings; at
        most ``orderings`` of a fixed list.
    combine : {"auto", "mixture", "em", "product", "power=A"}
        How they are combined; "auto" keeps what scores best on the validation rows, or the mixture
        of equal weights where nothing is clearly better.
    questions : bool
        The model will be asked for conditionals: train on all orderings, so that any evidence can
        come first, with direct connections, and keep the mixture, whose answers are exact (unless
        ``combine`` names another combination).
    hidden : sequence of int, optional
        Widths of the hidden layers; by default (500, 500), or one layer of 1000 to 8000
        units, for tables of bits, else (100, 100) to (500, 500), by the number of rows.
    seed : int
        Decides weights, orderings, minibatches, held-out rows.
    max_time : seconds or text like "90s", "10m", "1h30m"
        Time for everything, reading and validation included. By default "10m", or no limit if
        ``max_epochs`` is given.
    max_epochs : int
        For runs that must repeat exactly.
    search : seconds or text like "15m", optional
        Search for options within this time, instead of fitting once: trials of a fifth of it each,
        compared on the validation rows and ended early where they lag behind; then the best options
        once more from other seeds. The best few networks make the model. Options that are given are
        not searched. Needs ``pip install "made[search]"``.
    preset : {"default", "paper"}
        "paper" is the published recipe (Adadelta, redrawn degrees, no averaging); it fills
        every option that is left at None.
    activation, residual, normalization, direct_input, direct_hidden, conditioning, dropout, \
hidden_degrees, spread, initialization
        See `made.network.config.NetworkConfig`.
    orderings_per_step, order_penalty, validation_members, batch_size, optimizer, learning_rate, \
weight_decay, warm_up, schedule, clip_norm, average_decay, patience, precision
        See `made.training.options.TrainingOptions`.
    schema : mapping or path, optional
        What columns are, where it should not be inferred: by name a kind ("binary",
        "categorical", "integer", "continuous", "datetime", "left out") or a mapping of options,
        like ``{"zip": "categorical", "price": {"kind": "continuous", "low": None}}``; or a file
        that ``made schema DATA --out FILE`` wrote.
    na : sequence of str
        Texts that mean a missing cell, beside empty ones, NA and NaN.
    keep : sequence of str
        Columns to model though they are different in (nearly) every row.
    split : str, optional
        The array of an .npz file to train on.
    header : bool
        Whether a CSV file has names in its first line.
    id_column : str, optional
        A column that identifies rows and is not modelled.
    device : str
        "auto", "cpu", "cuda", ...
    threads : int, optional
        Threads for training; bit-for-bit equal runs need 1.
    checkpoint : path, optional
        Where the run is saved now and then and on Ctrl-C; removed when it is done. Of a search it
        is a folder.
    checkpoint_every : seconds or text like "90s"
        Time between two checkpoints; 0 saves after every step.
    resume : bool
        Go on from ``checkpoint`` if it is there.
    on_epoch : callable, optional
        Called with a `made.training.state.Epoch` after every epoch.
    progress : bool
        Show a bar on a terminal.

    Returns
    -------
    Density

    Raises
    ------
    DataError
        If the rows cannot be read, or hold cells that cannot be: the message says where.
    OptionError
        If an option cannot work.
    TrainingInterrupted
        After Ctrl-C; its ``density`` holds the best weights so far.

    Examples
    --------
    >>> import numpy as np, made
    >>> rows = np.random.default_rng(0).integers(0, 2, size=(200, 4))
    >>> made.fit(rows, hidden=(16,), max_epochs=2).columns
    ['x0', 'x1', 'x2', 'x3']

    A search for options, and how many trials it finished:

    >>> density = made.fit(rows, search=1.5, hidden=(8,))
    >>> density.record.options["search"]["finished"] >= 1
    True
    """
    # Exactly the options that are handed on under their own names.
    options = {name: value for name, value in locals().items() if name not in ("train", "valid")}
    density = fit_timed(train, valid, 0.0, **options)
    if checkpoint is not None:
        remove_checkpoint(Path(checkpoint).expanduser(), search)
    return density


def fit_timed(
    train: Any,
    valid: Any,
    used_seconds: float,
    *,
    hidden: Sequence[int] | int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    search: str | float | None = None,
    progress: bool = True,
    **options: Any,
) -> Density:
    """Fit as `fit` does, when ``used_seconds`` of the time budget are gone already.

    The checkpoint is left: whoever saves the model removes it, after saving.
    """
    options["hidden"] = (
        (hidden,) if isinstance(hidden, int) else None if hidden is None else tuple(hidden)
    )
    options["used_seconds"] = used_seconds
    of_rows = {option.name for option in fields(RowSource)} & options.keys()
    source = RowSource(train, valid, **{name: options.pop(name) for name in of_rows})
    place = None if checkpoint is None else Path(checkpoint)
    with terminal_progress("fitting" if search is None else "searching", show=progress) as bar:
        if search is None:
            fitted, stopped = fit_table(source, **options, checkpoint=place, progress=bar)
        else:
            folder = None if place is None else place.expanduser()
            fitted, stopped = search_table(
                source, **options, search=search, folder=folder, progress=bar
            )
    density = Density(fitted)
    if stopped:
        raise TrainingInterrupted(density, place)
    return density


def remove_checkpoint(place: Path, search: str | float | None) -> None:
    """Delete what a fit, or a search, kept to go on from."""
    if search is None:
        for checkpoint in list(checkpoints_of(place)):
            checkpoint.unlink(missing_ok=True)
    else:
        remove_search(place)
