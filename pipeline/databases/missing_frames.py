"""Clips of which some frames do not exist: which can be used, and from which frame to which."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """First, middle and last frame of a clip; each of them exists."""

    onset: int
    apex: int | None
    """None where it is not known."""
    offset: int
    n_missing: int
    """Frames from the annotated onset to the annotated offset that do not exist."""


def span(onset: int, apex: int | None, offset: int, numbers: Sequence[int], largest_gap: int) -> Span | None:
    """Return the frames that stand for the annotated ones of a clip, or None where a gap is too long.

    A gap is a run of frame numbers from onset to offset without a file. An onset, apex or offset in a gap moves to the
    nearest frame that exists, and to the one inside the clip where both are equally near. It leaves the clip only over
    a gap that is short enough with the missing frames before the onset or behind the offset.

    Parameters
    ----------
    onset, apex, offset
        As annotated, onset < offset; an apex outside of them is unknown.
    numbers
        Numbers of the frames that exist in the clip's folder, ascending.
    largest_gap
        Most frames in a gap; 0 allows none.
    """
    apex = apex if apex is not None and onset <= apex <= offset else None
    inside = [number for number in numbers if onset <= number <= offset]
    n_missing = offset - onset + 1 - len(inside)
    if not n_missing:
        return Span(onset, apex, offset, 0)
    if not inside or longest_gap(onset, offset, numbers) > largest_gap:
        return None
    before = max((number for number in numbers if number < onset), default=None)
    if before is not None and inside[0] - before - 1 <= largest_gap and onset - before < inside[0] - onset:
        inside.insert(0, before)
    after = min((number for number in numbers if number > offset), default=None)
    if after is not None and after - inside[-1] - 1 <= largest_gap and after - offset < offset - inside[-1]:
        inside.append(after)
    if len(inside) < 2:
        return None
    middle = None if apex is None else min(inside, key=lambda number: abs(number - apex))
    return Span(inside[0], middle, inside[-1], n_missing)


def longest_gap(onset: int, offset: int, numbers: Sequence[int]) -> int:
    """Return the most consecutive frames from onset to offset without a file."""
    return max((last - first + 1 for first, last in _gaps(onset, offset, numbers)), default=0)


def listed(onset: int, offset: int, numbers: Sequence[int]) -> str:
    """Return `frames 3, 7-9` for the frames from onset to offset without a file; empty where all exist."""
    gaps = _gaps(onset, offset, numbers)
    spans = ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in gaps)
    several = len(gaps) > 1 or any(last > first for first, last in gaps)
    return f"frame{'s' * several} {spans}" if gaps else ""


def _gaps(onset: int, offset: int, numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last frame of each gap; how far away the offset is does not matter to the time it takes."""
    borders = [onset - 1, *(number for number in numbers if onset <= number <= offset), offset + 1]
    return [(before + 1, after - 1) for before, after in itertools.pairwise(borders) if after - before > 1]
