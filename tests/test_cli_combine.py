"""``made combine``, ``pool``, ``verify``, and what other commands say of combinations."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import made
from made.cli import app

ROWS = np.random.default_rng(0).integers(0, 2, size=(90, 5)).astype(np.uint8)
WIDE = np.random.default_rng(1).integers(0, 2, size=(60, 24)).astype(np.uint8)
TINY = ["--hidden", "8", "--members", "3", "--max-epochs", "2", "--threads", "1"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def succeed(*arguments: object) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def one_object(result: Result) -> dict[str, Any]:
    content = json.loads(result.stdout)
    assert isinstance(content, dict)
    return content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("combine")
    np.savez(place / "rows.npz", train=ROWS[:60], valid=ROWS[60:])
    np.save(place / "wide.npy", WIDE)
    for name, data, method, seed in (
        ("mixture", "rows.npz", "mixture", 0),
        ("other", "rows.npz", "mixture", 1),
        ("product", "rows.npz", "product", 0),
        ("wide", "wide.npy", "power=0.4", 0),
    ):
        succeed("fit", place / data, "--out", place / f"{name}.made", "--combine", method,
                "--seed", seed, *TINY)  # fmt: skip
    return place


def test_fit_says_how_members_were_combined(folder: Path, tmp_path: Path) -> None:
    arguments = ("fit", folder / "rows.npz", "--out", tmp_path / "m.made", *TINY)
    text = succeed(*arguments, "--combine", "product").stdout
    assert re.search(r"^members +3, product of experts$", text, re.MULTILINE)
    assert re.search(r"^log Z +-\d\.\d+, exact \(all 32 rows counted\)$", text, re.MULTILINE)
    assert re.search(r"^equal mixture +-\d+\.\d+ nats a row$", text, re.MULTILINE)
    content = one_object(succeed(*arguments, "--combine", "power=0.5", "--json"))
    assert content["combination"] == "power mean 0.5"
    assert content["power"] == 0.5
    assert content["exact"]
    assert content["certificate"]["method"] == "enumeration"


def test_combine_prints_what_it_compared_and_writes(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.made"
    text = succeed("combine", folder / "mixture.made", "--valid", folder / "rows.npz",
                   "--out", out).stdout  # fmt: skip
    lines = text.splitlines()
    assert lines[0].split() == ["combination", "members", "log", "Z", "nats", "a", "row",
                                "difference"]  # fmt: skip
    assert sum(line.endswith("  kept") for line in lines) == 1
    names = (
        "mixture, equal weights",
        "mixture, EM weights",
        "product of experts",
        "power mean 0.5",
        "product of 2 mixtures",
        "product, learned weights",
    )
    for name in names:
        assert any(line.startswith(name) for line in lines)
    kept = re.search(r"^kept +(.+), 3 members$", text, re.MULTILINE)
    assert kept is not None
    assert made.load(out).combination == kept.group(1)


def test_combine_replaces_the_model_itself_by_default(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "m.made"
    place.write_bytes((folder / "mixture.made").read_bytes())
    content = one_object(
        succeed("combine", place, "--valid", folder / "rows.npz", "--method", "product",
                "--members", 5, "--json")
    )  # fmt: skip
    assert content["n_members"] == 5
    assert content["exact"]
    loaded = made.load(place)
    assert (loaded.n_members, loaded.power) == (5, 0)
    assert content["combined"]["candidates"][-1]["chosen"]


def test_a_width_out_of_reach_is_warned_about(folder: Path, tmp_path: Path) -> None:
    result = succeed("combine", folder / "wide.made", "--valid", folder / "wide.npy", "--out",
                     tmp_path / "c.made", "--method", "product", "--width", 1e-9,
                     "--max-time", "1s")  # fmt: skip
    assert "not to the 0.0000 that were asked for" in result.stderr
    assert "--max-time" in result.stderr
    density = made.load(tmp_path / "c.made")
    assert not density.certificate.is_narrow_enough
    assert not density.is_exact


def test_scores_below_power_one_are_called_a_bound(folder: Path) -> None:
    text = succeed("score", folder / "wide.made", folder / "wide.npy").stdout
    assert "nats a row, at least (at 95%)" in text
    content = one_object(succeed("score", folder / "wide.made", folder / "wide.npy", "--json"))
    assert (content["exact"], content["level"]) == (False, 0.95)
    exact = succeed("score", folder / "product.made", folder / "rows.npz", "--split", "valid")
    assert "at least" not in exact.stdout


def test_draws_below_power_one_say_how_many_were_kept(folder: Path) -> None:
    result = succeed("sample", folder / "wide.made", "-n", 5)
    assert re.search(r"^One candidate in \d+\.\d was kept \(\d+\.\d%\)\.$", result.stderr.strip())
    assert len(result.stdout.splitlines()) == 6
    again = succeed("sample", folder / "wide.made", "-n", 5, "--method", "annealed")
    assert "approximate" in again.stderr
    content = one_object(
        succeed("sample", folder / "wide.made", "-n", 2, "--method", "annealed", "--json")
    )
    assert content["exact"] is False


def test_info_shows_weights_power_and_normaliser(folder: Path) -> None:
    text = succeed("info", folder / "wide.made").stdout
    assert re.search(r"^members +3, power mean 0\.4$", text, re.MULTILINE)
    assert re.search(r"^member weights +equal, 0\.3333 each$", text, re.MULTILINE)
    assert re.search(r"^log Z +-\d\.\d+, from -\d\.\d+ to -\d\.\d+ at 95% \(", text, re.MULTILINE)
    content = one_object(succeed("info", folder / "wide.made", "--json"))
    assert content["power"] == 0.4
    assert content["certificate"]["upper"] >= content["certificate"]["lower"]
    assert re.search(r"^gap +", succeed("info", folder / "mixture.made").stdout, re.MULTILINE)


def test_pool_and_what_follows(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.made"
    result = succeed("pool", folder / "mixture.made", folder / "other.made", "--out", out)
    assert re.search(r"^members +6, mixture$", result.stdout, re.MULTILINE)
    assert f"made combine {out} --valid DATA" in result.stderr
    succeed("combine", out, "--valid", folder / "rows.npz")
    assert re.search(r"^members +6, .*, of 2 networks$", succeed("info", out).stdout, re.MULTILINE)
    refused = run("pool", folder / "mixture.made", folder / "wide.made", "--out", out)
    assert refused.exit_code == 2
    assert "different columns" in refused.stderr
    alone = run("pool", folder / "mixture.made", "--out", out)
    assert alone.exit_code == 2
    assert "two models or more" in alone.stderr


def test_verify(folder: Path) -> None:
    text = succeed("verify", folder / "wide.made").stdout
    assert "the certificate stands" in text
    content = one_object(succeed("verify", folder / "wide.made", "--seed", 4, "--json"))
    assert content["stands"]
    assert content["again"]["seed"] == 4
    same = run("verify", folder / "wide.made", "--seed", 0)
    assert same.exit_code == 2
    assert "another --seed" in same.stderr


def test_a_certificate_that_does_not_stand(folder: Path, tmp_path: Path) -> None:
    density = made.load(folder / "wide.made")
    stored = vars(density.certificate)
    moved = {name: stored[name] - 0.5 for name in ("lower", "log_normalizer", "upper")}
    density._fitted.ensemble._certificate = type(density.certificate)(**(stored | moved))
    density.save(tmp_path / "m.made")
    result = run("verify", tmp_path / "m.made")
    assert result.exit_code == 1
    assert "do not trust this certificate" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "best"], "combine must be one of"),
        (["--method", "power=1.5"], "between 0 (product of experts) and 1 (mixture)"),
        (["--members", "0"], "This model can have any number of members"),
        (["--level", "1"], "level must lie between 0 and 1"),
        (["--width", "0"], "above 0 nats"),
    ],
)
def test_mistakes(folder: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    out = tmp_path / "c.made"
    result = run("combine", folder / "mixture.made", "--valid", folder / "rows.npz", "--out", out,
                 *arguments)  # fmt: skip
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert not out.exists()


def test_validation_rows_are_not_overwritten(folder: Path) -> None:
    result = run("combine", folder / "mixture.made", "--valid", folder / "rows.npz",
                 "--out", folder / "rows.npz")  # fmt: skip
    assert result.exit_code == 2
    assert "would replace what is read" in result.stderr


def test_fit_checks_the_combination_before_it_trains(folder: Path, tmp_path: Path) -> None:
    result = run("fit", folder / "rows.npz", "--out", tmp_path / "m.made", "--combine", "prodct")
    assert result.exit_code == 2
    assert "combine must be one of auto, mixture, em, product, power=A" in result.stderr
