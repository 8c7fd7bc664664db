"""Where everything lies on disk: the one place that spells file names.

All paths are relative to the root of the checkout, which is where DVC runs every stage.
"""

from collections.abc import Iterable
from pathlib import Path

PARAMS = Path("params.yaml")
LOCK = Path("dvc.lock")
PUBLISHED = Path("pipeline/evaluation/published.csv")
SYNTHETIC = Path("data/raw/synthetic")
STANET = "stanet"
"""The network whose results are those of the study."""


# --- of a database: a collection of recordings on disk ----------------------------------------------------------------


def recordings(database: str) -> Path:
    """Table of all usable annotated clips of a database."""
    return Path("data") / database / "recordings.csv"


def annotation(database: str) -> Path:
    """SHA-256 of the annotation files that the recordings come from."""
    return Path("data") / database / "annotation.json"


def truth(raw: Path) -> Path:
    """Motion behind every clip of the embedded dataset."""
    return raw / "truth.h5"


def synthetic_contact_sheet(raw: Path) -> Path:
    """Some frames of the embedded dataset, as its generator draws them."""
    return raw / "contact_sheet.png"


def interpolated(database: str) -> Path:
    """Clips of F frames in their own size."""
    return Path("data") / database / "interpolated.h5"


def resized(database: str) -> Path:
    """Clips of F frames of S x S pixels."""
    return Path("data") / database / "resized.h5"


def stabilised(database: str) -> Path:
    """The same clips without head motion, or with it where it is kept."""
    return Path("data") / database / "stabilised.h5"


def head_motion(database: str) -> Path:
    """The path of the head in every clip."""
    return Path("data") / database / "head_motion.h5"


def flow(database: str) -> Path:
    """Optical flow between adjacent frames."""
    return Path("data") / database / "flow.h5"


def features(database: str, method: str) -> Path:
    """What a method of Table 1 describes the clips by."""
    return Path("data") / database / "features" / f"{method}.h5"


# --- of a dataset: what is studied, the clips of one database or of several in the classes of a task ------------------


def parts(dataset: str) -> Path:
    """Folder of the manifests that say where the arrays of each database lie."""
    return Path("data") / dataset / "parts"


def part(dataset: str, database: str) -> Path:
    """Manifest of one database."""
    return parts(dataset) / f"{database}.json"


def manifests(dataset: str, databases: Iterable[str]) -> list[Path]:
    """Manifests of the databases that a dataset is made of."""
    return [part(dataset, database) for database in databases]


def inputs(dataset: str, method: str) -> Path:
    """Folder of the manifests of what a method of Table 1 reads: features, or the arrays of a network."""
    return Path("data") / dataset / "inputs" / method


def inputs_of(dataset: str, method: str, database: str) -> Path:
    """Manifest of what a method of Table 1 reads of one database."""
    return inputs(dataset, method) / f"{database}.json"


def clips(dataset: str) -> Path:
    """Table of clips, one row per sample."""
    return Path("data") / dataset / "clips.csv"


def classes(dataset: str) -> Path:
    """JSON list of the class names, in the order of the network's outputs."""
    return Path("data") / dataset / "classes.json"


def folds(dataset: str) -> Path:
    """JSON object with the test subjects of each fold, by its name."""
    return Path("data") / dataset / "folds.json"


def splits(dataset: str) -> Path:
    """Folder of the splits into training and test clips, one table per fold."""
    return Path("data") / dataset / "splits"


def split(dataset: str, fold: str) -> Path:
    """The split of a fold."""
    return splits(dataset) / f"{fold}.csv"


def results(dataset: str) -> Path:
    """Folder of everything that a study reports."""
    return Path("results") / dataset


# STANet's files lie in the folders of the study, which are read as a whole; those of other networks in their own.


def model(dataset: str, fold: str, network: str = STANET) -> Path:
    """The network trained without the test subjects of a fold."""
    return Path("models") / ("" if network == STANET else network) / dataset / f"{fold}.pt"


def fold(dataset: str, fold: str, network: str = STANET) -> Path:
    """Predictions for the test clips of a fold."""
    return results(dataset) / ("" if network == STANET else network) / "folds" / f"{fold}.csv"


def curve(dataset: str, fold: str, network: str = STANET) -> Path:
    """Training curve of a fold."""
    return results(dataset) / ("" if network == STANET else network) / "curves" / f"{fold}.csv"


def choices(dataset: str, fold: str) -> Path:
    """Settings that were chosen inside a fold of STANet; no rows where nothing is chosen."""
    return results(dataset) / "choices" / f"{fold}.csv"


def predictions(dataset: str) -> Path:
    """Predictions of all folds."""
    return results(dataset) / "predictions.csv"


def metrics(dataset: str) -> Path:
    """Accuracy, UF1 and UAR over all folds."""
    return results(dataset) / "metrics.json"


def confusion(dataset: str) -> Path:
    """Actual and predicted class of every clip, for the confusion plot."""
    return results(dataset) / "confusion.csv"


def per_subject(dataset: str) -> Path:
    """Accuracy on the clips of every subject."""
    return results(dataset) / "per_subject.csv"


def per_part(dataset: str) -> Path:
    """Scores of all clips, and of each database where there are several."""
    return results(dataset) / "parts.csv"


def comparators(dataset: str) -> Path:
    """Folder of what the other methods of Table 1 predict."""
    return results(dataset) / "comparators"


def comparator(dataset: str, method: str) -> Path:
    """Predictions of one of them, all folds."""
    return comparators(dataset) / f"{method}.csv"


def comparator_facts(dataset: str, method: str) -> Path:
    """What its row of Table 1 says besides the scores."""
    return comparators(dataset) / f"{method}.json"


def table1(dataset: str) -> Path:
    """Scores of all methods, with their intervals and tests."""
    return results(dataset) / "table1.csv"


def attention(dataset: str) -> Path:
    """How well attention finds known motion."""
    return results(dataset) / "attention.json"


def figures(dataset: str) -> Path:
    """Folder of the report's pictures."""
    return results(dataset) / "figures"


def report(dataset: str) -> Path:
    """The page on a study."""
    return results(dataset) / "report.html"


# --- what no stage reads ----------------------------------------------------------------------------------------------


def inspect(dataset: str) -> Path:
    """Folder of pictures that a person should look at; no stage reads them."""
    return Path("inspect") / dataset


def contact_sheet(dataset: str) -> Path:
    """Some frames of an adopted dataset."""
    return inspect(dataset) / "contact_sheet.png"


def prediction(dataset: str, clip: str) -> Path:
    """What the networks looked at in a clip that they were asked about."""
    return inspect(dataset) / "predictions" / f"{clip.replace('/', '_')}.png"


def faceless(dataset: str) -> Path:
    """Folder of frames in which no face was found."""
    return inspect(dataset) / "faces"


def partial(stage: str, *names: str) -> Path:
    """Folder for the unfinished files of one stage (one fold of it, when `names` says which)."""
    return Path(".partial") / "@".join([stage, "-".join(names)] if names else [stage])


def resume(stage: str, *names: str) -> Path:
    """Folder for what an interrupted stage has finished: outside of its outputs, which DVC removes before each run."""
    return Path(".resume") / f"{stage}@{'-'.join(names)}"


def kept_lock() -> Path:
    """The last version of dvc.lock that was whole."""
    return Path(".resume/dvc.lock")


def damaged_lock() -> Path:
    """What was in a dvc.lock that had to be mended."""
    return Path(".resume/dvc.lock.damaged")


def ablation_copy() -> Path:
    """Copy of the checkout in which the experiments of an ablation run; in a folder of DVC's that git ignores."""
    return Path(".dvc/tmp/ablation")


def ablation_logs(dataset: str) -> Path:
    """Folder of what DVC and the stages said while the experiments of an ablation were made."""
    return inspect(dataset) / "ablation"
