"""What tests of figures share."""

from typing import Any

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures to come, as they are when they are written."""
    drawn: list[Figure] = []
    save = Figure.savefig

    def spy(figure: Figure, *words: Any, **options: Any) -> None:
        drawn.append(figure)
        save(figure, *words, **options)

    monkeypatch.setattr(Figure, "savefig", spy)
    return drawn
