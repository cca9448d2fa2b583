"""Many cells of one kind: how many there are, and the first few."""

from collections.abc import Callable
from dataclasses import dataclass, field

EXAMPLES = 3


@dataclass
class CountedExamples:
    """Cells of one kind, such as those with a corrected path.

    Attributes:
        count: how many.
        examples: the first three, as text.
    """

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: Callable[[], str]) -> None:
        """Count a cell; `example` is only called for the first three."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(example())
