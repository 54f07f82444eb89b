"""The command ``made``, also as ``python -m made``. Notes when it started and hands over."""

from __future__ import annotations

import time

STARTED = time.monotonic()


def main() -> None:
    """Run the command line."""
    from made.cli import run

    run(STARTED)


if __name__ == "__main__":
    main()
