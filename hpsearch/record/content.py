"""What MLflow is told about a study and its trials, as plain data; nothing here talks to MLflow."""

from __future__ import annotations

import csv
import getpass
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypedDict

from ..store import json_without_passwords, without_passwords
from ..trial import Outcome, Point, Status, Trial, finite
from ..wire import to_json
from .why import why_lines

__all__ = [
    "Facts",
    "Label",
    "Settings",
    "algorithms",
    "assignments",
    "child_metrics",
    "child_name",
    "child_params",
    "child_tags",
    "curve",
    "legal",
    "note",
    "objective",
    "parent_params",
    "parent_tags",
    "rounded",
    "run_status",
    "source_tags",
    "test_of",
    "trial_json",
    "trials_csv",
]

PARAM_LONGEST = 6000  # characters; MLflow 3.17 cuts longer ones without a word
TAG_LONGEST = 8000
KEY_LONGEST = 250


class Label(TypedDict, total=False):
    """One parameter of a space: its label, whether its values are numbers, and on a log scale."""

    label: str
    number: bool
    log: bool


class Facts(TypedDict, total=False):
    """What is known of a study's data without loading it. `shapes` is ``{part: shape}``."""

    name: str
    digest: str
    shapes: dict[str, Any]


class Settings(TypedDict, total=False):
    """The settings of a study that its record shows; all are JSON, and any may be missing.

    Attributes:
        space: the space's name; also the name of the registered model.
        experiment: the MLflow experiment; without it that of `space`.
        metric: what is optimised, such as ``"val_accuracy"``.
        direction: ``"maximize"`` or ``"minimize"``.
        algo: the algorithm, the last one where there were several.
        algos: ``[[0, name], …]``, from which trial on it was which.
        fix: the fixed values by label, from trial `fix_from` on.
        budget: such as ``{"max_trials": 50, "timeout": None}``; None is not shown.
        command: the command line, as text.
        labels: every parameter of the space, in its order.
        warm_start: the study that it started from, under "study".
        source: path of the space file.
        source_digest, source_text: of that file as it was read; the text without passwords.
        description: the description of the space.
        versions: ``{"python": "3.11.9", "keras": ...}``.
        test: the metrics of trial number `tested` on the test data; see `test_of`.
        logged: [number, attempt] of the trials whose models MLflow has got.
        state: how the study ended, in a word such as ``"interrupted"``; without it "finished".
    """

    space: str
    experiment: str
    metric: str
    direction: str
    algo: str
    algos: list[Any]
    fix: dict[str, Any]
    fix_from: int
    seed: int
    budget: dict[str, Any]
    command: str
    fingerprint: str
    labels: list[Label]
    warm_start: dict[str, Any]
    source: str | None
    source_digest: str | None
    source_text: str | None
    description: Any
    data: Facts
    versions: dict[str, str]
    test: dict[str, float]
    tested: int
    logged: list[list[int]]
    state: str


def test_of(settings: Mapping[str, Any], number: int) -> dict[str, float]:
    """The metrics of a trial on the test data; {} where that trial was not tested.

    A study keeps those of one trial, which need not be the best any more.
    """
    if settings.get("tested") != number:
        return {}
    return dict(settings.get("test") or {})


def legal(key: str) -> str:
    """Return `key` as MLflow accepts it for a parameter or metric; a legal one is unchanged."""
    key = re.sub(r"[^\w\-. :/]", "_", key)[:KEY_LONGEST]
    return "/".join(part if part.strip(".") else "_" for part in key.split("/"))


def child_name(study: str, trial: Trial) -> str:
    """The name of a trial's run: ``digits_mlp-3 #007``, and the baseline's name if it is one."""
    name = f"{study} #{trial.number:03d}"
    if trial.name:
        name += f" {without_passwords(trial.name)}"
    return name + (f" (attempt {trial.attempt + 1})" if trial.attempt else "")


def child_params(point: Point) -> dict[str, str]:
    """Exactly the active labels; strings as themselves, everything else as JSON; no passwords."""
    return {key: _cut(_written(value), PARAM_LONGEST) for key, value in _legal_keys(point.items())}


def child_tags(study_id: str, settings: Settings, trial: Trial) -> dict[str, str]:
    """The tags of a trial's run, but for the one that names its parent."""
    tags = {
        "hpsearch.study_id": study_id,
        "hpsearch.space": settings.get("space", ""),
        "hpsearch.number": str(trial.number),
        "hpsearch.attempt": str(trial.attempt),
        "hpsearch.seed": str(trial.seed),
        "hpsearch.source": trial.source,
        "hpsearch.state": trial.status.value,
    }
    if trial.name:
        tags["hpsearch.name"] = _cut(without_passwords(trial.name), TAG_LONGEST)
    if trial.why:
        tags["hpsearch.why"] = "; ".join(why_lines(trial.why, settings, trial.point))
    if trial.error:
        tags["hpsearch.error"] = _cut(_first_line(without_passwords(trial.error)), TAG_LONGEST)
    if trial.outcome is not None:
        for key, value in trial.outcome.metrics.items():
            if not finite(value):
                tags[f"hpsearch.not_finite.{legal(key)}"[:KEY_LONGEST]] = repr(value)
    return tags


def child_metrics(trial: Trial, labels: Sequence[Label]) -> dict[str, float]:
    """The numbers of an ended trial that are no curve; never NaN or infinite ones."""
    outcome = trial.outcome
    if outcome is None:
        return {}
    curves = {key for epoch in outcome.history for key in epoch}
    numbers: dict[str, float | None] = {
        key: value for key, value in outcome.metrics.items() if key not in curves
    }
    for label in labels:
        value: Any = trial.point.get(label["label"])
        if label.get("log") and _is_number(value) and value > 0:
            numbers[f"log10.{label['label']}"] = round(math.log10(value), 4)
    numbers |= {
        "objective": rounded(outcome.value),
        "seconds": round(outcome.seconds, 3),
        "n_params": outcome.params,
        "epochs": len(outcome.history) or None,
        "kept_epoch": outcome.epoch,
    }
    return _finite(numbers)


def curve(outcome: Outcome) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield each epoch's number and its finite metrics."""
    for epoch, metrics in enumerate(outcome.history):
        yield epoch, _finite(metrics)


def run_status(status: Status) -> str:
    """MLflow's word. KILLED and FAILED look alike in its pages, so a pruned trial is FINISHED."""
    if status is Status.RUNNING:
        return "RUNNING"
    if status is Status.CANCELLED:
        return "KILLED"
    return "FAILED" if status.failed else "FINISHED"


def trial_json(trial: Trial) -> str:
    """The whole trial, enough to read it back without the study store."""
    return json_without_passwords(trial)


def parent_params(settings: Settings) -> dict[str, str]:
    """What the search itself was told: algorithm, seed, fingerprint, budget."""
    told: dict[str, Any] = {
        "algo": settings.get("algo"),
        "seed": settings.get("seed"),
        "warm_start": settings.get("warm_start", {}).get("study"),
        "fingerprint": settings.get("fingerprint"),
        **settings.get("budget", {}),
    }
    return child_params({key: value for key, value in told.items() if value is not None})


def parent_tags(study_id: str, settings: Settings, state: str) -> dict[str, str]:
    """The tags of the study's run, without its note.

    Test metrics cannot be taken away from a run, so ``hpsearch.tested`` names their trial.
    """
    tested = settings.get("tested")
    return {
        **({} if tested is None else {"hpsearch.tested": str(tested)}),
        "hpsearch.study_id": study_id,
        "hpsearch.space": settings.get("space", ""),
        "hpsearch.state": state,
        "hpsearch.objective": objective(settings),
        **source_tags(settings),
    }


def objective(settings: Settings) -> str:
    """What is optimised, in two words: ``maximize val_accuracy``."""
    return f"{settings.get('direction', 'minimize')} {settings.get('metric', 'value')}"


def algorithms(settings: Mapping[str, Any]) -> str:
    """The algorithm, and which others took over from which trial on."""
    algos = settings.get("algos", [[0, settings.get("algo", "")]])
    return ", ".join(f"{name} from trial {n} on" if n else name for n, name in algos)


def assignments(values: Mapping[str, Any]) -> str:
    """Labels and their values, on one line, as ``--fix`` takes each."""
    return ", ".join(f"{label}={_assigned(value)}" for label, value in values.items())


def _assigned(value: Any) -> str:
    """A string as it is, unless it reads as JSON or has no place on a line; all else as JSON."""
    if isinstance(value, str) and value.isprintable():
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value)


def source_tags(settings: Settings) -> dict[str, str]:
    """Who ran what, in the tags in which MLflow's pages show it."""
    tags = {"mlflow.source.type": "LOCAL"}
    tags["mlflow.source.name"] = _cut(
        without_passwords(settings.get("source") or "hpsearch"), TAG_LONGEST
    )
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (KeyError, OSError):  # no such user in the system's list, as in some containers
        tags["mlflow.user"] = "unknown"
    return tags


def note(
    settings: Settings, counts: Mapping[str, int], best: Trial | None, baselines: Iterable[Trial]
) -> str:
    """The study's page in Markdown. It begins with a sentence: MLflow clips a heading there."""
    metric = settings.get("metric", "value")
    lines = [
        "Nothing has succeeded yet."
        if best is None
        else f"Best {metric}: **{_short(best.value)}** in trial {best.number}"
        + (f" (baseline {best.name!r})" if best.name else "")
        + "."
    ]
    for each in baselines:
        came = _short(each.value) if each.status is Status.OK else each.status.value
        lines.append(f"Baseline {each.name!r}: {came} in trial {each.number}.")
    if best is not None:
        test = test_of(settings, best.number)
        lines += [f"Test {key}: {_short(value)}." for key, value in test.items()]
    if best is not None and best.point:
        lines += ["", "| parameter | best |", "|---|---|"]
        lines += [f"| {_cell(key)} | {_cell(_short(value))} |" for key, value in best.point.items()]
    lines += ["", *_about(settings, counts)]
    return _cut(without_passwords("\n".join(lines)), TAG_LONGEST)


def trials_csv(trials: Iterable[Trial], labels: Sequence[Label]) -> str:
    """One line per attempt, one column per label; empty where a label is not active."""
    trials = list(trials)
    columns = [label["label"] for label in labels]
    known = set(columns)
    columns += sorted({key for trial in trials for key in trial.point} - known)
    fixed = ["number", "attempt", "status", "value", "seconds", "started", "source", "name", "seed"]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*fixed, *columns, "error"])
    for trial in trials:
        row = [trial.number, trial.attempt, trial.status.value, trial.value, trial.seconds]
        row += [trial.started, trial.source, trial.name, trial.seed]
        values = [_written(trial.point[key]) if key in trial.point else "" for key in columns]
        cells = [*row, *values, trial.error]
        writer.writerow([without_passwords(c) if isinstance(c, str) else c for c in cells])
    return file.getvalue()


def _about(settings: Settings, counts: Mapping[str, int]) -> list[str]:
    budget = {key: value for key, value in settings.get("budget", {}).items() if value is not None}
    data = settings.get("data", {})
    facts = {
        "Command": f"`{settings['command']}`" if settings.get("command") else None,
        "Objective": objective(settings),
        "Algorithm": algorithms(settings),
        "Fixed": assignments(settings.get("fix", {})),
        "Started from": settings.get("warm_start", {}).get("study"),
        "Seed": settings.get("seed"),
        "Budget": ", ".join(f"{key} {value}" for key, value in budget.items()),
        "Trials": ", ".join(f"{count} {status}" for status, count in counts.items() if count),
        "Data": " ".join(str(data[key]) for key in ("name", "digest") if data.get(key)),
        "Space": f"{settings.get('space', '')} {settings.get('fingerprint', '')}".strip(),
        "Versions": ", ".join(
            f"{key} {value}" for key, value in settings.get("versions", {}).items()
        ),
    }
    return [f"- {key}: {value}" for key, value in facts.items() if value not in (None, "")]


def _legal_keys(items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Make keys legal, and different where that made them equal."""
    seen: set[str] = set()
    for key, value in items:
        name, count = legal(key), 1
        while name in seen:
            count += 1
            name = f"{legal(key)[: KEY_LONGEST - 6]}_{count}"
        seen.add(name)
        yield name, value


def _written(value: Any) -> str:
    return without_passwords(value) if isinstance(value, str) else json_without_passwords(value)


def _finite(numbers: Mapping[str, float | None]) -> dict[str, float]:
    return {
        key: float(value)
        for key, value in _legal_keys(numbers.items())
        if value is not None and finite(value)
    }


def rounded(value: float | None) -> float | None:
    """Six digits that count: MLflow's pages cut longer numbers off. The metric itself is exact."""
    return value if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and finite(value)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    return value if isinstance(value, str) else to_json(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
