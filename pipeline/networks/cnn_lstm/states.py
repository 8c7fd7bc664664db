"""The five states of an expression, and the frame of a clip that shows each.

Kim, Baddar, Ro 2016, doi:10.1145/2964284.2967247, describe an expression by its onset, its apex, its offset and the two
transitions between them. A clip is interpolated to F frames that are evenly spaced from onset to offset: the apex that
the annotation names lies between two of them in general, as do the middles of the way to it and back.
"""

from fractions import Fraction

STATES = ("onset", "onset-apex", "apex", "apex-offset", "offset")


def state_frames(onset: int, apex: int | None, offset: int, frames: int) -> tuple[int, int, int, int, int]:
    """The interpolated frame nearest to each state, in the order of `STATES`.

    With L = offset - onset, the recorded frame n lies at the time (n - onset) (F - 1) / L of the interpolated clip. The
    transitions are halfway in time between their neighbours. All of it is exact; a time that is as near to one frame
    as to the next one is given to the even one, as Python rounds.

    Parameters
    ----------
    onset, apex, offset
        Numbers of the recorded frames, onset <= apex <= offset, onset < offset. Without an apex, the middle of the clip
        stands in for it.
    frames
        F, at least 2.

    Returns
    -------
    Numbers from 0 (onset) to F - 1 (offset), never descending; states share a frame where they are closer than that.

    Raises
    ------
    ValueError
        The numbers are in another order.
    """
    if not onset < offset or frames < 2 or not (apex is None or onset <= apex <= offset):
        raise ValueError(f"expected onset <= apex <= offset and onset < offset, found {onset}, {apex}, {offset}")
    last = frames - 1
    peak = Fraction(last, 2) if apex is None else Fraction((apex - onset) * last, offset - onset)
    first, rise, top, fall, final = map(round, (Fraction(0), peak / 2, peak, (peak + last) / 2, Fraction(last)))
    return first, rise, top, fall, final
