"""One connectivity at work: sampling along its ordering."""

from made.ordered.reference import sample_reference

__all__ = ["sample_reference"]
