"""Every ready space at a small budget, against the figure that the course notes print for it.

    HPSEARCH_DATA=… python scripts/ready_spaces.py [--only NAME …] [--seeds 1 2 3] [--quick]

Each space is searched once per seed, and its baseline trained once per seed, each in a process of
its own. The figures are read from the trained models, not from the search's objective; the tables
show medians over the seeds. Writes `scripts/bench/results/ready_spaces.{json,md}`, which
docs/ready-spaces.md holds as well, and the decision boundary of the best model of `moons` of the
first seed into docs/images/. MNIST is read from HPSEARCH_DATA, or downloaded by Keras.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
QUICK = 2  # trials of --quick
SPREAD = 20  # quasi-random points at the start of `auto`
RESULTS = ROOT / "scripts" / "bench" / "results" / "ready_spaces"
PICTURE = ROOT / "docs" / "images" / "moons-boundary.png"


@dataclass(frozen=True)
class Classic:
    """A ready space, its budget, and how its result is measured.

    Attributes:
        figures: of a `Result`, numbers by name; the first is compared with the reference.
        reference: what the notes print (None where they print nothing), as a number.
        smaller: whether a smaller figure is better.
        note: where the reference comes from, or what to know of the figure.
    """

    space: str
    trials: int
    figures: Callable[[Any], dict[str, float]]
    reference: float | None = None
    smaller: bool = False
    note: str = ""


def tested(result: Any) -> dict[str, float]:
    """The accuracy on the test part."""
    return {"test accuracy": result.best.test["accuracy"]}


def likelihoods(result: Any) -> dict[str, float]:
    """Test accuracy, and mean negative log-likelihoods on the digits; of test sample 42 as well.

    Those that are not the test's are the 1,527 rows of the notes' training part, of which a search
    holds out a fifth for validation.
    """
    from hpsearch.spaces.pieces.data import standardised_digits

    x, y, x_test, y_test = standardised_digits()
    model = result.best.model()
    guessed = model.predict(x_test, verbose=0)
    on = {
        "training and validation rows": nll(model.predict(x, verbose=0), y),
        "test rows": nll(guessed, y_test),
        "test sample 42": nll(guessed[42:43], y_test[42:43]),
    }
    return tested(result) | {f"NLL, {rows}": value for rows, value in on.items()}


def validated(result: Any) -> dict[str, float]:
    """The validation accuracy, which the goal of `digits_mlp` is about, and `likelihoods`."""
    return {"validation accuracy": result.best.value} | likelihoods(result)


def nll(probabilities: Any, labels: Any) -> float:
    """The mean over the rows of −log of the probability of the row's own label."""
    import numpy as np

    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, 1e-12)).mean())


def on_training_points(result: Any) -> dict[str, float]:
    """Accuracy on the 300 moons it was trained on, and on 1,000 others."""
    from hpsearch.spaces.pieces.data import drawn_moons

    x, y = drawn_moons()
    found = result.best.model().evaluate(x, y, verbose=0, return_dict=True)
    return {"training accuracy": found["accuracy"]} | tested(result)


def precisions(result: Any) -> dict[str, float]:
    """The learned β against the sample's maximum likelihood; in a longer search what failed when.

    A trial fails where a step without clipping leaves the region of the logarithm, and where a relu
    starts below it. The first 20 points are spread over the space, the others are suggested from
    what they taught.
    """
    scores = scores_of_the_best(result)
    names = ("relative_error", "beta", "likeliest_beta")
    found = {name.replace("_", " "): scores[name] for name in names}
    first, others = result.trials[:SPREAD], result.trials[SPREAD:]
    for which, trials in (("the first 20 points", first), ("the others", others)):
        if others:
            loose = [not trial.point["optimizer.clipnorm"] for trial in trials]
            found[f"not clipped, share of {which}"] = sum(loose) / len(trials)
            failed = [trial.value is None for trial in trials]
            found[f"failed, share of {which}"] = sum(failed) / len(trials)
    return found


def errors(result: Any) -> dict[str, float]:
    """What is left of the squared error, and how many of the four points are right."""
    scores = scores_of_the_best(result)
    return {"squared error": scores["squared_error"], "points right": scores["right"]}


def scores_of_the_best(result: Any) -> dict[str, float]:
    """What the space's `evaluate` gave for the best trial."""
    best = next(t for t in result.trials if t.number == result.best.number)
    return dict(best.outcome.metrics)


CLASSICS = (
    Classic("mnist_mlp", 5, tested, 0.9666, note="the hyperas listing, 5 trials of 2 epochs"),
    Classic("mnist_softmax", 8, tested, 0.965, note="784–500–256–10, 5 epochs"),
    Classic("mnist_zero_one", 10, tested, 0.99905, note="2,113 of 2,115, 5 epochs"),
    Classic("digits_softmax", 20, likelihoods, note="no figure printed"),
    Classic("digits_mlp", 20, validated, 0.975, note="our goal: no figure printed"),
    Classic("moons", 20, on_training_points, 0.98, note="after 10 epochs"),
    Classic(
        "gaussian_precision", 12, precisions, 0.02, smaller=True,
        note="the bound of 2%; the notes reached β = 5.67 for 5",
    ),
    Classic("gaussian_precision:wide", 28, precisions, smaller=True, note="σ = 1000, to try"),
    Classic("gaussian_precision:narrow", 4, precisions, smaller=True, note="σ = 0.0001, to try"),
    Classic("xor", 20, errors, 1e-6, smaller=True, note="zero error"),
    Classic("digits_cnn", 12, tested, note="ours alone"),
    Classic("moons_functional", 12, tested, note="ours alone"),
)  # fmt: skip


def search(name: str, trials: int, seed: int, picture: Path | None = None) -> dict[str, Any]:
    """Search a space and measure its best model; the work of one child process."""
    import hpsearch

    classic = next(c for c in CLASSICS if c.space == name)
    with tempfile.TemporaryDirectory() as folder:
        result = hpsearch.search(
            name, max_trials=trials, seed=seed, folder=folder, max_consecutive_failures=trials
        )
        found = {
            "seed": seed,
            "trials": len(result.trials),
            "failed": result.counts["failed"],
            "seconds": result.seconds,
            "point": None if result.best is None else result.best.point,
            "figures": {} if result.best is None else classic.figures(result),
        }
        if picture is not None and result.best is not None:
            from notes.moons_boundary import draw

            draw(result.best.model(), picture)
    return found


def long_training(seed: int) -> dict[str, Any]:
    """The notes' digits network for 50 epochs: its losses, and whether it over- or underfits."""
    import hpsearch

    with tempfile.TemporaryDirectory() as folder:
        result = hpsearch.search("digits_mlp:long", max_trials=1, seed=seed, folder=folder)
        history = result.trials[0].outcome.history
    return {"seed": seed, "verdict": verdict(history), "history": list(history)}


def verdict(history: Sequence[Mapping[str, float]]) -> str:
    """Say from the losses of each epoch whether the model over- or underfits.

    Underfitting: validation rows lose at most 10% more than training rows, so a larger model or
    longer training would still gain. Otherwise it overfits: to its harm where the validation loss
    has risen by more than 5% from its least while the training loss went on falling. The training
    loss is Keras's, a mean over the epoch.
    """
    train = [epoch["loss"] for epoch in history]
    held = [epoch["val_loss"] for epoch in history]
    least = min(range(len(held)), key=held.__getitem__)
    told = (
        f"after {len(history)} epochs the loss is {train[-1]:.4f} on training and {held[-1]:.4f} on "
        f"validation rows, whose least was {held[least]:.4f} in epoch {least + 1}"
    )
    if held[-1] <= 1.1 * train[-1]:
        return f"It underfits: {told}."
    if train[-1] < train[least] and held[-1] > 1.05 * held[least]:
        return f"It overfits: {told}."
    return f"It overfits, but not to its harm yet: {told}."


def in_a_process(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Call it in a fresh process, so that one search's memory is no burden to the next."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def measure(classic: Classic, seeds: Sequence[int], trials: int) -> dict[str, Any]:
    """Search a space and train its baseline, once per seed."""
    from hpsearch.space import load

    picture = PICTURE if classic.space == "moons" and trials > QUICK else None
    runs, plain = [], []
    for seed in seeds:
        print(f"{classic.space}, seed {seed}: {trials} trials", file=sys.stderr, flush=True)
        drawn = picture if seed == seeds[0] else None
        runs.append(in_a_process(search, classic.space, trials, seed, drawn))
        if load(classic.space).space.baselines:
            plain.append(in_a_process(search, classic.space, 1, seed))
    return {
        "space": classic.space,
        "trials": trials,
        "reference": classic.reference,
        "note": classic.note,
        "runs": runs,
        "baseline": plain,
    }


def median(runs: Sequence[Mapping[str, Any]], figure: str) -> float | None:
    """The median of a figure over the runs, None where there is none."""
    values = [run["figures"][figure] for run in runs if figure in run["figures"]]
    return statistics.median(values) if values else None


def written(value: float | None) -> str:
    """Five significant digits; a dash for none."""
    return "–" if value is None else f"{value:.5g}"


def tables(measured: Sequence[Mapping[str, Any]], long: Mapping[str, Any] | None) -> str:
    """The Markdown of docs/ready-spaces.md."""
    lines = [
        "| space | trials | figure | reference | baseline | found (each seed) | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    more = ["| space | figure | baseline | found |", "|---|---|---|---|"]
    for one in measured:
        names = list(one["runs"][0]["figures"])
        first = names[0]
        each = " ".join(written(run["figures"][first]) for run in one["runs"])
        reference = written(one["reference"]) if one["reference"] is not None else "–"
        seconds = statistics.median(run["seconds"] for run in one["runs"])
        lines.append(
            f"| `{one['space']}` | {one['trials']} | {first} | {reference} ({one['note']}) "
            f"| {written(median(one['baseline'], first))} "
            f"| **{written(median(one['runs'], first))}** ({each}) | {seconds:.0f} |"
        )
        more += [
            f"| `{one['space']}` | {name} | {written(median(one['baseline'], name))} "
            f"| {written(median(one['runs'], name))} |"
            for name in names[1:]
        ]
    text = "\n".join(lines) + "\n\n" + "\n".join(more) + "\n"
    if long:
        text += f"\nThe notes' digits network (seed {long['seed']}): {long['verdict']}\n"
    return text


def machine() -> dict[str, Any]:
    """What the figures were measured with."""
    packages = ("hyperopt", "keras", "tensorflow", "numpy", "scikit-learn")
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "command": " ".join(["python", "scripts/ready_spaces.py", *sys.argv[1:]]),
    }


def main() -> None:
    """Read the options, measure, write and print the tables."""
    names = [classic.space for classic in CLASSICS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", default=names)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--quick", action="store_true", help="two trials each, nothing written")
    options = parser.parse_args()
    chosen = [classic for classic in CLASSICS if classic.space in options.only]
    measured: dict[str, Any] = {}
    long: dict[str, Any] | None = None
    if RESULTS.with_suffix(".json").exists() and not options.quick:  # keep what is not run now
        before = json.loads(RESULTS.with_suffix(".json").read_text())
        measured = {one["space"]: one for one in before["spaces"]}
        long = before["long"]
    for classic in chosen:
        trials = QUICK if options.quick else classic.trials
        measured[classic.space] = measure(classic, options.seeds, trials) | machine()
        if classic.space == "digits_mlp" and not options.quick:
            long = in_a_process(long_training, options.seeds[0])
        if not options.quick:
            write([measured[name] for name in names if name in measured], long)
    print(tables([measured[name] for name in names if name in measured], long))


def write(measured: Sequence[Mapping[str, Any]], long: Mapping[str, Any] | None) -> None:
    """Write the figures so far: what is measured is not lost when a later space fails."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    content = {"spaces": list(measured), "long": long}
    RESULTS.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    RESULTS.with_suffix(".md").write_text(tables(measured, long))


if __name__ == "__main__":
    main()
