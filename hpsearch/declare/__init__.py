"""The words with which a space is written; each checks itself on the line where it stands.

`expression` holds what is not known yet, `words` and `options` what is searched, `call` and
`parts` what is built.
"""

from __future__ import annotations

from .call import Applicable, Call, Recorder, delayed
from .expression import (
    FACTS,
    Condition,
    Derived,
    Expression,
    Given,
    given,
    identical,
    plain_value,
    same,
)
from .live import live_keras_object, refuse_live
from .names import check_name, part_name, snake
from .options import Choice, Maybe, choice, maybe
from .parts import Adapted, Match, Repeat, When, adapted, match, repeat, when
from .words import (
    Integer,
    Normal,
    Uniform,
    Word,
    integer,
    lognormal,
    loguniform,
    normal,
    uniform,
)

__all__ = [
    "FACTS",
    "Adapted",
    "Applicable",
    "Call",
    "Choice",
    "Condition",
    "Derived",
    "Expression",
    "Given",
    "Integer",
    "Match",
    "Maybe",
    "Normal",
    "Recorder",
    "Repeat",
    "Uniform",
    "When",
    "Word",
    "adapted",
    "check_name",
    "choice",
    "delayed",
    "given",
    "identical",
    "integer",
    "live_keras_object",
    "lognormal",
    "loguniform",
    "match",
    "maybe",
    "normal",
    "part_name",
    "plain_value",
    "refuse_live",
    "repeat",
    "same",
    "snake",
    "uniform",
    "when",
]
