"""What is remembered of many cells that something happened to: their number, and the first few."""

from collections.abc import Callable
from dataclasses import dataclass, field

EXAMPLES = 3


@dataclass
class Noted:
    """Cells that something happened to.

    Attributes:
        count: how many.
        examples: the first three, in words.
    """

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: Callable[[], str]) -> None:
        """Count a cell; `example` is called for the first three alone."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(example())
