"""Results as files: one JSON a set, recipe and seed; what stands in it, written and read.

The names of the combinations are part of the form. Knows no models and imports nothing heavy:
tables are made from the files alone.
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from made.errors import ResultsError
from made.storage import write_bytes

FORMAT = "made benchmark result 1"
RECIPES = ("default", "search")
MEAN, MIXTURE, EM, SMOOTH_EM, SPARSE_EM, PRODUCT, BEST_POWER, KEPT = (
    "mean member", "mixture, equal weights", "mixture, EM weights", "mixture, smooth EM",
    "mixture, sparse EM", "product, equal weights", "best power by validation", "kept",
)  # fmt: skip
COMBINATIONS = (MEAN, MIXTURE, SMOOTH_EM, PRODUCT, BEST_POWER, KEPT)

Result = dict[str, Any]

_NUMBER = (int, float)
_TOP = {
    "format": str, "suite": str, "set": str, "recipe": str, "seed": int,
    "test_nll": _NUMBER, "test_standard_error": _NUMBER,
    "validation_nll": _NUMBER, "validation_standard_error": _NUMBER,
    "seconds": _NUMBER, "budget_seconds": _NUMBER, "epochs": int, "columns": int,
    "rows": dict, "data": dict, "combinations": list, "by_orderings": list, "history": list,
    "configuration": dict, "versions": dict, "machine": dict, "against": dict,
}  # fmt: skip
_COMBINATION = {
    "combination": str, "n_members": int, "power": _NUMBER,
    "validation_nll": _NUMBER, "validation_standard_error": _NUMBER,
    "test_nll": _NUMBER, "test_standard_error": _NUMBER,
    "gain": _NUMBER, "gain_standard_error": _NUMBER,
    "log_normalizer": _NUMBER, "log_normalizer_lower": _NUMBER, "log_normalizer_upper": _NUMBER,
}  # fmt: skip


def result_path(folder: Path, suite: str, name: str, recipe: str, seed: int) -> Path:
    """Return where a result lies below the folder of results.

    Examples
    --------
    >>> result_path(Path("results"), "made", "dna", "search", 0).as_posix()
    'results/made/dna-search-seed0.json'
    """
    return folder / suite / f"{name}-{recipe}-seed{seed}.json"


def write_result(path: Path, result: Result) -> None:
    """Write a result, a line for each of its parts, whole or not at all."""
    _check(path, result)
    parts = (f" {json.dumps(name)}: {_part(value)}" for name, value in result.items())
    write_bytes(path, ("{\n" + ",\n".join(parts) + "\n}\n").encode())


def _part(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        lines = ",\n".join(f"  {json.dumps(line, allow_nan=False)}" for line in value)
        return f"[\n{lines}\n ]"
    return json.dumps(value, allow_nan=False)


def read_result(path: Path) -> Result:
    """Return the result in a file.

    Raises
    ------
    ResultsError
        If the file is damaged, or of another version of the format.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{path} is damaged: {error}. Remove it, and the same made benchmark measures it anew."
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), str):
        raise ResultsError(f"{path} is no result of made benchmark.")
    if content["format"] != FORMAT:
        raise ResultsError(
            f"{path} holds a {content['format']!r}, and this version reads {FORMAT!r}. Read it "
            "with the version that wrote it, or move it away and measure anew."
        )
    _check(path, content)
    return content


def read_results(folder: Path) -> list[Result]:
    """Return all results below a folder, by suite, set, recipe and seed."""
    if not folder.is_dir():
        raise ResultsError(f"There is no folder {folder} of results.")
    found = [read_result(path) for path in sorted(folder.glob("*/*.json"))]
    if not found:
        raise ResultsError(
            f"There are no results in {folder}. They come from made benchmark SUITE --out."
        )
    return sorted(found, key=lambda one: [one[key] for key in ("suite", "set", "recipe", "seed")])


def combination_of(result: Result, name: str) -> dict[str, Any]:
    """Return the figures of one combination."""
    return next(line for line in result["combinations"] if line["combination"] == name)


def machine() -> dict[str, Any]:
    """Return what figures are measured on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in _lines("/proc/cpuinfo")
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {"processor": model, "system": platform.system(), "python": platform.python_version()}


def cores() -> int | None:
    """Return how many processors there are."""
    return os.cpu_count()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of the installed ones among ``packages``."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _check(path: Path, content: Result) -> None:
    _check_fields(path, content, _TOP, "the result")
    for line in content["combinations"]:
        _check_fields(path, line, _COMBINATION, "a combination")
    named = [line["combination"] for line in content["combinations"]]
    if sorted(named) != sorted(COMBINATIONS):
        raise ResultsError(f"{path} is damaged: it holds the combinations {named}.")
    place = (content["suite"], content["set"], content["recipe"], content["seed"])
    if result_path(path.parent.parent, *place) != path:
        raise ResultsError(f"{path} is misplaced: it is a result of {' '.join(map(str, place))}.")


def _check_fields(path: Path, content: Any, kinds: dict[str, Any], what: str) -> None:
    for name, kind in kinds.items():
        value = content.get(name) if isinstance(content, dict) else None
        good = isinstance(value, kind) and not isinstance(value, bool)
        if not good or (isinstance(value, float) and not math.isfinite(value)):
            raise ResultsError(f"{path} is damaged: {what} has no good {name!r}.")


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
