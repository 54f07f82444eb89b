"""The demo jobs, written as a user would write them: digits of bits, and a table of penguins."""

from made.demo.digits import DemoResult, digits
from made.demo.penguins import OddPenguin, PenguinsResult, penguins

__all__ = ["DemoResult", "OddPenguin", "PenguinsResult", "digits", "penguins"]
