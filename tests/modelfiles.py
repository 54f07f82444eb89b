"""Model files for tests: built without training, taken apart, damaged, put together again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import made
from cases import random_model
from made.ensemble import Combination, Ensemble, Members
from made.errors import ModelFileError
from made.model import Model
from made.modelfile import CombinationRecord, FitRecord, Fitted
from made.orderings import Connectivity
from made.table.schema import Schema

N_COLUMNS = 4


def network(n_members: int, seed: int = 0, **options: Any) -> tuple[Model, list[Connectivity]]:
    """Return a random network and its members."""
    model = random_model(N_COLUMNS, seed, **options)
    return model, model.connectivity_source(seed, None).members(n_members)


def fitted_of(
    networks: Sequence[tuple[Model, Sequence[Connectivity]]],
    combination: Combination | None = None,
) -> Fitted:
    """Return what a model file holds, without a certificate; every record is another one."""
    schema = Schema(tuple(networks[0][0].columns), named=True, container="numpy")
    records = tuple(fit_record(seed) for seed in range(len(networks)))
    return Fitted(schema, Ensemble(Members(networks), combination), records, combination_record())


def fit_record(seed: int) -> FitRecord:
    return FitRecord(
        made_version="0.1",
        torch_version="2",
        options={"seed": seed, "n_orderings": None},
        n_train_rows=90,
        n_validation_rows=10,
        validation_log_prob=-2.5,
        validation_standard_error=0.1,
        best_epoch=1,
        epochs=1,
        seconds=0.5,
        history=[{"epoch": 1, "train": -2.6, "validation": None, "seconds": 0.5}],
    )


def combination_record() -> CombinationRecord:
    candidate = {
        "name": "mixture, equal weights",
        "log_prob": -2.5,
        "difference": 0.0,
        "standard_error": 0.0,
        "log_normalizer": 0.0,
        "n_members": 2,
        "chosen": True,
    }
    return CombinationRecord(
        method="auto",
        n_validation_rows=10,
        validation_log_prob=-2.5,
        validation_standard_error=0.1,
        mixture_log_prob=-2.5,
        mixture_standard_error=0.1,
        gap=None,
        candidates=[candidate, candidate | {"name": "product of experts", "chosen": False}],
    )


@dataclass
class Parts:
    """A model file taken apart: its header, its configuration, the bytes of its tensors."""

    header: dict[str, Any]
    content: Any
    body: bytes

    @classmethod
    def of(cls, file: bytes) -> Parts:
        length = int.from_bytes(file[:8], "little")
        header = json.loads(file[8 : 8 + length])
        return cls(header, json.loads(header["__metadata__"]["made"]), file[8 + length :])

    def put(self, name: str, values: Any) -> None:
        """Overwrite the bytes of a tensor; a number fills all of it."""
        entry = self.header[name]
        first, last = entry["data_offsets"]
        dtype = {"F32": "<f4", "F64": "<f8", "I32": "<i4"}[entry["dtype"]]
        tensor = np.broadcast_to(np.array(values, dtype=dtype), entry["shape"])
        self.body = self.body[:first] + tensor.tobytes() + self.body[last:]

    def write(self, place: Path) -> Path:
        text = self.content if isinstance(self.content, str) else json.dumps(self.content)
        self.header["__metadata__"]["made"] = text
        head = json.dumps(self.header).encode()
        place.write_bytes(len(head).to_bytes(8, "little") + head + self.body)
        return place


Change = Callable[[Parts], object]


def put(*path: str | int, to: Any) -> Change:
    """Return what replaces a value of the configuration."""

    def change(parts: Parts) -> None:
        _inner(parts, path)[path[-1]] = to

    return change


def drop(*path: str | int) -> Change:
    """Return what removes a value of the configuration."""

    def change(parts: Parts) -> None:
        del _inner(parts, path)[path[-1]]

    return change


def _inner(parts: Parts, path: Sequence[str | int]) -> Any:
    inner = parts.content
    for key in path[:-1]:
        inner = inner[key]
    return inner


def fill(name: str, values: Any) -> Change:
    """Return what overwrites the values of a tensor."""
    return lambda parts: parts.put(name, values)


def entry(name: str, **claims: Any) -> Change:
    """Return what lets the header claim something else of a tensor."""
    return lambda parts: parts.header[name].update(claims)


def rename(before: str, after: str) -> Change:
    return lambda parts: parts.header.update({after: parts.header.pop(before)})


def refused(place: Path) -> str:
    """Return why the file is not loaded."""
    with pytest.raises(ModelFileError) as caught:
        made.load(place)
    # In a line, and with the name of the file.
    assert str(caught.value).startswith(str(place))
    assert "\n" not in str(caught.value)
    return str(caught.value)
