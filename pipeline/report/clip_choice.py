"""Which clips the page draws: those that params.yaml names, a typical one of each class, and the worst mistakes."""

import pandas as pd

from pipeline.errors import InputError
from pipeline.report.study import Study

TYPICAL = 5
"""Number of classes of which a typical clip is drawn: a page must not grow without bound."""
MISTAKES = 6
"""Number of mistakes that are drawn as strips."""


def check_chosen(study: Study) -> None:
    """Raise InputError unless all clips of `report.clips` are among the predictions."""
    unknown = [clip for clip in study.params.report.clips if clip not in set(study.predictions["clip"])]
    if unknown:
        folds = ", ".join(study.params.trained_folds)
        raise InputError(
            f"params.yaml: report.clips: expected clips of {study.params.dataset} whose subject is held out ({folds}); "
            f"found {', '.join(unknown)}. The clips are listed in data/{study.params.dataset}/clips.csv."
        )


def to_draw(study: Study) -> list[str]:
    """The clips that are drawn frame by frame: those of `report.clips`, then the typical ones, each once."""
    return list(dict.fromkeys([*study.params.report.clips, *typical(study)]))


def typical(study: Study) -> list[str]:
    """A typical clip of each of the largest classes: the one whose own class has the median probability.

    Where the number of clips is even, it is the lower one of the two in the middle.
    """
    table = study.predictions.assign(own=confidence(study.predictions, "label"))
    counts = table["label"].value_counts()
    largest = sorted(study.classes, key=lambda name: (-counts.get(name, 0), name))[:TYPICAL]
    chosen = []
    for name in study.classes:
        clips = table[table["label"] == name].sort_values(["own", "clip"])
        if name in largest and len(clips):
            chosen.append(str(clips["clip"].iloc[(len(clips) - 1) // 2]))
    return chosen


def mistakes(predictions: pd.DataFrame) -> pd.DataFrame:
    """The clips that are wrong, most confident first, with a column `confidence`."""
    table = predictions.assign(confidence=confidence(predictions, "predicted"))
    wrong = table[table["label"] != table["predicted"]]
    return wrong.sort_values(["confidence", "clip"], ascending=[False, True], ignore_index=True)


def confidence(predictions: pd.DataFrame, column: str) -> list[float]:
    """Probability of the class that `column` names, `label` or `predicted`, row by row."""
    return [float(row[f"p_{row[column]}"]) for _, row in predictions.iterrows()]
