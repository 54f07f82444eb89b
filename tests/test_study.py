"""The page of the study holds what its results say, and a command puts it there."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "combining-orderings.md"


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("combining_tables")


def test_tables_of_the_page_are_those_of_the_results(tables: ModuleType) -> None:
    text = PAGE.read_text()
    made = tables.page_tables(tables.stored(RESULTS / "combining"))
    assert all(f"<!-- table {name} -->" in text for name in made)
    assert tables.filled(text, made) == text


def test_only_named_tables_are_filled(tables: ModuleType) -> None:
    text = "<!-- table a -->\nold\n<!-- end -->\n<!-- table b -->\nkept\n<!-- end -->\n"
    filled = tables.filled(text, {"a": lambda: "new"})
    assert filled == text.replace("old", "\nnew\n")


def test_what_is_chosen_is_chosen_by_validation_rows(tables: ModuleType) -> None:
    for result in tables.stored(RESULTS / "combining"):
        lines = tables.lines_of(result, 16)
        known = [lines[name]["validation"] for name in tables.CANDIDATES]
        assert lines[tables.CHOSEN]["validation"] == max(known)
        assert lines[tables.MIXTURE]["difference"] == pytest.approx(0.0, abs=1e-12)


def test_tables_of_training_toward_the_mixture(tables: ModuleType) -> None:
    toward = importlib.import_module("training_toward")
    text = PAGE.read_text()
    made = toward.page_tables(toward.stored(RESULTS / "training_toward"))
    assert all(f"<!-- table {name} -->" in text for name in made)
    assert tables.filled(text, made) == text
