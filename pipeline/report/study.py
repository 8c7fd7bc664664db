"""A study: everything that the page is about, as open data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.networks.stanet.introspection import Attention
from pipeline.params import Params
from pipeline.report import attention_scores
from pipeline.report.provenance import Provenance
from pipeline.storage import n_missing
from pipeline.synthetic.truth import Truth


@dataclass(frozen=True)
class Study:
    """Results of the folds that were trained; tables have the columns that the stages write."""

    params: Params
    classes: Sequence[str]
    """Names of the classes, in the order of the networks' outputs."""
    clips: pd.DataFrame
    """All clips of the dataset, whether or not their subject was held out."""
    predictions: pd.DataFrame
    """Clips of the subjects that were held out, with the probability of each class."""
    metrics: Mapping[str, float]
    """Scores as fractions, by their keys in `evaluation.metrics.METRICS`."""
    per_subject: pd.DataFrame
    """Accuracy on the clips of each subject."""
    per_part: pd.DataFrame
    """Scores of all clips and, of a composite, of the clips of each database."""
    deviations: Sequence[str]
    """How the clips of megc2019 differ from the official list, a sentence for each."""
    curves: Mapping[str, pd.DataFrame]
    """Training curve of each fold, by its name."""
    choices: pd.DataFrame
    """What each fold has chosen: columns `lambda,epochs,score,chosen,fold`; no rows where nothing is chosen."""
    table1: pd.DataFrame
    """All methods and what was published of them, as `compare` writes it; the first row is this study's network."""
    others: Mapping[str, pd.DataFrame]
    """Predictions of the other methods whose confusion matrices the paper shows, as far as they were run."""
    attention: Mapping[str, Attention]
    """What the network that was trained without a clip's subject makes of it, by clip."""
    truth: Mapping[str, Truth] | None
    """Where and when the face moves, by clip; None where that is not known."""
    frames: Callable[[str], np.ndarray]
    """Function that gives the frames of a clip, uint8 (F, S, S, 3) RGB."""
    flow: Callable[[str], np.ndarray]
    """Function that gives the flow of a clip, (T, 2, S, S) in pixels per frame."""
    head_motion: Callable[[str], np.ndarray]
    """Function that gives the path of the head in a clip, (F, 2, 3), affine maps from the first frame to each."""
    provenance: Provenance

    @property
    def correct(self) -> int:
        """Number of predicted clips that are right."""
        return int((self.predictions["label"] == self.predictions["predicted"]).sum())

    def missing_frames(self) -> dict[str, int]:
        """How many frames each clip lacks, for those that lack any."""
        return n_missing.counts(self.clips)

    @property
    def shows_faces(self) -> bool:
        """The embedded dataset shows no real person; other faces are shown on request only."""
        return self.params.report.faces or self.params.embedded

    @property
    def no_truth(self) -> str:
        """Why attention cannot be scored; only of use where `truth` is None."""
        if not self.params.embedded:
            return (
                f"Where and when a face moves is not known for {self.params.dataset}; it is for the embedded dataset."
            )
        return "The frames were cropped to the face (face: crop), and the known motion is that of whole frames."

    def weights(self) -> dict[str, np.ndarray]:
        """Temporal weights (T,) of each clip; empty without temporal attention."""
        return {clip: look.weights for clip, look in self.attention.items() if look.weights is not None}

    def spread(self) -> dict[str, float] | None:
        """How far the weights are from 1 / T (`attention_scores.spread`); None without temporal attention."""
        weights = list(self.weights().values())
        return attention_scores.spread(weights) if weights else None

    def scored(self) -> pd.DataFrame | None:
        """Scores of the attention, clip by clip (`attention_scores.score`); None where the motion is not known."""
        if self.truth is None:
            return None
        return attention_scores.score(self.predictions[["clip", "subject"]], self.attention, self.flow, self.truth)
