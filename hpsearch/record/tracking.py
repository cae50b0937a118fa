"""Where the record goes: the tracking store's URI, what is wrong with it, and its web pages."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final
from urllib.parse import urlsplit

from ..errors import TrackingError
from ..store import without_passwords
from .content import Settings

__all__ = [
    "PATIENT",
    "artifact_root",
    "check",
    "connect",
    "explained",
    "first_line",
    "missing_file",
    "open_experiment",
    "tracking_uri",
    "ui_command",
    "ui_line",
]

ORNAMENT = r"\(raised as a result of Query-invoked autoflush;[^)]*\)\s*"  # SQLAlchemy's
LOOPBACK = ("127.0.0.1", "localhost", "::1")
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": 5,  # seconds; MLflow's own is 120
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": 2,  # MLflow's own is 7: minutes for a server that is down
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": 1,
    # MLflow prints two lines to standard output for every run that ends on a server.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": True,
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": False,
}


@final
class Lent:
    """Defaults of MLflow's settings, in place as long as anyone, in any thread, is inside.

    What the user has set in the environment holds. The environment itself is left alone: changing
    it in one thread while TensorFlow reads it in another ends the process (getenv and setenv of the
    C library are not safe together; seen as a segmentation fault in glibc 2.36).
    """

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        self._defaults = defaults
        self._guard = threading.Lock()
        self._inside = 0
        self._before: dict[str, Any] = {}

    def __enter__(self) -> None:
        with self._guard:
            if not self._inside:
                known = _settings()
                self._before = {name: getattr(known, name).default for name in self._defaults}
                self._put(self._defaults)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self._inside -= 1
            if not self._inside:
                self._put(self._before)

    def _put(self, defaults: Mapping[str, Any]) -> None:
        for name, value in defaults.items():
            getattr(_settings(), name).default = value


def _settings() -> Any:
    """MLflow's settings: each has what the environment says, or its default."""
    from mlflow import environment_variables

    return environment_variables


# One for the process, as MLflow's settings are: they bound its calls.
PATIENT = Lent(DEFAULTS)


def tracking_uri(given: str | None = None, root: Path = Path("mlruns")) -> str:
    """Return where to record: `given`, else ``MLFLOW_TRACKING_URI``, else SQLite in `root`.

    A URI of SQLite is made absolute, so that it holds from any working directory.
    """
    uri = given or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root}/mlflow.db"
    path = _sqlite_file(uri)
    return uri if path is None else f"sqlite:///{path.absolute()}"


def artifact_root(uri: str, root: Path, experiment: str) -> str | None:
    """Where the artifacts of a new experiment go; None leaves it to the tracking server.

    MLflow's own choice for a database is a path relative to the working directory.
    """
    if urlsplit(uri).scheme.split("+")[0] not in ("sqlite", "postgresql", "mysql", "mssql"):
        return None
    safe = "".join(sign if sign.isalnum() and sign.isascii() else "-" for sign in experiment)
    return (root.absolute() / "artifacts" / (safe[:60] or "-")).as_uri()


def check(uri: str, experiment: str) -> None:
    """Make sure before the first trial that the record can be written.

    Raises:
        TrackingError: an MLflow folder in the old file format, a server or database that does
            not answer (after at most about 20 s), or an experiment that was deleted.
    """
    _silence_telemetry()
    _refuse_file_store(uri)
    if not experiment or len(experiment) > 500:
        raise TrackingError(
            f"An MLflow experiment's name has 1 to 500 characters, got {len(experiment)}. "
            "Give another one with --experiment."
        )
    path = _sqlite_file(uri)
    if path is not None:
        with explained(uri):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            return  # made by the recorder, while Keras is being imported: it takes seconds
    with PATIENT, explained(uri):
        found = connect(uri).get_experiment_by_name(experiment)
    if found is not None and found.lifecycle_stage != "active":
        raise TrackingError(
            f"MLflow refuses the name of a deleted experiment, and {experiment!r} is deleted in "
            f"{without_passwords(uri)}. Restore it with `mlflow experiments restore "
            f"--experiment-id {found.experiment_id}`, or choose another name with --experiment."
        )


def _silence_telemetry() -> None:
    """Have MLflow not send its makers what is used, unless the user has said something about it.

    Importing MLflow 3.17 starts a thread for that, which changes the environment when it fails: in
    the middle of training (see `Lent`). So this is said before the import, in the caller's thread.
    """
    if "mlflow" not in sys.modules and "DO_NOT_TRACK" not in os.environ:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def missing_file(uri: str) -> Path | None:
    """The file of a SQLite database that is not there, in which there is nothing to read."""
    file = _sqlite_file(uri)
    return file if file is not None and "?" not in uri and not file.exists() else None


def connect(uri: str) -> Any:
    """Return an `MlflowClient` of its own; the first one for a SQLite file makes its tables."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It prints the traceback of every error of the database, which is raised as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    from mlflow import MlflowClient

    file = missing_file(uri)
    if file is not None:
        _make_database(file)
    return MlflowClient(tracking_uri=uri)


def _make_database(file: Path) -> None:
    """Make MLflow's tables in a new file, which has its name only once it is complete.

    MLflow 3.17.2 makes them in dozens of migrations over some seconds. Several processes that do
    so in one file at once, or one that is killed meanwhile, leave it so that no MLflow opens it
    again ("table _alembic_tmp_latest_metrics already exists").
    """
    from mlflow import MlflowClient

    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
    try:
        MlflowClient(tracking_uri=f"sqlite:///{draft}").search_experiments(max_results=1)
        draft.chmod(0o600)
        with contextlib.suppress(FileExistsError):  # another process was faster
            os.link(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def open_experiment(client: Any, uri: str, settings: Settings, root: Path) -> str:
    """The id of the study's experiment, made if there is none.

    Args:
        root: the folder for the artifacts of a database without a server.

    Raises:
        TrackingError: it was deleted.
    """
    from mlflow.exceptions import MlflowException

    name = settings.get("experiment") or settings.get("space") or "hpsearch"
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            client.create_experiment(name, artifact_location=artifact_root(uri, root, name))
        except MlflowException:  # another process was faster, or it cannot be made: see below
            if client.get_experiment_by_name(name) is None:
                raise
        found = client.get_experiment_by_name(name)
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"A deleted experiment takes no runs, and {name!r} was deleted in "
            f"{without_passwords(uri)}. Restore it with `mlflow experiments restore "
            f"--experiment-id {found.experiment_id}`; the study goes on meanwhile."
        )
    experiment_id: str = found.experiment_id
    primary = "mlflow.experiment.primaryMetric."
    if f"{primary}name" not in found.tags:  # an experiment of the user's keeps its own
        greater = str(settings.get("direction") == "maximize")
        client.set_experiment_tag(experiment_id, f"{primary}name", "objective")
        client.set_experiment_tag(experiment_id, f"{primary}greaterIsBetter", greater)
    return experiment_id


@contextlib.contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn what MLflow, its database and the network raise into TrackingError."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:  # MLflow lets those of sqlalchemy, requests and urllib3 through
        where = without_passwords(uri)
        came = (
            f"{where} does not answer"
            if _unanswered(error)
            else f"{where} refused this: {first_line(error)}"
        )
        raise TrackingError(
            f"The record goes to MLflow, and {came}.\nSee that it runs and can be written, or name "
            "another place with --tracking-uri, or unset MLFLOW_TRACKING_URI to record in "
            "mlruns/mlflow.db."
        ) from error


def first_line(error: Exception) -> str:
    """What went wrong in one line of at most 300 characters."""
    if _unanswered(error):
        return "the server does not answer"
    text = re.sub(ORNAMENT, "", str(error)).strip().split("\n", 1)[0][:300].rstrip(".")
    return without_passwords(f"{type(error).__name__}: {text}")


def _unanswered(error: Exception) -> bool:
    return "Max retries exceeded" in str(error)  # the words of urllib3, in MLflow's exception


def ui_command(
    uri: str, host: str = "127.0.0.1", port: int = 5000
) -> tuple[list[str], dict[str, str]]:
    """Return the command that serves MLflow's pages and the variables to add to its environment.

    One worker and no job runner: MLflow's own default is 13 processes. The URI is in a variable,
    as every user of the machine can read the command line of a process.

    Raises:
        TrackingError: `host` is not this machine itself, or `uri` is a server, which has pages.
    """
    if host not in LOOPBACK:
        raise TrackingError(
            f"The pages have no password, so they are served to this machine only; got {host!r}. "
            "Leave --host out, or run `mlflow server` behind a proxy with authentication."
        )
    if urlsplit(uri).scheme in ("http", "https"):
        raise TrackingError(
            f"A tracking server serves its own pages, and {without_passwords(uri)} is one. "
            "Open that address in a browser."
        )
    names = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    command = [sys.executable, "-m", "mlflow", "server"]
    command += ["--host", host, "--port", str(port), "--workers", "1"]
    command += ["--allowed-hosts", ",".join(names)]
    command += ["--cors-allowed-origins", ",".join(f"http://{name}" for name in names)]
    return command, {
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def ui_line(uri: str) -> str:
    """The line to type for MLflow's own page server, or the address of the server."""
    if urlsplit(uri).scheme in ("http", "https"):
        return without_passwords(uri)
    return f"mlflow ui --backend-store-uri {shlex.quote(without_passwords(uri))}"


def _sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite URI; None for another URI or a database in memory."""
    if not uri.startswith("sqlite:///"):
        return None
    path = uri.removeprefix("sqlite:///")
    return Path(path) if path and path != ":memory:" else None


def _refuse_file_store(uri: str) -> None:
    parts = urlsplit(uri)
    file = _sqlite_file(uri)
    if parts.scheme == "file":
        folder = Path(parts.path)
    elif parts.scheme == "" and not uri.startswith("databricks"):
        folder = Path(uri)
    elif file is not None and _is_file_store(file.parent):
        folder = file.parent
    else:
        return
    target = "sqlite:///mlflow.db"
    raise TrackingError(
        f"MLflow 3 no longer writes its old file format, and {folder} "
        + ("is in it" if _is_file_store(folder) else "is a plain folder")
        + f".\nMove it with `mlflow migrate-filestore --source {folder} --target {target}` and give "
        f"--tracking-uri {target}; or give another --tracking-uri; or move that folder away."
    )


def _is_file_store(folder: Path) -> bool:
    return any(file.parent.name.isdigit() for file in folder.glob("*/meta.yaml"))
