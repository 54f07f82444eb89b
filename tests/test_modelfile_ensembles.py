"""Model files of several networks, powers, branches and certificates: to the last bit, or refused.

The networks are random, not trained: these tests know nothing of fitting.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from cases import every_row
from made.certificate import Certificate
from made.ensemble import Certification, Combination
from made.errors import ModelFileError, OptionError
from made.modelfile import CombinationRecord, Fitted, load, read_header, read_weights, save
from made.orderings import Connectivity
from modelfiles import (
    N_COLUMNS,
    Change,
    Parts,
    drop,
    entry,
    fill,
    fitted_of,
    network,
    put,
    refused,
)

ROWS = every_row(N_COLUMNS)
DRAWN = Certification(method="importance", width=0.1, max_draws=20_000, seed=7)


def two_networks(combination: Combination | None = None) -> Fitted:
    """Return two members of a wide network and three of a deep one."""
    deep = network(3, seed=1, hidden=(5, 6, 7), hidden_degrees="redrawn", direct_input=True)
    return fitted_of([network(2, hidden=(8,)), deep], combination)


def one_network(combination: Combination) -> Fitted:
    return fitted_of([network(combination.n_members)], combination)


def shared_network() -> Fitted:
    """Return two ensembles over one network, pooled."""
    model, members = network(4)
    return fitted_of([(model, members[:2]), (model, members[2:])])


def other_degrees() -> Fitted:
    """Return members whose hidden degrees differ though the network has fixed ones."""
    model, members = network(2)
    raised = tuple(np.maximum(degrees, 2) for degrees in members[0].hidden_degrees)
    other = Connectivity(members[0].order, raised)
    return fitted_of([(model, [*members, other])])


def copied_degrees() -> Fitted:
    """Return members whose hidden degrees are equal, and not the same arrays."""
    model, members = network(3)
    copies = [
        Connectivity(member.order, tuple(degrees.copy() for degrees in member.hidden_degrees))
        for member in members
    ]
    return fitted_of([(model, copies)])


def branches_of(combination: Combination) -> list[int] | None:
    return None if combination.branches is None else combination.branches.tolist()


UNEVEN = np.array([0.1, 0.2, 0.0, 0.3, 0.4])
BRANCHES = np.array([0, 0, 1, 1, 1])
ENSEMBLES: dict[str, Callable[[], Fitted]] = {
    "pooled": two_networks,
    "learned weights": lambda: two_networks(Combination(UNEVEN)),
    # Not to be divided by their sum, here or when they are read.
    "rounded weights": lambda: one_network(Combination(np.array([1 / 3 + 3e-13, 2 / 3]))),
    "product": lambda: one_network(Combination.uniform(3, 0.0)),
    "power": lambda: two_networks(Combination(UNEVEN, 0.3)),
    "branches": lambda: two_networks(Combination(UNEVEN, 0.1, BRANCHES, 0.9)),
    "mixture with branches": lambda: two_networks(Combination(UNEVEN, 1.0, BRANCHES, 1.0)),
    "one branch": lambda: two_networks(Combination(UNEVEN, 0.4, 0 * BRANCHES, 0.6)),
    "one network twice": shared_network,
    "other degrees": other_degrees,
    "copied degrees": copied_degrees,
}


@pytest.mark.parametrize("how", [Certification(), DRAWN], ids=["enumerated", "drawn"])
@pytest.mark.parametrize("case", ENSEMBLES)
def test_a_loaded_ensemble_is_the_saved_one(case: str, how: Certification, tmp_path: Path) -> None:
    fitted = ENSEMBLES[case]()
    fitted.ensemble.certify(how)
    save(fitted, tmp_path / "m.made")
    loaded = load(tmp_path / "m.made")
    before, after = fitted.ensemble, loaded.ensemble
    assert after.weights.tobytes() == before.weights.tobytes()
    for name in ("power", "branch_power", "name", "is_mixture"):
        assert getattr(after.combination, name) == getattr(before.combination, name)
    assert branches_of(after.combination) == branches_of(before.combination)
    assert after.known_certificate == before.certificate
    assert [len(members) for _, members in after.members.networks] == [
        len(members) for _, members in before.members.networks
    ]
    assert np.array_equal(after.member_log_probs(ROWS), before.member_log_probs(ROWS))
    assert np.array_equal(after.log_prob(ROWS), before.log_prob(ROWS))
    assert np.array_equal(after.sample(50, 3), before.sample(50, 3))
    assert (loaded.schema, loaded.records) == (fitted.schema, fitted.records)
    assert loaded.record == fitted.records[0]
    assert loaded.combined == fitted.combined
    total = np.exp(after.log_prob(ROWS)).sum()
    assert total == pytest.approx(1, abs=1e-5 if after.is_exact else 0.2)
    assert total <= 1 + 1e-5
    save(loaded, tmp_path / "again.made")
    assert (tmp_path / "again.made").read_bytes() == (tmp_path / "m.made").read_bytes()


def test_the_header_tells_what_the_ensemble_is(tmp_path: Path) -> None:
    fitted = two_networks(Combination(UNEVEN, 0.0, BRANCHES))
    certificate = fitted.ensemble.certify(DRAWN)
    save(fitted, tmp_path / "m.made")
    header = read_header(tmp_path / "m.made")
    models = fitted.ensemble.members.models
    assert header.networks == tuple(model.config for model in models)
    assert header.network == models[0].config
    assert (header.records, header.record) == (fitted.records, fitted.records[0])
    assert header.combined == fitted.combined
    assert (header.n_networks, header.n_members) == (2, 5)
    assert [header.members_of(number) for number in range(3)] == [2, 3, 0]
    assert (header.combination, header.power) == ("product of 2 mixtures", 0.0)
    assert header.branch_power == 1.0
    assert header.certificate == certificate
    assert header.n_weights == sum(
        parameter.numel() for model in models for parameter in model.parameters()
    )
    assert read_weights(tmp_path / "m.made").tobytes() == UNEVEN.tobytes()


def test_a_header_is_read_without_torch(tmp_path: Path) -> None:
    fitted = two_networks(Combination(UNEVEN, 0.0, BRANCHES))
    fitted.ensemble.certify(Certification())
    save(fitted, tmp_path / "m.made")
    program = (
        "import sys; from made.modelfile import read_header, read_weights\n"
        "print(read_header(sys.argv[1]).combination, len(read_weights(sys.argv[1])))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "m.made")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["product of 2 mixtures 5", "False"]


def test_members_that_share_their_degrees_share_them_in_the_file(tmp_path: Path) -> None:
    for name in ("copied degrees", "other degrees"):
        save(ENSEMBLES[name](), tmp_path / name)
    shared, own = (read_header(tmp_path / name) for name in ("copied degrees", "other degrees"))
    assert shared.tensors["models.0.hidden_degrees.0"][1][0] == 1
    assert own.tensors["models.0.hidden_degrees.0"][1][0] == own.n_members == 3


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="normaliser of this product of experts is not known"):
        save(one_network(Combination.uniform(2, 0.0)), tmp_path / "m.made")
    assert not list(tmp_path.iterdir())


def test_a_mixture_needs_no_certificate(tmp_path: Path) -> None:
    save(two_networks(), tmp_path / "m.made")
    parts = Parts.of((tmp_path / "m.made").read_bytes())
    put("combination", "certificate", to=None)(parts)
    loaded = load(parts.write(tmp_path / "bare.made"))
    assert loaded.ensemble.known_certificate is None
    assert np.exp(loaded.ensemble.log_prob(ROWS)).sum() == pytest.approx(1, abs=1e-5)


def test_numbers_of_numpy_are_saved_as_numbers(tmp_path: Path) -> None:
    fitted = one_network(Combination.uniform(2, 0.5))
    width = np.float32(0.1)
    fitted.ensemble.certify(Certification(width=width, seed=np.int64(3)))  # pyright: ignore[reportArgumentType]
    save(fitted, tmp_path / "m.made")
    certificate = read_header(tmp_path / "m.made").certificate
    assert certificate is not None
    assert (certificate.width_asked, certificate.seed) == (float(width), 3)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the file of a product of two mixtures, of two networks, with drawn limits."""
    fitted = two_networks(Combination(UNEVEN, 0.0, BRANCHES))
    fitted.ensemble.certify(DRAWN)
    place = tmp_path_factory.mktemp("tree") / "good.made"
    save(fitted, place)
    return place.read_bytes()


CERTIFICATE = ("combination", "certificate")
CANDIDATE = ("combined", "candidates", 1)
BAD_CANDIDATES = "a candidate of the combination is not what it should be"
SEARCH = ("records", 0, "options", "search")
BAD_SEARCH = "the record of the search is not what it should be"
FOUND = {"trial": 1, "options": {}, "trials": 3, "finished": 2, "pruned": 1, "failed": 0}
BAD_TREES: dict[str, tuple[Change, str]] = {
    "no certificate": (
        put(*CERTIFICATE, to=None),
        "is a product of 2 mixtures and says nothing of its normaliser",
    ),
    "certificate dropped": (drop(*CERTIFICATE), "the combination does not have branch_power"),
    "certificate of less": (put(*CERTIFICATE, to={"upper": 0}), "the facts of a certificate"),
    "certificate of more": (put(*CERTIFICATE, "more", to=0), "the facts of a certificate"),
    "negative draws": (put(*CERTIFICATE, "n_draws", to=-1), "no good 'n_draws'"),
    "true seed": (put(*CERTIFICATE, "seed", to=True), "no good 'seed'"),
    "a limit in words": (put(*CERTIFICATE, "lower", to="low"), "no good 'lower'"),
    "infinite limit": (put(*CERTIFICATE, "lower", to=-math.inf), "configuration is not JSON"),
    "huge limit": (put(*CERTIFICATE, "lower", to=-(10**400)), "configuration is not JSON"),
    "limits crossed": (put(*CERTIFICATE, "upper", to=-99), "contradicts itself"),
    "Z above 1": (put(*CERTIFICATE, "upper", to=0.1), "contradicts itself"),
    "level of 0": (put(*CERTIFICATE, "level", to=0), "contradicts itself"),
    "level without doubt": (put(*CERTIFICATE, "level", to=1), "contradicts itself"),
    "width of an exact value": (put(*CERTIFICATE, "method", to="enumeration"), "contradicts"),
    "unknown method": (put(*CERTIFICATE, "method", to="guess"), "contradicts itself"),
    "negative range": (put(*CERTIFICATE, "log_range", to=-1), "contradicts itself"),
    "width of 0": (put(*CERTIFICATE, "width_asked", to=0), "contradicts itself"),
    "another name": (put("combination", "name", to="mixture"), "and says 'mixture'"),
    "no name": (put("combination", "name", to=None), "the combination has no name"),
    "another power": (put("combination", "power", to=0.5), "it is a power mean 0.5 of 2 mixtures"),
    "no candidates": (put("combined", "candidates", to={}), "no good 'candidates'"),
    "search in words": (put(*SEARCH, to="long"), BAD_SEARCH),
    "search of less": (put(*SEARCH, to={"trial": 1}), BAD_SEARCH),
    "search of more": (put(*SEARCH, to=FOUND | {"more": 1}), BAD_SEARCH),
    "search with a number in words": (put(*SEARCH, to=FOUND | {"trial": "one"}), BAD_SEARCH),
    "candidate in words": (put(*CANDIDATE, to="mixture"), BAD_CANDIDATES),
    "candidate of less": (drop(*CANDIDATE, "difference"), BAD_CANDIDATES),
    "candidate of more": (put(*CANDIDATE, "more", to=1), BAD_CANDIDATES),
    "candidate without name": (put(*CANDIDATE, "name", to=None), BAD_CANDIDATES),
    "candidate's number": (put(*CANDIDATE, "log_prob", to=True), BAD_CANDIDATES),
    "candidate's members": (put(*CANDIDATE, "n_members", to=2.0), BAD_CANDIDATES),
    "candidate's choice": (put(*CANDIDATE, "chosen", to=1), BAD_CANDIDATES),
    "candidate's infinity": (put(*CANDIDATE, "log_prob", to=-math.inf), "is not JSON"),
    "combined in words": (put("combined", to="auto"), "combination is not an object"),
    "combined gap": (put("combined", "gap", to="wide"), "no good 'gap'"),
    "combined of more": (put("combined", "more", to=1), "has facts that are not known"),
    "branch below 0": (fill("members.branches", -1), "numbers of branches"),
    "branches of another length": (
        entry("members.branches", shape=[4]),
        "members.branches should be int32 of shape [5] and is int32 of shape [4]",
    ),
    "branches of another type": (
        entry("members.branches", dtype="F32"),
        "members.branches should be int32 of shape [5] and is float32",
    ),
    "no branches": (lambda parts: parts.header.pop("members.branches"), "is damaged"),
    "no members of a network": (entry("models.1.order", shape=[0, 4]), "nothing of its members"),
    "members of a network": (entry("models.1.order", shape=[1, 12]), "nothing of its members"),
    "one record for two": (drop("records", 1), "it has 2 networks, 1 records and columns of 2"),
    "one network for two": (drop("networks", 1), "nothing of its members"),
    "networks swapped": (
        lambda parts: parts.content["networks"].reverse(),
        "does not fit its own configuration: missing models.0.hidden_degrees.1",
    ),
    "weights of another type": (
        entry("members.weights", dtype="F32"),
        "members.weights should be float64 of shape [5] and is float32",
    ),
    "all pruned": (fill("members.weights", 0.0), "every member is pruned"),
}


@pytest.mark.parametrize("case", BAD_TREES)
def test_ensembles_that_cannot_be(case: str, tree: bytes, tmp_path: Path) -> None:
    change, expected = BAD_TREES[case]
    parts = Parts.of(tree)
    # Without this a file might be refused for being put together badly.
    load(parts.write(tmp_path / "good.made"))
    change(parts)
    assert expected in refused(parts.write(tmp_path / "bad.made"))


def test_the_certificate_of_a_mixture_says_nothing_else(tmp_path: Path) -> None:
    product = one_network(Combination.uniform(2, 0.0))
    certificate = product.ensemble.certify(Certification())
    assert certificate.log_normalizer < 0
    save(one_network(Combination.uniform(2)), tmp_path / "m.made")
    parts = Parts.of((tmp_path / "m.made").read_bytes())
    put(*CERTIFICATE, to=asdict(certificate))(parts)
    reason = refused(parts.write(tmp_path / "bad.made"))
    assert "it is a mixture, whose log Z is 0, and its certificate says -" in reason


def test_degrees_that_would_let_a_residual_network_look_ahead(tmp_path: Path) -> None:
    save(fitted_of([network(2, hidden=(8, 8), residual=True)]), tmp_path / "m.made")
    parts = Parts.of((tmp_path / "m.made").read_bytes())
    parts.put("models.0.hidden_degrees.0", 3)
    parts.put("models.0.hidden_degrees.1", 1)
    reason = refused(parts.write(tmp_path / "bad.made"))
    assert "network 0 is residual, and its layers differ in their hidden degrees" in reason


@pytest.mark.parametrize("value", [math.nan, None, "1"])
@pytest.mark.parametrize(
    "name", ["log_normalizer", "lower", "upper", "level", "log_range", "width_asked", "n_draws"]
)
def test_certificates_hold_numbers(name: str, value: object) -> None:
    content = asdict(Certificate("importance", -1.0, -1.1, -0.9, 0.95, 10, 0, 0.0, 3, 0.2))
    assert asdict(Certificate.from_json(content)) == content
    with pytest.raises(ModelFileError, match="the certificate"):
        Certificate.from_json(content | {name: value})
    content.pop(name)
    with pytest.raises(ModelFileError, match="does not hold the facts of a certificate"):
        Certificate.from_json(content)


def test_what_was_not_measured_is_none() -> None:
    content = {
        "method": "pool", "n_validation_rows": 0, "validation_log_prob": None,
        "validation_standard_error": None, "mixture_log_prob": None,
        "mixture_standard_error": None, "gap": None, "candidates": [],
    }  # fmt: skip
    assert asdict(CombinationRecord.from_json(content)) == content
