"""Questions on the command line: query, impute, explain, draws given evidence."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from typer.testing import CliRunner, Result

import made
from made.cli import app

FAILED, WRONG_USE = 1, 2
N_ROWS = 60


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def succeed(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def one_object(*arguments: object) -> dict[str, Any]:
    """Run a command with --json; return the object that is all it prints."""
    text = succeed(*arguments, "--json")
    assert text.count("\n") == 1
    content = json.loads(text)
    assert isinstance(content, dict)
    return content


def fail(code: int, *arguments: object) -> str:
    """Run a command that must fail with ``code``; return what it says."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr
    return result.stderr


def lines_of(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().replace('"', "").splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table with holes, and two models of it."""
    place = tmp_path_factory.mktemp("ask")
    random = np.random.default_rng(0)
    rows = [
        f"{n:03d},{'' if n % 9 == 4 else random.choice(['Rome', 'Oslo'])},"
        f"{'?' if n % 7 == 2 else f'{random.lognormal():.2f}'},{random.poisson(3)},"
        f"2020-0{n % 9 + 1}-1{n % 4}"
        for n in range(N_ROWS)
    ]
    (place / "rows.csv").write_text("id,city,price,hours per week,day\n" + "\n".join(rows) + "\n")
    (place / "whole.csv").write_text(
        "id,city,price,hours per week,day\n001,Rome,1.50,3,2020-01-01\n"
    )
    fit = ["fit", place / "rows.csv", "--id", "id", "--na", "?", "--hidden", "16", "--threads", 1,
           "--max-epochs", 3, "--members", 3]  # fmt: skip
    succeed(*fit, "--questions", "--out", place / "m.made")
    succeed(*fit, "--combine", "product", "--orderings", "all", "--out", place / "p.made")
    succeed(*fit, "--combine", "mixture", "--orderings", 4, "--out", place / "four.made")
    return place


@pytest.fixture(scope="module")
def density(folder: Path) -> made.Density:
    return made.load(folder / "m.made")


def test_probabilities_of_events(folder: Path, density: made.Density) -> None:
    event, given = "`hours per week` < 3 and price is missing", "city == 'Rome'"
    content = one_object("query", folder / "m.made", event, "--given", given, "--rows", 1000)
    answer = density.probability(event, given)
    assert content == {
        "model": str(folder / "m.made"), "event": event, "given": given,
        "probability": pytest.approx(answer.value), "standard_error": 0.0, "exact": True,
        "method": "orderings", "n_draws": 0, "effective_sample_size": None,
        "expected_rows": pytest.approx(1000 * answer.value),
    }  # fmt: skip
    text = succeed("query", folder / "m.made", event, "--given", given, "--rows", 1000)
    assert re.search(rf"^probability +{answer.value:.6g}$", text, re.MULTILINE)
    assert re.search(rf"^expected +{1000 * answer.value:.6g} of 1000 rows$", text, re.MULTILINE)
    assert re.search(r"^how +exact; the columns of the question first", text, re.MULTILINE)


def test_estimates_tell_their_error_and_repeat(folder: Path) -> None:
    asked = ["query", folder / "m.made", "price < 1 and day < '2020-05-01'", "--max-draws", 100]
    one, two = one_object(*asked, "--seed", 3), one_object(*asked, "--seed", 3)
    assert one == two
    assert (one["exact"], one["expected_rows"], one["given"]) == (False, None, None)
    assert 0 < one["standard_error"] < 0.2
    assert one["n_draws"] > 0
    text = succeed(*asked)
    assert re.search(r"^probability +0\.\d+ \+- [\de.-]+$", text, re.MULTILINE)
    assert re.search(r"^how +estimate from [\d,]+ draws;", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["city", "price", "`hours per week`", " day "])
def test_distributions_of_columns(folder: Path, density: made.Density, name: str) -> None:
    given = None if name == "city" else "city == 'Oslo'"
    more = [] if given is None else ["--given", given]
    content = one_object("query", folder / "m.made", name, *more)
    plain = name.strip(" `")
    own = density.conditional(plain, given)
    assert (content["column"], content["given"], content["exact"]) == (plain, given, True)
    assert content["missing"] == pytest.approx(own.missing)
    text = succeed("query", folder / "m.made", name, *more)
    if name == "city":
        assert content["probabilities"] == pytest.approx(own.probabilities)
        assert f"{own.probabilities['Rome']:.4f}" in text
        assert "(missing)" in text
        return
    assert sorted(content["quantiles"], key=float) == ["0.05", "0.25", "0.5", "0.75", "0.95"]
    quantiles = [content["quantiles"][level] for level in sorted(content["quantiles"], key=float)]
    assert quantiles == sorted(quantiles)
    assert isinstance(content["mean"], str if plain == "day" else float)
    if plain == "day":
        assert all(quantile.startswith("20") for quantile in [*quantiles, content["mean"]])
    assert [line.split()[0] for line in text.splitlines()][:6] == [
        "mean", "5%", "25%", "50%", "75%", "95%",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (FAILED, ["price <"], "Expected a column or a value"),
        (FAILED, ["price < 1 and citi == 'Rome'"], "Did you mean 'city'?"),
        (FAILED, ["city == 'Roma'"], "no level 'Roma'. Did you mean 'Rome'?"),
        (FAILED, ["price < 1", "--given", "id == 3"], "no column 'id'"),
        (FAILED, ["price < 1", "--given", "city = 'Rome' &"], "Write `and`."),
        (FAILED, ["price < 1", "--given", "`hours per week` < -5"], "probability zero"),
        (FAILED, ["city", "--given", "city == 'Rome'"], "asked for and given"),
        (FAILED, [""], "The event is empty"),
        (WRONG_USE, ["price < 1", "--rows", -1], "--rows must be at least 0"),
        (WRONG_USE, ["price < 1", "--max-draws", 0], "max_draws must be"),
        (WRONG_USE, ["price < 1", "--orderings", 0], "orderings must be"),
    ],
)
def test_questions_that_cannot_be(folder: Path, code: int, arguments: Any, words: str) -> None:
    said = fail(code, "query", folder / "m.made", *arguments)
    assert words in said
    pointed = code == FAILED and "zero" not in words and "given" not in words
    assert said.rstrip("\n").endswith("^") == pointed


def test_a_product_answers_or_says_how_to_ask(folder: Path) -> None:
    content = one_object("query", folder / "p.made", "city == 'Rome'", "--ensemble", "mixture")
    own = one_object("query", folder / "p.made", "city == 'Rome'")
    assert (content["exact"], own["exact"]) == (True, False)
    assert own["probability"] == pytest.approx(content["probability"], abs=0.1)
    out = folder / "never.csv"
    arguments = ["impute", folder / "p.made", folder / "rows.csv", "--id", "id", "--out", out]
    assert "--ensemble mixture" in fail(WRONG_USE, *arguments)
    assert not out.exists()


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_holes_are_filled(folder: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"filled{ending}"
    asked = ["impute", folder / "m.made", folder / "rows.csv", "--id", "id", "--out", out]
    content = one_object(*asked)
    before = lines_of(folder / "rows.csv")
    n_holes = sum(cell in ("", "?") for line in before for cell in line)
    assert content == {
        "model": str(folder / "m.made"), "n_rows": N_ROWS, "n_filled": n_holes, "draws": 0,
        "out": str(out),
    }  # fmt: skip
    if ending == ".csv":
        after = lines_of(out)
    else:
        table = pyarrow.parquet.read_table(out)
        columns = [table.column(name).to_pylist() for name in table.column_names]
        after = [table.column_names, *map(list, zip(*columns, strict=True))]
    assert len(after) == len(before)
    for old, new in zip(before, after, strict=True):
        for cell, filled in zip(old, new, strict=True):
            # 001 stays 001, and 1.50 stays 1.50.
            assert filled not in ("", "?", None) if cell in ("", "?") else filled == cell
    assert {line[1] for line in after[1:]} == {"Rome", "Oslo"}
    text = succeed(*asked)
    assert re.search(rf"^holes +{n_holes}$", text, re.MULTILINE)


def test_draws_are_tables_under_each_other(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "drawn.csv"
    asked = ["impute", folder / "m.made", folder / "rows.csv", "--id", "id", "--out", out]
    assert one_object(*asked, "--draws", 2, "--seed", 4)["draws"] == 2
    drawn: Any = pd.read_csv(out, dtype=str)
    assert list(drawn.columns) == ["draw", "id", "city", "price", "hours per week", "day"]
    assert drawn["draw"].tolist() == ["1"] * N_ROWS + ["2"] * N_ROWS
    first, second = drawn[:N_ROWS], drawn[N_ROWS:].reset_index(drop=True)
    assert first["id"].tolist() == second["id"].tolist()
    differ = np.flatnonzero(first["price"] != second["price"]).tolist()
    assert differ == [n for n in range(N_ROWS) if n % 7 == 2]


def test_the_number_of_a_draw_is_never_lost(folder: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "rows.csv", tmp_path / "filled.csv"
    data.write_text((folder / "rows.csv").read_text().replace("id,", "draw,", 1))
    result = run("impute", folder / "m.made", data, "--id", "draw", "--draws", 2, "--out", out)
    # Either two columns tell identifiers and draws apart, or the name is refused.
    refused = result.exit_code != 0 and "'draw'" in result.stderr
    assert refused or len(set(map(tuple, lines_of(out)))) == 2 * N_ROWS + 1


def test_limits_are_columns(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "limits.csv"
    asked = ["impute", folder / "m.made", folder / "rows.csv", "--id", "id", "--out", out]
    succeed(*asked, "--interval", 0.8, "--numbers", "median")
    table: Any = pd.read_csv(out)
    assert {"price_low", "price_high", "hours per week_low"} <= set(table.columns)
    assert "city_low" not in table.columns
    holes = np.arange(N_ROWS) % 7 == 2
    assert (table["price_low"].notna() == holes).all()
    inner = table[holes]
    assert (inner["price_low"] <= inner["price"]).all()
    assert (inner["price"] <= inner["price_high"]).all()
    assert "not both" in fail(WRONG_USE, *asked, "--interval", 0.8, "--draws", 2)


def test_what_is_read_is_never_replaced(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text((folder / "rows.csv").read_text())
    said = fail(WRONG_USE, "impute", folder / "m.made", data, "--id", "id", "--out", data)
    assert "would replace what is read" in said
    assert data.read_text() == (folder / "rows.csv").read_text()
    out = tmp_path / "whole.csv"
    result = run("impute", folder / "m.made", folder / "whole.csv", "--id", "id", "--out", out)
    assert (result.exit_code, "no cell is missing" in result.stderr) == (0, True)
    assert lines_of(out) == lines_of(folder / "whole.csv")


def test_odd_cells_are_explained(folder: Path, density: made.Density) -> None:
    asked = ["explain", folder / "m.made", folder / "rows.csv", "--id", "id", "--row"]
    content = one_object(*asked, 2)
    assert content["row"] == 2
    cells = {cell["column"]: cell for cell in content["cells"]}
    assert sorted(cells) == sorted(density.columns)
    # Row 2 has no price, and its date is told as a text.
    assert cells["price"]["value"] is None
    assert cells["day"]["value"].startswith("2020-03-12")
    surprises = [cell["likeliest_log_prob"] - cell["log_prob"] for cell in content["cells"]]
    assert surprises == sorted(surprises, reverse=True)
    lines = succeed(*asked, 2).splitlines()
    assert re.split(r"  +", lines[0]) == [
        "column", "value", "likeliest", "log p", "of likeliest", "surprise",
    ]  # fmt: skip
    assert len(lines) == 1 + len(cells)
    assert any(line.startswith("price") and "(missing)" in line for line in lines)
    assert f"There is no row 60: the data has {N_ROWS}" in fail(FAILED, *asked, N_ROWS)


@pytest.mark.parametrize("given", ["city == 'Rome'", "city == 'Rome' and `hours per week` > 3"])
def test_rows_are_drawn_given_evidence(folder: Path, tmp_path: Path, given: str) -> None:
    asked = ["sample", folder / "m.made", "-n", 12, "--seed", 2, "--given", given]
    content = one_object(*asked)
    assert (content["given"], content["n_rows"]) == (given, 12)
    columns = content["columns"]
    assert set(columns["city"]) == {"Rome"}
    assert min(columns["hours per week"]) > (3 if "hours" in given else -1)
    succeed(*asked, "--out", tmp_path / "drawn.csv")
    assert (
        pd.read_csv(tmp_path / "drawn.csv")["hours per week"].tolist() == columns["hours per week"]
    )
    assert "Did you mean 'city'" in fail(FAILED, *asked[:-1], "citi == 'Rome'")
    assert "probability zero" in fail(FAILED, *asked[:-1], "`hours per week` < -5")


def test_info_and_fit_tell_how_questions_are_answered(folder: Path, tmp_path: Path) -> None:
    text = succeed("info", folder / "m.made")
    line = r"^evidence first +log p moves by \d+\.\d{3} nats a row \(rms\) and loses -?\d\.\d{3}$"
    assert re.search(line, text, re.MULTILINE)
    check = one_object("info", folder / "m.made")["order_check"]
    assert (check["orderings"], check["particles"]) == (None, None)
    four = one_object("info", folder / "four.made")["order_check"]
    better = "particles" if four["particles"] > four["orderings"] else "orderings"
    assert re.search(rf"^questions +by {better}: ", succeed("info", folder / "four.made"), re.M)
    asked = one_object("query", folder / "four.made", "`hours per week` > 3")
    assert asked["method"] == better
    said = fail(WRONG_USE, "fit", folder / "rows.csv", "--questions", "--orderings", 4,
                "--out", tmp_path / "no.made")  # fmt: skip
    assert "questions=True trains on all orderings" in said
    assert not (tmp_path / "no.made").exists()
