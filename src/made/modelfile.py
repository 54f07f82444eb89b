"""Model files: one ``.made`` file is safetensors with the configuration as JSON in its header.

A model file is data: it is never unpickled or executed, and everything it claims (version,
options, shapes, types, sizes) is checked before a tensor is allocated. Reading the header alone
needs no torch. Knows models and ensembles; knows nothing of how they were trained.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from made.errors import MadeError, ModelFileError
from made.network.config import NetworkConfig
from made.storage import write_bytes
from made.table.schema import Schema

if TYPE_CHECKING:
    from made.ensemble import Ensemble
    from made.orderings import Connectivity

FORMAT_VERSION = 1
# The largest header that is read: a schema of a hundred thousand columns takes ten megabytes.
_MAX_HEADER_BYTES = 100_000_000
_METADATA_KEY = "made"
_DTYPES = {"F32": "float32", "F64": "float64", "I32": "int32"}


@dataclass(frozen=True)
class FitRecord:
    """How a model came about, for whoever asks later.

    ``history`` holds a dict an epoch: epoch, train, validation (None where not scored), seconds.
    Log-likelihoods are mean nats a row.
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

    @classmethod
    def from_json(cls, content: object) -> FitRecord:
        """Return the record that `dataclasses.asdict` wrote, its types checked."""
        kinds = {
            "str": str, "int": int, "float": (int, float),
            "dict[str, Any]": dict, "list[dict[str, Any]]": list,
        }  # fmt: skip
        if not isinstance(content, dict):
            raise ModelFileError("the record of the fit is not an object.")
        for item in fields(cls):
            kind = kinds[str(item.type)]
            if not isinstance(content.get(item.name), kind):
                raise ModelFileError(f"the record of the fit has no good {item.name!r}.")
        if set(content) != {item.name for item in fields(cls)}:
            raise ModelFileError("the record of the fit has facts that are not known.")
        if not all(_is_epoch(line) for line in content["history"]):
            raise ModelFileError("the history is not a list of epochs.")
        return cls(**content)


def _is_epoch(line: object) -> bool:
    """Return whether ``line`` is an epoch of a history."""
    return (
        isinstance(line, dict)
        and isinstance(line.get("epoch"), int)
        and isinstance(line.get("seconds"), (int, float))
        and all(
            name in line and isinstance(line[name], (int, float, type(None)))
            for name in ("train", "validation")
        )
    )


@dataclass(frozen=True)
class Fitted:
    """What a model file holds: columns, members with their weights, and the record of the fit."""

    schema: Schema
    ensemble: Ensemble
    record: FitRecord


@dataclass(frozen=True)
class Header:
    """What can be read of a model file without its tensors.

    ``tensors`` maps a name to (type, shape).
    """

    schema: Schema
    network: NetworkConfig
    record: FitRecord
    tensors: dict[str, tuple[str, tuple[int, ...]]]

    @property
    def n_members(self) -> int:
        return self.tensors["members.weights"][1][0]

    @property
    def n_weights(self) -> int:
        return sum(
            int(np.prod(shape))
            for name, (_, shape) in self.tensors.items()
            if name.startswith("network.")
        )


def save(fitted: Fitted, path: str | os.PathLike[str]) -> None:
    """Write ``fitted`` to ``path`` in one step.

    Raises
    ------
    OutputError
        If the path cannot be written; what was there before is left.
    """
    import safetensors.torch
    import torch

    ensemble = fitted.ensemble
    tensors = {name: value.detach().cpu() for name, value in ensemble.model.named_parameters()}
    orders = np.stack([member.order for member in ensemble.members])
    tensors["members.order"] = torch.as_tensor(orders.astype(np.int32))
    for layer, degrees in enumerate(_stacked_degrees(ensemble.members)):
        tensors[f"members.hidden_degrees.{layer}"] = torch.as_tensor(degrees.astype(np.int32))
    tensors["members.weights"] = torch.as_tensor(ensemble.weights)
    content = {
        "format_version": FORMAT_VERSION,
        "schema": fitted.schema.to_json(),
        "network": ensemble.model.config.to_json(),
        "record": asdict(fitted.record),
    }
    # One key, since the order of several would vary from file to file.
    metadata = {_METADATA_KEY: json.dumps(content, allow_nan=False)}
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    write_bytes(path, safetensors.torch.save(contiguous, metadata))


def load(path: str | os.PathLike[str]) -> Fitted:
    """Read a model file.

    Raises
    ------
    ModelFileError
        If the file is no model, is damaged, was made by another format version, or holds
        tensors that do not fit its configuration or are not finite. Nothing is half loaded.
    """
    source = Path(path).expanduser()
    header = read_header(source)
    import safetensors.torch
    import torch

    from made.ensemble import Ensemble
    from made.model import Model

    with torch.device("meta"):
        shapes = Model(header.schema.columns, header.network)
    expected = {
        name: ("float32", tuple(value.shape)) for name, value in shapes.named_parameters()
    } | _member_tensors(header)
    _compare(path, expected, header.tensors)
    try:
        tensors = safetensors.torch.load_file(str(source))
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelFileError(f"{path} is damaged: {error}.") from error
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ModelFileError(
                f"{path} is damaged: {name} holds values that are not finite. Fit the model again."
            )
    model = Model(header.schema.columns, header.network)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[name])
    try:
        members = _members(tensors, len(header.network.hidden))
        weights = tensors["members.weights"].numpy()
        ensemble = Ensemble(model, members, weights)
    except MadeError as error:
        raise ModelFileError(f"{path} is damaged: {error}") from error
    # To the last bit: normalised once more they could change by a rounding.
    ensemble.weights = weights
    return Fitted(header.schema, ensemble, header.record)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read and check the header of a model file, without torch and without its tensors."""
    source = Path(path).expanduser()
    if not source.exists():
        raise ModelFileError(f"There is no model file {path}.")
    if source.is_dir():
        raise ModelFileError(f"{path} is a folder, not a model file.")
    raw = _read_safetensors_header(source)
    metadata = raw.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_METADATA_KEY), str):
        raise ModelFileError(f"{path} is a safetensors file, but not a model of made.")
    try:
        content = _parse(metadata[_METADATA_KEY])
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is damaged: its configuration is not JSON.") from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {version!r}; this version of made reads "
            f"{FORMAT_VERSION}. Use the version of made that wrote it, or fit again."
        )
    try:
        schema = Schema.from_json(content["schema"])
        network = NetworkConfig.from_json(content["network"])
        record = FitRecord.from_json(content["record"])
        tensors = {name: _type_and_shape(name, entry) for name, entry in raw.items()}
    except KeyError as error:
        raise ModelFileError(f"{path} is damaged: it says nothing of {error}.") from error
    except (MadeError, ValueError, TypeError) as error:
        raise ModelFileError(f"{path} is damaged: {error}") from error
    members = tensors.get("members.weights", ("", ()))[1]
    if len(members) != 1 or members[0] < 1:
        raise ModelFileError(f"{path} is damaged: it says nothing of its members.")
    return Header(schema, network, record, tensors)


def _parse(text: str | bytes) -> Any:
    """Return what the JSON ``text`` says; NaN and infinities are refused."""
    return json.loads(text, parse_float=_finite, parse_constant=_finite)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def _type_and_shape(name: str, entry: dict[str, Any]) -> tuple[str, tuple[int, ...]]:
    dtype, shape = entry["dtype"], entry["shape"]
    sizes_good = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
    if not isinstance(dtype, str) or not sizes_good:
        raise ModelFileError(f"{name} has the type {dtype!r} and the shape {shape!r}.")
    return _DTYPES.get(dtype, dtype), tuple(shape)


def _read_safetensors_header(path: Path) -> dict[str, Any]:
    """Return the JSON header, checked against the size of the file."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8:
            raise ModelFileError(f"{path} is not a model file: it has {size} bytes.")
        if length > min(_MAX_HEADER_BYTES, size - 8):
            raise ModelFileError(
                f"{path} is not a model file, or is cut off: its header claims {length} bytes "
                f"and the file has {size}."
            )
        text = file.read(length)
    try:
        header = _parse(text)
        if not isinstance(header, dict):
            raise ValueError("the header is not an object")
        ends = [
            entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
        ]
        expected = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ModelFileError(f"{path} is not a model file: its header is not readable.") from error
    if expected != size:
        raise ModelFileError(
            f"{path} is cut off or damaged: it should have {expected} bytes and has {size}."
        )
    return header


def _member_tensors(header: Header) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the type and shape of every tensor that describes the members."""
    n_members = header.n_members
    n_degrees = 1 if header.network.hidden_degrees == "fixed" else n_members
    expected: dict[str, tuple[str, tuple[int, ...]]] = {
        "members.weights": ("float64", (n_members,)),
        "members.order": ("int32", (n_members, header.schema.n_columns)),
    }
    for layer, width in enumerate(header.network.hidden):
        expected[f"members.hidden_degrees.{layer}"] = ("int32", (n_degrees, width))
    return expected


def _compare(
    path: str | os.PathLike[str],
    expected: dict[str, tuple[str, tuple[int, ...]]],
    found: dict[str, tuple[str, tuple[int, ...]]],
) -> None:
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    if missing or extra:
        parts = [f"missing {', '.join(missing[:4])}"] if missing else []
        parts += [f"unexpected {', '.join(extra[:4])}"] if extra else []
        raise ModelFileError(f"{path} does not fit its own configuration: {'; '.join(parts)}.")
    for name, wanted in expected.items():
        if found[name] != wanted:
            raise ModelFileError(
                f"{path} does not fit its own configuration: {name} should be {wanted[0]} of shape "
                f"{list(wanted[1])} and is {found[name][0]} of shape {list(found[name][1])}."
            )


def _stacked_degrees(members: tuple[Connectivity, ...]) -> list[np.ndarray]:
    """Return the hidden degrees of all members, (n_members or 1, n_units) a layer."""
    first = members[0].hidden_degrees
    if all(member.hidden_degrees is first for member in members):
        return [degrees[None] for degrees in first]
    return [
        np.stack([member.hidden_degrees[layer] for member in members])
        for layer in range(len(first))
    ]


def _members(tensors: dict[str, Any], n_layers: int) -> list[Connectivity]:
    from made.orderings import Connectivity

    orders = tensors["members.order"].numpy().astype(np.int64)
    layers = [
        tensors[f"members.hidden_degrees.{layer}"].numpy().astype(np.int64)
        for layer in range(n_layers)
    ]
    # Members that share their hidden degrees share one tuple: masks are then built once.
    shared = {
        row: tuple(layer[row] for layer in layers)
        for row in range(max((len(layer) for layer in layers), default=1))
    }
    return [Connectivity(order, shared[min(k, len(shared) - 1)]) for k, order in enumerate(orders)]
