"""Nothing but a whole and sound model is loaded, and the error says what is wrong with the rest."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import made
from cases import every_row
from made.ensemble import Certification, Combination, Ensemble, Members
from made.errors import ModelFileError
from made.modelfile import Fitted, read_header, read_weights, save

ROWS = np.random.default_rng(0).integers(0, 2, size=(60, 4)).astype(np.uint8)


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


@pytest.fixture(scope="module")
def density() -> made.Density:
    return made.fit(ROWS, hidden=(8,), members=2, max_epochs=2, combine="mixture", progress=False)


@pytest.fixture(scope="module")
def file(density: made.Density, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = tmp_path_factory.mktemp("model") / "good.made"
    density.save(place)
    return place.read_bytes()


@pytest.fixture
def parts(file: bytes) -> Parts:
    return Parts.of(file)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test fail that gets as far as reading tensors."""

    def read(path: str) -> None:
        raise AssertionError(f"the tensors of {path} were read")

    monkeypatch.setattr(safetensors.torch, "load_file", read)


def refused(place: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        made.load(place)
    # In a line, and with the name of the file.
    assert str(caught.value).startswith(str(place))
    assert "\n" not in str(caught.value)
    return str(caught.value)


BAD_BYTES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda file: b"", "is not a model file: it has 0 bytes"),
    "three bytes": (lambda file: file[:3], "is not a model file: it has 3 bytes"),
    "cut in the header": (lambda file: file[:200], "cut off: its header claims"),
    "cut in the tensors": (lambda file: file[:-1], "cut off or damaged: it should have"),
    "too long": (lambda file: file + b"x", "cut off or damaged: it should have"),
    "absurd header": (
        lambda file: (2**62).to_bytes(8, "little") + file[8:],
        f"its header claims {2**62} bytes and the file has",
    ),
    "no json": (lambda file: (8).to_bytes(8, "little") + b"no json!", "header is not readable"),
    "a list": (lambda file: (2).to_bytes(8, "little") + b"[]", "header is not readable"),
    "deep": (lambda file: (90000).to_bytes(8, "little") + b"[" * 90000, "header is not readable"),
    "pickle": (lambda file: pickle.dumps({"weights": [0.5] * 9}), "is not a model file"),
    "text": (lambda file: b"a,b\n0,1\n" * 50, "is not a model file"),
    "other safetensors": (
        lambda file: safetensors.torch.save({"weight": torch.zeros(3)}),
        "a safetensors file, but not a model of made",
    ),
}


@pytest.mark.parametrize("case", BAD_BYTES)
@pytest.mark.usefixtures("unread")
def test_files_that_are_no_model(case: str, file: bytes, tmp_path: Path) -> None:
    change, expected = BAD_BYTES[case]
    place = tmp_path / "bad.made"
    place.write_bytes(change(file))
    assert expected in refused(place)


def test_paths_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"There is no model file .*nowhere\.made"):
        made.load(tmp_path / "nowhere.made")
    with pytest.raises(ModelFileError, match="is a folder, not a model file"):
        made.load(tmp_path)


def _set(*path: str | int, to: Any) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        inner = parts.content
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = to

    return change


BAD_CONTENT: dict[str, tuple[Callable[[Parts], None], str]] = {
    "version": (_set("format_version", to=1), "has format version 1; this version of made reads 2"),
    "no version": (lambda parts: parts.content.pop("format_version"), "has format version None"),
    "not json": (lambda parts: setattr(parts, "content", "{"), "configuration is not JSON"),
    "deep": (lambda parts: setattr(parts, "content", "[" * 90000), "configuration is not JSON"),
    "a number": (lambda parts: setattr(parts, "content", "5"), "has format version None"),
    "no schema": (lambda parts: parts.content.pop("schema"), "it says nothing of 'schema'"),
    "no columns": (_set("schema", "columns", to=[]), "a list of at least one column"),
    "a kind": (
        _set("schema", "columns", to=[{"name": "a", "kind": "real", "boolean": False}]),
        "Column 'a' has the unknown kind 'real'",
    ),
    "a name twice": (
        _set("schema", "columns", to=[{"name": "a", "kind": "binary", "boolean": False}] * 4),
        "'a' occurs twice",
    ),
    "container": (_set("schema", "container", to="excel"), "Unknown container 'excel'"),
    "activation": (_set("networks", 0, "activation", to="os.system"), "got 'os.system'"),
    "dropout": (_set("networks", 0, "dropout", to="half"), "'half'"),
    "an option": (_set("networks", 0, "extra", to=1), "network configuration has the options"),
    "huge width": (_set("networks", 0, "hidden", to=[10**30]), "between 1 and 1000000 units"),
    "huge layers": (
        _set("networks", 0, "hidden", to=[10**6] * 9),
        "missing models.0.hidden_degrees.1",
    ),
    "a record": (_set("records", 0, "epochs", to="many"), "no good 'epochs'"),
    "no networks": (_set("networks", to=[]), "'networks' is not a list of at least one"),
    "networks and records": (
        lambda parts: parts.content["records"].append(parts.content["records"][0]),
        "it has 1 networks and 2 records",
    ),
    "another network": (
        lambda parts: parts.content["networks"].append(parts.content["networks"][0]),
        "it says nothing of its members",
    ),
    "no combination": (
        lambda parts: parts.content.pop("combination"),
        "it says nothing of 'combination'",
    ),
    "power": (
        _set("combination", "power", to=1.5),
        "a power lies between 0 and 1, and this is 1.5",
    ),
    "no power": (_set("combination", "power", to="all"), "and this is 'all'"),
    "a certificate": (
        _set("combination", "certificate", to={"upper": 0}),
        "the certificate does not hold the facts of a certificate",
    ),
    "candidates": (
        _set("combined", "candidates", to=[{"name": "mixture"}]),
        "the candidates are not a list of combinations",
    ),
    "combined": (_set("combined", "gap", to="wide"), "no good 'gap'"),
    "no number": (_set("records", 0, "seconds", to=float("nan")), "configuration is not JSON"),
    "history": (
        _set("records", 0, "history", to=[{"epoch": 1}]),
        "history is not a list of epochs",
    ),
}


@pytest.mark.parametrize("case", BAD_CONTENT)
@pytest.mark.usefixtures("unread")
def test_configurations_that_cannot_be(case: str, parts: Parts, tmp_path: Path) -> None:
    change, expected = BAD_CONTENT[case]
    change(parts)
    assert expected in refused(parts.write(tmp_path / "bad.made"))


def _header(name: str, **entry: Any) -> Callable[[Parts], None]:
    return lambda parts: parts.header[name].update(entry)


def _rename(before: str, after: str) -> Callable[[Parts], None]:
    return lambda parts: parts.header.update({after: parts.header.pop(before)})


BIAS = "models.0.network.output_bias"
BAD_TENSORS: dict[str, tuple[Callable[[Parts], None], str]] = {
    "missing": (lambda parts: parts.header.pop(BIAS), f"own configuration: missing {BIAS}."),
    "renamed": (
        _rename(BIAS, "models.0.network.bias"),
        f"missing {BIAS}; unexpected models.0.network.bias.",
    ),
    "extra": (
        lambda parts: parts.header.update(extra=parts.header[BIAS] | {"shape": [0]}),
        "own configuration: unexpected extra.",
    ),
    "shape": (
        _header(BIAS, shape=[2, 2]),
        f"{BIAS} should be float32 of shape [4] and is float32 of shape [2, 2].",
    ),
    "no shape": (_header(BIAS, shape="large"), f"{BIAS} has the type 'F32' and the shape 'large'"),
    "negative": (_header(BIAS, shape=[-4]), "the shape [-4]"),
    "dtype": (
        _header(BIAS, dtype="I32"),
        f"{BIAS} should be float32 of shape [4] and is int32 of shape [4].",
    ),
    "unknown dtype": (
        _header(BIAS, dtype="object"),
        "should be float32 of shape [4] and is object",
    ),
    "offsets": (_header(BIAS, data_offsets=[5, 3]), "is damaged: "),
    "no members": (_header("members.weights", shape=[0]), "it says nothing of its members"),
    "NaN": (lambda parts: parts.put(BIAS, np.nan), f"{BIAS} holds values that are not finite"),
    "infinity": (lambda parts: parts.put(BIAS, np.inf), "that are not finite. Fit the model again"),
    "NaN weights": (
        lambda parts: parts.put("members.weights", [np.nan, 1]),
        "members.weights holds values that are not finite",
    ),
    "weights": (
        lambda parts: parts.put("members.weights", 0.7),
        "Weights must sum to 1; they sum to 1.4",
    ),
    "negative weights": (
        lambda parts: parts.put("members.weights", [1.5, -0.5]),
        "non-negative numbers; the smallest is -0.5",
    ),
    "order": (
        lambda parts: parts.put("models.0.order", [0, 1, 2, 2]),
        "must hold each of 0..3 once; got [0, 1, 2, 2]",
    ),
    "outside": (lambda parts: parts.put("models.0.order", [0, 1, 2, -1]), "each of 0..3 once"),
    "degrees": (
        lambda parts: parts.put("models.0.hidden_degrees.0", 4),
        "Hidden degrees must lie in 1..3 for 4 columns",
    ),
}


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_tensors_that_cannot_be(case: str, parts: Parts, tmp_path: Path) -> None:
    change, expected = BAD_TENSORS[case]
    change(parts)
    assert expected in refused(parts.write(tmp_path / "bad.made"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a file of two networks whose members form a product of two mixtures."""
    options: dict[str, Any] = {"members": 2, "max_epochs": 2, "combine": "mixture"}
    fitted = [
        made.fit(ROWS, hidden=hidden, progress=False, **options)._fitted
        for hidden in ((8,), (5, 6))
    ]
    members = Members([network for one in fitted for network in one.ensemble.members.networks])
    ensemble = Ensemble(members, Combination(np.full(4, 0.25), 0.0, np.array([0, 0, 1, 1])))
    ensemble.certify(Certification())
    place = tmp_path_factory.mktemp("tree") / "good.made"
    save(Fitted(fitted[0].schema, ensemble, (fitted[0].record,) * 2, fitted[0].combined), place)
    loaded = made.load(place)
    rows = every_row(4)
    assert loaded.combination == "product of 2 mixtures"
    assert np.array_equal(loaded.log_prob(rows.numpy()), ensemble.log_prob(rows))
    assert np.array_equal(loaded.sample(20), ensemble.sample(20, 0))
    assert read_header(place).n_networks == 2
    assert read_weights(place).tolist() == [0.25] * 4
    return place.read_bytes()


BAD_TREES: dict[str, tuple[Callable[[Parts], None], str]] = {
    "no certificate": (
        _set("combination", "certificate", to=None),
        "is a product of 2 mixtures and says nothing of its normaliser",
    ),
    "another name": (_set("combination", "name", to="mixture"), "and says 'mixture'"),
    "another power": (_set("combination", "power", to=0.5), "it is a power mean 0.5 of 2 mixtures"),
    "limits": (_set("combination", "certificate", "upper", to=-99), "contradicts itself"),
    "level": (_set("combination", "certificate", "level", to=0), "contradicts itself"),
    "draws": (_set("combination", "certificate", "n_draws", to=-1), "no good 'n_draws'"),
    "branches": (lambda parts: parts.put("members.branches", -1), "numbers of branches"),
    "shape of branches": (
        _header("members.branches", shape=[2, 2]),
        "members.branches should be int32 of shape [4]",
    ),
    "no members of a network": (_header("models.1.order", shape=[0, 4]), "nothing of its members"),
    "members of a network": (_header("models.1.order", shape=[1, 8]), "nothing of its members"),
    "all pruned": (lambda parts: parts.put("members.weights", 0.0), "every member is pruned"),
}


@pytest.mark.parametrize("case", BAD_TREES)
def test_combinations_that_cannot_be(case: str, tree: bytes, tmp_path: Path) -> None:
    change, expected = BAD_TREES[case]
    parts = Parts.of(tree)
    change(parts)
    assert expected in refused(parts.write(tmp_path / "bad.made"))


def test_weights_are_read_from_sound_files_alone(tree: bytes, tmp_path: Path) -> None:
    parts = Parts.of(tree)
    parts.header["members.weights"]["dtype"] = "I64"
    with pytest.raises(ModelFileError, match="are no numbers"):
        read_weights(parts.write(tmp_path / "bad.made"))


def test_a_good_file_taken_apart_loads_again(
    parts: Parts, density: made.Density, tmp_path: Path
) -> None:
    # Without this the tests above might be refused for being put together badly.
    loaded = made.load(parts.write(tmp_path / "good.made"))
    assert np.array_equal(loaded.log_prob(ROWS), density.log_prob(ROWS))
