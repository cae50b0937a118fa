"""MLflow's page, opened by our link in Chromium: a format of MLflow's own, so it is looked at."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import pytest
from mlflow_server import server_uri

from hpsearch.record import Recorder, Settings
from hpsearch.store import Store
from hpsearch.trial import Key, Outcome, Status, Trial

CHROMIUM = Path(os.environ.get("HPSEARCH_CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
VALUES = [0.91, 0.97, 0.89, None, 0.95]

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no Chromium at {CHROMIUM}"),
    # MLflow 3.17.2 uses an option that SQLAlchemy 2.1 deprecates.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]


def recorded(folder: Path, direction: str) -> str:
    """Record a study of five trials; return the address of its page."""
    settings: Settings = {
        "space": f"digits-{uuid.uuid4().hex[:6]}",
        "metric": "val_accuracy",
        "direction": direction,
        "algo": "tpe",
        "seed": 1,
        "command": "hpsearch run digits --max-trials 5",
        "labels": [
            {"label": "model.dense.units", "number": True, "log": False},
            {"label": "model.dense.activation", "number": False, "log": False},
            {"label": "optimizer.adam.rate", "number": True, "log": True},
        ],
    }
    with Store.create(folder / "studies", "digits-1", settings) as store:
        store.queue("study")
        for number, value in enumerate(VALUES):
            point = {"model.dense.units": 8 << number, "optimizer.adam.rate": 10.0 ** (-number)}
            point |= {"model.dense.activation": "relu" if number % 2 else "tanh"}
            began = time.time() - 60 + 10 * number
            store.start(Trial(number, point, number, began))
            status = Status.FAILED if value is None else Status.OK
            history = () if value is None else ({"val_accuracy": value},)
            key = Key("digits-1", number)
            store.end(Outcome(key, status, value=value, history=history, seconds=9.0), began + 9)
        store.queue("finish")
        recorder = Recorder(store, server_uri())
        assert recorder.flush(60)
        recorder.close()
        return f"{server_uri()}/{recorder.link}"


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_link_opens_on_our_columns_best_trial_first(tmp_path: Path, direction: str) -> None:
    address = recorded(tmp_path, direction)
    best_first = sorted((v for v in VALUES if v), reverse=direction == "maximize")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 700})
        page.goto(address)
        cells = page.locator("[role=gridcell][col-id='metrics.`objective`']")
        sync_api.expect(cells.first).to_contain_text(f"{best_first[0]}", timeout=60_000)
        shown = [float(text) for text in cells.all_inner_texts() if text.strip(" -")]
        headers = page.locator("[role=columnheader]").all_inner_texts()
        body = page.inner_text("body")
        if "HPSEARCH_SCREENSHOT" in os.environ and direction == "maximize":
            page.screenshot(path=os.environ["HPSEARCH_SCREENSHOT"])
        browser.close()
    assert shown == best_first
    headers = [text.strip() for text in headers]
    for column in ("Duration", "objective", "val_accuracy", "model.dense.units"):
        assert column in headers
    for column in ("model.dense.activation", "optimizer.adam.rate", "hpsearch.state"):
        assert column in headers
    assert "share key" not in body  # MLflow's words where it cannot read the view
