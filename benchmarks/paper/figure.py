"""What every figure comes to: a table beside the paper's, words, JSON, a picture."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from report import RESULTS, write_json
from table import markdown


class Line(NamedTuple):
    """One row of the table."""

    what: str
    paper: str
    ours: str
    setup: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the paper, as we see it."""

    name: str
    """Of its files."""
    title: str
    lines: Sequence[Line]
    words: str
    """Where we differ, and why."""
    data: dict[str, Any] = field(default_factory=dict)
    draw: Callable[[Any], None] | None = None
    """Draws on the axes of matplotlib."""

    def show(self) -> None:
        """On the terminal and in files."""
        print(f"\n{self.title}\n")
        print(markdown(["what", "paper", "ours", "setup"], [list(line) for line in self.lines]))
        print(f"\n{self.words}")
        rows = [line._asdict() for line in self.lines]
        name = f"paper_{self.name}"
        figures = {"title": self.title, "rows": rows, "words": self.words, "data": self.data}
        write_json(name, figures)
        self._draw(name)

    def _draw(self, name: str) -> None:
        if self.draw is None or importlib.util.find_spec("matplotlib") is None:
            return
        import matplotlib

        matplotlib.use("agg")
        from matplotlib import pyplot

        picture, axes = pyplot.subplots(figsize=(8, 4.5))
        self.draw(axes)
        axes.set_title(self.title, fontsize="medium")
        picture.tight_layout()
        picture.savefig(RESULTS / f"{name}.png", dpi=120)
        pyplot.close(picture)
