"""How MLflow's page of an experiment opens: this study's runs, best first, with our columns.

By default that page shows no parameter or metric and folds the trials away under their study. The
tag written here is what its "share" button writes; the format is internal to MLflow (read from its
page of version 3.17.2), so a browser test guards it.
"""

from __future__ import annotations

import json
from typing import Any

from .content import Settings, legal

__all__ = ["share"]

PARAMS = 7  # columns that fit on a screen beside the others
LONGEST = 5000  # characters of an experiment's tag


def share(client: Any, experiment_id: str, study_id: str, settings: Settings) -> str:
    """Write the view of a study as a tag of its experiment; return the link's part after the ``/``.

    Calling it again replaces the view.
    """
    key = f"hpsearch-{study_id[:12]}"
    client.set_experiment_tag(
        experiment_id, f"mlflow.sharedViewState.{key}", _state(study_id, settings)
    )
    return f"#/experiments/{experiment_id}/runs?viewStateShareKey={key}"


def _state(study_id: str, settings: Settings) -> str:
    metrics = ["objective", legal(settings.get("metric") or "objective")]
    columns = [_column("metrics", key) for key in dict.fromkeys(metrics)]
    params = [_column("params", legal(each["label"])) for each in settings.get("labels", [])]
    last = [_column("tags", "hpsearch.state")]
    shown = PARAMS
    while True:
        selected = columns + params[:shown] + last
        state = {
            "searchFilter": f"tags.`hpsearch.study_id` = '{study_id}'",
            "orderByKey": _column("metrics", "objective"),
            "orderByAsc": settings.get("direction") == "minimize",
            "selectedColumns": selected,
            "viewMaximized": True,
        }
        text = json.dumps(state)
        if len(text) <= LONGEST or shown == 0:
            return text
        shown -= 1


def _column(kind: str, key: str) -> str:
    return f"{kind}.`{key}`"
