"""`hpsearch resume --from-mlflow`: a study that only MLflow has, and its space file."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from ..errors import StudyError

__all__ = ["FROM_MLFLOW", "first_steps"]

FROM_MLFLOW = [
    click.option("--from-mlflow", metavar="RUN_ID", help="Rebuild the study here from its own run in MLflow."),
    click.option("--space", metavar="FILE", help="With --from-mlflow: the file of the space, on this machine."),
    click.option("--study", "new_name", metavar="NAME", help="With --from-mlflow: what the study is called here. [default: as before]"),
]  # fmt: skip


def first_steps(
    run_id: str | None, space: str | None, name: str | None, folder: Path, uri: str | None
) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
    """What to search, the settings of the study in MLflow, and the options that rebuild it.

    Without `space`, what is searched is code that has come from elsewhere: it is saved for its
    reader, and None is returned.

    Raises:
        TrackingError: MLflow does not answer, or has no such study.
        StudyError: a study of that name is here, or options do not fit together.
    """
    from ..record import read_study, tracking_uri
    from ..study import free_name

    if run_id is None:
        given = "--space" if space else "--study"
        raise StudyError(
            f"{given} is for a study that is rebuilt from MLflow; one that is here is named "
            "without it. Write `hpsearch resume STUDY`, or add --from-mlflow RUN_ID."
        )
    uri = tracking_uri(uri, folder)
    recorded = read_study(uri, run_id)
    called = free_name(folder, name or recorded.name, recorded.id)
    if space is None:
        _save_space(uri, recorded, run_id)
        return None
    return space, recorded.settings, {"from_mlflow": run_id, "study": called}


def _save_space(uri: str, recorded: Any, run_id: str) -> None:
    from ..record import read_space, without_passwords

    found = read_space(uri, recorded)
    if found is None:
        raise StudyError(
            f"Study {recorded.name!r} was begun by a script, which MLflow does not have. Run the "
            f"script here with from_mlflow={run_id!r}; or name a file with its space: --space FILE."
        )
    file = _saved(*found, run_id)
    variable = str(recorded.settings.get("target") or "").rpartition(".py")[2]
    again = shlex.join(["hpsearch", *sys.argv[1:], "--space", f"{file}{variable}"])
    click.echo(
        f"The space file of study {recorded.name} is saved as {file}; nothing was run.\n"
        "It is code that came from MLflow: read it, and bring the modules it imports. Then\n"
        f"  {without_passwords(again)}",
        err=True,
    )


def _saved(name: str, text: str, run_id: str) -> Path:
    """Save `text` in the working directory, over no other file; the file it is in."""
    files = [Path(name), Path(f"{Path(name).stem}-{run_id[:8]}{Path(name).suffix}")]
    for file in files:
        try:
            if not file.exists():
                with file.open("x", encoding="utf-8", newline="") as opened:
                    opened.write(text)
                return file
            if file.is_file() and file.read_bytes() == text.encode():
                return file
        except OSError as error:
            raise StudyError(
                f"The space file is saved in the working directory, and {file} cannot be written: "
                f"{error.strerror}. Go to another folder."
            ) from None
    raise StudyError(
        f"The space file is saved over no other, and {files[0]} and {files[1]} are others. "
        "Go to another folder."
    )
