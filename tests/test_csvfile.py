"""CSV files as they lie on somebody's disk: separators, quotes, line ends, and what is wrong."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from made.errors import DataError
from made.table import Table, read_table, without_column
from made.table import values_of as values_by_schema
from tables import listed, schema_of


def read_text(folder: Path, text: str | bytes, **options: Any) -> Table:
    place = folder / "rows.csv"
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(place, **options)


def cells_of(table: Table) -> list[list[Any]]:
    return [listed(table, d) for d in range(table.n_columns)]


@pytest.mark.parametrize(
    ("text", "header", "names", "n_rows"),
    [
        ("a,b\n0,1\n", True, ["a", "b"], 1),
        ("a,b\n", True, ["a", "b"], 0),
        ("a,b", True, ["a", "b"], 0),
        ("a,b\n\n\n", True, ["a", "b"], 0),
        ("0,1\n1,1\n", True, None, 2),
        ("0,1", True, None, 1),
        ("0, 1\n1,1\n", True, None, 2),
        ('"0","1"\n1,1\n', True, None, 2),
        ("0,1,2\n1,1,0\n", True, ["0", "1", "2"], 1),
        ("0,1\n1,1\n", False, None, 2),
        ("\ufeff0,1\n1,1\n", True, None, 2),
        ("\ufeffa,b\n0,1\n", True, ["a", "b"], 1),
        ("\ufeff\n\na,b\n0,1\n", True, ["a", "b"], 1),
        ("\n  \na,b\n0,1\n", True, ["a", "b"], 1),
        ("a,b\r\n0,1\r\n", True, ["a", "b"], 1),
        ("a,b\r0,1\r1,1\r", True, ["a", "b"], 2),
        ('"a","b"\ntrue,False\n', True, ["a", "b"], 1),
        (" a , b \n0,1\n", True, ["a", "b"], 1),
        ("a\n1\n2\n", True, ["a"], 2),
        ('"a\nx",b\n0,1\n1,0\n', True, ["a\nx", "b"], 2),
        (",b\n1,2\n", True, ["", "b"], 1),
    ],
)
def test_the_first_line(
    tmp_path: Path, text: str, header: bool, names: list[str] | None, n_rows: int
) -> None:
    table = read_text(tmp_path, text, header=header)
    assert table.names == names
    assert table.n_rows == n_rows
    assert all(len(cells) == n_rows for cells in cells_of(table))


@pytest.mark.parametrize(
    ("text", "names", "cells"),
    [
        ("a;b\n1;2,5\n", ["a", "b"], [[1], ["2,5"]]),
        ("a\tb\n1\tx y\n", ["a", "b"], [[1], ["x y"]]),
        ("a|b\n1|2\n", ["a", "b"], [[1], [2]]),
        ('"x, y, z";b\n1;2\n', ["x, y, z", "b"], [[1], [2]]),
        ('a,b\n"x, y",2\n', ["a", "b"], [["x, y"], [2]]),
        ('a,b\n"x\ny",2\n"z",3\n', ["a", "b"], [["x\ny", "z"], [2, 3]]),
        ('a,b\n"say ""no""",2\n', ["a", "b"], [['say "no"'], [2]]),
        ('a,b\n5" pipe,2\n', ["a", "b"], [['5" pipe'], [2]]),
        ("a,b\n1,2\n\n3,4\n\n", ["a", "b"], [[1, 3], [2, 4]]),
        ("a,b\n1,2\n3,4", ["a", "b"], [[1, 3], [2, 4]]),
        ("a,b\n x , 2\ny,3\n", ["a", "b"], [["x", "y"], [2, 3]]),
        ('a,b\n"",NA\nx,null\n', ["a", "b"], [["", "x"], ["NA", "null"]]),
        ("é,b\nß,1\n", ["é", "b"], [["ß"], [1]]),
    ],
)
def test_cells(tmp_path: Path, text: str, names: list[str], cells: list[list[Any]]) -> None:
    table = read_text(tmp_path, text)
    assert table.names == names
    # Without the texts that mean missing, as an identifier is read.
    assert [table.read(d, ()).as_it_came().tolist() for d in range(table.n_columns)] == cells


def test_no_header_makes_data_of_names(tmp_path: Path) -> None:
    table = read_text(tmp_path, "0,x\n1,0\n", header=False)
    assert table.names is None
    assert cells_of(table) == [[0, 1], ["x", "0"]]
    assert table.container == "numpy"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", r"rows\.csv is empty"),
        ("\n\n", r"rows\.csv is empty"),
        ("\ufeff", r"rows\.csv is empty"),
        (
            "a,b\n0,1\n1\n",
            r"rows\.csv has 1 cells in line 3 and 2 in the first: '1'\. Correct that",
        ),
        ("a,b\n0,1\n1,0,1\n", r"has 3 cells in line 3 and 2 in the first: '1,0,1'"),
        ("0,1\n0\n", r"has 1 cells in line 2 and 2"),
        ("\n\na,b\n0,1\n\n1\n", r"has 1 cells in line 6 and 2"),
        ('a,b\n"x\ny",1\n1\n', r"has 1 cells in line 4 and 2"),
        ('"a\nz",b\n\n0,1\n1\n', r"has 1 cells in line 5 and 2"),
        ("a,b\r\n0,1\r\n1\r\n", r"has 1 cells in line 3 and 2"),
        ("a,b\n0,1\n" + "x" * 99 + "\n", r"in line 3 and 2 in the first: 'x{60}\.\.\.'"),
        ('a,b\n1,"x\n2,y\n3,z\n', r"a double quote in line 2 that is never closed"),
        ('a,b\n"x\n2,y\n3,z\n', r"has 1 cells in line 2 and 2 in the first"),
        ("a,a\n0,1\n", r"'a' occurs twice \(again at position 1\)\. Give every column"),
        ("6,6,7\n1,2,3\n", r"'6' occurs twice .* pass header=False \(--no-header\)"),
        ("é,b\n0,1\n".encode("latin-1"), r"is not UTF-8 text: byte 0xe9 in line 1\. Save it as"),
        ("a,b\n0,1\n0,ü\n".encode("latin-1"), r"is not UTF-8 text: byte 0xfc in line 3\..*latin1"),
        (("a,b\n" + "0,1\n" * 9000 + "0,ü\n").encode("latin-1"), r"byte 0xfc in line 9002"),
        ("a,b\n0,1\n".encode("utf-16"), r"is UTF-16 text\. Save it as UTF-8.*iconv -f utf-16"),
        ("a,b\n0,1\n".encode("utf-16-le"), r"is no text: it holds NUL bytes\. If it is UTF-16"),
    ],
)
def test_bad_files(tmp_path: Path, text: str | bytes, expected: str) -> None:
    for header in (True, False) if "occurs" not in expected else (True,):
        with pytest.raises(DataError, match=expected):
            read_text(tmp_path, text, header=header)


@pytest.mark.parametrize("text", ["a,b\n0,1\n1\n", 'a,b\n1,"x\n2,y\n3,z\n', "a,b\nx,y\n0,\xfc\n"])
def test_bad_files_that_are_compressed(tmp_path: Path, text: str) -> None:
    place = tmp_path / "rows.csv.gz"
    place.write_bytes(gzip.compress(text.encode("latin-1")))
    with pytest.raises(DataError, match=r"rows\.csv\.gz (has|is) .* in line [23]"):
        read_table(place)


def test_what_is_not_compressed(tmp_path: Path) -> None:
    place = tmp_path / "rows.csv.gz"
    place.write_bytes(b"a,b\n0,1\n")
    with pytest.raises(DataError, match=r"Cannot read .*rows\.csv\.gz: Not a gzipped file"):
        read_table(place)
    content = gzip.compress("".join(f"{i},{i * 7919 % 10007}\n" for i in range(200_000)).encode())
    for share in (0.1, 0.5, 0.9, 1 - 4 / len(content)):
        place.write_bytes(content[: int(share * len(content))])
        with pytest.raises(DataError, match=r"Cannot read .*rows\.csv\.gz: .*Is it damaged\?"):
            read_table(place)


def test_a_table_without_rows_says_so_later(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"The data has no rows\."):
        schema_of(read_text(tmp_path, "a,b\n"))


def test_types_are_found_in_texts(tmp_path: Path) -> None:
    table = read_text(tmp_path, "a,b,c\n0,x,1.5\n1,y,\n1,x,2.5\n")
    values = values_by_schema(table, schema_of(table))
    assert values[:, :2].tolist() == [[0, 0], [1, 1], [1, 0]]
    assert table.cells(2).missing.tolist() == [False, True, False]
    assert (table.container, table.dtype(0)) == ("pyarrow", "")


@pytest.mark.parametrize(
    ("cells", "kept"),
    [
        (["007", "008"], ["007", "008"]),
        (["1.50", "2"], ["1.50", "2"]),
        (["2020-01-01", "x"], ["2020-01-01", "x"]),
        (["true", ""], ["true", ""]),
        (["NA", "b"], ["NA", "b"]),
        (["7", "-8"], ["7", "-8"]),
        (["7", "8"], [7, 8]),
        (["9" * 30, "1"], ["9" * 30, "1"]),
    ],
)
def test_identifiers_stay_as_they_are_written(
    tmp_path: Path, cells: list[str], kept: list[object]
) -> None:
    text = "id,a\n" + "".join(f"{cell},1\n" for cell in cells)
    left, ids = without_column(read_text(tmp_path, text), "id")
    assert ids.tolist() == kept
    assert left.names == ["a"]


def test_a_file_of_one_line_keeps_its_identifier(tmp_path: Path) -> None:
    ids = without_column(read_text(tmp_path, "id,a\n007,1"), "id")[1]
    assert ids.tolist() == ["007"]
