"""Pages with Python in them say what the library does today."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages import differences, run

PAGES = Path(__file__).parent.parent / "docs"


# It fits two models.
@pytest.mark.timeout(400)
def test_the_page_of_questions_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = run(PAGES / "questions.md")
    assert len(found) >= 10
    wrong = [line for stands, came in found for line in differences(stands, came)]
    assert not wrong


def test_differences_are_seen() -> None:
    assert not differences("p = 0.50\nmale", "p = 0.51\nmale")
    assert differences("p = 0.50", "p = 0.90")
    assert differences("male", "female")
