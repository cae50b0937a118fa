"""The ready spaces: beside this file in an installed wheel, in `spaces/` of a checkout."""

from pathlib import Path

_checkout = Path(__file__).resolve().parents[2] / "spaces"
if (_checkout / "pieces").is_dir():
    __path__.append(str(_checkout))
