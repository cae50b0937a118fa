"""`hpsearch spaces` and `new`: the ready spaces, and a file to start from."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

import click

from ..errors import SpaceError, nearest

__all__ = ["new_command", "spaces_command"]

TEMPLATE = '''"""A search space: run it with `hpsearch run {name}`."""

from sklearn.datasets import load_digits

from hpsearch import Data, Fit, Space, choice, given, loguniform, maybe, uniform
from hpsearch.keras import Sequential, layers, optimizers

x, y = load_digits(return_X_y=True)  # your data: x has n rows, y a class for each

space = Space(
    data=Data((x[:1500] / 16, y[:1500]), validation=0.2, test=(x[1500:] / 16, y[1500:])),
    model=Sequential([
        layers.Dense(choice([32, 64, 128]), activation=choice(["relu", "tanh"])),
        maybe(layers.Dropout(uniform(0, 0.5))),
        layers.Dense(given.classes, activation="softmax"),
    ]),
    optimizer=choice({{
        "adam": optimizers.Adam(loguniform(1e-4, 1e-1)),
        "sgd": optimizers.SGD(loguniform(1e-3, 1), momentum=uniform(0, 0.95)),
    }}),
    loss="sparse_categorical_crossentropy",
    fit=Fit(batch_size=choice([32, 64, 128]), epochs=10),
    maximize="val_accuracy",
)
'''


@click.command("spaces", epilog="\b\nExamples:\n  hpsearch spaces\n  hpsearch run digits_mlp -n 20")
def spaces_command() -> None:
    """List the ready spaces with what each is about."""
    from ..space import ready_spaces
    from .tables import print_table

    rows = []
    for name, path in ready_spaces().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        text = ast.get_docstring(tree) or ""
        rows.append([name, text.splitlines()[0] if text else ""])
        rows += [[f"{name}:{other}", f"  {about}"] for other, about in _others(tree)]
    print_table(["space", "about"], rows)
    folders = sorted({str(path.parent) for path in ready_spaces().values()})
    click.echo(
        f"\nTheir files are in {', '.join(folders)}; `hpsearch new mine.py --from NAME` copies one."
    )


def _others(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The other spaces of a file: they have their text below them, as no other variable there has."""
    for node, after in itertools.pairwise(tree.body):
        match node, after:
            case (
                ast.Assign(targets=[ast.Name(name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ) if name != "space":
                yield name, text


@click.command(
    "new",
    epilog="""\b
Examples:
  hpsearch new my_space.py
  hpsearch new my_moons.py --from moons
  hpsearch check my_space.py""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--from", "ready", metavar="NAME", help="Copy a ready space, see `hpsearch spaces`.")
def new_command(file: Path, ready: str | None) -> None:
    """Write FILE, a small space that runs, to change into your own."""
    if file.suffix != ".py":
        raise SpaceError(
            f"A space is a Python file, got {file.name!r}. Write `hpsearch new {file}.py`."
        )
    text = TEMPLATE.format(name=file) if ready is None else _text_of(ready)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise SpaceError(f"{file} is there already. Give another name.") from None
    except OSError as error:
        raise SpaceError(f"{file} cannot be written: {error.strerror}.") from None
    _, colon, variable = (ready or "").partition(":")
    target = f"{file}{colon}{variable}"
    click.echo(f"Wrote {file}. Next: hpsearch check {target}, then hpsearch run {target} -n 20")


def _text_of(ready: str) -> str:
    from ..space import ready_spaces

    spaces = ready_spaces()
    name, _, variable = ready.partition(":")  # the other spaces of a file come with it
    if name not in spaces:
        raise SpaceError(f"There is no ready space {name!r}. {nearest(name, spaces)}")
    text = spaces[name].read_text(encoding="utf-8")
    others = [other for other, _ in _others(ast.parse(text))]
    if variable and variable not in ("space", *others):
        known = [f"{name}:{other}" for other in others] or [name]
        raise SpaceError(f"There is no ready space {ready!r}. {nearest(ready, known)}")
    return text
