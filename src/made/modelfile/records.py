"""How a model came about: the fit of each network, and how the members were combined.

Plain numbers and texts, checked when they are read. Free of torch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from made.errors import ModelFileError
from made.order_check import OrderCheck
from made.uniforms import check_seed

_KINDS: dict[str, Any] = {
    "str": str, "int": int, "float": (int, float), "float | None": (int, float, type(None)),
    "dict[str, Any]": dict, "list[dict[str, Any]]": list,
    "OrderCheck | None": (dict, type(None)),
}  # fmt: skip
_CANDIDATE = {
    "name": str, "log_prob": (int, float), "difference": (int, float),
    "standard_error": (int, float), "log_normalizer": (int, float), "n_members": int,
    "chosen": bool,
}  # fmt: skip
# Beside the options of a network that a search found: which trial it was, of how many.
_SEARCH = {
    "trial": int, "options": dict, "trials": int, "finished": int, "pruned": int, "failed": int,
}  # fmt: skip


@dataclass(frozen=True)
class FitRecord:
    """How a model came about, for whoever asks later.

    ``history`` holds a dict an epoch: epoch, train, validation (None where not scored), seconds.
    ``order_check`` is None for a single column, and where nobody had the time. Log-likelihoods are
    mean nats a row.
    """

    made_version: str
    torch_version: str
    options: dict[str, Any]
    n_train_rows: int
    n_validation_rows: int
    validation_log_prob: float
    validation_standard_error: float
    best_epoch: int
    epochs: int
    seconds: float
    history: list[dict[str, Any]]
    order_check: OrderCheck | None = None

    @classmethod
    def from_json(cls, content: object) -> FitRecord:
        """Return the record that `dataclasses.asdict` wrote, its types checked."""
        checked = dict(_check_fields(cls, content, "the record of the fit"))
        if not all(_is_epoch(line) for line in checked["history"]):
            raise ModelFileError("the history is not a list of epochs.")
        if checked["order_check"] is not None:
            checked["order_check"] = OrderCheck.from_json(checked["order_check"])
        # Further members are drawn by these two.
        check_seed(checked["options"].get("seed"))
        n_orderings = checked["options"].get("n_orderings")
        if n_orderings is not None and (type(n_orderings) is not int or n_orderings < 1):
            raise ModelFileError(
                f"the options of the fit hold no number of orderings, but {n_orderings!r}."
            )
        if "search" in checked["options"]:
            _check_kinds(_SEARCH, checked["options"]["search"], "the record of the search")
        return cls(**checked)


@dataclass(frozen=True)
class CombinationRecord:
    """How the members were combined, and what that scores on validation rows.

    Log-likelihoods are mean nats a row, ``validation_log_prob`` conservative: less the upper limit
    of log Z. ``gap`` bounds what other weights of a mixture would gain there. ``candidates`` holds
    a dict for each combination that was compared. What was not measured is None.
    """

    method: str
    n_validation_rows: int
    validation_log_prob: float | None
    validation_standard_error: float | None
    mixture_log_prob: float | None
    mixture_standard_error: float | None
    gap: float | None
    candidates: list[dict[str, Any]]

    @classmethod
    def from_json(cls, content: object) -> CombinationRecord:
        """Return the record that `dataclasses.asdict` wrote, its types checked."""
        checked = _check_fields(cls, content, "the record of the combination")
        for line in checked["candidates"]:
            _check_kinds(_CANDIDATE, line, "a candidate of the combination")
        return cls(**checked)


def _check_fields(cls: type, content: object, what: str) -> dict[str, Any]:
    """Return ``content`` if it holds the fields of ``cls``, each of its type, and no others."""
    if not isinstance(content, dict):
        raise ModelFileError(f"{what} is not an object.")
    for item in fields(cls):
        if item.name not in content or not _is_kind(content[item.name], _KINDS[str(item.type)]):
            raise ModelFileError(f"{what} has no good {item.name!r}.")
    if set(content) != {item.name for item in fields(cls)}:
        raise ModelFileError(f"{what} has facts that are not known.")
    return content


def _check_kinds(kinds: dict[str, Any], content: object, what: str) -> None:
    """Raise `ModelFileError` unless ``content`` has these keys and no others, each of its kind."""
    if (
        not isinstance(content, dict)
        or set(content) != set(kinds)
        or not all(_is_kind(content[name], kind) for name, kind in kinds.items())
    ):
        raise ModelFileError(f"{what} is not what it should be.")


def _is_kind(value: object, kind: Any) -> bool:
    # A truth value is a number to Python, and never one here.
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _is_epoch(line: object) -> bool:
    """Return whether ``line`` is an epoch of a history."""
    return (
        isinstance(line, dict)
        and _is_kind(line.get("epoch"), int)
        and _is_kind(line.get("seconds"), (int, float))
        and all(
            name in line and _is_kind(line[name], (int, float, type(None)))
            for name in ("train", "validation")
        )
    )
