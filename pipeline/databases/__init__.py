"""The datasets by the name that `dataset` in params.yaml gives them: a reader and a profile for each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.databases import casme, casme2, smic, table
from pipeline.databases.recordings import Profile, Reading, Settings
from pipeline.databases.layouts import LAYOUTS, layout_of


@dataclass(frozen=True)
class Dataset:
    """One dataset: what is known of it, and how a copy of it is read."""

    profile: Profile
    reader: Callable[[Path, Iterable[str], Profile, Path | None], Reading]

    def read(self, root: Path, exclude: Iterable[str] = (), annotated: Path | None = None) -> Reading:
        """Clip table of the copy at `root`; raises InputError when a row cannot be used.

        `annotated` is the annotation file, which is looked for in `root` when it is None.
        """
        return self.reader(root, exclude, self.profile, annotated)


def _read_synthetic(root: Path, exclude: Iterable[str], profile: Profile, annotated: Path | None) -> Reading:
    """The embedded dataset in whichever layout it was written."""
    layout = layout_of(root)
    profile = Profile(profile.name, LAYOUTS[layout].classes, settings=profile.settings)
    return DATASETS[layout].reader(root, exclude, profile, annotated)


_SYNTHETIC = Profile(
    name="synthetic",
    classes=LAYOUTS["casme2"].classes,
    settings=Settings(epochs=40, scales=(0.9, 1.0, 1.1), lr=1e-3, views="random", flow="dis"),
)

DATASETS = {
    "casme": Dataset(casme.PROFILE, casme.read),
    "casme2": Dataset(casme2.PROFILE, casme2.read),
    "smic": Dataset(smic.PROFILE, smic.read),
    "synthetic": Dataset(_SYNTHETIC, _read_synthetic),
    "table": Dataset(table.PROFILE, table.read),
}
