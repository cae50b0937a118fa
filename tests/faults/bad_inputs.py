"""What is wrong with a command line, case by case; `inputs` runs them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["CASES", "SPACE", "Case", "on_space"]

SPACE = """
import numpy as np
from hpsearch import Data, Fit, Space, choice, loguniform
from hpsearch.keras import Sequential, layers, optimizers

x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
y = (x.sum(axis=1) > 0).astype("int32")
space = Space(
    data=Data((x, y), validation=0.25),
    model=Sequential([layers.Dense(choice([2, 4])), layers.Dense(2, activation="softmax")]),
    optimizer=optimizers.SGD(loguniform(1e-3, 1e-1)),
    loss="sparse_categorical_crossentropy",
    fit=Fit(epochs=1),
    maximize="val_accuracy",
)
"""
"""A space that works: with it only the other inputs are bad."""

PLAIN = "space = 3  # to be refused, once it is run\n"
DEEP = 100_000


@dataclass(frozen=True)
class Case:
    """A command line that is to be refused.

    Attributes:
        says: what the message must contain: the cause.
        files: what is in the folder, by name.
        make: makes what is no plain file.
        variables: of the environment.
        heavy: Keras or MLflow is needed to find the fault, so its time says nothing.
        studied: there are studies in ``mlruns``.
        real: it can be a process; an argument with a NUL in it cannot.
        inside: it can be run inside another process.
        powerless: permissions hold, also where the tests run as root.
    """

    arguments: tuple[str, ...]
    says: str
    code: int = 2
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    make: Callable[[Path], object] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    heavy: bool = False
    studied: bool = False
    real: bool = True
    inside: bool = True
    powerless: bool = False


def _space_files() -> Iterator[tuple[str, Case]]:
    draw = random.Random(1)

    def case(text: str | bytes, says: str, *, heavy: bool = False) -> Case:
        return Case(("run", "s.py", "-n", "1"), says, files={"s.py": text}, heavy=heavy)

    yield "random bytes", case(draw.randbytes(500), "s.py is not a text file in UTF-8")
    yield "UTF-16", case("space = 3".encode("utf-16"), "s.py is not a text file in UTF-8")
    yield "a byte order mark alone", case(b"\xef\xbb\xbf", "s.py is empty")
    yield (
        "a byte order mark and carriage returns",
        case(b"\xef\xbb\xbfx = 1\r\nspace = 3\r\n", "`space` must be a Space, got int", heavy=True),
    )
    yield "NUL bytes", case("x = 1\0\nspace = 2", "not Python: ")
    yield "nothing", case("", "s.py is empty")
    yield "blank lines", case(" \r\n\t\n", "s.py is empty")
    yield "two megabytes", case("#" * 2_000_000, "s.py is larger than 1,000,000 bytes")
    yield "no Python", case("space = (", "s.py:1: not Python: ")
    yield "a notebook", case('{"cells": [], "metadata": {', "s.py:1: not Python: ")
    yield "brackets without end", case("x = " + "(" * 5000, "not Python: too many nested")
    yield "a sum of 100,000 terms", case("x = " + "+".join("1" * DEEP), "s.py")
    yield "a chain of 100,000 attributes", case("x = a" + ".b" * DEEP, "nested too deeply")
    yield "minus signs", case("x = " + "-" * DEEP + "1", "nested too deeply")
    yield "a control character", case("space = \x1b[31m3", "s.py:1: not Python: ")
    yield (
        "it raises",
        case("x = 1\nraise RuntimeError('no')", "s.py:2: RuntimeError: no", heavy=True),
    )
    yield (
        "it raises forty lines",
        case("raise RuntimeError('line\\n' * 40)", "s.py:1: RuntimeError: line", heavy=True),
    )
    yield (
        "it raises what cannot be printed",
        case(
            "class Odd(Exception):\n    def __str__(self):\n        raise ValueError('no text')\nraise Odd()",
            "s.py:4: Odd",
            heavy=True,
        ),
    )
    yield "it exits", case("raise SystemExit(0)", "s.py:1: SystemExit: 0", heavy=True)
    yield (
        "it imports what is not there",
        case("import nothing_such", "ModuleNotFoundError", heavy=True),
    )
    yield "it recurses without end", case("def f():\n    f()\nf()", "RecursionError", heavy=True)
    yield "it has no space", case("spaces = 3", "s.py has no variable `space`", heavy=True)
    yield (
        "its space is a class",
        case("from hpsearch import Space\nspace = Space", "must be a Space, got type", heavy=True),
    )
    yield (
        "its space says wrong bounds",
        case("from hpsearch import uniform\nuniform(1, 0)", "uniform needs low < high", heavy=True),
    )
    yield (
        "its space branches on a choice",
        case(
            "from hpsearch import choice\nif choice([1, 2]) == 1:\n    pass",
            "has no value yet",
            heavy=True,
        ),
    )
    for command in ("check", "predict"):
        more = ("x.npy",) if command == "predict" else ()
        files = {"s.py": "space = (", "x.npy": _array()}
        yield f"no Python, {command}", Case((command, "s.py", *more), "not Python", files=files)


def _space_paths() -> Iterator[tuple[str, Case]]:
    def case(target: str, says: str, make: Callable[[Path], object] | None = None) -> Case:
        return Case(("run", target), says, make=make)

    yield "a folder", case("s", "s is a folder. Name the file in it", lambda at: (at / "s").mkdir())
    yield (
        "a folder called like a file",
        case("s.py", "s.py is a folder", lambda at: (at / "s.py").mkdir()),
    )
    yield "a pipe", case("s.py", "is not a regular file", lambda at: os.mkfifo(at / "s.py"))
    yield "a device", case("/dev/zero", "is not a regular file")
    yield (
        "a link to nothing",
        case(
            "s.py", "s.py cannot be read: No such", lambda at: (at / "s.py").symlink_to("gone.py")
        ),
    )
    yield (
        "a link to itself",
        case("s.py", "s.py cannot be read", lambda at: (at / "s.py").symlink_to("s.py")),
    )
    yield "a path below a file", case("s.py/t.py", "There is no file s.py/t.py", _write("s.py"))
    yield "no such file", case("typo.py", "There is no file typo.py")
    yield "no such folder", case("no/such.py", "There is no file no/such.py")
    yield (
        "a path of 5,000 characters",
        case("x" * 5000 + ".py", "cannot be read: File name too long"),
    )
    yield "a name of 5,000 characters", case("x" * 5000, "cannot be read: File name too long")
    yield "no name", case("", "is a folder")
    yield "an emoji", case("🦊", "There is no ready space '🦊'")
    yield "bytes that are no text", case("\udcff\udcfe.py", "There is no file")
    yield "an escape sequence", case("\x1b[31mred", "There is no ready space")
    yield "a URL", case("https://example.org/space.py", "There is no ready space 'https'")
    yield "a private module of the ready ones", case("pieces", "There is no ready space 'pieces'")
    yield (
        "no such variable of a ready one",
        Case(("run", "xor:nope"), "has no variable `nope`", heavy=True),
    )
    yield "a NUL", Case(("run", "a\0b.py"), "There is no file", real=False)
    unreadable = Case(("run", "s.py"), "s.py cannot be read: Permission denied", powerless=True)
    yield (
        "a file that must not be read",
        _replaced(unreadable, make=lambda at: (_write("s.py")(at), (at / "s.py").chmod(0))),
    )


def _points() -> Iterator[tuple[str, Case]]:
    def enqueue(text: str, says: str, **more: object) -> Case:
        return on_space(("--enqueue", text), says, **more)

    def fix(text: str, says: str, *others: str, **more: object) -> Case:
        return on_space(("--fix", text, *others), says, **more)

    yield "enqueue: no JSON", enqueue("{broken", "is not JSON")
    yield "enqueue: single quotes", enqueue("{'units': 2}", "is not JSON")
    yield "enqueue: a number", enqueue("[3]", "A point is an object like")
    yield "enqueue: nothing in it", enqueue("", "--enqueue needs a JSON object or a file")
    yield "enqueue: a list in a list", enqueue("[[{}]]", "A point is an object like")
    yield "enqueue: a key twice", enqueue('{"units": 2, "units": 4}', "'units' stands twice")
    yield "enqueue: NaN", enqueue('{"learning_rate": NaN}', "'NaN' is no number of JSON")
    yield "enqueue: Infinity", enqueue('{"learning_rate": -Infinity}', "'-Infinity' is no number")
    yield (
        "enqueue: too large for a float",
        enqueue('{"learning_rate": 1e999}', "is no number of JSON"),
    )
    yield (
        "enqueue: an integer of 5,000 digits",
        enqueue('{"units": ' + "9" * 5000 + "}", "is not JSON"),
    )
    yield (
        "enqueue: an integer of 400 digits",
        enqueue('{"learning_rate": ' + "9" * 400 + "}", "learning_rate", heavy=True),
    )
    yield "enqueue: brackets without end", enqueue("[" * DEEP, "is not JSON")
    yield (
        "enqueue: a value nested deeply",
        enqueue('{"units": ' + "[" * 900 + "]" * 900 + "}", "units", heavy=True),
    )
    yield "enqueue: 1e-3 as text", enqueue('{"learning_rate": "1e-3"}', "learning_rate", heavy=True)
    yield "enqueue: a wrong label", enqueue('{"unit": 2}', "no label 'unit'", heavy=True)
    yield "enqueue: a value that is no option", enqueue('{"units": 3}', "is no option", heavy=True)
    yield "enqueue: true for a number", enqueue('{"units": true}', "is no option", heavy=True)
    yield "enqueue: a list for a number", enqueue('{"units": [2]}', "is no option", heavy=True)
    yield "enqueue: an object for a number", enqueue('{"units": {}}', "is no option", heavy=True)
    yield "enqueue: half a character", enqueue('{"\\ud800": 2}', "no label", heavy=True)
    yield "enqueue: a NUL in a label", enqueue('{"un\\u0000its": 2}', "no label", heavy=True)
    yield "enqueue: an escape sequence", enqueue('{"\\u001b[31m": 2}', "no label", heavy=True)
    yield "enqueue: out of range", enqueue('{"learning_rate": 7}', "learning_rate", heavy=True)
    yield "enqueue: no such file", enqueue("points.json", "--enqueue needs a JSON object or a file")
    yield "enqueue: a folder", enqueue(".", "--enqueue needs a JSON object or a file")
    yield (
        "enqueue: a pipe",
        enqueue("points.json", "not a regular file", make=lambda at: os.mkfifo(at / "points.json")),
    )
    for name, text, says in (
        ("random bytes", random.Random(2).randbytes(300), "--enqueue needs a JSON object"),
        ("an empty file", b"", "got none in"),
        ("a broken line", b'{"units": 2}\r\n{"units"\r\n', "is not JSON"),
        ("twelve megabytes", b" " * 12_000_000, "larger than 10,000,000 bytes"),
        ("a file with a key twice", b'\xef\xbb\xbf{"a": 1, "a": 1}', "'a' stands twice"),
    ):
        yield f"enqueue: {name}", enqueue("p.json", says, files={"p.json": text})
    yield "fix: no value", fix("units", "write label=value")
    yield "fix: no label", fix("=2", "write label=value")
    yield "fix: nothing", fix("", "write label=value")
    yield "fix: twice", fix("units=2", "'units' is fixed twice", "--fix", "units=4")
    yield "fix: a wrong label", fix("unit=2", "no label 'unit'", heavy=True)
    yield "fix: no option", fix("units=3", "is no option", heavy=True)
    yield "fix: NaN", fix("learning_rate=NaN", "learning_rate", heavy=True)
    yield "fix: 1e-3 as text", fix('learning_rate="1e-3"', "learning_rate", heavy=True)
    yield "fix: an integer of 5,000 digits", fix(f"units={'9' * 5000}", "units", heavy=True)
    yield "fix: brackets without end", fix("units=" + "[" * DEEP, "units", heavy=True)
    yield "fix: a key twice", fix('units={"a": 1, "a": 2}', "units", heavy=True)
    yield (
        "fix against enqueue",
        fix("units=2", "is fixed at 2", "--enqueue", '{"units": 4}', heavy=True),
    )


def _names() -> Iterator[tuple[str, Case]]:
    for what, name in {
        "a parent folder": "../x",
        "a way out": "a/../../x",
        "an absolute path": "/tmp/x",
        "a dot": ".",
        "two dots": "..",
        "an option": "-x",
        "an emoji": "🦊",
        "300 characters": "x" * 300,
        "nothing": "",
        "a space": "a b",
        "a new line": "a\nb",
        "a backslash": "..\\x",
        "an escape sequence": "\x1b[2J",
        "bytes that are no text": "\udcff",
        "look-alikes of letters": "ａｂｃ",
    }.items():
        yield f"study name: {what}", on_space((f"--study={name}",), "A study's name has 1 to 100")
        yield f"show: {what}", Case(("show", "--", name), "There is no study", studied=True)
    yield (
        "study name: a NUL",
        _replaced(on_space(("--study=a\0b",), "A study's name has 1 to 100"), real=False),
    )


def _options() -> Iterator[tuple[str, Case]]:
    def bad(says: str, *arguments: str, **more: object) -> tuple[str, Case]:
        return " ".join(arguments), on_space(arguments, says, **more)

    yield bad("from 0 to 1000, got '-1'", "--workers", "-1")
    yield bad("a whole number from 0 to 1000", "--workers", "many")
    yield bad("from 0 to 1000, got '100000'", "--workers", "100000")
    yield bad("no label 'unit'", "--workers", "2", "--fix", "unit=2", heavy=True, inside=False)
    yield bad("A duration is", "--trial-timeout", "0")
    yield bad("A duration is", "--trial-timeout", "abc")
    yield bad("A duration is", "--timeout", "1y")
    yield bad("A duration is", "--timeout", "-5")
    yield bad("A duration is", "--timeout", "nan")
    yield bad("A duration is", "--timeout", "9" * 400)
    yield bad("A duration is", "--timeout", "")
    yield bad("An amount of memory is", "--trial-memory", "5")
    yield bad("An amount of memory is", "--trial-memory", "abc")
    yield bad("An amount of memory is", "--trial-memory", "9" * 400 + "GB")
    yield bad("trial_memory needs at least 100MB", "--workers", "1", "--trial-memory", "1MB")
    yield bad("needs trials in processes of their own", "--trial-timeout", "5")
    yield bad("needs trials in processes of their own", "--trial-memory", "4GB")
    yield bad("is 0, a part of a GPU", "--workers", "1", "--gpus-per-trial", "-1", inside=False)
    yield bad("is 0, a part of a GPU", "--workers", "1", "--gpus-per-trial", "nan", inside=False)
    yield bad("is 0, a part of a GPU", "--workers", "1", "--gpus-per-trial", "1.5", inside=False)
    yield bad("needs as many GPUs", "--workers", "1", "--gpus-per-trial", "9", inside=False)
    yield bad("is 0, a part of a GPU", "--workers", "1", "--gpus-per-trial", "inf", inside=False)
    yield bad("'fork' is not one of", "--start-method", "fork")
    yield bad("max_trials needs a whole number from 1", "--max-trials", "0")
    yield bad("max_trials needs a whole number from 1", "--max-trials", "-3")
    yield bad("is not a valid integer", "--max-trials", "1e3")
    yield bad("is not a valid integer", "--max-trials", "9" * 5000)
    yield bad("max_trials needs a whole number", "--max-trials", "9" * 30)
    yield bad("--max-evals is --max-trials here", "--max-evals", "5")
    yield bad("--n-trials is --max-trials here", "--n-trials", "5")
    yield bad("no_progress needs a whole number from 1", "--no-progress", "0")
    yield bad("max_consecutive_failures needs", "--max-consecutive-failures", "0")
    yield bad("keep_models needs a whole number from 0", "--keep-models", "-1")
    yield bad("seed needs a whole number from 0", "--seed", "-1")
    yield bad("seed needs a whole number", "--seed", "9" * 30)
    yield bad("is not a valid integer", "--seed", "0x10")
    yield bad("target needs a finite number", "--target", "nan")
    yield bad("target needs a finite number", "--target", "inf")
    yield bad("is not a valid number", "--target", "high")
    yield bad("There is no algorithm 'nope'", "--algo", "nope")
    yield bad("There is no algorithm ''", "--algo", "")
    yield bad("grid_steps needs a whole number from 1", "--algo", "grid", "--grid-steps", "0")
    yield bad("No such option '--max-trails'", "--max-trails", "5")
    yield bad("No such option '-z'", "-z")
    yield bad("Got unexpected extra argument", "another.py")
    yield bad("requires an argument", "--seed")
    yield bad("does not take a value", "--resume=yes")
    yield bad("has 1 to 500 characters, got 600", "--experiment", "x" * 600, heavy=True)
    yield bad("is a file", "--folder", "s.py")
    yield bad("cannot be made", "--folder", "s.py/deeper")
    yield bad("cannot be made", "--folder", "x" * 300)
    yield bad("cannot be made", "--folder", "/proc/none/such")
    yield bad("", "--tracking-uri", "nonsense://x", heavy=True)
    yield bad("", "--tracking-uri", "http://127.0.0.1:9", heavy=True)
    yield bad("", "--tracking-uri", "http://", heavy=True)
    yield bad("", "--tracking-uri", "postgresql://me:hunter2@127.0.0.1:9/x", heavy=True)
    yield bad("", "--tracking-uri", "sqlite:////proc/none/such.db", heavy=True)
    yield bad("", "--tracking-uri", "sqlite:///s.py", heavy=True)
    yield bad("", "--tracking-uri", "file:///tmp", heavy=True)
    yield bad("", "--tracking-uri", "\udcff", heavy=True)
    yield (
        "HPSEARCH_WORKERS=abc",
        on_space((), "HPSEARCH_WORKERS", variables={"HPSEARCH_WORKERS": "abc"}),
    )
    yield (
        "KERAS_BACKEND=nope",
        on_space((), "backend", variables={"KERAS_BACKEND": "nope"}, heavy=True, inside=False),
    )
    yield (
        "a folder that must not be written",
        on_space((), "cannot be", powerless=True, make=lambda at: at.chmod(0o555)),
    )


def _commands() -> Iterator[tuple[str, Case]]:
    def bad(says: str, *arguments: str, **more: object) -> tuple[str, Case]:
        text = " ".join(arguments) + (", studies there" if more.get("studied") else "")
        return text, Case(arguments, says, **more)  # type: ignore[arg-type]

    yield bad("There is no command 'rnu'. Did you mean 'run'", "rnu", "s.py")
    yield bad("There is no command ''", "")
    yield bad("No such option '--nope'", "--nope")
    yield bad("Missing argument 'SPACE'", "run")
    yield bad("Missing argument 'SPACE'", "check")
    yield bad("Missing argument", "predict")
    yield bad("Missing argument 'FILE'", "predict", "xor")
    yield bad("Missing argument 'FILE'", "new")
    yield bad("Missing argument 'FILE'", "import-hyperas")
    for command in ("resume", "show", "best", "failures", "export"):
        yield bad("There is no study in", command)
        yield bad("There is no study in", command, "nope")
        yield bad("There is no study 'nope'", command, "nope", studied=True)
    yield bad("There is no study in", "sync", "nope")
    yield bad("There is no study 'nope'", "sync", "nope", studied=True)
    yield bad("has no trial 99", "show", "good", "99", studied=True)
    yield bad("is not a valid integer", "show", "good", "x", studied=True)
    yield bad("is not a valid integer", "show", "good", "9" * 5000, studied=True)
    yield bad("No trial of bad has succeeded", "best", "bad", code=3, studied=True)
    yield bad("No trial of bad has succeeded", "best", "bad", "--code", code=3, studied=True)
    yield bad("begun by a script", "best", "good", "--code", studied=True)
    yield bad("Keras saves models as .keras files", "best", "good", "--save", "w.h5", studied=True)
    yield bad("were not kept", "best", "good", "--save", "w.keras", studied=True)
    yield bad("is a directory", "best", "good", "--save", ".", studied=True)
    yield bad("begun by a script", "resume", "good", studied=True)
    yield bad("which is not there any more", "resume", "fileless", studied=True)
    yield bad("There is no file", "best", "fileless", "--code", studied=True)
    yield bad("were not kept", "best", "fileless", "--save", "w.keras", studied=True)
    yield bad("from 0 to 1000, got '-2'", "resume", "fileless", "--workers", "-2", studied=True)
    yield bad(
        "There is a study 'good' already", "run", "s.py", "--study", "good",
        studied=True, heavy=True, files={"s.py": SPACE},
    )  # fmt: skip
    yield bad(
        "was begun with another space", "run", "s.py", "--study", "good", "--resume",
        studied=True, heavy=True, files={"s.py": SPACE},
    )  # fmt: skip
    yield bad("export writes .csv or .json", "export", "good", "-o", "t.xlsx", studied=True)
    yield bad("cannot be written", "export", "good", "-o", "no/such/t.csv", studied=True)
    yield bad("A space is a Python file", "new", "mine.txt")
    yield bad("cannot be written", "new", "no/such/mine.py")
    yield bad("cannot be written", "new", "x" * 300 + ".py")
    yield bad("is there already", "new", "s.py", files={"s.py": PLAIN})
    yield bad("There is no ready space 'moon'", "new", "mine.py", "--from", "moon")
    yield bad("There is no ready space '../x'", "new", "mine.py", "--from", "../x")
    yield bad("--space is for a study that is rebuilt", "resume", "--space", "s.py")
    yield bad("--study is for a study that is rebuilt", "resume", "--study", "x")
    yield bad("", "resume", "--from-mlflow", "nope", heavy=True)
    yield bad("listens on this machine only", "ui", "--host", "0.0.0.0", heavy=True)
    yield bad("70000 is not in the range", "ui", "--port", "70000")
    yield bad("There is no file x.npy", "predict", "xor", "x.npy", heavy=True)
    yield bad(
        "Predictions are written as .npy", "predict", "xor", "x.npy", "-o", "p.csv", heavy=True
    )
    yield bad("is not a .npy", "predict", "xor", "x.npy", files={"x.npy": b"no"}, heavy=True)
    yield bad(
        "There is no file x.npy", "predict", "xor", "x.npy", heavy=True,
        make=lambda at: os.mkfifo(at / "x.npy"),
    )  # fmt: skip
    yield bad("champion", "predict", "xor", "x.npy", files={"x.npy": _array()}, heavy=True)
    yield from _hyperas_files()


def _hyperas_files() -> Iterator[tuple[str, Case]]:
    for what, content, says in (
        ("random bytes", random.Random(3).randbytes(300), "h.py"),
        ("nothing", b"", "h.py"),
        ("no Python", b"def model(:", "h.py"),
        ("no hyperas", b"x = 1\n", "h.py"),
        ("minus signs", b"x = " + b"-" * DEEP + b"1", "h.py"),
        ("NUL bytes", b"x = 1\0", "h.py"),
        ("a broken notebook", b'{"cells": [3, {"source": 5}]}', "h.py"),
    ):
        yield (
            f"import-hyperas: {what}",
            Case(("import-hyperas", "h.py", "-o", "s.py"), says, files={"h.py": content}),
        )
    for what, content in (
        ("a list", b"[]"),
        ("no cells", b"{}"),
        ("cells of numbers", b'{"cells": 3}'),
    ):
        yield (
            f"import-hyperas: a notebook that is {what}",
            Case(("import-hyperas", "h.ipynb"), "h.ipynb", files={"h.ipynb": content}),
        )
    yield "import-hyperas: no such file", Case(("import-hyperas", "h.py"), "h.py")
    yield "import-hyperas: a folder", Case(("import-hyperas", "."), "")
    yield (
        "import-hyperas: a pipe",
        Case(("import-hyperas", "h.py"), "h.py", make=lambda at: os.mkfifo(at / "h.py")),
    )


def on_space(arguments: tuple[str, ...], says: str, **more: object) -> Case:
    """A search of the space that works, with something else wrong."""
    files = {"s.py": SPACE, **more.pop("files", {})}  # type: ignore[dict-item]
    return Case(("run", "s.py", *arguments), says, files=files, **more)  # type: ignore[arg-type]


def _replaced(case: Case, **changes: object) -> Case:
    return Case(**{**vars(case), **changes})  # type: ignore[arg-type]


def _write(name: str) -> Callable[[Path], object]:
    return lambda at: (at / name).write_text(PLAIN)


def _array() -> bytes:
    """A .npy file of two rows, made by hand: NumPy takes a while to import."""
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + bytes(16)


CASES: dict[str, Case] = {
    name: case
    for group in (_space_files, _space_paths, _points, _names, _options, _commands)
    for name, case in group()
}
"""What is wrong, and the command line with it."""
