"""`hpsearch best` and `predict`: the winner as numbers, a file, code, or predictions."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click

from ..errors import StudyError
from .look import FOLDER, read
from .main import NO_SUCCESS, only_json, start_keras
from .options import PLACE

__all__ = ["best_command", "predict_command"]


@click.command(
    "best",
    epilog="\b\nExamples:\n  hpsearch best\n  hpsearch best digits_mlp-1 --save winner.keras\n"
    "  hpsearch best digits_mlp-1 --code > winner.py",
)
@click.argument("study", required=False)
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.keras",
    help="Save the best model.",
)
@click.option(
    "--code", is_flag=True, help="Print the best trial as plain Keras, with no hpsearch in it."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@FOLDER
def best_command(
    study: str | None, save: Path | None, code: bool, as_json: bool, folder: Path
) -> None:
    """Show the best trial of STUDY, by default the latest."""
    from ..record import test_of
    from ..report import repeats_of
    from ..study import best_of, folder_option, value_text
    from ..trial import finite
    from .tables import metrics_text, point_lines

    name, settings, trials, runs = read(folder, study)
    maximize = settings["direction"] == "maximize"
    best = best_of(trials, maximize=maximize)
    if best is None:
        see = f"hpsearch show {name}{folder_option(folder)}"
        click.echo(f"Error: No trial of {name} has succeeded. See: {see}", err=True)
        raise click.exceptions.Exit(NO_SUCCESS)
    test = test_of(settings, best.number)
    if code:
        with only_json(True) as out:
            out(_code(settings, best, folder))
        return
    if save is not None:
        _save(folder, name, best, save)
    if as_json:
        run_id = runs.get((best.number, best.attempt))
        found = {"number": best.number, "value": best.value, "point": best.point}
        scores = {key: value if finite(value) else None for key, value in test.items()}
        click.echo(json.dumps({"study": name, **found, "run_id": run_id, "test": scores}))
        return
    click.echo(f"{name}: {settings['metric']} {value_text(best.value)} in trial {best.number}")
    for line in point_lines(best.point):
        click.echo(f"  {line}")
    if test:
        click.echo(f"On the test data: {metrics_text(test)}")
    again = next(
        (r for r in repeats_of(trials, maximize=maximize) if best.number in r.numbers), None
    )
    if again is not None:
        click.echo(
            f"Its point was tried {len(again.numbers)} times: {value_text(again.mean)} ± "
            f"{value_text(again.error)} on average. Others by their means: "
            f"hpsearch show {name}{folder_option(folder)}"
        )


def _save(folder: Path, name: str, best: Any, file: Path) -> None:
    from ..study import kept_file

    if file.suffix != ".keras":
        raise StudyError(f"Keras saves models as .keras files, got {file.name!r}.")
    kept = kept_file(folder / "studies" / name, best)
    try:
        shutil.copyfile(kept, file)
    except OSError as error:
        raise StudyError(f"{file} cannot be written: {error.strerror}.") from None
    click.echo(f"Saved {file}; load it with keras.saving.load_model({str(file)!r}).", err=True)


def _code(settings: dict[str, Any], best: Any, folder: Path) -> str:
    from ..plain_keras import plain_keras

    loaded = _space_of(settings, folder)
    text: str = plain_keras(
        loaded.space,
        best.point,
        seed=best.seed,
        study_seed=settings["seed"],
        name=f"Trial {best.number} of {settings['space']}",
        path=loaded.path,
    )
    return text


def _space_of(settings: dict[str, Any], folder: Path) -> Any:
    """The space of a study, from the file that it was begun with, if that has not changed."""
    from ..space import glance, load

    if settings.get("target") is None:
        raise StudyError("This study was begun by a script, so its space has no file to load.")
    glance(settings["target"])  # before Keras is imported, which takes seconds
    start_keras(folder)
    loaded = load(settings["target"])
    if loaded.space.fingerprint != settings["fingerprint"]:
        raise StudyError(
            f"{loaded.path} has changed since the study: its fingerprint is "
            f"{loaded.space.fingerprint}, the study's {settings['fingerprint']}. Undo the change."
        )
    return loaded


@click.command(
    "predict",
    epilog="\b\nExamples:\n  hpsearch predict digits_mlp new.npy -o predictions.npy\n"
    "  hpsearch predict my_space.py labelled.npz       # x and y: prints the scores",
)
@click.argument("space")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.npy",
    help="Where to write the predictions.",
)
@FOLDER
@PLACE[1]
def predict_command(
    space: str, file: Path, output: Path | None, folder: Path, tracking_uri: str | None
) -> None:
    """Predict with the champion of SPACE, or score it where FILE has targets.

    FILE is a .npy of inputs, or an .npz with x (several inputs by their names) and perhaps y.
    Without y the predictions are printed, a row a line; with it the scores, as one JSON object.
    """
    from ..space import glance

    glance(space)  # before Keras is imported, which takes seconds
    from ..predict import Winner, read_inputs

    if output is not None and output.suffix != ".npy":
        raise StudyError(f"Predictions are written as .npy, got {output.name!r}.")
    x, y = read_inputs(file)
    with only_json(True) as out:
        start_keras(folder)
        with tempfile.TemporaryDirectory(prefix="hpsearch-") as scratch:
            winner = Winner(space, folder, tracking_uri, Path(scratch))
            if y is not None:
                out(json.dumps(winner.score(x, y)))
            if y is None or output is not None:
                _write(winner.predict(x), output, out)


def _write(predictions: Any, output: Path | None, out: Any) -> None:
    import numpy as np

    if output is None:
        for row in np.atleast_1d(predictions):
            out(json.dumps(row.tolist()))
        return
    try:
        np.save(output, predictions)
    except OSError as error:
        raise StudyError(f"{output} cannot be written: {error.strerror}.") from None
    click.echo(f"Wrote {output}, {predictions.shape}.", err=True)
