"""How far scores can be trusted: intervals around them, and a test between two experiments."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from pipeline.evaluation import metrics

Interval = tuple[float, float]

EXACT_SUBJECTS = 20
"""Up to so many subjects `permutation_test` looks at every exchange: 2^20 of them."""


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> Interval:
    """Score interval of an accuracy, without correction for continuity.

    It takes clips for independent draws. Clips of one subject resemble each other, so that it is rather too narrow;
    `bootstrap_intervals` draws whole subjects instead.

    Wilson 1927, doi:10.1080/01621459.1927.10502953; method 3 of Newcombe 1998,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E.

    Raises
    ------
    ValueError
        There are no clips, more are correct than there are, or the confidence is not between 0 and 1.
    """
    _check_confidence(confidence)
    if total < 1 or not 0 <= correct <= total:
        raise ValueError(f"expected between 0 and all of at least one clip to be correct, got {correct} of {total}")
    interval = binomtest(correct, total).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_intervals(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """Percentile interval of every metric of `metrics.METRICS`, by its key, from drawing subjects with replacement.

    Subjects are drawn, each with all of its clips, because clips of one subject resemble each other: the cluster
    bootstrap of Field and Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x. A class that a resample lacks is left out
    of the means, as in `metrics.scores`.

    Parameters
    ----------
    predictions
        Columns `subject,label,predicted`, a row per clip; the order of the rows is of no consequence.
    classes
        K names.
    seed
        Seed of the random draws.
    resamples
        Number of draws, each of as many subjects as there are.
    confidence
        Share of the draws that lie inside the interval, between 0 and 1.

    Raises
    ------
    ValueError
        There are no clips, fewer than two subjects (one subject says nothing about others), fewer than one resample,
        a label that is none of `classes`, or the confidence is not between 0 and 1.
    """
    _check_confidence(confidence)
    confusions = np.stack(
        [
            metrics.confusion_matrix(clips["label"], clips["predicted"], classes)
            for _, clips in predictions.groupby("subject", sort=True)
        ]
        or [np.zeros((len(classes), len(classes)), int)]
    )  # (S, K, K)
    if confusions.sum() == 0:
        raise ValueError("no predictions to resample")
    draws = _draws(len(confusions), seed, resamples)
    times = np.stack([(draws == subject).sum(axis=1) for subject in range(len(confusions))], axis=1)  # (resamples, S)
    drawn = [metrics.scores(summed) for summed in np.tensordot(times, confusions, axes=1)]
    return {name: _middle([scores[name] for scores in drawn], confidence) for name in metrics.METRICS}


def mean_interval(
    values: ArrayLike,
    subjects: Iterable[str],
    *,
    seed: int = 0,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile interval of a mean over clips, from drawing subjects with replacement like `bootstrap_intervals`.

    Parameters
    ----------
    values
        Array (N,), one value per clip.
    subjects
        N names, the subject of each clip.
    seed
        Seed of the random draws.
    resamples
        Number of draws, each of as many subjects as there are.
    confidence
        Share of the draws that lie inside the interval, between 0 and 1.

    Raises
    ------
    ValueError
        There are fewer than two subjects or one resample, or the confidence is not between 0 and 1.
    """
    _check_confidence(confidence)
    groups = pd.DataFrame({"value": np.asarray(values, float), "subject": list(subjects)}).groupby("subject")["value"]
    sums, sizes = groups.sum().to_numpy(), groups.size().to_numpy()
    draws = _draws(len(sums), seed, resamples)
    return _middle(sums[draws].sum(axis=1) / sizes[draws].sum(axis=1), confidence)


def mcnemar(first_correct: ArrayLike, second_correct: ArrayLike) -> float:
    """Two-sided p of the exact McNemar test: could both experiments be equally often right?

    Only clips that one of them has right and the other wrong count; if both are equally good, each of these is like
    the toss of a coin. 1 where there is none.

    McNemar 1947, doi:10.1007/BF02295996; exact: Fay 2010, doi:10.32614/RJ-2010-008.

    Parameters
    ----------
    first_correct, second_correct
        bool (N,): whether each clip is right, the same clips in the same order.

    Raises
    ------
    ValueError
        There are no clips, or not the same number in both.
    """
    first, second = np.asarray(first_correct, bool), np.asarray(second_correct, bool)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"expected the same clips twice, got arrays of shape {first.shape} and {second.shape}")
    if len(first) == 0:
        raise ValueError("no clips to compare")
    won, lost = int((~first & second).sum()), int((first & ~second).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def permutation_test(
    first_correct: ArrayLike,
    second_correct: ArrayLike,
    subjects: Iterable[str],
    *,
    seed: int = 0,
    draws: int = 100_000,
) -> float:
    """Two-sided p of the paired permutation test with the subject as the unit.

    If both experiments are equally good, it is a matter of chance which of them got which results of a subject: all of
    the subject's clips are exchanged together, because they are not independent. p is the share of exchanges in which
    the experiments are at least as many clips apart as they are. Up to `EXACT_SUBJECTS` subjects all of them are looked
    at, above that as many at random as `draws` says, with the observed one counted among them.

    Pitman 1937, doi:10.2307/2984124; at random: Phipson and Smyth 2010, doi:10.2202/1544-6115.1585.

    Parameters
    ----------
    first_correct, second_correct
        bool (N,): whether each clip is right, the same clips in the same order.
    subjects
        N names, the subject of each clip.
    seed, draws
        Of the random exchanges.

    Raises
    ------
    ValueError
        There are no clips, or not the same number everywhere.
    """
    first, second = np.asarray(first_correct, bool), np.asarray(second_correct, bool)
    names = np.asarray(list(subjects))
    if not first.shape == second.shape == names.shape or first.ndim != 1:
        raise ValueError(f"expected the same clips, got shapes {first.shape}, {second.shape} and {names.shape}")
    if len(first) == 0:
        raise ValueError("no clips to compare")
    _, numbers = np.unique(names, return_inverse=True)
    won = np.bincount(numbers, second).astype(int) - np.bincount(numbers, first).astype(int)  # clips, by subject
    won = won[won != 0]  # the others change nothing
    observed = abs(won.sum())
    if numbers.max() < EXACT_SUBJECTS:
        totals = np.zeros(1, int)
        for clips in won:
            totals = np.concatenate([totals + clips, totals - clips])
        return float((np.abs(totals) >= observed).mean())
    generator = np.random.default_rng(seed)
    extreme = sum(
        int((np.abs(generator.choice([-1, 1], (size, len(won))) @ won) >= observed).sum()) for size in _batches(draws)
    )
    return (1 + extreme) / (1 + draws)


def smallest_permutation_p(subjects: int, draws: int = 100_000) -> float:
    """The smallest p that `permutation_test` can give with so many subjects, when all of them speak for one side."""
    return min(1.0, 2.0 ** (1 - subjects)) if subjects <= EXACT_SUBJECTS else 1 / (1 + draws)


def holm(p: ArrayLike) -> list[float]:
    """p of several tests, corrected for their number: below α after it, below α altogether.

    The chance of at least one false alarm is at most α, however the tests depend on one another: Holm 1979,
    Scandinavian Journal of Statistics 6, 65-70.
    """
    values = np.asarray(p, float)
    order = np.argsort(values, kind="stable")
    factors = len(values) - np.arange(len(values))
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1)
    return [float(value) for value in corrected]


def _batches(total: int, size: int = 10_000) -> list[int]:
    """Sizes that sum to `total`, so that never more than `size` rows are held."""
    return [min(size, total - start) for start in range(0, total, size)]


def _draws(subjects: int, seed: int, resamples: int) -> np.ndarray:
    """Numbers of subjects, drawn with replacement: int (resamples, subjects)."""
    if resamples < 1:
        raise ValueError(f"expected at least 1 resample, got {resamples}")
    if subjects < 2:
        raise ValueError(f"expected at least 2 subjects, got {subjects}: one says nothing about others")
    return np.random.default_rng(seed).integers(subjects, size=(resamples, subjects))


def _middle(values: ArrayLike, confidence: float) -> Interval:
    """The quantiles that leave out as much below as above."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.asarray(values, float), [tail, 1 - tail])
    return float(low), float(high)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, got {confidence}")
