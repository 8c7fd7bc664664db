"""CASME: `Cropped/sub01/EP01_5/reg_EP01_5-113.jpg` and one annotation spreadsheet, or one for each section.

Yan et al., CASME database: a dataset of spontaneous micro-expressions collected from neutralized faces, FG 2013,
doi:10.1109/FG.2013.6553799.
"""

from collections.abc import Iterable
from pathlib import Path

from pipeline.databases import annotation
from pipeline.databases.episodes import ClipFolders, samples
from pipeline.databases.profiles import PROFILES, Profile
from pipeline.databases.recordings import Reading, tabulate
from pipeline.databases.tree import survey

FORM = annotation.Form(
    name=r"CASME[-_. ]",
    columns={
        "subject": "Subject",
        "name": "Filename",
        "onset": "OnsetF",
        "apex": "ApexF1",
        "offset": "OffsetF",
        "label": "Emotion",
    },
    optional={},
)

_MISSPELT = {"comtempt": "contempt"}


def read(
    root: Path,
    exclude: Iterable[str] = (),
    profile: Profile = PROFILES["casme"],
    annotated: Path | None = None,
    largest_gap: int | None = None,
) -> Reading:
    """Read a CASME tree, raw (in sections or not) or cropped.

    One file name can hold several samples, so that the onset is part of every clip's id: `sub01/EP01_5-73`.

    Parameters
    ----------
    root
        Folder of the dataset as its owners ship it.
    exclude
        Clip ids or `file:row` to leave out.
    profile
        Labels to accept; another dataset in CASME's layout brings its own.
    annotated
        The annotation, instead of looking for it.
    largest_gap
        Most consecutive frames that a clip may lack; None: no frame may be missing.

    Raises
    ------
    InputError
        There is no annotation or no frame folder, or more than one, or some rows cannot be used.
    """
    tree = survey(root)
    files = annotation.find(tree, FORM, annotated)
    rows = (row for file in files for row in annotation.rows(file, FORM))
    found = samples(rows, ClipFolders(tree), _with_onset, lambda label: _MISSPELT.get(label, label))
    return tabulate(found, root, profile, exclude, files, largest_gap)


def _with_onset(clip: str, row: annotation.Row) -> str:
    onset = row.number("onset")
    return f"{clip}-{'?' if onset is None else onset}"
