"""The recipe: a table and options -> trained members -> what a model file holds.

Knows tables, options and training; decides defaults, splits off validation rows, and keeps the
record. Knows nothing of the command line or of what users do with the result.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from made._version import __version__
from made.choosing import parse_method
from made.combining import combine as combine_members
from made.ensemble import Certification, Members
from made.errors import DataError, MadeNotice, OptionError
from made.model import Model
from made.modelfile import FitRecord, Fitted
from made.network.config import NetworkConfig
from made.progress import Progress
from made.storage import check_writable
from made.table import (
    Table,
    binary_values,
    constant_columns,
    infer_schema,
    npz_splits,
    read_table,
    without_column,
)
from made.table.schema import Schema, shown
from made.training.checkpoint import load_checkpoint
from made.training.loop import Trainer, TrainingResult
from made.training.options import Budget, TrainingOptions, check_count, parse_duration
from made.training.state import Epoch
from made.uniforms import HOLDOUT, check_seed, generator

_HOLDOUT_FRACTION = 0.1
_DEFAULT_MAX_TIME = 600.0
_N_ORDERINGS = 16
_COMBINING_SHARE, _COMBINING_SECONDS = 0.15, 60.0
_CERTIFYING_DRAWS = 200_000
# Below this many rows for each column, fresh orderings regularise more than a fixed list costs.
_ROWS_PER_COLUMN = 15

# The published recipe (Germain et al. 2015, section 6, its supplement and its code): Adadelta,
# batches of 100, orderings and hidden degrees redrawn for every batch, direct connections to the
# output, orthogonal initial weights, a look-ahead of 30 epochs, 300 connectivities on validation
# rows and 1000 on test rows.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "orderings": "all",
        "members": 1000,
        "validation_members": 300,
        "hidden_degrees": "redrawn",
        "direct_input": True,
        "conditioning": False,
        "initialization": "orthogonal",
        "batch_size": 100,
        "optimizer": "adadelta",
        "learning_rate": 1.0,
        "weight_decay": 0.0,
        "warm_up": 0,
        "schedule": "constant",
        "clip_norm": 0.0,
        "average_decay": 0.0,
        "patience": 30,
    },
}
_NETWORK_OPTIONS = {option.name for option in fields(NetworkConfig)}
_TRAINING_OPTIONS = {option.name for option in fields(TrainingOptions)}


@dataclass(frozen=True)
class Splits:
    """Checked rows, uint8 of shape (n_rows, n_columns), and their schema."""

    schema: Schema
    train: np.ndarray
    valid: np.ndarray


def fit_table(
    train: Any,
    valid: Any = None,
    *,
    split: str | None = None,
    header: bool = True,
    id_column: str | None = None,
    preset: str = "default",
    orderings: str | int | None = None,
    seed: int = 0,
    max_time: str | float | None = None,
    max_epochs: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: str | float = 30.0,
    resume: bool = False,
    combine: str = "auto",
    on_epoch: Callable[[Epoch], None] | None = None,
    progress: Progress | None = None,
    used_seconds: float = 0.0,
    **options: Any,
) -> tuple[Fitted, bool]:
    """Fit a model; return it and whether Ctrl-C ended the training.

    The arguments are those of `made.fit`; ``options`` are fields of `NetworkConfig` and
    `TrainingOptions`, where None means the choice of the preset.
    """
    if max_time is None and max_epochs is None:
        max_time = _DEFAULT_MAX_TIME
    max_seconds = None if max_time is None else parse_duration(max_time)
    parse_method(combine)
    # Training leaves time to weigh the combinations and to certify the one that is kept.
    reserved = 0.0
    if max_seconds is not None and combine != "mixture":
        reserved = min(max_seconds * _COMBINING_SHARE, _COMBINING_SECONDS)
    training_seconds = None if max_seconds is None else max_seconds - reserved
    budget = Budget(training_seconds, max_epochs, used_seconds=used_seconds)
    seed = check_seed(seed)
    chosen = _resolve(preset, {"orderings": orderings, **options})
    seconds_between = parse_duration(checkpoint_every)
    if checkpoint is not None:
        checkpoint = _check_checkpoint(checkpoint, resume)
    elif resume:
        raise OptionError("resume=True needs checkpoint=..., the file to go on from.")
    splits = read_splits(train, valid, split=split, header=header, id_column=id_column, seed=seed)
    n_rows, n_columns = splits.train.shape
    n_orderings = choose_orderings(chosen.pop("orderings", "auto"), n_rows, n_columns)
    network = NetworkConfig(**{k: v for k, v in chosen.items() if k in _NETWORK_OPTIONS})
    training = TrainingOptions(
        seed=seed,
        n_orderings=n_orderings,
        **{k: v for k, v in chosen.items() if k in _TRAINING_OPTIONS},
    )
    with _threads(threads):
        result = _train(
            splits, network, training, budget, device, on_epoch, progress,
            checkpoint=checkpoint, checkpoint_every=seconds_between, resume=resume,
        )  # fmt: skip
        members = Members([(_detached(result.model), result.members)])
        # A run that was stopped is not made to wait: the mixture needs no certificate.
        ensemble, combined = combine_members(
            members,
            splits.valid,
            "mixture" if result.stopped else combine,
            _certification(seed, max_seconds, budget),
            progress=progress,
        )
    record = FitRecord(
        made_version=__version__,
        torch_version=torch.__version__,
        options=training.to_json()
        | {"preset": preset, "training_rows_hash": rows_hash(splits.train)},
        n_train_rows=n_rows,
        n_validation_rows=len(splits.valid),
        validation_log_prob=combined.mixture_log_prob or 0.0,
        validation_standard_error=combined.mixture_standard_error or 0.0,
        best_epoch=result.position.best_epoch,
        epochs=max((line.epoch for line in result.position.history), default=0),
        seconds=round(budget.elapsed(), 3),
        history=[asdict(line) for line in result.position.history],
    )
    return Fitted(splits.schema, ensemble, (record,), combined), result.stopped


def _certification(seed: int, max_seconds: float | None, budget: Budget) -> Certification:
    if max_seconds is None:
        # Runs without a time limit are those that must repeat: a number of draws ends them.
        return Certification(seed=seed, max_draws=_CERTIFYING_DRAWS)
    return Certification(seed=seed, max_seconds=max(max_seconds - budget.elapsed(), 0.0))


def choose_orderings(orderings: str | int, n_rows: int, n_columns: int) -> int | None:
    """Return the number of orderings to cycle through, or None for a fresh one at every step.

    The rule behind "auto": few fixed orderings where rows are many, since then the network
    can learn each well; fresh ones where rows are few, since they regularise.

    Examples
    --------
    >>> choose_orderings("auto", 2000, 112), choose_orderings("all", 2000, 112)
    (16, None)
    """
    if orderings == "all":
        return None
    if orderings == "auto":
        return _N_ORDERINGS if n_rows >= _ROWS_PER_COLUMN * n_columns else None
    if isinstance(orderings, str) and orderings.isdecimal():
        orderings = int(orderings)
    if isinstance(orderings, str):
        raise OptionError(f'orderings must be "auto", "all" or a number, got {orderings!r}.')
    return check_count("orderings", orderings)


def read_splits(
    train: Any,
    valid: Any = None,
    *,
    split: str | None = None,
    header: bool = True,
    id_column: str | None = None,
    seed: int = 0,
) -> Splits:
    """Read and check the training and validation rows.

    An .npz file with an array "train" is read as its splits; where there are no validation rows, a
    tenth of the rows is held out by the seed.
    """
    names = npz_splits(train) if isinstance(train, (str, os.PathLike)) else []
    if split is None and "train" in names:
        split = "train"
        if valid is None and "valid" in names:
            valid = read_table(train, split="valid")
    table = _without_id(read_table(train, split=split, header=header), id_column)
    schema = infer_schema(table)
    values = binary_values(table, schema)
    constant = constant_columns(values, schema)
    if constant and len(values) > 1:
        warnings.warn(
            f"{len(constant)} column(s) never change in the training rows: {shown(constant, 4)}. "
            "They are kept; another value will be very unlikely.",
            MadeNotice,
            stacklevel=2,
        )
    if valid is not None:
        if isinstance(valid, (str, os.PathLike)) and len(npz_splits(valid)) > 1:
            valid = read_table(valid, split="valid")
        try:
            held = _without_id(read_table(valid, header=header), id_column)
            if held.n_rows == 0:
                raise DataError("The data has no rows.")
            held_values = binary_values(held, schema)
        except DataError as error:
            raise DataError(f"In the validation data: {error}") from error
        warn_if_trained_on(rows_hash(values), held_values)
        return Splits(schema, values, held_values)
    if len(values) < 2:
        raise DataError(
            "The data has one row: there is none to validate on. Pass more rows, or valid=..."
        )
    shuffled = generator(seed, HOLDOUT).permutation(len(values))
    n_held = max(1, round(len(values) * _HOLDOUT_FRACTION))
    return Splits(schema, values[np.sort(shuffled[n_held:])], values[np.sort(shuffled[:n_held])])


def warn_if_trained_on(training_rows_hash: str | None, valid: np.ndarray) -> None:
    """Warn if the validation rows are those of the training; equal rows here and there are not."""
    if training_rows_hash == rows_hash(valid):
        warnings.warn(
            "The validation rows are the training rows: what is chosen by them will look better "
            "than it is. Hold other rows out, or leave the choice to made.",
            MadeNotice,
            stacklevel=2,
        )


def _train(
    splits: Splits,
    network: NetworkConfig,
    training: TrainingOptions,
    budget: Budget,
    device: str,
    on_epoch: Callable[[Epoch], None] | None,
    progress: Progress | None,
    *,
    checkpoint: Path | None,
    checkpoint_every: float,
    resume: bool,
) -> TrainingResult:
    place = find_device(device)
    model = Model(splits.schema.columns, network)
    model.initialize(training.seed, torch.as_tensor(splits.train))
    trainer = Trainer(
        model.to(place),
        torch.as_tensor(splits.train, device=place),
        torch.as_tensor(splits.valid, device=place),
        training,
        budget,
        on_epoch=on_epoch,
        progress=progress,
    )
    run = {
        "network": network.to_json(),
        "training": training.to_json(),
        "column_names_hash": _hash(repr(splits.schema.names).encode()),
        "training_rows_hash": rows_hash(splits.train),
        "validation_rows_hash": rows_hash(splits.valid),
    }
    if resume and checkpoint is not None and checkpoint.exists():
        trainer.resume(load_checkpoint(checkpoint, run))
    return trainer.run(checkpoint, run, checkpoint_every)


def _detached(model: Model) -> Model:
    """Return a copy on the CPU whose weights share no memory with the training state."""
    copied = Model(model.columns, model.config)
    with torch.no_grad():
        for target, source in zip(copied.parameters(), model.parameters(), strict=True):
            target.copy_(source)
    return copied.eval().requires_grad_(False)


def _resolve(preset: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given, completed by those of the preset."""
    if preset not in PRESETS:
        raise OptionError(f"preset must be one of {', '.join(PRESETS)}; got {preset!r}.")
    known = _NETWORK_OPTIONS | _TRAINING_OPTIONS | {"orderings"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise OptionError(f"Unknown option(s): {', '.join(unknown)}.")
    given = {name: value for name, value in options.items() if value is not None}
    return PRESETS[preset] | given


def _check_checkpoint(path: Path, resume: bool) -> Path:
    target = check_writable(path)
    if target.exists() and not resume:
        raise OptionError(
            f"{path} holds a run that was interrupted. Go on with --resume (resume=True), or "
            "delete it to start anew."
        )
    if resume and not target.exists():
        warnings.warn(
            f"There is no {path} to resume: training starts from the beginning.",
            MadeNotice,
            stacklevel=2,
        )
    return target


def _without_id(table: Table, id_column: str | None) -> Table:
    return table if id_column is None else without_column(table, id_column)[0]


def find_device(name: str) -> torch.device:
    """Return the device of that name, or raise `OptionError`; "auto" prefers a GPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(f"The device {name!r} cannot be used: {reason}") from error


@contextmanager
def _threads(n_threads: int | None):
    before = torch.get_num_threads()
    if n_threads is not None:
        torch.set_num_threads(check_count("threads", n_threads))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def rows_hash(rows: np.ndarray) -> str:
    """Return what identifies the rows, and their order."""
    return _hash(rows.tobytes())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
