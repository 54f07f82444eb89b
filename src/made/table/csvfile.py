"""CSV files -> tables of texts: separators, names, compression, and what is wrong with a line.

Every cell is read as the text that it is, blanks around it aside: 007 is not 7, and which texts are
numbers is for `inference` to say. Knows nothing of what cells mean.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from made.errors import DataError
from made.table.arrays import cells_of_arrow
from made.table.cells import Cells
from made.table.frames import Table, as_table
from made.table.parsing import arrow_compute, numbers_of
from made.table.schema import check_names

if TYPE_CHECKING:
    import pyarrow

_SEPARATORS = ",;\t|"
_QUOTED = re.compile(r'"[^"]*"')
# A header of more lines has a quote that is never closed.
_MOST_LINES = 100


def read_csv(path: Path, header: bool) -> Table:
    """Return the table in a .csv or .csv.gz file, separated by commas, semicolons, tabs or bars.

    Blanks around cells and names are no part of them, and lines without anything are skipped.

    Raises
    ------
    DataError
        If the file is empty, no UTF-8 text, or has a line of another length: the message says
        which.
    """
    import pyarrow
    import pyarrow.csv

    first, n_blank, n_lines, only = _first_line(path)
    if not first:
        raise DataError(f"{path} is empty.")
    separator = max(_SEPARATORS, key=_QUOTED.sub("", first).count)
    names = [name.strip() for name in next(csv.reader([first], delimiter=separator))]
    named = header and not set(names) <= {"0", "1"}
    if named:
        _check_header(path, names)
    else:
        names = [f"x{d}" for d in range(len(names))]
    if named and only:
        nothing = {name: pyarrow.array([], pyarrow.string()) for name in names}
        return _as_texts(pyarrow.table(nothing), names)
    skipped = n_blank + (n_lines if named else 0)
    bad: list[Any] = []
    try:
        with _bytes_of(path, first, only) as stream:
            frame = pyarrow.csv.read_csv(
                stream,
                # In one thread, so that an error tells the row.
                pyarrow.csv.ReadOptions(column_names=names, skip_rows=skipped, use_threads=False),
                pyarrow.csv.ParseOptions(
                    delimiter=separator,
                    newlines_in_values=True,
                    invalid_row_handler=lambda row: bad.append(row) or "error",
                ),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False
                ),
            )
    except (pyarrow.ArrowException, OSError, EOFError, zlib.error) as error:
        if bad:
            line = _line_of(path, skipped, bad[0].number)
            raise _ragged(path, bad[0], line, len(names)) from error
        if "UTF8" in str(error):
            raise _not_utf8(path) from error
        raise unreadable(path, error) from error
    _check_last_quote(path, frame)
    return _as_texts(frame, names) if named else _without_names(frame, names)


def _bytes_of(path: Path, first: str, only: bool) -> Any:
    import pyarrow

    if only:
        # A single line without its end is refused by pyarrow.
        return pyarrow.input_stream(io.BytesIO(f"{first}\n".encode()))
    return pyarrow.input_stream(str(path), compression="gzip" if _is_compressed(path) else None)


def _check_header(path: Path, names: list[str]) -> None:
    try:
        check_names(names)
    except DataError as error:
        if np.isnan(numbers_of(names)).any():
            raise
        raise DataError(
            f"{error} Or is the first line of {path} data? Then pass header=False (--no-header)."
        ) from None


def _as_texts(frame: pyarrow.Table, names: list[str] | None) -> Table:
    compute = arrow_compute()

    def read(d: int, missing_texts: Sequence[str]) -> Cells:
        name = f"x{d}" if names is None else names[d]
        column = compute.utf8_trim_whitespace(frame.column(d))
        return cells_of_arrow(name, column, "", missing_texts)

    return Table(
        names=names,
        n_rows=frame.num_rows,
        n_columns=frame.num_columns,
        read=read,
        # Of a text in a file there is no type to give back.
        dtype=lambda d: "",
        matrix=None,
        container="numpy" if names is None else "pyarrow",
        native=frame if names is None else frame.rename_columns(names),
    )


def _without_names(frame: pyarrow.Table, names: list[str]) -> Table:
    """Return a file without names: its columns are known by place, and 0 and 1 are an array."""
    compute = arrow_compute()

    bits = np.empty((frame.num_rows, frame.num_columns), dtype=np.uint8)
    for d in range(frame.num_columns):
        column = compute.utf8_trim_whitespace(frame.column(d))
        is_one = compute.equal(column, "1")
        known = compute.or_(is_one, compute.equal(column, "0"))
        if frame.num_rows and not compute.all(known).as_py():
            return _as_texts(frame, None)
        bits[:, d] = is_one.to_numpy()
    return as_table(bits)


def _binary(path: Path) -> Any:
    return gzip.GzipFile(path) if _is_compressed(path) else path.open("rb")


def _opened(path: Path) -> io.TextIOWrapper:
    """Open for reading by lines, which end in whatever lines end in."""
    return io.TextIOWrapper(_binary(path), encoding="utf-8-sig", newline=None)


def _first_line(path: Path) -> tuple[str, int, int, bool]:
    """Return the first line that is not blank, what it takes, and whether it is alone.

    The blank lines before it, and the lines that it takes itself: more than one if a quoted name
    goes on in the next line.
    """
    try:
        with _opened(path) as lines:
            n_blank, n_lines, first = 0, 1, ""
            for line in lines:
                if line.strip():
                    first = line
                    break
                n_blank += 1
            while first.count('"') % 2 and n_lines < _MOST_LINES and (more := lines.readline()):
                first, n_lines = first + more, n_lines + 1
            if "\0" in first:
                raise DataError(
                    f"{path} is no text: it holds NUL bytes. If it is UTF-16, save it as UTF-8, "
                    "for example with iconv -f utf-16 -t utf-8."
                )
            return first.strip(), n_blank, n_lines, not any(line.strip() for line in lines)
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, error) from error


def _line_of(path: Path, skipped: int, number: int | None) -> int | None:
    """Return the line in which a row starts: rows are counted without those that are blank."""
    if number is None:
        return None
    row, inside = skipped, False
    with _opened(path) as lines:
        for place, line in enumerate(lines, start=1):
            if place > skipped and (inside or line.strip()):
                row += not inside
                if row == number:
                    return place
                inside ^= line.count('"') % 2 == 1
    return None


def _ragged(path: Path, row: Any, line: int | None, expected: int) -> DataError:
    where = "a line" if line is None else f"line {line}"
    text = row.text if len(row.text) <= 60 else f"{row.text[:60]}..."
    return DataError(
        f"{path} has {row.actual_columns} cells in {where} and {expected} in the first: {text!r}. "
        "Correct that line; a cell that holds the separator must stand in double quotes."
    )


def _check_last_quote(path: Path, frame: pyarrow.Table) -> None:
    """Raise if a quote was never closed: all that follows it became one cell."""
    last = frame.column(frame.num_columns - 1)
    if not frame.num_rows or "\n" not in last[-1].as_py():
        return
    n_quotes, opened = 0, 0
    with _opened(path) as lines:
        for place, line in enumerate(lines, start=1):
            if '"' in line:
                opened = place if n_quotes % 2 == 0 else opened
                n_quotes += line.count('"')
    if n_quotes % 2:
        raise DataError(
            f"{path} has a double quote in line {opened} that is never closed: all that follows "
            "would be one cell. Close it; a quote within a quoted cell is written twice."
        )


def _not_utf8(path: Path) -> DataError:
    with _binary(path) as file:
        for number, line in enumerate(file, start=1):
            if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return DataError(
                    f"{path} is UTF-16 text. Save it as UTF-8, for example with iconv -f utf-16 "
                    "-t utf-8."
                )
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return DataError(
                    f"{path} is not UTF-8 text: byte 0x{line[error.start]:02x} in line {number}. "
                    "Save it as UTF-8, for example with iconv -f latin1 -t utf-8."
                )
    return DataError(f"{path} is not UTF-8 text. Save it as UTF-8.")


def _is_compressed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def unreadable(what: object, error: BaseException) -> DataError:
    """Return the error for a file that a reader gave up on."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(" .:")
    if "allow_pickle" in reason:
        return DataError(
            f"Cannot read {what}: it holds Python objects. Save an array of numbers or booleans."
        )
    return DataError(f"Cannot read {what}: {reason}. Is it damaged?")
