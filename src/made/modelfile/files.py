"""Writing and reading model files: safetensors, with the configuration as JSON in the header.

A model file is data: it is never unpickled or executed. Knows ensembles; knows nothing of how
they were trained.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from made.errors import MadeError, ModelFileError
from made.modelfile.header import FORMAT_VERSION, METADATA_KEY, Header, compare, read_header
from made.modelfile.records import CombinationRecord, FitRecord
from made.storage import write_bytes
from made.table.schema import Schema

if TYPE_CHECKING:
    from made.ensemble import Ensemble
    from made.model import Model
    from made.network.config import NetworkConfig
    from made.orderings import Connectivity


@dataclass(frozen=True)
class Fitted:
    """What a model file holds: columns, an ensemble, and how both came about.

    ``records`` has one record for each network.
    """

    schema: Schema
    ensemble: Ensemble
    records: tuple[FitRecord, ...]
    combined: CombinationRecord

    @property
    def record(self) -> FitRecord:
        """How the first network came about, or the only one."""
        return self.records[0]


def save(fitted: Fitted, path: str | os.PathLike[str]) -> None:
    """Write ``fitted`` to ``path`` in one step.

    Raises
    ------
    OutputError
        If the path cannot be written; what was there before is left.
    OptionError
        If the normaliser is not known: such a file could not be loaded.
    """
    import safetensors.torch
    import torch

    ensemble = fitted.ensemble
    combination, certificate = ensemble.combination, ensemble.certificate
    tensors = {"members.weights": torch.as_tensor(combination.weights)}
    if combination.branches is not None:
        tensors["members.branches"] = torch.as_tensor(combination.branches.astype(np.int32))
    for number, (model, members) in enumerate(ensemble.members.networks):
        prefix = f"models.{number}"
        for name, value in model.named_parameters():
            tensors[f"{prefix}.{name}"] = value.detach().cpu()
        orders = np.stack([member.order for member in members])
        tensors[f"{prefix}.order"] = torch.as_tensor(orders.astype(np.int32))
        for layer, degrees in enumerate(_stacked_degrees(members)):
            tensors[f"{prefix}.hidden_degrees.{layer}"] = torch.as_tensor(degrees.astype(np.int32))
    content = {
        "format_version": FORMAT_VERSION,
        "schema": fitted.schema.to_json(),
        "networks": [model.config.to_json() for model in ensemble.members.models],
        "columns": [_columns_of(model, fitted.schema) for model in ensemble.members.models],
        "records": [asdict(record) for record in fitted.records],
        "combined": asdict(fitted.combined),
        "combination": {
            "name": combination.name,
            "power": float(combination.power),
            "branch_power": float(combination.branch_power),
            "certificate": asdict(certificate),
        },
    }
    # One key, since the order of several would vary from file to file.
    metadata = {METADATA_KEY: json.dumps(content, allow_nan=False, default=_plain)}
    # Copies: pooled ensembles may share a network, and safetensors refuses shared memory.
    copies = {
        name: value.clone(memory_format=torch.contiguous_format) for name, value in tensors.items()
    }
    write_bytes(path, safetensors.torch.save(copies, metadata))


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

    from made.model import Model

    expected = header.member_tensors()
    for number, network in enumerate(header.networks):
        with torch.device("meta"):
            shapes = Model(header.columns_of(number), network)
        for name, value in shapes.named_parameters():
            expected[f"models.{number}.{name}"] = ("float32", tuple(value.shape))
    compare(path, expected, header.tensors)
    try:
        tensors = safetensors.torch.load_file(str(source))
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelFileError(f"{path} is damaged: {error}.") from error
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ModelFileError(
                f"{path} is damaged: {name} holds values that are not finite. Fit the model again."
            )
    try:
        ensemble = _build(header, tensors)
    except MadeError as error:
        raise ModelFileError(f"{path} is damaged: {error}") from error
    return Fitted(header.schema, ensemble, header.records, header.combined)


def _build(header: Header, tensors: dict[str, Any]) -> Ensemble:
    """Return the ensemble that checked tensors describe."""
    import torch

    from made.ensemble import Combination, Ensemble, Members
    from made.model import Model

    networks = []
    for number, config in enumerate(header.networks):
        model = Model(header.columns_of(number), config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(tensors[f"models.{number}.{name}"])
        networks.append((model.requires_grad_(False), _members(tensors, number, config)))
    branches = tensors.get("members.branches")
    combination = Combination(
        tensors["members.weights"].numpy(),
        header.power,
        None if branches is None else branches.numpy(),
        header.branch_power,
    )
    if header.combination != combination.name:
        raise ModelFileError(f"it is a {combination.name} and says {header.combination!r}.")
    certificate = header.certificate
    if certificate is None and not combination.is_mixture:
        raise ModelFileError(f"it is a {combination.name} and says nothing of its normaliser.")
    # Scores are M / Z with the Z of the certificate: another one would not sum to 1.
    if certificate is not None and combination.is_mixture:
        limits = (certificate.lower, certificate.log_normalizer, certificate.upper)
        if any(limits):
            raise ModelFileError(
                f"it is a mixture, whose log Z is 0, and its certificate says {limits[1]:g} "
                f"({limits[0]:g} to {limits[2]:g})."
            )
    return Ensemble(Members(networks), combination, certificate)


def _columns_of(model: Model, schema: Schema) -> list[Any] | None:
    """Return the columns of a network that was fitted to other rows than the first, else None."""
    if model.columns == schema.columns:
        return None
    return [column.to_json() for column in model.columns]


def _plain(value: Any) -> Any:
    """Return a number of numpy as one of Python: options may be given as either."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"A model file holds plain numbers and texts, and not {value!r}.")


def _stacked_degrees(members: tuple[Connectivity, ...]) -> list[np.ndarray]:
    """Return the hidden degrees of all members, (n_members or 1, n_units) a layer."""
    stacked = [np.stack(layer) for layer in zip(*(m.hidden_degrees for m in members), strict=True)]
    if all((layer == layer[0]).all() for layer in stacked):
        return [layer[:1] for layer in stacked]
    return stacked


def _members(tensors: dict[str, Any], number: int, config: NetworkConfig) -> list[Connectivity]:
    """Return the members of network ``number``."""
    from made.orderings import Connectivity

    prefix = f"models.{number}"
    orders = tensors[f"{prefix}.order"].numpy().astype(np.int64)
    layers = [
        tensors[f"{prefix}.hidden_degrees.{layer}"].numpy().astype(np.int64)
        for layer in range(len(config.hidden))
    ]
    # A unit that adds to what a unit of a higher degree put out would see too late a column.
    if config.residual and any(not np.array_equal(layer, layers[0]) for layer in layers):
        raise ModelFileError(
            f"network {number} is residual, and its layers differ in their hidden degrees."
        )
    # Members that share their hidden degrees share one tuple: masks are then built once.
    shared = {
        row: tuple(layer[row] for layer in layers)
        for row in range(max((len(layer) for layer in layers), default=1))
    }
    return [Connectivity(order, shared[min(k, len(shared) - 1)]) for k, order in enumerate(orders)]
