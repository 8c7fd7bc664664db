"""CASME II: `Cropped/sub01/EP02_01f/reg_img46.jpg` and one annotation spreadsheet.

Yan et al., CASME II: An Improved Spontaneous Micro-Expression Database and the Baseline Evaluation, PLOS ONE 9(1),
2014, doi:10.1371/journal.pone.0086041.
"""

from collections.abc import Iterable
from pathlib import Path

from pipeline.databases import annotation
from pipeline.databases.episodes import ClipFolders, samples
from pipeline.databases.profiles import PROFILES, Profile
from pipeline.databases.recordings import Reading, tabulate
from pipeline.databases.tree import survey

FORM = annotation.Form(
    name=r"CASME2-coding",
    columns={
        "subject": "Subject",
        "name": "Filename",
        "onset": "OnsetFrame",
        "apex": "ApexFrame",
        "offset": "OffsetFrame",
        "label": "Estimated Emotion",
    },
    optional={},
)


def read(
    root: Path,
    exclude: Iterable[str] = (),
    profile: Profile = PROFILES["casme2"],
    annotated: Path | None = None,
    largest_gap: int | None = None,
) -> Reading:
    """Read a CASME II tree.

    The annotation is the spreadsheet with CASME II's columns, the frames are in the folder that holds `sub01`,
    `sub02`, ...; both are found by looking, at any depth.

    Parameters
    ----------
    root
        Folder of the dataset as its owners ship it.
    exclude
        Clip ids or `file:row` to leave out.
    profile
        Labels to accept; another dataset in CASME II's layout brings its own.
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
    return tabulate(samples(rows, ClipFolders(tree), lambda clip, _: clip), root, profile, exclude, files, largest_gap)
