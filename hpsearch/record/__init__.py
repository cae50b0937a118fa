"""The projection of a study into MLflow, and what is read back from there.

The study store is the truth; see `hpsearch.store`. Only this package imports MLflow, and only when
it is used. What MLflow is told is plain data made in `content`; `projection` writes it, in the
thread of `recorder`; `reading` reads it back; `models` has the best models and `registry` the champion
among them; `view` is how the page opens; `why` is what a suggestion is explained with.
"""

from ..store import without_passwords
from .content import Facts, Label, Settings, algorithms, assignments, test_of
from .models import fetch_model, log_model
from .reading import Recorded, read_space, read_study, read_trials
from .recorder import Recorder
from .registry import Champion, Registered, champion, registered_name
from .tracking import check, missing_file, tracking_uri, ui_command, ui_line
from .why import why_lines

__all__ = [
    "Champion",
    "Facts",
    "Label",
    "Recorded",
    "Recorder",
    "Registered",
    "Settings",
    "algorithms",
    "assignments",
    "champion",
    "check",
    "fetch_model",
    "log_model",
    "missing_file",
    "read_space",
    "read_study",
    "read_trials",
    "registered_name",
    "test_of",
    "tracking_uri",
    "ui_command",
    "ui_line",
    "why_lines",
    "without_passwords",
]
