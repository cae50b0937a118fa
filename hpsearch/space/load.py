"""Finding a space: a file of the user's, or a ready space by its name.

Loading runs the file as Python does a script: its own folder is importable. Nothing else is ever
run: no code from a record, a database or the network.
"""

from __future__ import annotations

import difflib
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, final

from ..errors import HpsearchError, SpaceError, nearest
from .nouns import Space

__all__ = ["RUN_AS", "Loaded", "find", "load", "ready_spaces"]

RUN_AS = "hpsearch_space_"  # with the file's name after it: the module that a file is run as
LARGEST_FILE = 1_000_000  # bytes; more is not a space someone wrote


@final
@dataclass(frozen=True, slots=True)
class Loaded:
    """A space and where it came from.

    Attributes:
        name: the space's own name, else its file's, with the variable if it is not ``space``.
        path: the file, absolute.
        target: what loads it again: the path, with the variable if it is not ``space``.
        source: the file's text, for the record.
    """

    space: Space
    name: str
    path: Path
    target: str
    source: str


def load(target: str, source: str | None = None) -> Loaded:
    """Load the space that `target` names: ``digits_mlp``, ``my/space.py`` or ``space.py:other``.

    Args:
        source: the text of the file as it was read before, which it may have no longer.

    Raises:
        SpaceError: if there is no such file or ready space, it is not Python, raises, or has no
            variable ``space`` that is a `Space`.
    """
    path, variable = find(target)
    source = _read(path) if source is None else source
    module = _run(path, source)
    space = _space_in(module, variable or "space", path)
    again = f"{path}:{variable}" if variable else str(path)
    own = path.stem if variable in ("", "space") else f"{path.stem}-{variable}"
    return Loaded(space, space.name or own, path, again, source)


def find(target: str) -> tuple[Path, str]:
    """The file that `target` names, and the variable if it names one. Runs and imports nothing.

    Raises:
        SpaceError: if there is no such file or ready space.
    """
    name, _, variable = target.partition(":") if not Path(target).exists() else (target, "", "")
    return _find(name), variable


def ready_spaces() -> dict[str, Path]:
    """The spaces that come with hpsearch, by name."""
    import hpsearch.spaces

    found: dict[str, Path] = {}
    for folder in hpsearch.spaces.__path__:
        for path in sorted(Path(folder).glob("*.py")):
            if not path.stem.startswith("_"):
                found.setdefault(path.stem, path)
    return found


def _find(name: str) -> Path:
    path = Path(name)
    if path.is_dir():
        raise SpaceError(
            f"{name} is a folder. Name the file in it: {name.rstrip('/')}/my_space.py."
        )
    if path.exists() and not path.is_file():
        raise SpaceError(f"{name} is not a regular file. Name a Python file.")
    if path.is_file():
        return path.resolve()
    ready = ready_spaces()
    if name in ready:
        return ready[name]
    if path.suffix == ".py" or path.name != name:
        near = sorted(str(p) for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
        hint = nearest(name, near) if near else "Write one with `hpsearch new my_space.py`."
        raise SpaceError(f"There is no file {name}. {hint}")
    raise SpaceError(
        f"There is no ready space {name!r}. {nearest(name, ready)} Or name a .py file."
    )


def _read(path: Path) -> str:
    if path.stat().st_size > LARGEST_FILE:
        raise SpaceError(f"{path.name} is larger than {LARGEST_FILE:,} bytes: not a space file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpaceError(f"{path.name} is not a text file in UTF-8: {error.reason}.") from None
    if not text.strip():
        raise SpaceError(
            f"{path.name} is empty. `hpsearch new {path.name}` writes one to start from."
        )
    return text


def _run(path: Path, source: str) -> ModuleType:
    """Execute the file as a module under a name of its own."""
    try:
        code = compile(source, str(path), "exec")
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        raise SpaceError(f"{path.name}{line}: not Python: {text}") from error
    module = ModuleType(f"{RUN_AS}{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # so that classes in it can be found by their module
    if str(path.parent) not in sys.path:  # for good: a delayed function may import in the trial
        sys.path.insert(0, str(path.parent))
    try:
        exec(code, module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a file may call sys.exit
        raise SpaceError(_raised(error, path)) from error
    return module


def _raised(error: BaseException, path: Path) -> str:
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    where = f"{path.name}:{lines[-1]}" if lines else path.name
    if isinstance(error, HpsearchError):
        return f"{where}: {error}"
    return f"{where}: {type(error).__name__}: {error}"


def _space_in(module: ModuleType, variable: str, path: Path) -> Space:
    found: Any = getattr(module, variable, None)
    if isinstance(found, Space):
        return found
    spaces = [name for name, value in vars(module).items() if isinstance(value, Space)]
    if found is not None:
        raise SpaceError(
            f"{path.name}: `{variable}` must be a Space, got {type(found).__name__}. "
            f"Write `{variable} = Space(...)`."
        )
    near = difflib.get_close_matches(variable, spaces, n=1) or spaces[:1]
    hint = f"Write {path.name}:{near[0]}, or rename it." if spaces else "Add `space = Space(...)`."
    raise SpaceError(f"{path.name} has no variable `{variable}`. {hint}")
