"""Nothing but a whole and sound model is loaded, and the error says what is wrong with the rest."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import made
from made.errors import ModelFileError
from made.modelfile import read_header, read_weights
from modelfiles import Change, Parts, entry, fill, put, refused, rename

ROWS = np.random.default_rng(0).integers(0, 2, size=(60, 4)).astype(np.uint8)


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


BAD_CONTENT: dict[str, tuple[Change, str]] = {
    "version": (put("format_version", to=1), "has format version 1; this version of made reads 4"),
    "no version": (lambda parts: parts.content.pop("format_version"), "has format version None"),
    "not json": (lambda parts: setattr(parts, "content", "{"), "configuration is not JSON"),
    "deep": (lambda parts: setattr(parts, "content", "[" * 90000), "configuration is not JSON"),
    "a number": (lambda parts: setattr(parts, "content", "5"), "has format version None"),
    "no schema": (lambda parts: parts.content.pop("schema"), "it says nothing of 'schema'"),
    "no columns": (put("schema", "columns", to=[]), "a list of at least one column"),
    "a kind": (
        put("schema", "columns", 0, "kind", to="real"),
        "A column has one of the kinds binary, categorical",
    ),
    "a name twice": (
        put("schema", "columns", 1, "name", to="x0"),
        "'x0' occurs twice",
    ),
    "container": (put("schema", "container", to="excel"), "Unknown container 'excel'"),
    "activation": (put("networks", 0, "activation", to="os.system"), "got 'os.system'"),
    "dropout": (put("networks", 0, "dropout", to="half"), "'half'"),
    "an option": (put("networks", 0, "extra", to=1), "network configuration has the options"),
    "huge width": (put("networks", 0, "hidden", to=[10**30]), "between 1 and 1000000 units"),
    "huge layers": (
        put("networks", 0, "hidden", to=[10**6] * 9),
        "missing models.0.hidden_degrees.1",
    ),
    "a record": (put("records", 0, "epochs", to="many"), "no good 'epochs'"),
    "no networks": (put("networks", to=[]), "'networks' is not a list of at least one"),
    "networks and records": (
        lambda parts: parts.content["records"].append(parts.content["records"][0]),
        "it has 1 networks, 2 records and columns of 1",
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
        put("combination", "power", to=1.5),
        "a power lies between 0 and 1, and this is 1.5",
    ),
    "no power": (put("combination", "power", to="all"), "and this is 'all'"),
    "true power": (put("combination", "power", to=True), "and this is True"),
    "negative power": (put("combination", "branch_power", to=-0.1), "and this is -0.1"),
    "combination of less": (
        lambda parts: parts.content["combination"].pop("branch_power"),
        "the combination does not have branch_power, certificate, name, power",
    ),
    "no number": (put("records", 0, "seconds", to=float("nan")), "configuration is not JSON"),
    "no float": (put("networks", 0, "dropout", to=10**400), "configuration is not JSON"),
    "no seed": (put("records", 0, "options", to={}), "seed must be a whole number, got None"),
    "negative seed": (put("records", 0, "options", "seed", to=-1), "between 0 and 2**63 - 1"),
    "no orderings": (
        put("records", 0, "options", "n_orderings", to="16"),
        "the options of the fit hold no number of orderings, but '16'",
    ),
    "history": (
        put("records", 0, "history", to=[{"epoch": 1}]),
        "history is not a list of epochs",
    ),
    "a true epoch": (put("records", 0, "history", 0, "epoch", to=True), "not a list of epochs"),
}


@pytest.mark.parametrize("case", BAD_CONTENT)
@pytest.mark.usefixtures("unread")
def test_configurations_that_cannot_be(case: str, parts: Parts, tmp_path: Path) -> None:
    change, expected = BAD_CONTENT[case]
    change(parts)
    assert expected in refused(parts.write(tmp_path / "bad.made"))


BIAS = "models.0.network.output_bias"
BAD_TENSORS: dict[str, tuple[Change, str]] = {
    "missing": (lambda parts: parts.header.pop(BIAS), f"own configuration: missing {BIAS}."),
    "renamed": (
        rename(BIAS, "models.0.network.bias"),
        f"missing {BIAS}; unexpected models.0.network.bias.",
    ),
    "extra": (
        lambda parts: parts.header.update(extra=parts.header[BIAS] | {"shape": [0]}),
        "own configuration: unexpected extra.",
    ),
    "shape": (
        entry(BIAS, shape=[2, 2]),
        f"{BIAS} should be float32 of shape [4] and is float32 of shape [2, 2].",
    ),
    "no shape": (entry(BIAS, shape="large"), f"{BIAS} has the type 'F32' and the shape 'large'"),
    "negative": (entry(BIAS, shape=[-4]), "the shape [-4]"),
    "dtype": (
        entry(BIAS, dtype="I32"),
        f"{BIAS} should be float32 of shape [4] and is int32 of shape [4].",
    ),
    "unknown dtype": (
        entry(BIAS, dtype="object"),
        "should be float32 of shape [4] and is object",
    ),
    "offsets": (entry(BIAS, data_offsets=[5, 3]), "is damaged: "),
    "no members": (entry("members.weights", shape=[0]), "it says nothing of its members"),
    "NaN": (fill(BIAS, np.nan), f"{BIAS} holds values that are not finite"),
    "infinity": (fill(BIAS, np.inf), "that are not finite. Fit the model again"),
    "NaN weights": (
        fill("members.weights", [np.nan, 1]),
        "members.weights holds values that are not finite",
    ),
    "weights": (
        fill("members.weights", 0.7),
        "Weights must sum to 1; they sum to 1.4",
    ),
    "negative weights": (
        fill("members.weights", [1.5, -0.5]),
        "non-negative numbers; the smallest is -0.5",
    ),
    "order": (
        fill("models.0.order", [0, 1, 2, 2]),
        "must hold each of 0..3 once; got [0, 1, 2, 2]",
    ),
    "outside": (fill("models.0.order", [0, 1, 2, -1]), "each of 0..3 once"),
    "degrees": (
        fill("models.0.hidden_degrees.0", 4),
        "Hidden degrees must lie in 1..3 for 4 columns",
    ),
}


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_tensors_that_cannot_be(case: str, parts: Parts, tmp_path: Path) -> None:
    change, expected = BAD_TENSORS[case]
    change(parts)
    assert expected in refused(parts.write(tmp_path / "bad.made"))


@pytest.mark.parametrize("weights", [0.0, np.nan, np.inf, [1.5, -0.5], 0.7])
def test_weights_that_are_read_alone_are_checked(
    weights: float | list[float], parts: Parts, tmp_path: Path
) -> None:
    parts.put("members.weights", weights)
    place = parts.write(tmp_path / "bad.made")
    read_header(place)
    with pytest.raises(ModelFileError, match="must be non-negative and sum to 1; the smallest is"):
        read_weights(place)


def test_weights_are_read_from_sound_files_alone(file: bytes, tmp_path: Path) -> None:
    parts = Parts.of(file)
    parts.header["members.weights"]["dtype"] = "I64"
    with pytest.raises(ModelFileError, match="are no numbers"):
        read_weights(parts.write(tmp_path / "bad.made"))
    parts = Parts.of(file)
    parts.header[BIAS]["data_offsets"] = [0, 3]
    with pytest.raises(ModelFileError, match=r"bad\.made is damaged"):
        read_weights(parts.write(tmp_path / "bad.made"))


def test_a_good_file_taken_apart_loads_again(
    parts: Parts, density: made.Density, tmp_path: Path
) -> None:
    # Without this the tests above might be refused for being put together badly.
    loaded = made.load(parts.write(tmp_path / "good.made"))
    assert np.array_equal(loaded.log_prob(ROWS), density.log_prob(ROWS))
