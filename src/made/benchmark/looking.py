"""Test rows under seal, and the commitment to one model that opens them.

A commitment is a file beside the results: which model, by the hash of its file, and what it
scores on validation rows, written before the test rows are seen. Once they have been opened, no
other model of that set, recipe and seed sees them. Knows arrays and files; knows nothing of models.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from made.errors import ResultsError
from made.storage import write_bytes


@dataclass(frozen=True)
class Commitment:
    """Which model will be scored on the test rows of a set, and what validation rows said of it.

    ``opened`` is when the rows were first shown, None before. ``seconds`` is what fitting took.
    """

    suite: str
    set: str
    recipe: str
    seed: int
    validation_nll: float
    seconds: float
    model: str
    model_sha256: str
    written: str
    opened: str | None = None


class SealedRows:
    """Test rows that nobody sees without a commitment.

    Examples
    --------
    >>> rows = SealedRows(np.zeros((3, 2), dtype=np.uint8))
    >>> rows, len(rows)
    (SealedRows(3 x 2), 3)
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.__rows = rows

    def __len__(self) -> int:
        return len(self.__rows)

    def __repr__(self) -> str:
        return f"SealedRows({self.__rows.shape[0]} x {self.__rows.shape[1]})"

    def __array__(self, *args: object, **kwargs: object) -> np.ndarray:
        raise ResultsError("These are test rows: SealedRows.open shows them, to one model.")

    def open(self, commitment: Path) -> np.ndarray:
        """Return the rows, and note in the commitment that they were seen.

        Raises
        ------
        ResultsError
            If there is no commitment, or the model is not the one that it names.
        """
        if not commitment.is_file():
            raise ResultsError(
                f"The test rows stay sealed: there is no commitment {commitment}. Choose a model "
                "by validation rows, and commit to it first."
            )
        made = read_commitment(commitment)
        model = commitment.parent.parent / made.model
        if not model.is_file() or file_hash(model) != made.model_sha256:
            raise ResultsError(
                f"The test rows stay sealed: {commitment} is to another model than the one in "
                f"{model}."
            )
        if made.opened is None:
            _write(commitment, replace(made, opened=_now()))
        return self.__rows


def commit(
    place: Path,
    model: Path,
    *,
    suite: str,
    name: str,
    recipe: str,
    seed: int,
    validation_nll: float,
    seconds: float,
) -> Commitment:
    """Write a commitment to a model, or return the one that is there already.

    Parameters
    ----------
    place : Path
        ``FOLDER/commitments/NAME-RECIPE-seedN.json``.
    model : Path
        A model file below ``FOLDER``.

    Raises
    ------
    ResultsError
        If the test rows were shown to another model before.
    """
    sha256 = file_hash(model)
    if place.exists():
        before = read_commitment(place)
        if before.model_sha256 == sha256:
            return before
        if before.opened is not None:
            raise ResultsError(
                f"The test rows of {before.set} were shown to another model of recipe "
                f"{before.recipe!r} and seed {before.seed} on {before.opened} ({place}). They are "
                "looked at once: a model of another --seed may see them."
            )
    place.parent.mkdir(parents=True, exist_ok=True)
    made = Commitment(
        suite=suite,
        set=name,
        recipe=recipe,
        seed=seed,
        validation_nll=validation_nll,
        seconds=seconds,
        model=str(model.relative_to(place.parent.parent)),
        model_sha256=sha256,
        written=_now(),
    )
    _write(place, made)
    return made


def read_commitment(place: Path) -> Commitment:
    """Return the commitment in a file, or raise `ResultsError` if it is none."""
    try:
        content = json.loads(place.read_text())
    except (OSError, ValueError) as error:
        raise ResultsError(f"{place} is damaged: {error}.") from error
    names = {item.name for item in fields(Commitment)}
    if not isinstance(content, dict) or set(content) != names:
        raise ResultsError(f"{place} is damaged: it holds no commitment to a model.")
    return Commitment(**content)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(place: Path, made: Commitment) -> None:
    write_bytes(place, (json.dumps(asdict(made), indent=1) + "\n").encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
