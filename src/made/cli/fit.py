"""``made fit``: parse, call `made.fit`, print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from made.cli.combine import combined_facts, warn_if_wide
from made.cli.found import epochs_or_search_facts, members_text, search_content
from made.cli.running import (
    INTERRUPTED,
    AsJson,
    DataPath,
    Debug,
    Device,
    IdColumn,
    Keep,
    Kinds,
    Na,
    NoHeader,
    SchemaFile,
    Seed,
    Split,
    Threads,
    check_spared,
    print_facts,
    print_json,
    reports_errors,
    said_of_columns,
    say,
    seconds_since_start,
)
from made.errors import OptionError

if TYPE_CHECKING:
    from made.modelfile import FitRecord

_NETWORK = "Network"
_TRAINING = "Training"


def _network(text: str, *flags: str) -> typer.models.OptionInfo:
    return typer.Option(*flags, help=text, rich_help_panel=_NETWORK, show_default=False)


def _training(text: str, *flags: str) -> typer.models.OptionInfo:
    return typer.Option(*flags, help=text, rich_help_panel=_TRAINING, show_default=False)


@reports_errors
def fit(
    data: DataPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="The model file to write.")],
    valid: Annotated[
        Path | None, typer.Option(help="Validation rows; by default a tenth is held out.")
    ] = None,
    orderings: Annotated[
        str | None, typer.Option(help='Orderings to train on: a number, "all", or "auto".')
    ] = None,
    networks: Annotated[
        int | None,
        typer.Option(help="Networks, trained one after another (1 to 24).", show_default=False),
    ] = None,
    members: Annotated[
        int | None,
        typer.Option(help="Connectivities of each network (1 to 64).", show_default=False),
    ] = None,
    combine: Annotated[
        str,
        typer.Option(help="How members combine: auto, mixture, em, product, power=A (0 to 1)."),
    ] = "auto",
    questions: Annotated[
        bool,
        typer.Option("--questions", help="For impute, query, sample --given: all orderings."),
    ] = False,
    hidden: Annotated[
        str | None, _network("Widths of the hidden layers, like 500,500 (by rows and kinds).")
    ] = None,
    max_time: Annotated[
        str | None, typer.Option(help="Time for everything: 90s, 10m, 1h (10m).")
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option(help="For runs that must repeat exactly; lifts the time limit.")
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Time to search for options on the validation rows: 15m.")
    ] = None,
    preset: Annotated[str, typer.Option(help='"default", or "paper": the published recipe.')] = (
        "default"
    ),
    activation: Annotated[str | None, _network("relu, elu, gelu, tanh or softplus.")] = None,
    residual: Annotated[
        bool | None, _network("Layers add to the one before.", "--residual/--no-residual")
    ] = None,
    normalization: Annotated[str | None, _network("none or cumulative_rms.")] = None,
    direct_input: Annotated[
        bool | None, _network("Connect inputs to outputs.", "--direct-input/--no-direct-input")
    ] = None,
    direct_hidden: Annotated[
        bool | None,
        _network("Connect all hidden layers to outputs.", "--direct-hidden/--no-direct-hidden"),
    ] = None,
    conditioning: Annotated[
        bool | None, _network("Weights on the masks.", "--conditioning/--no-conditioning")
    ] = None,
    dropout: Annotated[float | None, _network("Fraction of hidden units dropped.")] = None,
    hidden_degrees: Annotated[str | None, _network("fixed or redrawn.")] = None,
    spread: Annotated[str | None, _network("Hidden degrees: random or even.")] = None,
    initialization: Annotated[str | None, _network("scaled or orthogonal.")] = None,
    orderings_per_step: Annotated[
        int | None, _training("Orderings whose mixture a minibatch is trained on (1).")
    ] = None,
    order_penalty: Annotated[
        float | None,
        _training("Weight of what the orderings of a step disagree by; 2 or more a step (0)."),
    ] = None,
    validation_members: Annotated[
        int | None, _training("Members that score the validation rows (all).")
    ] = None,
    batch_size: Annotated[int | None, _training("Rows in a minibatch.")] = None,
    optimizer: Annotated[str | None, _training("adamw or adadelta.")] = None,
    learning_rate: Annotated[float | None, _training("Step size.")] = None,
    weight_decay: Annotated[float | None, _training("Decay of weight matrices.")] = None,
    warm_up: Annotated[int | None, _training("Steps until the full learning rate.")] = None,
    schedule: Annotated[str | None, _training("decay or constant.")] = None,
    clip_norm: Annotated[float | None, _training("Longest gradient; 0 for no limit.")] = None,
    average_decay: Annotated[float | None, _training("Of the average of weights; 0: none.")] = None,
    patience: Annotated[int | None, _training("Epochs without improvement to wait for.")] = None,
    precision: Annotated[str | None, _training("32-true or bf16-mixed.")] = None,
    schema: SchemaFile = None,
    kind: Kinds = None,
    na: Na = None,
    keep: Keep = None,
    split: Split = None,
    no_header: NoHeader = False,
    id_column: IdColumn = None,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Where an interrupted run is kept (OUT.checkpoint, or OUT.search)."),
    ] = None,
    checkpoint_every: Annotated[str, typer.Option(help="Time between two checkpoints.")] = "30s",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fit a model to the rows of DATA and write it to --out.

    An .npz file with arrays "train" and "valid" gives both. Ctrl-C keeps the best weights so
    far; the same command with --resume goes on. With --search, several networks are tried with
    other options, and the best few are kept; options that are given stay as they are.
    """
    del debug
    from made.storage import check_writable

    # Before anything slow: a mistake in a path or a number is found now.
    check_writable(out)
    check_spared(out, data, valid)
    widths = None if hidden is None else _widths(hidden)
    said = said_of_columns(schema, kind)
    ending = ".checkpoint" if search is None else ".search"
    place = checkpoint or out.with_name(out.name + ending)
    from made.density import TrainingInterrupted, fit_timed, remove_checkpoint

    try:
        density = fit_timed(
            data, valid, seconds_since_start(), orderings=orderings, networks=networks,
            members=members, combine=combine, questions=questions,
            hidden=widths, seed=seed, max_time=max_time, max_epochs=max_epochs,
            search=search, preset=preset,
            activation=activation, residual=residual, normalization=normalization,
            direct_input=direct_input, direct_hidden=direct_hidden, conditioning=conditioning,
            dropout=dropout, hidden_degrees=hidden_degrees, spread=spread,
            initialization=initialization, orderings_per_step=orderings_per_step,
            order_penalty=order_penalty,
            validation_members=validation_members,
            batch_size=batch_size, optimizer=optimizer, learning_rate=learning_rate,
            weight_decay=weight_decay, warm_up=warm_up, schedule=schedule, clip_norm=clip_norm,
            average_decay=average_decay, patience=patience, precision=precision, schema=said,
            na=na or (), keep=keep or (), split=split,
            header=not no_header, id_column=id_column, device=device, threads=threads,
            checkpoint=place, checkpoint_every=checkpoint_every, resume=resume,
        )  # fmt: skip
    except TrainingInterrupted as stop:
        say(_kept(stop.density.records, place, search))
        raise typer.Exit(INTERRUPTED) from None
    density.save(out)
    warn_if_wide(density.certificate)
    remove_checkpoint(place, search)
    record, combined = density.record, density.combined
    if as_json:
        from dataclasses import asdict

        print_json(
            {
                "model": str(out),
                "n_train_rows": record.n_train_rows,
                "n_columns": density.schema.n_columns,
                "n_networks": len(density.records),
                "n_members": density.n_members,
                "orderings": record.options["n_orderings"] or "all",
                "combination": density.combination,
                "power": density.power,
                "exact": density.is_exact,
                "certificate": asdict(density.certificate),
                "validation_log_prob": combined.validation_log_prob,
                "validation_standard_error": combined.validation_standard_error,
                "mixture_log_prob": combined.mixture_log_prob,
                "epochs": record.epochs,
                "best_epoch": record.best_epoch,
                "seconds": round(seconds_since_start(), 3),
                "seed": seed,
            }
            | search_content(density.records)
        )
        return
    print_facts(
        [
            ("model", str(out)),
            ("columns", str(density.schema.n_columns)),
            ("members", members_text(density.n_members, density.combination, len(density.records))),
            *combined_facts(combined, density.certificate),
            *epochs_or_search_facts(density.records),
            ("time", f"{seconds_since_start():.0f} s"),
        ]
    )


def _kept(records: Sequence[FitRecord], place: Path, search: str | None) -> str:
    """Return what there is after Ctrl-C, and how to go on."""
    record = records[-1]
    found = record.options.get("search")
    validation = f"validation {record.validation_log_prob:.3f} nats a row"
    if found is None:
        text = (
            f"Stopped in epoch {record.epochs}{_of_network(len(records))}. The best weights so far "
            f"(epoch {record.best_epoch}, {validation}) are kept in {place}."
        )
    else:
        text = (
            f"Stopped after {found['finished']} finished trial(s). They are kept in {place}; the "
            f"best is trial {found['trial']} ({validation})."
        )
    option = "--max-time 0" if search is None else "--search 0"
    return (
        f"{text}\nGo on with the same command and --resume; add {option} to write "
        f"{'them' if found is None else 'what there is'} as a model now."
    )


def _of_network(number: int) -> str:
    return f" of network {number}" if number > 1 else ""


def _widths(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise OptionError(f"--hidden lists the widths of the layers, like 500,500; got {text!r}.")
    return tuple(int(part) for part in parts)
