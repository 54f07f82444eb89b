"""Runs the Python of a page, block after block, and compares what it prints with what stands there.

A block's output follows it in lines that begin with `# >`; `python tests/pages.py PAGE` writes it
anew.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def run(page: Path) -> list[tuple[str, str]]:
    """Return, for each block, the output that stands on the page and the one that came."""
    names: dict[str, Any] = {}
    found = []
    for block in _BLOCK.findall(page.read_text()):
        lines = block.splitlines()
        code = "\n".join(line for line in lines if not line.startswith("# >"))
        stands = "\n".join(line[4:] for line in lines if line.startswith("# >"))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(page), "exec"), names)
        found.append((stands, printed.getvalue().rstrip("\n")))
    return found


def rewrite(page: Path) -> None:
    """Put what comes in the place of what stands."""
    outputs = iter(run(page))

    def block_with_output(match: re.Match[str]) -> str:
        code = [line for line in match[1].splitlines() if not line.startswith("# >")]
        _, came = next(outputs)
        lines = [f"# > {line}".rstrip() for line in came.splitlines()]
        return "```python\n" + "\n".join([*code, *lines]) + "\n```"

    page.write_text(_BLOCK.sub(block_with_output, page.read_text()))


def differences(stands: str, came: str, near: float = 0.25) -> list[str]:
    """Return what differs: words exactly, numbers by more than a share of them.

    Training differs in the last digits from one processor to another.
    """
    words = [_NUMBER.sub("0", " ".join(text.split())) for text in (stands, came)]
    # How wide a number is printed moves the blanks beside it.
    if words[0] != words[1]:
        return [f"{words[0]!r} stands there, and {words[1]!r} came"]
    pairs = zip(_NUMBER.findall(stands), _NUMBER.findall(came), strict=True)
    return [
        f"{one} stands there, and {other} came"
        for one, other in pairs
        if abs(float(one) - float(other)) > near * max(abs(float(one)), 0.2)
    ]


if __name__ == "__main__":
    rewrite(Path(sys.argv[1]))
