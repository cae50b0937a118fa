"""The decision boundary of a model of the two moons, as a picture.

hpsearch run moons --max-trials 20 --seed 1
hpsearch best --save moons.keras
python scripts/notes/moons_boundary.py moons.keras moons-boundary.png
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

REACH = 0.5  # how far beyond the points the picture goes


def draw(model: Any, path: Path) -> None:
    """Draw where the model says which class, how sure it is, and the 300 training points.

    Args:
        model: takes points of shape (n, 2) and gives probabilities of shape (n, 1).
        path: the PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from hpsearch.spaces.pieces.data import drawn_moons

    x, y = drawn_moons()
    low, high = x.min(axis=0) - REACH, x.max(axis=0) + REACH
    across, up = np.meshgrid(*(np.linspace(a, b, 300) for a, b in zip(low, high, strict=True)))
    plane = np.column_stack([across.ravel(), up.ravel()]).astype("float32")
    sure = model.predict(plane, batch_size=4096, verbose=0).reshape(across.shape)
    right = (model.predict(x, verbose=0).ravel() > 0.5) == (y > 0.5)

    figure = Figure(figsize=(8, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shade = axes.contourf(across, up, sure, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.5)
    axes.contour(across, up, sure, levels=[0.5], colors="black")
    for value, colour, name in ((0, "#a31515", "class 0"), (1, "#15498a", "class 1")):
        points = x[(y == value)]
        axes.scatter(*points.T, s=16, color=colour, edgecolors="white", linewidths=0.4, label=name)
    if not right.all():
        wrong = x[~right]
        axes.scatter(*wrong.T, s=70, facecolors="none", edgecolors="black", label="wrong")
    axes.set_title(f"{right.sum()} of {len(x)} training points right")
    axes.set_xlabel("across")
    axes.set_ylabel("up")
    axes.legend(loc="lower left")
    figure.colorbar(shade, label="probability of class 1")
    figure.savefig(path, dpi=100)


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("picture", type=click.Path(dir_okay=False, path_type=Path))
def main(model: Path, picture: Path) -> None:
    """Draw the boundary of MODEL, a .keras file, into PICTURE, a PNG."""
    import keras

    draw(keras.saving.load_model(model), picture)


if __name__ == "__main__":
    main()
