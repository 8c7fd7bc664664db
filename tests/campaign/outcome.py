"""What came out of attacks: so many tried, so many right, and every failure."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """The tally of a campaign, by kind of attack; `each` has every attack printed when it is through."""

    each: bool = False
    tried: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, name: str, fault: str | None) -> None:
        """Count an attack; `fault` says what went wrong, None that all was right."""
        self.tried[kind] += 1
        if fault is not None:
            self.wrong[kind] += 1
            self.failures.append(f"{kind}: {name}: {fault}")
        if self.each or fault is not None:
            print(f"{kind} {self.tried[kind]}: {name}: {'right' if fault is None else f'WRONG: {fault}'}", flush=True)

    def text(self) -> str:
        """A line for each kind, and every failure."""
        lines = [f"{kind}: {count} tried, {count - self.wrong[kind]} right" for kind, count in self.tried.items()]
        return "\n".join([*lines, *self.failures])
