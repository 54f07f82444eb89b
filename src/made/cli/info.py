"""``made info``: what a model file holds, read from its header."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from made.cli.combine import combined_facts
from made.cli.found import epochs_or_search_facts, members_text, search_content
from made.cli.running import (
    AsJson,
    Debug,
    ModelPath,
    Seed,
    print_facts,
    print_json,
    print_table,
    reports_errors,
)

if TYPE_CHECKING:
    import numpy as np

    from made.network.config import NetworkConfig
    from made.order_check import OrderCheck
    from made.table.schema import Schema


@reports_errors
def info(
    model: ModelPath,
    history: Annotated[
        bool, typer.Option("--history", help="Show the nats and seconds of every epoch.")
    ] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say what a model file holds.

    Nothing is drawn; --seed is accepted because every command takes it.
    """
    del seed, debug
    from dataclasses import asdict

    from made.modelfile import read_header, read_weights
    from made.table.schema import shown

    header = read_header(model)
    record = header.record
    if as_json:
        content = {
            "model": str(model),
            "made_version": record.made_version,
            "n_columns": header.schema.n_columns,
            "columns": header.schema.names,
            "kinds": {column.name: column.kind for column in header.schema.columns},
            "left_out": [name for _, name in header.schema.left_out],
            "n_members": header.n_members,
            "n_networks": header.n_networks,
            "combination": header.combination,
            "power": header.power,
            "certificate": None if header.certificate is None else asdict(header.certificate),
            "combined": asdict(header.combined),
            "n_weights": header.n_weights,
            "n_train_rows": record.n_train_rows,
            "n_validation_rows": record.n_validation_rows,
            "validation_log_prob": header.combined.validation_log_prob,
            "validation_standard_error": header.combined.validation_standard_error,
            "seconds": sum(one.seconds for one in header.records),
            "order_check": None if record.order_check is None else asdict(record.order_check),
        }
        content["networks"] = [
            {
                "network": network.to_json(),
                "training": one.options,
                "validation_log_prob": one.validation_log_prob,
                "validation_standard_error": one.validation_standard_error,
                "best_epoch": one.best_epoch,
                "epochs": one.epochs,
                "seconds": one.seconds,
            }
            | ({"history": one.history} if history else {})
            for network, one in zip(header.networks, header.records, strict=True)
        ]
        print_json(content | search_content(header.records))
        return
    if history:
        rows = [
            [str(number), str(line["epoch"]), _nats(line["train"]), _nats(line["validation"]),
             f"{line['seconds']:.1f}"]
            for number, one in enumerate(header.records, 1)
            for line in one.history
        ]  # fmt: skip
        print_table(["network", "epoch", "train", "validation", "seconds"], rows)
        return
    names = header.schema.names
    left_out = [name for _, name in header.schema.left_out]
    print_facts(
        [
            ("model", str(model)),
            ("columns", f"{len(names)}: {', '.join(names[:6])}{', ...' if names[6:] else ''}"),
            ("kinds", _kinds_text(header.schema)),
            *([("left out", shown(left_out))] if left_out else []),
            ("members", members_text(header.n_members, header.combination, header.n_networks)),
            ("member weights", _weights_text(read_weights(model))),
            ("network", _told_once(_network_text(network) for network in header.networks)),
            ("weights", f"{header.n_weights:,}"),
            ("orderings", _told_once(str(one.options.get("n_orderings") or "all")
                                     for one in header.records) + " while training"),
            ("trained on", f"{record.n_train_rows} rows, "
             f"{sum(one.seconds for one in header.records):.0f} s"),
            *epochs_or_search_facts(header.records),
            *_order_facts(record.order_check),
            *combined_facts(header.combined, header.certificate),
            ("written by", f"made {record.made_version}, torch {record.torch_version}"),
        ]
    )  # fmt: skip


def _network_text(network: NetworkConfig) -> str:
    """Return the layers of a network and what goes past them."""
    options = [name for name in ("residual", "direct_input", "direct_hidden", "conditioning")
               if getattr(network, name)]  # fmt: skip
    return ", ".join([f"{list(network.hidden)} {network.activation}", *options])


def _told_once(texts: Iterable[str]) -> str:
    """Return what holds of the networks, in their order; what several have, once."""
    return "; ".join(dict.fromkeys(texts))


def _order_facts(check: OrderCheck | None) -> list[tuple[str, str]]:
    """Return what putting evidence first costs."""
    if check is None:
        return []
    facts = [("evidence first", f"log p moves by {check.disagreement:.3f} nats a row (rms) and "
              f"loses {check.loss:.3f}")]  # fmt: skip
    if check.orderings is not None and check.particles is not None:
        facts.append(
            ("questions", f"by {check.better}: a cell given others has {check.orderings:.3f} nats "
             f"by evidence-first orderings, {check.particles:.3f} by weighted draws")
        )  # fmt: skip
    return facts


def _kinds_text(schema: Schema) -> str:
    """Return how many columns there are of each kind."""
    counts = Counter(column.kind for column in schema.columns)
    n_missing = sum(column.missing for column in schema.columns)
    text = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    return text + (f"; cells of {n_missing} can be missing" if n_missing else "")


def _weights_text(weights: np.ndarray) -> str:
    """Return the largest weights, or that all are equal."""
    kept = sorted((weight for weight in weights.tolist() if weight > 0), reverse=True)
    pruned = len(weights) - len(kept)
    if kept[0] - kept[-1] < 1e-9:
        text = f"equal, {kept[0]:.4g} each"
    else:
        text = ", ".join(f"{weight:.3f}" for weight in kept[:6]) + (", ..." if kept[6:] else "")
    return text + (f"; {pruned} pruned" if pruned else "")


def _nats(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
