"""The datasets by the name that `dataset` in params.yaml gives them: a reader and a profile for each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.datasets import casme2, synthetic
from pipeline.datasets.clips import Profile, Reading


@dataclass(frozen=True)
class Dataset:
    """One dataset: what is known of it, and how a copy of it is read."""

    profile: Profile
    reader: Callable[[Path, Iterable[str], Profile], Reading]

    def read(self, root: Path, exclude: Iterable[str] = ()) -> Reading:
        """Clip table of the copy at `root`; raises InputError when a row cannot be used."""
        return self.reader(root, exclude, self.profile)


DATASETS = {
    "casme2": Dataset(casme2.PROFILE, casme2.read),
    "synthetic": Dataset(Profile(name="synthetic", classes=synthetic.CLASSES), casme2.read),
}
