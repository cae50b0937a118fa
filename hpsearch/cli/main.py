"""The command `hpsearch`: the group, how errors are shown, and where output goes.

Every command imports what it needs inside itself: `hpsearch --help` loads none of the heavy
libraries.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ..errors import HpsearchError

__all__ = ["BAD_INPUT", "INTERRUPTED", "NO_SUCCESS", "Commands", "cli", "main"]

BAD_INPUT, NO_SUCCESS, INTERRUPTED = 2, 3, 130
LINES, WIDTH, END = 6, 500, 120  # of a message: lines, characters in each, last ones if it is cut

COMMANDS = {
    "run": "run",
    "resume": "run",
    "check": "check",
    "list": "look",
    "show": "look",
    "best": "best",
    "failures": "failures",
    "export": "look",
    "predict": "best",
    "sync": "sync",
    "ui": "serve",
    "spaces": "start",
    "new": "start",
    "import-hyperas": "import_hyperas",
}
"""Each command with the module of this package that holds it, in the order of `--help`."""


class Commands(click.Group):
    """Loads a command's module only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        import importlib

        if name not in COMMANDS:
            return None
        module = importlib.import_module(f".{COMMANDS[name]}", __package__)
        found: click.Command = getattr(module, f"{name.replace('-', '_')}_command")
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from ..errors import nearest

        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            ctx.fail(f"There is no command {args[0]!r}. {nearest(args[0], COMMANDS)}")


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  hpsearch run digits_mlp --max-trials 20 --seed 1
  hpsearch new my_space.py      # then: hpsearch check my_space.py
  hpsearch ui""",
)
@click.version_option(package_name="hpsearch", message="hpsearch %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Find the hyperparameters of a Keras model; keep the record in MLflow.

    A search space is a Python file with a Keras model whose choices stand in place. Studies,
    models and the MLflow store live in the folder mlruns/.
    """
    ctx.obj = {"debug": debug}


def main() -> None:
    """Run the command line; exit codes are 0, 2 bad input, 3 no trial succeeded, 130 interrupted."""
    debug = "--debug" in sys.argv
    _end_orderly()
    try:
        with contextlib.suppress(BrokenPipeError):
            code = cli.main(args=_arguments(), prog_name="hpsearch", standalone_mode=False)
            sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        _refused(error, debug)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except HpsearchError as error:
        fail(str(error), debug)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EIO:  # the terminal was closed
            sys.exit(INTERRUPTED)
        fail(f"{type(error).__name__}: {error}", debug)


def _end_orderly() -> None:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does; `nohup` has one ignored, which stays."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def _arguments() -> list[str]:
    """`--debug` is taken anywhere on the line."""
    rest = [argument for argument in sys.argv[1:] if argument != "--debug"]
    return ["--debug", *rest] if len(rest) < len(sys.argv) - 1 else rest


def _refused(error: click.ClickException, debug: bool) -> None:
    """Show what click refused: how the command is used, and the message; or the help itself."""
    text = error.format_message()
    if text.startswith("Usage:"):
        click.echo(text, err=True)
        sys.exit(BAD_INPUT)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
        click.echo(f"Try '{error.ctx.command_path} --help' for help.\n", err=True)
    fail(f"{text} {_variable(error)}", debug)


def _variable(error: click.ClickException) -> str:
    """The environment variable that a refused value came from, in words."""
    context, param = getattr(error, "ctx", None), getattr(error, "param", None)
    if context is None or param is None or not isinstance(param.envvar, str):
        return ""
    source = context.get_parameter_source(param.name)
    given = source is click.core.ParameterSource.ENVIRONMENT
    return f"It is the variable {param.envvar} of the environment." if given else ""


def fail(text: str, debug: bool) -> None:
    """Print one message of at most six lines, or the traceback, and exit with 2."""
    if debug:
        traceback.print_exc()
    lines = [printable(line) for line in text.strip().splitlines() if line.strip()][:LINES]
    with contextlib.suppress(OSError):
        click.echo("Error: " + "\n  ".join(lines), err=True)
    sys.exit(BAD_INPUT)


def printable(line: str) -> str:
    """A line of a message: what a terminal would obey is written out, and what is long is cut."""
    shown = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)
    return shown if len(shown) <= WIDTH else f"{shown[: WIDTH - END - 1]}…{shown[-END:]}"


@contextlib.contextmanager
def only_json(wanted: bool) -> Iterator[Any]:
    """Yield a function that writes to standard output; with `wanted` nothing else gets there.

    Prints of Keras, MLflow, C++ code and the user's space go to standard error meanwhile.
    """
    if not wanted:
        yield click.echo
        return
    sys.stdout.flush()
    out = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield lambda text: os.write(out, (text + "\n").encode())
    finally:
        sys.stdout.flush()
        os.dup2(out, 1)
        os.close(out)


@contextlib.contextmanager
def waiting(text: str) -> Iterator[Callable[[str], None]]:
    """Show that something takes seconds, on a terminal only; yields what tells how far it is."""
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True, highlight=False).status(Text(f"{text} …")) as status:
        yield lambda more: status.update(Text(f"{text}: {more} …"))


def start_keras(folder: Path) -> None:
    """Import Keras with its backend's start-up lines in ``mlruns/startup.log``."""
    from ..train.startup import import_keras

    import_keras(folder / "startup.log")
