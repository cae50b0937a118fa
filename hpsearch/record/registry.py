"""The registered model of a space: one version per study, and which one is the champion.

The registered model has the name of the space and one version per study, that of its best trial;
the alias ``champion`` is given to a better model only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import TrackingError
from ..store import without_passwords
from .content import Settings
from .tracking import PATIENT, connect, explained, missing_file

__all__ = ["MODEL", "Champion", "Registered", "champion", "register", "registered_name"]

MODEL = "data/model.keras"
"""Where MLflow's Keras flavour keeps the model itself."""

OURS = frozenset({"champion", "challenger"})
"""The aliases that are given here; any other is someone's own."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A logged model.

    Attributes:
        model_id: of the logged model.
        run_id: of the trial.
        name, version, alias: in the registry; None where it was logged only. The alias is
            ``"champion"`` or ``"challenger"``.
        reason: why that alias: ``"no other"``, ``"better"``, ``"not better"``, ``"not
            comparable"`` (another objective or other data than the champion's), ``"own"`` (the
            champion was the study's own earlier version), ``"known"`` (the version was there).
    """

    model_id: str
    run_id: str
    name: str | None = None
    version: str | None = None
    alias: str | None = None
    reason: str | None = None

    @property
    def uri(self) -> str:
        """What ``mlflow.keras.load_model`` takes."""
        if self.name is None:
            return f"models:/{self.model_id}"
        return f"models:/{self.name}" + (f"@{self.alias}" if self.alias else f"/{self.version}")


@dataclass(frozen=True, slots=True)
class Champion:
    """The champion on disk: its file to load, and the tags of its version."""

    file: Path
    version: str
    tags: dict[str, str]


def registered_name(space: str) -> str:
    """The name of a space in the registry, which refuses ``/`` and ``:``."""
    return re.sub(r"[/:]", "-", space).strip()[:250] or "model"


def champion(uri: str, space: str, folder: Path) -> Champion:
    """Download the champion of a space into `folder`.

    Raises:
        TrackingError: there is none, or MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    name = registered_name(space)
    if missing_file(uri) is not None:
        raise _no_champion(uri, space)
    with PATIENT, explained(uri):
        client = connect(uri)
        try:
            version = client.get_model_version_by_alias(name, "champion")
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise _no_champion(uri, space) from error
        from mlflow.artifacts import download_artifacts

        # Not `models:/NAME@champion`, which is looked up in the registry of the fluent interface.
        source = client.get_model_version_download_uri(name, version.version)
        path = download_artifacts(source, dst_path=str(folder), tracking_uri=uri)
    return Champion(Path(path) / MODEL, str(version.version), dict(version.tags))


def _no_champion(uri: str, space: str) -> TrackingError:
    return TrackingError(
        f"The best model of a finished study is its space's champion, and {registered_name(space)!r} "
        f"has none in {without_passwords(uri)}. Run `hpsearch run {space}` first; "
        "`hpsearch sync` hands over the model of a search that was interrupted."
    )


def register(
    client: Any, run_id: str, model_id: str, settings: Settings, facts: dict[str, str]
) -> Registered:
    from mlflow.exceptions import MlflowException

    name = registered_name(settings.get("space", ""))
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    holder = _alias(client, name, "champion")
    own = _versions(client, name, facts["hpsearch.study_id"])
    known = next((each for each in own if _trial_of(each.tags) == _trial_of(facts)), None)
    version = known or client.create_model_version(
        name,
        _source(client, model_id),
        run_id=run_id,
        tags={**facts, "hpsearch.model_id": model_id},
        model_id=model_id,
        await_creation_for=None,  # it is there; waiting for it prints a line
    )
    number = str(version.version)
    reason = _compare(facts, None if holder is None else holder.tags)
    if known and (reason not in ("no other", "own") or (holder and str(holder.version) == number)):
        reason = "known"
    if reason != "known":
        given = "challenger" if reason.startswith("not") else "champion"
        client.set_registered_model_alias(name, given, number)
    for each in own:  # one version per study; this comes last, as it takes their aliases away
        if str(each.version) != number and OURS.issuperset(each.aliases):
            client.delete_model_version(name, each.version)
    held = OURS.intersection(client.get_model_version(name, number).aliases)
    alias = min(held, default=None)  # "champion" comes first
    return Registered(model_id, run_id, name, number, alias, reason)


def _versions(client: Any, name: str, study_id: str) -> list[Any]:
    """The study's versions with their aliases, newest first; a search does not tell these."""
    quoted = name.replace("'", "\\'")
    found = client.search_model_versions(f"name = '{quoted}'")
    own = [each.version for each in found if each.tags.get("hpsearch.study_id") == study_id]
    return [client.get_model_version(name, version) for version in sorted(own, key=int)[::-1]]


def _trial_of(tags: Mapping[str, str]) -> tuple[str | None, str | None]:
    return tags.get("hpsearch.number"), tags.get("hpsearch.attempt")


def _source(client: Any, model_id: str) -> str:
    """Where a registered version finds its model."""
    if client.tracking_uri.startswith(("http://", "https://", "databricks")):
        return f"models:/{model_id}"
    # MLflow 3.17.2 looks that form up in the store of its fluent interface, not in the client's
    # (a TODO in `create_model_version` of its SQLAlchemy registry).
    location: str = client.get_logged_model(model_id).artifact_location
    return location


def _alias(client: Any, name: str, alias: str) -> Any | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None


def _compare(new: Mapping[str, str], old: Mapping[str, str] | None) -> str:
    """Why a new version is the champion or is not; see `Registered`."""
    if old is None:
        return "no other"
    if old.get("hpsearch.study_id") == new["hpsearch.study_id"]:
        return "own"
    if new["hpsearch.objective"] != old.get("hpsearch.objective") or not _same_data(new, old):
        return "not comparable"
    gain = float(new["hpsearch.value"]) - float(old["hpsearch.value"])
    if new["hpsearch.objective"].startswith("minimize"):
        gain = -gain
    return "better" if gain > 0 else "not better"


def _same_data(new: Mapping[str, str], old: Mapping[str, str]) -> bool:
    """Whether two models were judged on the same data, as far as can be known.

    A dataset has no digest, and neither has data that was not looked at. Then the space and the
    text of its file must be the same, as these say where the data comes from.
    """
    if new["hpsearch.data"] and old.get("hpsearch.data"):
        return new["hpsearch.data"] == old["hpsearch.data"]
    return all(
        new[key] and new[key] == old.get(key) for key in ("hpsearch.fingerprint", "hpsearch.source")
    )
