"""`hpsearch failures`: why trials failed, and where in the space they did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..errors import counted
from .look import FOLDER, read

__all__ = ["failures_command"]

MOST_NUMBERS = 8  # trials of a cause that are named


@click.command(
    "failures",
    epilog="\b\nExamples:\n  hpsearch failures\n  hpsearch failures digits_mlp-1\n"
    "  hpsearch failures digits_mlp-1 --json",
)
@click.argument("study", required=False)
@FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def failures_command(study: str | None, folder: Path, as_json: bool) -> None:
    """Show why trials of STUDY failed, by default the latest.

    Each cause comes with the part of the space that explains it: at most two conditions on labels
    that separate these trials from those that succeeded, beyond what coincidence would do.
    """
    from ..report import failures_of
    from ..study import folder_option

    name, settings, trials, _ = read(folder, study)
    found = failures_of(trials, settings["labels"], source=settings.get("source"))
    if as_json:
        click.echo(json.dumps({"study": name, **_plain(found)}, allow_nan=False))
        return

    total = found.failed + found.succeeded
    if not total:
        click.echo(f"Study {name}: no trial has ended.")
    elif not found.failed:
        click.echo(f"Study {name}: {counted(total, 'trial')}, none failed.")
    else:
        causes = "of one cause" if len(found.groups) == 1 else f"of {len(found.groups)} causes"
        click.echo(f"Study {name}: {found.failed} of {counted(total, 'trial')} failed, {causes}.")
    for group in found.groups:
        _show(name, group, found.succeeded, folder_option(folder))
    if others := _others(found):
        click.echo(f"\n{others}")


def _show(name: str, group: Any, succeeded: int, where: str) -> None:
    """One cause: how often, its text and line, an example, and where."""
    error = group.error.removeprefix(f"{group.kind}: ")
    click.echo(f"\n{len(group.numbers)} × {group.kind}: {error}")
    if group.code is not None:
        click.echo(f"  {group.line}: {group.code}")
    elif group.line is not None and group.line not in group.error:
        click.echo(f"  {group.line}")
    shown = ", ".join(map(str, group.numbers[:MOST_NUMBERS]))
    more = len(group.numbers) - MOST_NUMBERS
    noun = "trial" if len(group.numbers) == 1 else "trials"
    click.echo(
        f"  {noun} {shown}{f' and {more} more' if more > 0 else ''}: "
        f"hpsearch show {name} {group.numbers[0]}{where}"
    )
    click.echo(f"  {_where(group, succeeded)}")


def _where(group: Any, succeeded: int) -> str:
    """The region in words, or why none is told."""
    region = group.region
    if region is None and not succeeded:
        return "No trial succeeded that could be compared with."
    if region is None:
        return f"No region of the space tells these from the {succeeded} that succeeded."
    conditions = " and ".join(map(str, region.conditions))
    text = (
        f"{region.failed} of {counted(region.trials, 'trial')} with {conditions} failed so, "
        f"and {region.failed_elsewhere} of {region.elsewhere} others"
    )
    return f"{text}; {group.others} that failed otherwise left out." if group.others else f"{text}."


def _others(found: Any) -> str:
    """Trials that ended neither well nor by a fault of their own, in one line."""
    parts = []
    if found.rejected:
        parts.append(f"rejected as larger than max_params: {counted(found.rejected, 'trial')}")
    if found.cancelled:
        parts.append(f"cancelled, to run again on resume: {counted(found.cancelled, 'trial')}")
    return f"Not failed, but {'; '.join(parts)}." if parts else ""


def _plain(found: Any) -> dict[str, Any]:
    """The object that ``--json`` prints, but for the study's name."""
    import dataclasses

    groups = []
    for group in found.groups:
        fields = dataclasses.asdict(group)
        numbers = fields.pop("numbers")
        example = {key: fields.pop(key) for key in ("error", "line", "code")}
        groups.append(
            {
                **{key: fields.pop(key) for key in ("kind", "text")},
                "count": len(numbers),
                "trials": numbers,
                "example": {"number": numbers[0], **example},
                **fields,
            }
        )
    counts = {key: getattr(found, key) for key in ("failed", "succeeded", "rejected", "cancelled")}
    return {**counts, "groups": groups}
