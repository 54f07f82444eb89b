"""``made schema``: lines that line up, files that read back, and one line for every mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import made
from made.cli import app
from made.table import infer, overrides_of, read_table
from tables import declared

FAILED, WRONG_USE = 1, 2
ROWS = [
    f"{i},{'yes' if i % 3 else 'no'},{i % 7},{i / 8 if i % 5 else '?'},{i % 28 + 1}.1.2020,"
    f"0{i % 4}1,,note {i}"
    for i in range(60)
]
CSV = "id,answer,count,price,day,code,nothing,remark\n" + "\n".join(ROWS) + "\n"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["schema", *map(str, arguments)])


def succeed(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def fail(code: int, *arguments: object) -> str:
    """Run a command that must fail with ``code``; return what it says, a line."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("schema") / "rows.csv"
    place.write_text(CSV)
    return place


def test_a_line_a_column(data: Path) -> None:
    lines = succeed(data, "--na", "?").splitlines()
    assert lines[0].split() == ["column", "kind", "missing", "values", "note"]
    starts = [lines[0].index(word) for word in lines[0].split()]
    table = [[line[a:b].strip() for a, b in zip(starts, [*starts[1:], 999], strict=True)]
             for line in lines[1:9]]  # fmt: skip
    assert table == [
        ["id", "left out", "", "60 different, like 0", "a number that is different in nearly every "
         "row"],
        ["answer", "binary", "", "2: no, yes", ""],
        ["count", "integer", "", "0 to 6", ""],
        ["price", "continuous", "20.0%", "0.125 to 7.375", ""],
        ["day", "datetime", "", "2020-01-01 to 2020-01-28", ""],
        ["code", "categorical", "", "4: 001, 011, 021, ...", ""],
        ["nothing", "categorical", "100.0%", "", "no cell has a value"],
        ["remark", "left out", "", "60 different, like note 0", "a text that is different in "
         "nearly every row"],
    ]  # fmt: skip
    assert lines[9:] == ["", "rows      60", "columns   6", "left out  2; keep one with --keep"]


def test_what_is_said_is_shown(data: Path) -> None:
    out = succeed(data, "--na", "?", "--kind", "count=categorical", "--keep", "remark",
                  "--kind", "id=left out")  # fmt: skip
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert lines["count"].split()[1:] == ["categorical", "7:", "0,", "1,", "2,", "..."]
    assert lines["remark"].split()[1:3] == ["categorical", "60:"]
    assert lines["id"].endswith("by the schema")
    assert "left out  1; keep one with --keep" in out


def test_one_json_object(data: Path) -> None:
    out = succeed(data, "--json", "--na", "?")
    assert out.count("\n") == 1
    content = json.loads(out)
    assert (content["n_rows"], content["out"]) == (60, None)
    assert content["columns"] == [column.to_json() for column in declared(read_table(data, na="?"))]
    assert content["columns"][3] == {
        "name": "price", "kind": "continuous", "missing": True, "low": 0.0, "high": None,
        "atoms": True,
    }  # fmt: skip


def test_a_written_schema_reads_back(data: Path, tmp_path: Path) -> None:
    place = tmp_path / "schema.json"
    said = ["--na", "?", "--kind", "count=continuous", "--keep", "remark"]
    out = succeed(data, "--out", place, *said)
    assert f"written   {place}" in out
    first = json.loads(place.read_text())
    assert set(first) == {"columns"}
    succeed(data, "--schema", place, "--out", tmp_path / "again.json", "--na", "?")
    second = json.loads((tmp_path / "again.json").read_text())
    notes = [column.pop("note", "") for columns in (first, second) for column in columns["columns"]]
    assert "by the schema" in notes
    assert second == first
    found = infer(read_table(data, na="?"), overrides_of(place))
    assert [column.kind for column in found[:3]] == ["left out", "binary", "continuous"]


def test_fit_takes_the_file_that_was_edited(data: Path, tmp_path: Path) -> None:
    place = tmp_path / "schema.json"
    succeed(data, "--out", place, "--na", "?")
    content = json.loads(place.read_text())
    edited: dict[str, Any] = {column["name"]: column for column in content["columns"]}
    edited["count"] |= {"low": -2.0, "high": 20.0}
    edited["code"]["levels"].append("999")
    place.write_text(json.dumps(content))
    with pytest.warns(made.MadeNotice):
        density = made.fit(data, schema=place, na=["?"], hidden=(8,), members=2, max_epochs=1)
    columns = {column.name: column.to_json() for column in density.schema.columns}
    assert list(columns) == ["answer", "count", "price", "day", "code", "nothing"]
    assert (columns["count"]["low"], columns["count"]["high"]) == (-2.0, 20.0)
    assert columns["code"]["levels"] == ["001", "011", "021", "031", "999"]
    assert np.isfinite(density.log_prob(data)).all()


def test_names_and_cells_stay_on_their_line(tmp_path: Path) -> None:
    place = tmp_path / "rows.csv"
    place.write_text(f'"a\nb",,c\n"x\ny",1,{"w" * 200}\nz,2,v\n')
    lines = succeed(place).splitlines()
    assert lines[1].split("  ")[0] == "a b"
    assert "2: x y, z" in lines[1]
    assert lines[2].startswith('""')
    assert lines[3].endswith("...")
    assert len(lines[3]) < 80


def test_archives_give_their_training_rows(tmp_path: Path) -> None:
    rows = np.array([[0, 1], [1, 1], [1, 0]])
    np.savez(tmp_path / "rows.npz", train=rows, valid=rows[:1])
    assert "rows     3" in succeed(tmp_path / "rows.npz")
    assert "rows     1" in succeed(tmp_path / "rows.npz", "--split", "valid")


@pytest.mark.parametrize(
    ("code", "arguments", "expected"),
    [
        (WRONG_USE, ["--kind", "count"], "--kind takes COLUMN=KIND, like age=integer; got 'count'"),
        (WRONG_USE, ["--kind", "count=intger"], "kind 'intger'. Did you mean 'integer'? Kinds: "),
        (
            FAILED,
            ["--kind", "cuont=integer"],
            "'cuont' and the data has not. Did you mean 'count'?",
        ),
        (FAILED, ["--kind", "answer=integer"], "'answer' has cells that are no number: "),
        (FAILED, ["--kind", "count=binary"], "'count' is declared binary and has 7 values"),
        (FAILED, ["--keep", "remrak"], "keep names the column 'remrak' and the data has none. Did"),
        (FAILED, [], "Column 'price' has cells that are no number: '?' (first at row 0)"),
        (FAILED, ["--split", "train"], "is a .csv file"),
        (WRONG_USE, ["--schema", "nowhere.json"], "Cannot read the schema nowhere.json"),
        (FAILED, ["--out", "nowhere/x.json"], "nowhere does not exist"),
    ],
)
def test_mistakes(data: Path, code: int, arguments: list[str], expected: str) -> None:
    assert expected in fail(code, data, *arguments)


def test_the_data_is_never_replaced(data: Path) -> None:
    assert "would replace what is read" in fail(WRONG_USE, data, "--out", data)
    assert data.read_text() == CSV
