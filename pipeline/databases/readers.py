"""The reader of each database, by the name that `databases` in params.yaml gives it."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.databases import casme, casme2, casme3, fourdme, mmew, samm, smic, table
from pipeline.databases.layouts import layout_of
from pipeline.databases.profiles import PROFILES, Profile, profile_of
from pipeline.databases.recordings import Reading

_READERS = {
    "casme": casme.read,
    "casme2": casme2.read,
    "casme3": casme3.read,
    "fourdme": fourdme.read,
    "mmew": mmew.read,
    "samm": samm.read,
    "smic": smic.read,
    "table": table.read,
}


def read(
    database: str,
    root: Path,
    exclude: Iterable[str] = (),
    annotated: Path | None = None,
    largest_gap: int | None = None,
) -> Reading:
    """Table of the recordings in a copy of a database, with every annotated clip that can be used.

    Parameters
    ----------
    database
        A key of `PROFILES`.
    root
        Folder of the copy.
    exclude
        Clip ids or `file:row` to leave out.
    annotated
        The annotation file, which is looked for in `root` when it is None.
    largest_gap
        Most consecutive frames that a clip may lack; None: no frame may be missing.

    Raises
    ------
    InputError
        There is no such copy, or something in it cannot be used: all its defects are listed.
    """
    profile: Profile = PROFILES[database]
    reader = database
    if database == "synthetic":
        reader = layout_of(root)
        profile = profile_of(database, reader)
    return _READERS[reader](root, exclude, profile, annotated, largest_gap)
