"""How trials, tasks, reports and outcomes travel as JSON, and come back as what they were."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from .trial import Job, Key, Limits, Outcome, Report, Status, Task, Why

__all__ = ["from_json", "outcome_of", "report_of", "task_of", "to_json", "why_of"]


def outcome_of(fields: Mapping[str, Any]) -> Outcome:
    """An outcome from its fields as JSON has them."""
    key, status = Key(**fields["key"]), Status(fields["status"])
    return Outcome(**{**fields, "key": key, "status": status, "history": tuple(fields["history"])})


def report_of(fields: Mapping[str, Any]) -> Report:
    """A report from its fields as JSON has them."""
    return Report(**{**fields, "key": Key(**fields["key"])})


def task_of(fields: Mapping[str, Any]) -> Task:
    """A task from its fields as JSON has them."""
    jobs = tuple(Job(**{**job, "key": Key(**job["key"])}) for job in fields["jobs"])
    return Task(**{**fields, "jobs": jobs, "limits": Limits(**fields["limits"])})


def why_of(fields: Mapping[str, Any] | None) -> Why | None:
    """A reason from its fields as JSON has them."""
    return None if fields is None else Why(**fields)


def to_json(item: Any) -> str:
    """Write data as strict JSON; NaN and infinities become ``{"__float__": "nan"}`` and the like."""
    return _ENCODER.encode(_plain(item))


def from_json(text: str) -> Any:
    """Read back what `to_json` wrote."""
    return (_RESTORER if '"__float__"' in text else _DECODER).decode(text)


def _plain(item: Any) -> Any:
    kind = type(item)  # what most items are comes first: a study writes very many of them
    if isinstance(item, float):
        return item if math.isfinite(item) else {"__float__": repr(item)}
    if kind is str or kind is int or kind is bool or item is None:
        return item
    if kind is dict:
        return {str(key): _plain(value) for key, value in item.items()}
    if kind is list or kind is tuple:
        return [_plain(value) for value in item]
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return {f.name: _plain(getattr(item, f.name)) for f in dataclasses.fields(item)}
    if isinstance(item, Mapping):
        return {str(key): _plain(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(value) for value in item]
    return item


def _restore(item: dict[str, Any]) -> Any:
    if len(item) == 1 and "__float__" in item:
        return float(item["__float__"])
    return item


_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))
_DECODER, _RESTORER = json.JSONDecoder(), json.JSONDecoder(object_hook=_restore)
