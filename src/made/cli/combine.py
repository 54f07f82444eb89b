"""``made combine``, ``made pool``, ``made verify``: parse, call the density, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from made.cli.running import (
    AsJson,
    Debug,
    ModelPath,
    Seed,
    Split,
    Threads,
    check_spared,
    print_facts,
    print_json,
    print_table,
    reports_errors,
    say,
    using_threads,
)

if TYPE_CHECKING:
    from made.certificate import Certificate
    from made.modelfile import CombinationRecord

MaxTime = Annotated[
    str | None, typer.Option(help="Stop drawing then, with the width that was reached.")
]
Width = Annotated[
    float | None, typer.Option(help="How narrow log Z shall be known, in nats.", show_default=False)
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The model file to write.")]


@reports_errors
def combine(
    model: ModelPath,
    valid: Annotated[Path, typer.Option(help="Validation rows to choose by.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The model file to write (MODEL itself).")
    ] = None,
    method: Annotated[
        str, typer.Option(help="auto, mixture, em, product, or power=A with A from 0 to 1.")
    ] = "auto",
    members: Annotated[
        int | None, typer.Option(help="Members of each network (as saved).", show_default=False)
    ] = None,
    width: Width = None,
    level: Annotated[float, typer.Option(help="Probability that the limits of log Z hold.")] = 0.95,
    max_time: MaxTime = None,
    split: Split = None,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Combine the members of MODEL anew, without training.

    An .npz file with an array "valid" gives its validation rows.
    """
    del debug
    from made.progress import terminal_progress
    from made.storage import check_writable

    target = out or model
    check_writable(target)
    check_spared(target, valid)
    from made.density import load
    from made.table import npz_splits

    density = load(model)
    if split is None and "valid" in npz_splits(valid):
        split = "valid"
    with using_threads(threads), terminal_progress("combining") as bar:
        combined = density.combine(
            valid, method, members=members, width=width, level=level, seed=seed,
            max_time=max_time, split=split, progress=bar,
        )  # fmt: skip
    combined.save(target)
    record, certificate = combined.combined, combined.certificate
    warn_if_wide(certificate)
    if as_json:
        from dataclasses import asdict

        print_json(
            {
                "model": str(target),
                "combination": combined.combination,
                "power": combined.power,
                "n_members": combined.n_members,
                "exact": combined.is_exact,
                "certificate": asdict(certificate),
                "combined": asdict(record),
            }
        )
        return
    print_candidates(record)
    print_facts(
        [
            ("kept", f"{combined.combination}, {combined.n_members} members"),
            *combined_facts(record, certificate),
            ("written", str(target)),
        ]
    )


@reports_errors
def pool(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="Models of one schema, two or more.")
    ],
    out: Out,
    seed: Seed = 0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Pool models that were fitted independently: one mixture of all their members.

    Nothing is drawn; --seed is accepted because every command takes it.
    """
    del seed, debug
    from made.storage import check_writable

    check_writable(out)
    check_spared(out, *models)
    from made.density import load
    from made.density import pool as pool_densities

    pooled = pool_densities([load(model) for model in models])
    pooled.save(out)
    if as_json:
        print_json({"model": str(out), "n_networks": len(models), "n_members": pooled.n_members})
        return
    print_facts(
        [
            ("networks", str(len(models))),
            ("members", f"{pooled.n_members}, {pooled.combination}"),
            ("written", str(out)),
        ]
    )
    say(f"For better weights or powers: made combine {out} --valid DATA")


@reports_errors
def verify(
    model: ModelPath,
    seed: Annotated[int, typer.Option(help="Of the new draws; not that of the first.")] = 1,
    width: Width = None,
    max_time: MaxTime = None,
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Bound the normaliser of MODEL once more by other draws, and say whether it stands.

    Exits with 1 if it does not.
    """
    del debug
    from made.density import load
    from made.progress import terminal_progress

    density = load(model)
    with using_threads(threads), terminal_progress("verifying") as bar:
        found = density.verify(seed=seed, width=width, max_time=max_time, progress=bar)
    warn_if_wide(found.again)
    if as_json:
        from dataclasses import asdict

        print_json(
            {
                "model": str(model),
                "stands": found.stands,
                "stored": asdict(found.stored),
                "again": asdict(found.again),
            }
        )
    else:
        print_facts(
            [
                ("combination", density.combination),
                ("stored", certificate_text(found.stored)),
                ("again", certificate_text(found.again)),
                ("verdict", "the certificate stands" if found.stands
                 else "the intervals do not meet: do not trust this certificate"),
            ]
        )  # fmt: skip
    if not found.stands:
        raise typer.Exit(1)


def combined_facts(
    record: CombinationRecord, certificate: Certificate | None
) -> list[tuple[str, str]]:
    """Return lines about the normaliser, the validation rows and the weights."""
    facts = []
    if certificate is not None and certificate.n_draws:
        facts.append(("log Z", certificate_text(certificate)))
    if record.validation_log_prob is None:
        return facts
    bound = "" if certificate is None or certificate.is_exact else "at least "
    facts.append(
        ("validation", f"{bound}{record.validation_log_prob:.4f} +- "
         f"{record.validation_standard_error:.4f} nats a row, {record.n_validation_rows} rows")
    )  # fmt: skip
    if record.validation_log_prob != record.mixture_log_prob:
        facts.append(("equal mixture", f"{record.mixture_log_prob:.4f} nats a row"))
    if record.gap is not None:
        facts.append(("gap", f"{record.gap:.4f} nats: no weights of a mixture gain more there"))
    return facts


def certificate_text(certificate: Certificate) -> str:
    """Return what is known of log Z, in a line."""
    if certificate.is_exact:
        how = f"all {certificate.n_draws:,} rows counted" if certificate.n_draws else "a mixture"
        return f"{certificate.log_normalizer:.5f}, exact ({how})"
    return (
        f"{certificate.log_normalizer:.5f}, from {certificate.lower:.5f} to "
        f"{certificate.upper:.5f} at {certificate.level:.0%} ({certificate.n_draws:,} draws by "
        f"{certificate.method}, seed {certificate.seed})"
    )


def warn_if_wide(certificate: Certificate) -> None:
    """Say so if the interval is wider than was asked for."""
    if not certificate.is_narrow_enough:
        say(
            f"Warning: log Z is known to {certificate.width:.4f} nats, not to the "
            f"{certificate.width_asked:.4f} that were asked for. The limits hold; for narrower "
            "ones give more time (--max-time)."
        )


def print_candidates(record: CombinationRecord) -> None:
    """Print what was compared: nats a row and the difference to the uniform mixture."""
    rows: list[list[str]] = [_candidate_row(line) for line in record.candidates]
    if rows:
        header = ["combination", "members", "log Z", "nats a row", "difference", ""]
        print_table(header, rows)
        print()


def _candidate_row(line: dict[str, Any]) -> list[str]:
    return [
        line["name"],
        str(line["n_members"]),
        f"{line['log_normalizer']:.3f}",
        f"{line['log_prob']:.4f}",
        f"{line['difference']:+.4f} +- {line['standard_error']:.4f}",
        "kept" if line["chosen"] else "",
    ]
