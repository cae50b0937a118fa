"""Pictures of the loss -log β + β s of `precision_by_hand.py`, over its weights.

    python scripts/notes/precision_surfaces.py [--out docs/images]

`precision-surfaces.png`: softplus over w and b in [-10, 10] at σ = √10, 10⁴ and 10⁻⁴, with σ² itself
for s. The loss depends on a = w + b alone, so each surface is a bent sheet; below it, its section
along a. `precision-loss-of-b.png`: relu at σ = √10 over b in [1e-8, 0.1], for w = 0.1, 0.05 and 0.01;
dotted to the left of that, up to the wall.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import matplotlib
import numpy as np
from precision_by_hand import UNITS, forward

matplotlib.use("Agg")  # files only, where there may be no screen
from matplotlib import pyplot as plt

EXTENT = 10.0
"""w and b lie in [-10, 10], so a in [-20, 20]."""

MINIMUM = "#d62728"
STYLE = {"font.size": 9, "axes.titlesize": 11, "savefig.dpi": 110}
PLAIN = {"metadata": {"Software": None}}  # a new Matplotlib alone changes no file


@dataclass(frozen=True)
class Case:
    """One σ, and the words beside it: `note` stands at a place (x, y) in [0, 1] of its section."""

    sigma: float
    title: str
    note: str
    place: tuple[float, float]
    scale: str = "linear"


CASES = (
    Case(10**0.5, "σ = √10: one valley", "least at a = -2.25,\nslope 10 beyond 0", (0.12, 0.6)),
    Case(
        1e4,
        "σ = 10⁴: a sharp descent",
        "least at a = -18.42,\nslope 10⁸ beyond 0\n(note the log axis)",
        (0.4, 0.1),
        "log",
    ),
    Case(
        1e-4,
        "σ = 10⁻⁴: a slow descent",
        "slope -1/a beyond 0,\nleast only at a = 10⁸",
        (0.42, 0.6),
    ),
)


def lowest(spread, unit="softplus"):
    """The a = w + b at which the loss is least: where β is 1 / s."""
    return float(UNITS[unit].inverse(1 / spread))


def loss_at(a, spread, unit="softplus"):
    """The loss where w + b is a."""
    return forward(a, 0.0, spread, UNITS[unit])[2]


def surfaces():
    """Three surfaces, and under each its section along a = w + b."""
    figure = plt.figure(figsize=(10, 6.2), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.3, 1))
    uppers = above.subplots(1, 3, subplot_kw={"projection": "3d"})
    lowers = below.subplots(1, 3)
    for case, upper, lower in zip(CASES, uppers, lowers, strict=True):
        draw_surface(upper, case)
        draw_section(lower, case)
    lowers[0].set_ylabel("loss")
    return figure


def draw_surface(axes, case):
    """The loss over w and b, and the line of its least value where that lies within."""
    spread = case.sigma**2
    w, b = np.meshgrid(*[np.linspace(-EXTENT, EXTENT, 81)] * 2)
    loss = loss_at(w + b, spread)
    axes.plot_surface(w, b, loss, cmap="viridis", rcount=81, ccount=81, antialiased=False)
    a = lowest(spread)
    if abs(a) <= 2 * EXTENT:  # the part of the line w + b = a within the square
        along = np.array([max(-EXTENT, a - EXTENT), min(EXTENT, a + EXTENT)])
        height = np.full(2, loss_at(a, spread))
        axes.plot(along, a - along, height, color=MINIMUM, linewidth=2, zorder=9)
    axes.set_title(case.title, y=1.0)
    axes.set(xlabel="w", ylabel="b", xticks=(-10, 0, 10), yticks=(-10, 0, 10))
    axes.view_init(25, -60)


def draw_section(axes, case):
    """The loss over a = w + b, and its least value where that lies within."""
    a, least = np.linspace(-2 * EXTENT, 2 * EXTENT, 401), lowest(case.sigma**2)
    axes.plot(a, loss_at(a, case.sigma**2))
    if abs(least) <= 2 * EXTENT:
        axes.plot(least, loss_at(least, case.sigma**2), "o", color=MINIMUM)
    axes.text(*case.place, case.note, transform=axes.transAxes)
    axes.set(xlabel="a = w + b", yscale=case.scale)


def loss_of_b():
    """The relu loss over b, its minimum, and the wall at b = -w, left of which it is undefined."""
    spread = 10.0
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for w, color in ((0.1, "#2ca02c"), (0.05, "#1f77b4"), (0.01, "#ff7f0e")):
        b = np.linspace(1e-8, 0.1, 400)
        axes.plot(b, loss_at(w + b, spread, "relu"), color=color, label=f"w = {w}")
        wall = -w + np.geomspace(1e-4, w + 1e-8, 400)
        axes.plot(wall, loss_at(w + wall, spread, "relu"), ":", color=color)
        least = lowest(spread, "relu") - w
        axes.plot(least, loss_at(w + least, spread, "relu"), "o", color=MINIMUM)
    axes.axvline(0, color="#bbbbbb", linewidth=1)
    axes.set(
        xlabel="b",
        ylabel="loss",
        title="relu at σ = √10: least at b = 0.1 - w, undefined from b = -w down",
    )
    axes.legend()
    return figure


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default="docs/images",
    show_default=True,
    help="The folder to write to.",
)
def main(out: Path) -> None:
    """Draw both pictures."""
    with plt.rc_context(STYLE):
        surfaces().savefig(out / "precision-surfaces.png", **PLAIN)
        loss_of_b().savefig(out / "precision-loss-of-b.png", **PLAIN)
    plt.close("all")


if __name__ == "__main__":
    main()
