"""What a model is made of, and what a search found, for whoever made it or looks at it later.

Knows the records of a model; knows nothing of fits or searches themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from made.modelfile import FitRecord


def members_text(n_members: int, combination: str, n_networks: int) -> str:
    """Return how many members there are, how they combine, and of how many networks."""
    return f"{n_members}, {combination}" + (f", of {n_networks} networks" if n_networks > 1 else "")


def search_content(records: Sequence[FitRecord]) -> dict[str, Any]:
    """Return what a search tried and kept, if there was one."""
    # Networks that were pooled may come from elsewhere.
    found = [record for record in records if "search" in record.options]
    if not found:
        return {}
    first = found[0].options["search"]
    counts = {name: first[name] for name in ("trials", "pruned", "failed")}
    kept = [
        {name: record.options["search"][name] for name in ("trial", "options")}
        | {"validation_log_prob": record.validation_log_prob}
        for record in found
    ]
    return {"search": counts | {"networks": kept}}


def epochs_or_search_facts(records: Sequence[FitRecord]) -> list[tuple[str, str]]:
    """Return lines about a search and the networks that it kept, or else how long each learned."""
    if not (content := search_content(records)):
        return [("epochs", "; ".join(f"{one.epochs}, best {one.best_epoch}" for one in records))]
    content = content["search"]
    facts = [
        ("trials", f"{content['trials']}, {content['pruned']} ended early, {content['failed']} "
         "diverged")
    ]  # fmt: skip
    for one in content["networks"]:
        tried = ", ".join(f"{name} {value}" for name, value in one["options"].items())
        facts.append(
            (f"trial {one['trial']}", f"{one['validation_log_prob']:.4f} nats a row: "
             f"{tried or 'no options but those of the recipe'}")
        )  # fmt: skip
    return facts
