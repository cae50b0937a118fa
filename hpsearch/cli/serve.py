"""`hpsearch ui`: MLflow's pages, on this machine only, opening on the latest study."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import click

from ..errors import StudyError
from .options import PLACE

__all__ = ["ui_command"]


@click.command("ui", epilog="\b\nExamples:\n  hpsearch ui\n  hpsearch ui --port 5050")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@PLACE[0]
@PLACE[1]
def ui_command(host: str, port: int, folder: Path, tracking_uri: str | None) -> None:
    """Serve MLflow's pages for the studies of this folder, until Ctrl-C."""
    from .. import record
    from ..store import Store, studies

    uri = record.tracking_uri(tracking_uri, folder)
    if uri.startswith(("http:", "https:")):
        click.echo(f"A server answers already: {record.without_passwords(uri)}")
        return
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise StudyError(
            f"hpsearch ui listens on this machine only, got --host {host}: MLflow's pages have no "
            "login. To share them run `mlflow server` with its authentication behind TLS."
        )
    command, variables = record.ui_command(uri, host, port)
    found = studies(folder / "studies")
    link = None
    if found:
        with Store.open(folder / "studies", found[0], write=False) as store:
            settings = store.settings
        if settings.get("tracking_uri") in (None, uri):  # its page is in this database
            link = settings.get("link")
    click.echo(f"Opening MLflow; the latest study is at http://{host}:{port}/{link or ''}")
    code = _serve(command, {**os.environ, **variables})
    if code not in (0, 130, -signal.SIGINT, -signal.SIGTERM):
        raise StudyError(
            f"MLflow's server ended with code {code}. "
            f"Is port {port} taken? Give another: hpsearch ui --port {port + 1}"
        )


def _serve(command: list[str], variables: dict[str, str]) -> int:
    """Run the server until it or we are ended; it has children, and none of them outlives us."""

    def end(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    with subprocess.Popen(command, env=variables, start_new_session=True) as server:
        try:
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            signal.signal(signal.SIGTERM, before)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
