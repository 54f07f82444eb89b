"""The header of a model file: all that can be known without its tensors, and without torch.

Everything that a file claims (version, options, shapes, types, sizes) is checked here before a
tensor is allocated. Knows JSON and safetensors' layout; knows nothing of models at work.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from made.certificate import Certificate
from made.columns import Column, column_from_json
from made.errors import MadeError, ModelFileError
from made.modelfile.records import CombinationRecord, FitRecord
from made.network.config import NetworkConfig
from made.table.schema import Schema

FORMAT_VERSION = 4
METADATA_KEY = "made"
# The largest header that is read: a schema of a hundred thousand columns takes ten megabytes.
_MAX_HEADER_BYTES = 100_000_000
_DTYPES = {"F32": "float32", "F64": "float64", "I32": "int32"}

TypeAndShape = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Header:
    """What can be read of a model file without its tensors.

    ``columns`` has the columns of a network whose scales are others than those of the schema, else
    None. ``combination`` says in words how the members are combined. ``tensors`` maps a name to
    (type, shape).
    """

    schema: Schema
    networks: tuple[NetworkConfig, ...]
    columns: tuple[tuple[Column, ...] | None, ...]
    records: tuple[FitRecord, ...]
    combined: CombinationRecord
    combination: str
    power: float
    branch_power: float
    certificate: Certificate | None
    tensors: dict[str, TypeAndShape]

    @property
    def network(self) -> NetworkConfig:
        """The first network, or the only one."""
        return self.networks[0]

    @property
    def record(self) -> FitRecord:
        """How the first network came about."""
        return self.records[0]

    @property
    def n_networks(self) -> int:
        return len(self.networks)

    @property
    def n_members(self) -> int:
        return self.tensors["members.weights"][1][0]

    @property
    def n_weights(self) -> int:
        return sum(
            math.prod(shape) for name, (_, shape) in self.tensors.items() if ".network." in name
        )

    def columns_of(self, network: int) -> tuple[Column, ...]:
        """Return the columns as a network reads them."""
        return self.columns[network] or self.schema.columns

    def members_of(self, network: int) -> int:
        """Return the number of members of a network."""
        shape = self.tensors.get(f"models.{network}.order", ("", ()))[1]
        return shape[0] if shape else 0

    def member_tensors(self) -> dict[str, TypeAndShape]:
        """Return the type and shape that tensors about members must have."""
        expected: dict[str, TypeAndShape] = {"members.weights": ("float64", (self.n_members,))}
        if "members.branches" in self.tensors:
            expected["members.branches"] = ("int32", (self.n_members,))
        for number, network in enumerate(self.networks):
            n_members = self.members_of(number)
            # One row for all members that have the same degrees, or a row for each.
            claimed = self.tensors.get(f"models.{number}.hidden_degrees.0", ("", ()))[1]
            n_degrees = 1 if claimed[:1] == (1,) else n_members
            shape = (n_members, self.schema.n_columns)
            expected[f"models.{number}.order"] = ("int32", shape)
            for layer, width in enumerate(network.hidden):
                name = f"models.{number}.hidden_degrees.{layer}"
                expected[name] = ("int32", (n_degrees, width))
        return expected


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read and check the header of a model file, without torch and without its tensors."""
    source = Path(path).expanduser()
    if not source.exists():
        raise ModelFileError(f"There is no model file {path}.")
    if source.is_dir():
        raise ModelFileError(f"{path} is a folder, not a model file.")
    raw = _read_safetensors_header(source)
    metadata = raw.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(METADATA_KEY), str):
        raise ModelFileError(f"{path} is a safetensors file, but not a model of made.")
    try:
        content = _parse(metadata[METADATA_KEY])
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
        networks = tuple(NetworkConfig.from_json(one) for one in _list(content, "networks"))
        columns = tuple(_columns(one, schema) for one in _list(content, "columns"))
        records = tuple(FitRecord.from_json(one) for one in _list(content, "records"))
        combined = CombinationRecord.from_json(content["combined"])
        name, power, branch_power, certificate = _combination(content["combination"])
        tensors = {name: _type_and_shape(name, entry) for name, entry in raw.items()}
    except KeyError as error:
        raise ModelFileError(f"{path} is damaged: it says nothing of {error}.") from error
    except (MadeError, ValueError, TypeError) as error:
        raise ModelFileError(f"{path} is damaged: {error}") from error
    shape = tensors.get("members.weights", ("", ()))[1]
    header = Header(
        schema,
        networks,
        columns,
        records,
        combined,
        name,
        power,
        branch_power,
        certificate,
        tensors,
    )
    counts = [header.members_of(number) for number in range(len(networks))]
    if len(shape) != 1 or shape[0] < 1 or min(counts) < 1 or sum(counts) != shape[0]:
        raise ModelFileError(f"{path} is damaged: it says nothing of its members.")
    if len(records) != len(networks) or len(columns) != len(networks):
        raise ModelFileError(
            f"{path} is damaged: it has {len(networks)} networks, {len(records)} records and "
            f"columns of {len(columns)}."
        )
    return header


def read_weights(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the weights of the members, float64, without torch."""
    import safetensors.numpy

    header = read_header(path)
    if header.tensors["members.weights"] != header.member_tensors()["members.weights"]:
        raise ModelFileError(f"{path} is damaged: the weights of its members are no numbers.")
    try:
        with safetensors.safe_open(str(Path(path).expanduser()), "numpy") as file:
            weights = file.get_tensor("members.weights")
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelFileError(f"{path} is damaged: {error}.") from error
    # The same limit as that of combinations, which only torch can import.
    if not (weights >= 0).all() or not abs(weights.sum() - 1) <= 1e-6:
        raise ModelFileError(
            f"{path} is damaged: the weights of its members must be non-negative and sum to 1; "
            f"the smallest is {weights.min():.6g} and they sum to {weights.sum():.6g}."
        )
    return weights


def compare(
    path: str | os.PathLike[str],
    expected: dict[str, TypeAndShape],
    found: dict[str, TypeAndShape],
) -> None:
    """Raise `ModelFileError` if the tensors that were found are not those expected."""
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


def _list(content: dict[str, Any], name: str) -> list[Any]:
    value = content[name]
    if not isinstance(value, list) or not value:
        raise ModelFileError(f"{name!r} is not a list of at least one.")
    return value


def _columns(content: object, schema: Schema) -> tuple[Column, ...] | None:
    """Return the columns of a network, which have the measures of the schema's; None if absent."""
    if content is None:
        return None
    if not isinstance(content, list) or len(content) != schema.n_columns:
        raise ModelFileError("the columns of a network are not those of the schema.")
    columns = tuple(column_from_json(one) for one in content)
    for own, known in zip(columns, schema.columns, strict=True):
        if own.measure != known.measure:
            raise ModelFileError(f"a network measures column {known.name!r} in a way of its own.")
    return columns


def _combination(content: object) -> tuple[str, float, float, Certificate | None]:
    """Return the name, the two powers and the certificate of a combination."""
    names = {"name", "power", "branch_power", "certificate"}
    if not isinstance(content, dict) or set(content) != names:
        raise ModelFileError(f"the combination does not have {', '.join(sorted(names))}.")
    powers = (content["power"], content["branch_power"])
    for power in powers:
        if isinstance(power, bool) or not isinstance(power, (int, float)) or not 0 <= power <= 1:
            raise ModelFileError(f"a power lies between 0 and 1, and this is {power!r}.")
    if not isinstance(content["name"], str):
        raise ModelFileError("the combination has no name.")
    certificate = content["certificate"]
    known = None if certificate is None else Certificate.from_json(certificate)
    return content["name"], float(powers[0]), float(powers[1]), known


def _parse(text: str | bytes) -> Any:
    """Return what the JSON ``text`` says; numbers that no finite float can hold are refused."""
    return json.loads(text, parse_float=_finite, parse_constant=_finite, parse_int=_whole)


def _whole(text: str) -> int:
    # Python's whole numbers have no limit, and the floats that they meet later have one.
    _finite(text)
    return int(text)


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
