"""A trained network as the rest of the pipeline sees it: what its module says, and the defaults for what it leaves out.

`pipeline.networks` describes what a module can say. PyTorch is loaded when something is computed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.storage.clip_rows import ClipRow

if TYPE_CHECKING:
    from torch import nn

    from pipeline.learning.fold import Fold
    from pipeline.learning.training import Phase


@dataclass(frozen=True)
class Network:
    """A network by its name and the name of its module."""

    name: str
    module: str

    @property
    def title(self) -> str:
        """Its name in Table 1."""
        return str(import_module(self.module).TITLE)

    @property
    def remark(self) -> str:
        """What a reader of Table 1 must know of it, or an empty text."""
        return str(import_module(self.module).REMARK)

    @property
    def reads(self) -> str:
        """The array of a clip that it reads, `flow` or `frames`."""
        return str(import_module(self.module).READS)

    @property
    def needs_apex(self) -> bool:
        """Whether it can only learn from clips whose apex is known."""
        return bool(getattr(import_module(self.module), "NEEDS_APEX", False))

    def build(self, classes: int, settings: Any, seed: int) -> "nn.Module":
        """Return the network for K classes with its initial values."""
        built: nn.Module = self._called("build")(classes, settings, seed)
        return built

    def select(self, clip: np.ndarray, row: ClipRow) -> np.ndarray:
        """Return what a network that needs the apex reads of a clip's array, given its row of recordings.csv."""
        selected: np.ndarray = self._called("select")(clip, row)
        return selected

    def prepare(self, clip: np.ndarray, settings: Any) -> np.ndarray:
        """Return the input tensor of what was selected of one clip. No label and no other clip is involved."""
        own = self._own("prepare")
        return clip if own is None else np.asarray(own(clip, settings))

    def phases(self, classes: int, settings: Any, seed: int) -> "Iterator[Phase[Any]]":
        """Yield the trainings one after the other; a phase is made when the one before it has been trained."""
        from pipeline.learning.objective import Objective, accuracy, cross_entropy
        from pipeline.learning.training import Phase

        if own := self._own("phases"):
            yield from own(classes, settings, seed)
            return
        objective = self._own("objective")
        yield Phase(
            "",
            self.build(classes, settings, seed),
            objective(settings) if objective else Objective(cross_entropy, {"accuracy": accuracy}),
            self._called("training")(settings),
        )

    def seed(self, fold_seed: int) -> int:
        """Return the seed of everything random in the training of a fold."""
        from pipeline.learning import seeds

        own = self._own("seed")
        return int(own(fold_seed)) if own else seeds.derived_seed(fold_seed, self.name)

    def record(self, settings: Any, fold: "Fold", source: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the checkpoint says about the training; `source` says how the arrays were made."""
        if own := self._own("record"):
            recorded: dict[str, Any] = own(settings, fold, source)
            return recorded
        return {
            "network": self.name,
            "seed": fold.seed,
            "settings": asdict(settings),
            "threads": fold.threads,
            "deterministic": fold.deterministic,
            self.reads: dict(source),
        }

    def values(self, settings: Any) -> int | None:
        """Return the number of values by which the network describes a clip; None where it does not say."""
        own = self._own("values")
        return int(own(settings)) if own else None

    def code(self) -> list[Path]:
        """Return the files of the network's folder."""
        return sorted(Path(str(import_module(self.module).__file__)).parent.glob("*.py"))

    def _own(self, name: str) -> Callable[..., Any] | None:
        found: Callable[..., Any] | None = getattr(import_module(f"{self.module}.method"), name, None)
        return found

    def _called(self, name: str) -> Callable[..., Any]:
        found = self._own(name)
        if found is None:
            raise AttributeError(f"{self.module}.method has no function {name}, which pipeline/networks asks for")
        return found
