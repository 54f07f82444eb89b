"""The examples run, in an empty folder, as a reader would run them."""

import runpy
from pathlib import Path

import pytest

from made.table import infer, read_table

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(
    example: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out


def test_visits_are_the_table_of_the_tour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES[0].parent / "visits.py"))
    table = read_table("visits.csv")
    assert table.n_rows == 3000
    declared = [(column.name, column.kind) for column in infer(table, {})]
    assert declared == [(name, "binary") for name in ("smoker", "cough", "fever", "rest")]
