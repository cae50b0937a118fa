"""Passwords leave what is written: errors on their way into a study, everything on its way to MLflow.

A URI such as ``postgresql://user:password@host/db`` comes in through the command line, the
constants of a space, the options of a choice, or the message of an exception.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..wire import to_json

__all__ = ["json_without_passwords", "without_passwords"]

# What stands between `://` and the last `@` before the next slash; and, as SQLAlchemy reads them,
# passwords with slashes in them. In `http://h:80/a@b` the 80 is a port and nothing is secret.
USERS = re.compile(r"(?<=://)(?:[^\s/'\"]*|[^\s/:'\"]*:(?!\d{1,5}/)[^\s'\"]*)@")


def without_passwords(text: str) -> str:
    """Return `text` with ``user:password@`` taken out of every URI in it."""
    return USERS.sub("***@", text)


def json_without_passwords(item: Any) -> str:
    """Write data as JSON, as `to_json` does, without the passwords in its strings and keys."""
    text = to_json(item)
    # Almost always there is none, and then the document need not be taken apart again.
    return to_json(_scrubbed(json.loads(text))) if "://" in text and "@" in text else text


def _scrubbed(item: Any) -> Any:
    if isinstance(item, str):
        return without_passwords(item)
    if isinstance(item, Mapping):
        return {without_passwords(key): _scrubbed(value) for key, value in item.items()}
    if isinstance(item, list):
        return [_scrubbed(value) for value in item]
    return item
