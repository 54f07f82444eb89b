"""Model files: one ``.made`` file holds a whole density. Reading its header needs no torch."""

from made.modelfile.files import Fitted, load, save
from made.modelfile.header import FORMAT_VERSION, Header, read_header, read_weights
from made.modelfile.records import CombinationRecord, FitRecord

__all__ = [
    "FORMAT_VERSION",
    "CombinationRecord",
    "FitRecord",
    "Fitted",
    "Header",
    "load",
    "read_header",
    "read_weights",
    "save",
]
