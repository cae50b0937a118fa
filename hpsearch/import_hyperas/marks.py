"""What the conversion knows of a node of the syntax tree, beside what is written there.

A node carries its mark with it, so that its copies have it too; `ast` itself does not look at it.
"""

from __future__ import annotations

import ast
from typing import TypedDict, TypeVar, Unpack

__all__ = ["Mark", "called", "imported", "is_delayed", "is_ours", "mark_of", "marked"]

ATTRIBUTE = "hpsearch_mark"
N = TypeVar("N", bound=ast.AST)


class Mark(TypedDict, total=False):
    """What may be known; what is not known is missing.

    Attributes:
        template: the number of the template whose word this call is.
        module: where the space module imports this name from.
        keras: what of Keras 3 this name or attribute is, without ``keras.``: `layers.Dense`.
        word: the word that this name stands for, in a condition.
        chosen: this `match` picks one of several values, so that it may become a `choice`.
        rewritten: it is not as the file has it.
        local: the name that the file gave this word.
        broken: it is printed on several lines.
        above: comments that stand above it.
    """

    template: int
    module: str
    keras: str
    word: ast.expr
    chosen: bool
    rewritten: bool
    local: str
    broken: bool
    above: list[str]


def mark_of(node: ast.AST) -> Mark:
    """What is known of a node."""
    found: Mark = getattr(node, ATTRIBUTE, Mark())
    return found


def marked(node: N, **more: Unpack[Mark]) -> N:
    """The node itself, with more known of it."""
    setattr(node, ATTRIBUTE, {**mark_of(node), **more})
    return node


def imported(name: str, module: str) -> ast.Name:
    """A name that the space module has to import."""
    made = marked(ast.Name(name, ast.Load()), module=module)
    return marked(made, keras=name) if module == "hpsearch.keras" else made


def is_ours(node: ast.AST) -> bool:
    """Whether the conversion wrote this name."""
    return "module" in mark_of(node)


def is_delayed(node: ast.AST) -> bool:
    """Whether this is ``delayed(…)``."""
    return isinstance(node, ast.Call) and is_ours(node.func) and ast.unparse(node.func) == "delayed"


def called(node: ast.AST) -> str:
    """What of Keras 3 this is a call of, as `layers.Dense`; "" for anything else."""
    return mark_of(node.func).get("keras", "") if isinstance(node, ast.Call) else ""
