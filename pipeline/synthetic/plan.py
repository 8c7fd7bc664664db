"""The plan of the clips: who shows which expression, in which file, from which frame on and for how long."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from pipeline.databases.layouts import Layout


@dataclass(frozen=True)
class PlannedClip:
    """One row of the annotation, but for the apex and the action units."""

    subject: int
    """Number of the subject, from 1."""
    name: str
    """Name of the clip within its subject, such as `EP02_01f`."""
    label: str
    """Class of the expression."""
    onset: int
    """Number of the first frame."""
    n_frames: int
    """Number of frames from onset to offset."""
    clip: str
    """Id of the clip, such as `sub01/EP02_01f`."""


def draw_plan(
    rng: np.random.Generator, subjects: int, clips: int, frames: tuple[int, int], layout: Layout
) -> list[PlannedClip]:
    """Draw who shows what, in which file.

    Parameters
    ----------
    rng
        Source of everything that is drawn.
    subjects, clips
        How many; at least one clip per subject and per class.
    frames
        Shortest and longest clip, in frames.
    layout
        Whose classes and names.

    Returns
    -------
    The clips sorted by their ids, in uneven numbers per subject and per class.
    """
    classes = layout.classes
    per_class = 1 + _apportion(clips - len(classes), np.array(list(layout.shares.values())) * clips - 1)
    per_subject = 1 + _apportion(clips - subjects, np.exp(rng.uniform(0, 1.2, subjects)))
    who = np.repeat(np.arange(1, subjects + 1), per_subject)
    what = np.repeat(np.arange(len(classes)), per_class)
    # A class seen in one subject only cannot be learned when that subject is left out. Take the best of some shuffles;
    # with few clips it may be impossible to spread them all.
    shuffles = [rng.permutation(what) for _ in range(100)]
    what = min(shuffles, key=lambda labels: sum(len(set(who[labels == c])) < 2 for c in range(len(classes))))

    names: dict[tuple[int, str], int] = {}
    takes = Counter[tuple[int, str]]()
    for subject, label in zip(who.tolist(), what.tolist(), strict=True):
        episode, tag = int(rng.integers(2, 20)), layout.tags.get(classes[label])
        takes.update([(subject, tag or str(episode)), (subject, "all")])
        take, letter = takes[subject, tag or str(episode)], _letters(takes[subject, "all"])
        name = layout.name.format(episode=episode, tag=tag, take=take, letter=letter)
        name += str(rng.choice(layout.suffixes))
        names[subject, name] = label
    plan = []
    # In the order of the ids, whatever the onset adds to them.
    order = sorted(names.items(), key=lambda entry: layout.clip.format(subject=entry[0][0], name=entry[0][1], onset=""))
    for index, ((subject, name), label) in enumerate(order):
        n_frames = int(rng.integers(frames[0], frames[1], endpoint=True))
        onset = _onset(index, n_frames, rng) if layout.first is None else layout.first
        clip = layout.clip.format(subject=subject, name=name, onset=onset)
        plan.append(PlannedClip(subject, name, classes[label], onset, n_frames, clip))
    return plan


def _letters(number: int) -> str:
    """Return a, b, ..., z, aa, ab, ... for 1, 2, ..."""
    before, last = divmod(number - 1, 26)
    return (_letters(before) if before else "") + chr(ord("a") + last)


def _onset(index: int, n_frames: int, rng: np.random.Generator) -> int:
    """First frame number. Two clips in three gain a digit on the way, which is where sorting by name goes wrong."""
    turn = (10, 100, None)[index % 3]
    if turn is None:
        return int(rng.integers(1, 300))
    return int(rng.integers(max(1, turn + 1 - n_frames), turn))


def _apportion(total: int, weights: np.ndarray) -> np.ndarray:
    """Whole numbers in proportion to the weights that add up to the total (largest remainder)."""
    weights = np.clip(weights, 1e-9, None)
    exact = total * weights / weights.sum()
    whole: np.ndarray = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: total - whole.sum()]] += 1
    return whole
