"""One real MLflow server on the loopback interface, started as `hpsearch ui` starts it."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from hpsearch.record import ui_command


@contextlib.contextmanager
def fluent(uri: str) -> Iterator[None]:
    """Have `mlflow.*` use a store, as a user's script does; MLflow puts it into the environment."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@functools.cache
def server_uri() -> str:
    """The address of a server that ends with this process; started by the first call."""
    folder = Path(tempfile.mkdtemp(prefix="hpsearch-mlflow-"))
    port = free_port()
    command, variables = ui_command(f"sqlite:///{folder}/mlflow.db", port=port)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | variables,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def stop() -> None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    uri = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=5):
                return uri
        except (urllib.error.URLError, OSError):
            if server.poll() is not None:
                break
            time.sleep(0.2)
    raise RuntimeError(f"mlflow server did not start:\n{(folder / 'log').read_text()}")
