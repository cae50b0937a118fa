"""The projection of a study into MLflow, and what is read back from there.

The study store is the truth; see `hpsearch.store`. Only this package imports MLflow, and only when
it is used. What MLflow is told is plain data made in `content`; `projection` writes it, in the
thread of `recorder`; `models` keeps the best models and the registry; `view` is how the page opens.
"""

from hpsearch.record.content import Facts, Label, Settings, without_passwords
from hpsearch.record.models import Champion, Registered, champion, log_model, registered_name
from hpsearch.record.recorder import Recorder
from hpsearch.record.tracking import check, tracking_uri, ui_command, ui_line

__all__ = [
    "Champion",
    "Facts",
    "Label",
    "Recorder",
    "Registered",
    "Settings",
    "champion",
    "check",
    "log_model",
    "registered_name",
    "tracking_uri",
    "ui_command",
    "ui_line",
    "without_passwords",
]
