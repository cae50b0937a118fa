"""Finding a space: a file of the user's, or a ready space by its name.

Loading runs the file as Python does a script: its own folder is importable. Nothing else is ever
run: no code from a record, a database or the network.
"""

from __future__ import annotations

import difflib
import sys
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, final

from ..errors import HpsearchError, SpaceError, nearest
from .nouns import Space

__all__ = ["RUN_AS", "Loaded", "find", "glance", "load", "ready_spaces"]

RUN_AS = "hpsearch_space_"  # with the file's name after it: the module that a file is run as
LARGEST_FILE = 1_000_000  # bytes; more is not a space someone wrote
LONGEST_NAME = 100  # characters of a name in a message


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
    try:
        there = Path(target).exists()
        name, _, variable = (target, "", "") if there else target.partition(":")
        return _find(name), variable
    except OSError as error:  # a path that is too long, or may not be looked at
        raise _unreadable(target, error) from None


def glance(target: str) -> None:
    """Look whether `target` names a file that Python can read. Runs and imports nothing.

    Raises:
        SpaceError: if it does not.
    """
    path, _ = find(target)
    with warnings.catch_warnings():  # they come when the file is run
        warnings.simplefilter("ignore")
        _compiled(path, _read(path))


def ready_spaces() -> dict[str, Path]:
    """The spaces that come with hpsearch, by name."""
    import hpsearch.spaces

    found: dict[str, Path] = {}
    for folder in hpsearch.spaces.__path__:
        for path in sorted(Path(folder).glob("*.py")):
            if not path.stem.startswith("_"):
                found.setdefault(path.stem, path)
    return found


def _unreadable(name: str, error: OSError) -> SpaceError:
    shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
    return SpaceError(
        f"{shown} cannot be read: {error.strerror}. Name a Python file that you may read."
    )


def _find(name: str) -> Path:
    path = Path(name)
    if path.is_symlink() and not path.exists():
        path.stat()  # says why
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
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise SpaceError(
                f"{path.name} is larger than {LARGEST_FILE:,} bytes: not a space file. "
                "Keep the data in a file of its own."
            )
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _unreadable(path.name, error) from None
    except UnicodeDecodeError as error:
        raise SpaceError(f"{path.name} is not a text file in UTF-8: {error.reason}.") from None
    if not text.strip():
        raise SpaceError(
            f"{path.name} is empty. `hpsearch new {path.name}` writes one to start from."
        )
    return text


def _compiled(path: Path, source: str) -> CodeType:
    try:
        return compile(source, str(path), "exec")
    except (RecursionError, MemoryError) as error:
        raise SpaceError(
            f"{path.name} cannot be read as Python: it is nested too deeply. "
            "Take such expressions apart."
        ) from error
    except (SyntaxError, ValueError) as error:
        number = error.lineno if isinstance(error, SyntaxError) else None
        line = f":{number}" if number else ""
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        raise SpaceError(f"{path.name}{line}: not Python: {text}") from error


def _run(path: Path, source: str) -> ModuleType:
    """Execute the file as a module under a name of its own."""
    code = _compiled(path, source)
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
    try:
        text = str(error)
    except Exception:  # it is the user's own class
        text = "its text cannot be made"
    return f"{where}: {type(error).__name__}: {text}"


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
