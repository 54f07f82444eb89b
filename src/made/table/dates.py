"""Texts -> times, and times -> texts in the form that they came in.

Knows how people write dates, and formats in the words of `strftime`; knows nothing of columns.
Formats of numbers and English months are read a whole column at a time, others text by text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from made.table.parsing import arrow_compute, as_texts

if TYPE_CHECKING:
    import pyarrow

# Month before day where both could be: the reason that is shown says so.
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y", "%d-%m-%Y",
          "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y")  # fmt: skip
_TIMES = ("", " %I:%M %p", " %I:%M:%S %p", *(
    f"{between}{time}{zone}"
    for between in (" ", "T")
    for time in ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f")
    for zone in ("", "Z", "%z")
))  # fmt: skip
TIME_FORMATS = tuple(date + time for date in _DATES for time in _TIMES)
# "%-m" is a month without a zero in front, here and in the C library of some systems.
_WITHOUT_ZERO = ("%-d", "%-m", "%-H", "%-I")
# What the parts of a format look like in a text.
_PARTS = {"Y": "[0-9]{4}", "m": "[0-9]{1,2}", "d": "[0-9]{1,2}", "H": "[0-9]{1,2}",
          "I": "[0-9]{1,2}", "M": "[0-9]{1,2}", "S": "[0-9]{1,2}", "f": "[0-9]{1,6}",
          "p": "[AaPp][Mm]", "z": "Z|[+-][0-9]{2}:?[0-9]{2}", "b": "[A-Za-z]{3}",
          "B": "[A-Za-z]{3,9}"}  # fmt: skip
_MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september",
           "october", "november", "december"]  # fmt: skip
# Whatever else a text looks like, it is no date in a known format.
_LIKE_A_DATE = re.compile(r"(?=.*\d.*\d)[\w ./:,+-]{8,40}")
_TRIED, _TRIED_FIRST = 200, 8
_NOT_A_TIME = np.datetime64("NaT", "us")


def find_time_format(texts: Sequence[str]) -> str | None:
    """Return the format of texts that are nearly all dates, or None.

    Examples
    --------
    >>> find_time_format(["9/30/1990 0:00:00", "11/2/1993 0:00:00"])
    '%-m/%-d/%Y %-H:%M:%S'
    """
    some = list(texts[:: max(len(texts) // _TRIED, 1)])
    first = some[:: max(len(some) // _TRIED_FIRST, 1)]
    if not sum(bool(_LIKE_A_DATE.fullmatch(text.strip())) for text in first) > 0.5 * len(first):
        return None
    # Most formats are ruled out by how the first few texts look.
    candidates = [
        form
        for form in TIME_FORMATS
        if sum(bool(re.match(_pattern(form) or "", text.strip())) for text in first)
        > 0.5 * len(first)
    ]
    shares = {form: _share(some, form) for form in candidates}
    highest = max(shares.values(), default=0.0)
    if highest < 0.9:
        return None
    # Days above 12 can be rare: where day and month could be either way, all texts decide.
    equal = [form for form in candidates if shares[form] == highest]
    best = equal[0] if len(equal) == 1 else max(equal, key=lambda form: _share(texts, form))
    times = times_of(some, best)
    for unpadded in _unpadded(best):
        if all(
            text.strip() == text_of_time(time, unpadded)
            for text, time in zip(some, times, strict=True)
            if not np.isnat(time)
        ):
            return unpadded
    return best


def times_of(texts: Sequence[str] | pyarrow.Array, form: str) -> np.ndarray:
    """Return the times that texts are, datetime64[us]; NaT for a text that is none.

    Examples
    --------
    >>> times_of(["30.9.1990", "31.9.1990"], "%d.%m.%Y").astype("datetime64[D]").tolist()
    [datetime.date(1990, 9, 30), None]
    """
    plain = form.replace("%-", "%")
    pattern = _pattern(plain)
    if pattern is not None:
        return _times_by_pattern(as_texts(texts), pattern)
    listed = as_texts(texts).to_pylist()
    result = np.full(len(listed), _NOT_A_TIME)
    for place, text in enumerate(listed):
        try:
            moment = datetime.strptime(text.strip(), plain)
            # Where the text names a zone, the time is that of UTC.
            if moment.tzinfo is not None:
                moment = moment.astimezone(UTC).replace(tzinfo=None)
            result[place] = np.datetime64(moment, "us")
        except (ValueError, OverflowError, re.error):
            continue
    return result


def text_of_time(time: np.datetime64, form: str) -> str:
    """Return a time as a text.

    Examples
    --------
    >>> text_of_time(np.datetime64("1990-09-03"), "%-d.%-m.%Y")
    '3.9.1990'
    """
    moment = time.astype("datetime64[us]").item()
    if "%z" in form:
        moment = moment.replace(tzinfo=UTC)
    for token in _WITHOUT_ZERO:
        if token in form:
            form = form.replace(token, str(int(moment.strftime(token.replace("-", "")))))
    # The C library leaves out the zeros of years before 1000, and cannot read them back.
    return moment.strftime(form.replace("%Y", f"{moment.year:04d}"))


@functools.cache
def _pattern(form: str) -> str | None:
    """Return the regular expression of a format; None if it has parts of another sort."""
    pieces = re.split(r"%(.)", form)
    literals, parts = pieces[::2], pieces[1::2]
    known = set(parts) <= set(_PARTS) and len(set(parts)) == len(parts)
    if not known or "Y" not in parts or ("I" in parts) != ("p" in parts):
        return None
    pattern = ""
    for literal, part in zip(literals, [*parts, ""], strict=True):
        pattern += re.sub(r"(\\ |\s)+", r"\\s+", re.escape(literal))
        pattern += f"(?P<{part}>{_PARTS[part]})" if part else ""
    return f"^{pattern}$"


def _times_by_pattern(texts: Any, pattern: str) -> np.ndarray:
    import pyarrow

    compute = arrow_compute()
    found = compute.extract_regex(compute.utf8_trim_whitespace(texts), pattern)
    good = found.is_valid().to_numpy(zero_copy_only=False)
    names = {found.type.field(place).name for place in range(found.type.num_fields)}

    def part(name: str, otherwise: int) -> np.ndarray:
        if name not in names:
            return np.full(len(texts), otherwise)
        words = compute.struct_field(found, name)
        if name in ("b", "B"):
            months = [month[:3] if name == "b" else month for month in _MONTHS]
            kind = pyarrow.array(months, pyarrow.large_string())
            numbers = compute.index_in(compute.utf8_lower(words), kind)
            numbers = compute.add(numbers, 1)
        elif name == "p":
            numbers = compute.equal(compute.utf8_lower(words), "pm").cast(pyarrow.int64())
        elif name == "z":
            digits = compute.replace_substring(words, ":", "")
            hours, minutes = (compute.utf8_slice_codeunits(digits, k, k + 2) for k in (1, 3))
            is_zero, behind = compute.equal(words, "Z"), compute.starts_with(words, "-")
            zero = compute.if_else(is_zero, "0", hours), compute.if_else(is_zero, "0", minutes)
            hours, minutes = (text.cast(pyarrow.int64()) for text in zero)
            numbers = compute.add(compute.multiply(hours, 60), minutes)
            numbers = compute.if_else(behind, compute.negate(numbers), numbers)
        elif name == "f":
            numbers = compute.utf8_rpad(words, 6, "0").cast(pyarrow.int64())
        else:
            numbers = words.cast(pyarrow.int64())
        return numbers.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)

    year, day = part("Y", 1), part("d", 1)
    month = part("m", 1) if "m" in names else part("b", 1) if "b" in names else part("B", 1)
    hour, minute, second = part("H", 0), part("M", 0), part("S", 0)
    if "I" in names:
        twelve = part("I", 12)
        good &= (twelve >= 1) & (twelve <= 12)
        hour = twelve % 12 + 12 * part("p", 0)
    good &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    good &= (hour <= 23) & (minute <= 59) & (second <= 59)
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    # The 31st of a month of 30 days is none.
    good &= days.astype("datetime64[M]") == months
    # Where the text names a zone, the time is that of UTC.
    micro = ((hour * 60 + minute - part("z", 0)) * 60 + second) * 1_000_000 + part("f", 0)
    times = days.astype("datetime64[us]") + micro.astype("timedelta64[us]")
    return np.where(good, times, _NOT_A_TIME)


def _share(texts: Sequence[str], form: str) -> float:
    return float((~np.isnat(times_of(texts, form))).mean()) if len(texts) else 0.0


def _unpadded(form: str) -> list[str]:
    hours = form.replace("%H", "%-H").replace("%I", "%-I")
    days = form.replace("%m", "%-m").replace("%d", "%-d")
    return [form, days, hours, days.replace("%H", "%-H").replace("%I", "%-I")]
