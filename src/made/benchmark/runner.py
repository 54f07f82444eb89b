"""Runs a benchmark set by set: fit, commit to the model, open the test rows once, write a result.

What is there already is kept. Knows fits, data and results; knows nothing of the command line
or of published figures.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from made import modelfile
from made.benchmark.combinations import all_entries, by_orderings, figures
from made.benchmark.data import LoadedSet, load_set
from made.benchmark.looking import commit
from made.benchmark.results import (
    FORMAT,
    KEPT,
    RECIPES,
    Result,
    cores,
    machine,
    read_result,
    result_path,
    versions,
    write_result,
)
from made.benchmark.suites import BenchmarkSet, Suite
from made.combining import standard_error
from made.density import fit_timed, remove_checkpoint
from made.errors import OptionError, did_you_mean
from made.modelfile import FitRecord, Fitted
from made.progress import Progress, terminal_progress
from made.storage import write_bytes
from made.training.options import parse_duration
from made.uniforms import check_seed

_MOST_POINTS = 200


@dataclass(frozen=True)
class Plan:
    """What to run: a suite, a recipe for every set, and where data and results lie.

    Parameters
    ----------
    suite : Suite
    recipe : {"default", "search"}
        One fit with the choices of `made.fit`, or a search over them; by default the suite's.
    budget : seconds or text like "90s", "20m"
        Time for each set, by default the suite's.
    seed : int
    data, out : Path
        Folders.
    threads : int, optional
    progress : bool
        Show bars on a terminal.

    Attributes
    ----------
    seconds : float
        The budget.
    """

    suite: Suite
    data: Path
    out: Path
    recipe: str = ""
    budget: str | float = ""
    seed: int = 0
    threads: int | None = None
    progress: bool = True
    seconds: float = field(init=False)

    def __post_init__(self) -> None:
        recipe = self.recipe or self.suite.recipe
        if recipe not in RECIPES:
            raise OptionError(
                f"There is no recipe {recipe!r}.{did_you_mean(recipe, RECIPES)} "
                f"There are: {', '.join(RECIPES)}."
            )
        object.__setattr__(self, "recipe", recipe)
        object.__setattr__(self, "seconds", parse_duration(self.budget or self.suite.budget))
        check_seed(self.seed)

    @property
    def limits(self) -> dict[str, float]:
        """The argument of `made.fit` that says how long."""
        return {"search" if self.recipe == "search" else "max_time": self.seconds}

    def result(self, name: str, recipe: str | None = None) -> Path:
        """Return where the result of a set lies."""
        return result_path(self.out, self.suite.name, name, recipe or self.recipe, self.seed)

    def commitment(self, name: str) -> Path:
        """Return where the commitment lies that opens the test rows of a set."""
        result = self.result(name)
        return result.parent / "commitments" / result.name

    def work(self, name: str, recipe: str | None = None) -> Path:
        """Return the folder of what a run needs to go on."""
        result = self.result(name, recipe)
        return result.parent / "work" / result.stem


@dataclass(frozen=True)
class Outcome:
    """What became of a set: a result, new or ``kept``, or the error that ended it."""

    name: str
    result: Result | None = None
    kept: bool = False
    error: Exception | None = None


def run(
    plan: Plan, sets: Sequence[BenchmarkSet], on_start: Callable[[str], None] = lambda name: None
) -> Iterator[Outcome]:
    """Yield what became of each set, as it finishes. One that fails does not end the others."""
    for one in sets:
        path = plan.result(one.name)
        try:
            if path.exists():
                yield Outcome(one.name, read_result(path), kept=True)
                continue
            on_start(one.name)
            yield Outcome(one.name, run_set(plan, one))
        except Exception as error:
            yield Outcome(one.name, error=error)


def run_set(plan: Plan, one: BenchmarkSet) -> Result:
    """Fit a set, or go on with it; score the chosen model on its test rows; write the result."""
    loaded = load_set(plan.suite, one, plan.data)
    work = plan.work(one.name)
    work.mkdir(parents=True, exist_ok=True)
    chosen = work / "chosen.made"
    if not chosen.exists():
        with _counting(work / "seconds.json"):
            density = fit_timed(loaded.train, loaded.valid, 0.0, **_how(plan, work))
        density.save(chosen)
    # Only now, and again after a kill in between: until it is saved, what was trained is there.
    remove_checkpoint(_place(plan, work), plan.limits.get("search"))
    # From here on, what counts is the file: the model of the hash is the one that is scored.
    fitted = modelfile.load(chosen)
    commitment = commit(
        plan.commitment(one.name),
        chosen,
        suite=plan.suite.name,
        name=one.name,
        recipe=plan.recipe,
        seed=plan.seed,
        validation_nll=-(fitted.combined.validation_log_prob or 0.0),
        seconds=_spent(work / "seconds.json"),
    )
    with terminal_progress(f"scoring {one.name}", show=plan.progress) as bar:
        scored = _scored(fitted, loaded, plan, bar)
    result = {
        "format": FORMAT,
        "suite": plan.suite.name,
        "set": one.name,
        "recipe": plan.recipe,
        "seed": plan.seed,
        **scored,
        "seconds": round(commitment.seconds, 1),
        "budget_seconds": plan.seconds,
        **_facts(fitted, loaded, plan),
        "model_sha256": commitment.model_sha256,
    }
    write_result(plan.result(one.name), result)
    return result


def _place(plan: Plan, work: Path) -> Path:
    return work / ("search" if plan.recipe == "search" else "checkpoint")


def _how(plan: Plan, work: Path) -> dict[str, Any]:
    """Return the arguments of `made.fit` for a recipe; what was begun goes on."""
    place = _place(plan, work)
    return {
        **plan.limits,
        "seed": plan.seed,
        "threads": plan.threads,
        "checkpoint": place,
        "resume": place.exists(),
        "progress": plan.progress,
    }


def _scored(fitted: Fitted, loaded: LoadedSet, plan: Plan, bar: Progress) -> dict[str, Any]:
    """Return all figures of a model. Everything is decided before the test rows are opened."""
    ensemble = fitted.ensemble
    valid = ensemble.members.log_probs(torch.as_tensor(loaded.valid), progress=bar)
    entries = all_entries(ensemble, valid, plan.seed)
    test_rows = loaded.test.open(plan.commitment(loaded.name))
    test = ensemble.members.log_probs(torch.as_tensor(test_rows), progress=bar)
    lines = [figures(entry, valid, test) for entry in entries]
    # Of learned weights, what is honest on validation rows is cross-fitted.
    lines[-1]["validation_nll"] = -(fitted.combined.validation_log_prob or 0.0)
    lines[-1]["validation_standard_error"] = fitted.combined.validation_standard_error or 0.0
    final = lines[-1]
    assert final["combination"] == KEPT
    scores = entries[-1].scores(test)
    return {
        "test_nll": final["test_nll"],
        "test_standard_error": final["test_standard_error"],
        "validation_nll": final["validation_nll"],
        "validation_standard_error": final["validation_standard_error"],
        "combinations": lines,
        "by_orderings": by_orderings(valid),
        "against": _against(plan, loaded.name, scores),
    }


def _against(plan: Plan, name: str, scores: np.ndarray) -> dict[str, Any]:
    """Return the gain over the other recipes that were run before, paired by test rows."""
    np.save(plan.work(name) / "scores.npy", scores)
    found = {}
    for recipe in RECIPES:
        others = plan.work(name, recipe) / "scores.npy"
        if recipe != plan.recipe and plan.result(name, recipe).exists() and others.exists():
            gain = scores - np.load(others)
            found[recipe] = {"gain": float(gain.mean()), "standard_error": standard_error(gain)}
    return found


def _facts(fitted: Fitted, loaded: LoadedSet, plan: Plan) -> dict[str, Any]:
    """Return how a model came about, on what, and by what."""
    records, ensemble = fitted.records, fitted.ensemble
    networks = [
        {
            "network": model.config.to_json(),
            "training": record.options,
            "n_members": len(connectivities),
            "validation_nll": -record.validation_log_prob,
            "epochs": record.epochs,
            "seconds": record.seconds,
        }
        for record, (model, connectivities) in zip(records, ensemble.members.networks, strict=True)
    ]
    best = max(records, key=lambda record: record.validation_log_prob)
    return {
        "epochs": sum(record.epochs for record in records),
        "columns": loaded.train.shape[1],
        "rows": loaded.rows,
        "data": loaded.hashes,
        "configuration": {
            "combination": ensemble.combination.name,
            "power": float(ensemble.combination.power),
            "exact": ensemble.is_exact,
            "n_networks": len(networks),
            "n_members": len(ensemble.members),
            "n_members_kept": len(ensemble.combination.support),
            "networks": networks,
        },
        "history": _history(best),
        "versions": versions(("made", "torch", "numpy", "numba"))
        | {"python": platform.python_version()},
        "machine": machine()
        | {"cores": cores(), "threads": plan.threads or torch.get_num_threads()},
    }


def _history(record: FitRecord) -> list[tuple[float, float]]:
    """Return seconds and validation nats, negative, thinned evenly; the last epoch stays."""
    scored = [
        (round(line["seconds"], 2), round(-line["validation"], 5))
        for line in record.history
        if line["validation"] is not None
    ]
    places = np.linspace(0, len(scored) - 1, min(len(scored), _MOST_POINTS)).round().astype(int)
    return [scored[place] for place in places]


@contextmanager
def _counting(place: Path) -> Iterator[None]:
    """Add the time that the block takes to what runs before this one took, however it ends."""
    started = time.monotonic()
    try:
        yield
    finally:
        spent = _spent(place) + time.monotonic() - started
        write_bytes(place, json.dumps(spent).encode())


def _spent(place: Path) -> float:
    return float(json.loads(place.read_text())) if place.exists() else 0.0
