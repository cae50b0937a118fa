"""`hpsearch sync`: MLflow gets what searches still owe it, because it was down or left alone."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import click

from ..errors import HpsearchError, StudyBusy, counted
from .main import BAD_INPUT, only_json, start_keras
from .options import PLACE
from .run import which_study

__all__ = ["sync_command"]


@click.command(
    "sync",
    epilog="\b\nExamples:\n  hpsearch sync                   # every study that owes something\n"
    "  hpsearch sync digits_mlp-1\n  hpsearch sync --tracking-uri http://127.0.0.1:5000 --json",
)
@click.argument("study", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@PLACE[0]
@PLACE[1]
def sync_command(study: str | None, as_json: bool, folder: Path, tracking_uri: str | None) -> None:
    """Deliver to MLflow what STUDY, or every study, still owes it; no trial is run.

    MLflow's runs are compared with the trials: what is missing there is written again.
    """
    from ..study import folder_option, owing

    with only_json(as_json) as out:
        names = owing(folder) if study is None else [which_study(folder, study)]
        told, failed = [], False
        for name in names:
            found = _synced(folder, name, tracking_uri, one=study is not None)
            failed |= "trouble" in found and found["trouble"] is not None
            told.append(found)
            if not as_json and "skipped" not in found:
                out(_line(found))
        if as_json:
            out(json.dumps({"studies": told}))
        elif not names:
            out(
                "Nothing is owed to MLflow. To write again what it has lost: hpsearch sync STUDY"
                + folder_option(folder)
            )
    if failed:
        raise click.exceptions.Exit(BAD_INPUT)


def _synced(folder: Path, name: str, uri: str | None, *, one: bool) -> dict[str, Any]:
    """What came of one study; where all are asked for, the trouble of one holds up no other."""
    from ..study import sync

    def prepare() -> None:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # a model is described, not trained
        start_keras(folder)

    try:
        return dataclasses.asdict(sync(folder, name, uri, prepare))
    except HpsearchError as error:
        if one:
            raise
        trouble = str(error).splitlines()[0]
        click.echo(f"{name}: {trouble}", err=True)
        if isinstance(error, StudyBusy):
            return {"study": name, "skipped": "running"}
        return {"study": name, "skipped": "refused", "trouble": trouble}


def _line(found: dict[str, Any]) -> str:
    models = found["models"]
    told = [
        counted(found["trials"], "trial"),
        *(["the model of trial " + ", ".join(map(str, models))] if models else []),
    ]
    text = f"{found['study']}: delivered {' and '.join(told)} to {found['uri']}."
    if found["owing"]:
        text += f" Still owed: {found['owing']}. {found['trouble']}"
    return text
