"""Old Keras code as code of today, node by node, in two manners.

*Recorded*: Keras names are those of `hpsearch.keras` and templates are words; what cannot be
recorded raises `NotStraight`. *Live*: Keras names are written out (``keras.layers.Dense``) and
templates become the names of arguments; for functions that are kept as they are. Nodes that
changed are marked as rewritten, so that the text around them can stay as it was written.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar, final

from .arguments import modernised
from .marks import imported, mark_of, marked
from .names import GONE, HOMES, Imports
from .notes import Notes
from .templates import Source, template_number
from .words import Word, word_of

__all__ = [
    "Context",
    "NotStraight",
    "Translator",
    "calls_in",
    "loads",
    "named_metrics",
    "stores",
    "templates_in",
    "times_stored",
]

MERGES = {
    "add": "Add",
    "average": "Average",
    "concatenate": "Concatenate",
    "dot": "Dot",
    "maximum": "Maximum",
    "minimum": "Minimum",
    "multiply": "Multiply",
    "subtract": "Subtract",
}
MODES = {"sum": "Add", "mul": "Multiply", "concat": "Concatenate", "ave": "Average"}
MODES |= {"max": "Maximum", "dot": "Dot", "cos": "Dot"}
STORED = ("mnist", "fashion_mnist", "cifar10", "cifar100", "california_housing")
"""The datasets that `load_data` of the ready spaces reads; the others stay Keras's."""
RATE_SETTERS = ("callbacks.ReduceLROnPlateau", "callbacks.LearningRateScheduler")
NUMPY = {"float": "float", "int": "int", "bool": "bool", "object": "object", "str": "str"}
N = TypeVar("N", bound=ast.AST)


class NotStraight(Exception):
    """The body of a model function cannot be declared; it stays a function.

    Attributes:
        line: where.
        why: what stands there.
    """

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line, self.why = line, why


@final
class Context:
    """What is known of a file, and what its conversion has come to."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.imports = Imports(source.tree)
        self.notes = Notes()
        self.words: dict[int, Word] = {}
        self.inner: dict[int, ast.expr] = {}
        self.whole_names: set[str] = set()
        self.functions: set[str] = set()
        self.rate_set_by = ""  # the callback that sets the learning rate
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and self.imports.keras(node.func) in RATE_SETTERS:
                self.rate_set_by = (self.imports.keras(node.func) or "").partition(".")[2]
            number = template_number(node)
            if number is not None and isinstance(node, ast.Call):
                self.inner[number] = node.args[0]
            elif isinstance(node, ast.FunctionDef):
                self.functions.add(node.name)

    def line_of(self, number: int) -> int:
        """The line of a template."""
        return self.source.templates[number].line

    def word(self, number: int, *, as_int: bool = False) -> Word:
        """The word that a template becomes, the same one wherever it is asked for."""
        if number not in self.words:
            inner = copy.deepcopy(self.inner[number])
            if isinstance(inner, ast.Call):  # the distribution's own name is not Keras's
                translator = Translator(self, live=False)
                inner.args = [translator.visit(item) for item in inner.args]
                for keyword in inner.keywords:
                    keyword.value = translator.visit(keyword.value)
            line = self.line_of(number)
            word = word_of(inner, line, self.source.name, self.notes, as_int=as_int)
            marked(word.node, template=number)
            self.words[number] = word
        return self.words[number]


@final
class Translator(ast.NodeTransformer):
    """Translates copies of nodes.

    Args:
        live: the manner; see the module.
        hidden: names that mean something else than their import here.
        argument: live only: the name that a template becomes.
        fact: what takes the place of an expression that only asks about the data, None if the
            expression does not.
    """

    def __init__(
        self,
        context: Context,
        *,
        live: bool,
        hidden: set[str] | None = None,
        argument: Callable[[int], str] | None = None,
        fact: Callable[[ast.expr], ast.expr | None] | None = None,
    ) -> None:
        self.context, self.live = context, live
        self.hidden = hidden or set()
        self.argument = argument
        self.fact = fact or (lambda node: None)

    def of(self, node: N) -> N:
        """A translated copy of a node."""
        made: N = self.visit(copy.deepcopy(node))
        return made

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """A metric in a history or in the logs of a callback."""
        if node.value == "val_acc":
            return _changed(node, ast.Constant("val_accuracy"))
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id == "xrange" and node.id not in self.hidden:
            return _changed(node, ast.Name("range", node.ctx))
        return self._named(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        full = self.context.imports.full(node) or ""
        if full.startswith("numpy.") and full[6:] in NUMPY:
            return _changed(node, ast.Name(NUMPY[full[6:]], ast.Load()))
        made = self._named(node)
        return self.generic_visit(node) if made is node else made

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        known = self.fact(node)
        return self.generic_visit(node) if known is None else _changed(node, known)

    def visit_Tuple(self, node: ast.Tuple) -> ast.AST:
        known = self.fact(node)
        return self.generic_visit(node) if known is None else _changed(node, known)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        if templates_in(node):
            if self.live:
                return self.generic_visit(node)
            raise NotStraight(node.lineno, "a template inside a lambda")
        before, self.live = self.live, True  # it runs in the trial
        try:
            return self.generic_visit(node)
        finally:
            self.live = before

    def visit_Call(self, node: ast.Call) -> ast.AST:
        number = template_number(node)
        if number is not None:
            return self._template(node, number)
        known = self.fact(node)
        if known is not None:
            return _changed(node, known)
        if isinstance(node.func, ast.Name) and node.func.id == "int" and len(node.args) == 1:
            return self._int(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "compile":
            for keyword in node.keywords:
                if keyword.arg == "metrics":
                    keyword.value = named_metrics(keyword.value)
        name = self._keras(node.func)
        if name is None:
            return self.generic_visit(node)
        if name.startswith("datasets."):
            return self._dataset(node, name)
        made = self._merged(node, name) or self._time_distributed(node, name)
        if made is not None:
            layer: ast.AST = self.visit(made)
            return _changed(node, layer)
        changed = modernised(name, node, self.context.notes, self.context.rate_set_by)
        self.generic_visit(node)
        return marked(node, rewritten=True) if changed else node

    def _template(self, node: ast.Call, number: int) -> ast.AST:
        if self.argument is not None and self.live:
            self.context.word(number)
            return _changed(node, ast.Name(self.argument(number), ast.Load()))
        return _changed(node, self.context.word(number).node)

    def _int(self, node: ast.Call) -> ast.AST:
        number = template_number(node.args[0])
        if number is None:
            inner = node.args[0]
            if isinstance(inner, ast.Name) and inner.id in self.context.whole_names:
                return _changed(node, inner)
            return self.generic_visit(node)
        word = self.context.word(number, as_int=True)
        if word.whole:
            return _changed(node, self._template(node, number))
        return self.generic_visit(node)

    def _keras(self, node: ast.AST) -> str | None:
        """The Keras name of a node that is not hidden by a name of the function's own."""
        own = mark_of(node).get("keras")
        if own is not None:
            return own
        root = node
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name) and root.id in self.hidden:
            return None
        return self.context.imports.keras(node)

    def _named(self, node: ast.Name | ast.Attribute) -> ast.expr:
        name = self._keras(node) if isinstance(node.ctx, ast.Load) else None
        if name is None:
            return node
        if name in GONE:
            line = node.lineno
            self.context.notes.add(line, f"{name.rpartition('.')[2]} is not in Keras 3", GONE[name])
        elif name.startswith("backend."):
            self.context.notes.add(
                node.lineno, f"keras.{name} is not in Keras 3", "look for it in keras.ops"
            )
        section = name.partition(".")[0]
        if not self.live and HOMES.get(section) == "hpsearch.keras":
            made = _attribute(name, "hpsearch.keras")
        elif section == "ops":
            made = _attribute(name, "keras")
        else:
            made = _attribute(f"keras.{name}", "keras")
        return _changed(node, made)

    def _dataset(self, node: ast.Call, name: str) -> ast.AST:
        dataset = name.split(".")[1] if name.count(".") == 2 else ""
        for keyword in node.keywords:
            if keyword.arg == "nb_words":
                keyword.arg = "num_words"
        plain = dataset in STORED and not node.args and not node.keywords
        if plain and "load_data" not in self.context.functions:
            loader = imported("load_data", "hpsearch.spaces.pieces.data")
            return _changed(node, ast.Call(loader, [ast.Constant(dataset)], []))
        self.context.notes.add(
            node.lineno,
            f"the data {dataset} is loaded by Keras, which downloads it",
            "HPSEARCH_DATA does not hold for it; without a network load a file of your own",
        )
        assert isinstance(node.func, ast.Name | ast.Attribute), "what has a name of Keras"
        node.func = self._named(node.func)
        return marked(node, rewritten=True)

    def _merged(self, node: ast.Call, name: str) -> ast.Call | None:
        """``merge([a, b], mode="sum")`` and ``add([a, b])`` as a layer that is called."""
        section, _, function = name.rpartition(".")
        if section != "layers" or not node.args:
            return None
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        layer = MERGES.get(function)
        if function == "merge":
            mode = named.get("mode", ast.Constant("sum"))
            value = mode.value if isinstance(mode, ast.Constant) else None
            layer = MODES.get(value) if isinstance(value, str) else None
            named = {"axis": named["concat_axis"]} if "concat_axis" in named else {}
            if value == "cos":
                named = {"axes": ast.Constant(1), "normalize": ast.Constant(True)}
        if layer is None:
            return None
        keywords = [ast.keyword(key, value) for key, value in named.items()]
        made = _changed(node, ast.Call(_layer(layer, node), node.args[1:], keywords))
        return _changed(node, ast.Call(made, node.args[:1], []))

    def _time_distributed(self, node: ast.Call, name: str) -> ast.Call | None:
        if name != "layers.TimeDistributedDense":
            return None
        inner = _changed(node, ast.Call(_layer("Dense", node), node.args, node.keywords))
        return _changed(node, ast.Call(_layer("TimeDistributed", node), [inner], []))


def named_metrics(node: ast.expr) -> ast.expr:
    """Metrics with ``acc`` as ``accuracy``, as everything here calls it."""
    made = copy.deepcopy(node)
    for one in ast.walk(made):
        if isinstance(one, ast.Constant) and one.value == "acc":
            marked(one, rewritten=True).value = "accuracy"
    return made


def calls_in(node: ast.AST) -> Iterator[ast.Call]:
    """The calls inside a node, the outer before the inner."""
    return (one for one in ast.walk(node) if isinstance(one, ast.Call))


def templates_in(node: ast.AST | list[ast.stmt]) -> list[int]:
    """The numbers of the templates inside a node or statements, in order."""
    nodes = node if isinstance(node, list) else [node]
    found = (template_number(one) for outer in nodes for one in ast.walk(outer))
    return sorted(number for number in found if number is not None)


def loads(node: ast.AST | list[ast.stmt]) -> set[str]:
    """The names that a node or statements read."""
    return _names(node, ast.Load)


def stores(node: ast.AST | list[ast.stmt]) -> set[str]:
    """The names that a node or statements assign, or change an item of."""
    nodes = node if isinstance(node, list) else [node]
    changed = set()
    for one in (one for outer in nodes for one in ast.walk(outer)):
        if isinstance(one, ast.Subscript | ast.Attribute) and isinstance(one.ctx, ast.Store):
            root: ast.AST = one
            while isinstance(root, ast.Subscript | ast.Attribute):
                root = root.value
            changed |= {root.id} if isinstance(root, ast.Name) else set()
    return _names(node, ast.Store) | changed


def times_stored(body: list[ast.stmt]) -> Counter[str]:
    """How often each name is assigned in statements."""
    found = (one for node in body for one in ast.walk(node) if isinstance(one, ast.Name))
    return Counter(one.id for one in found if isinstance(one.ctx, ast.Store))


def _names(node: ast.AST | list[ast.stmt], context: type) -> set[str]:
    waiting: list[ast.AST] = list(node) if isinstance(node, list) else [node]
    found = set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.Name) and isinstance(one.ctx, context):
            found.add(one.id)
        if template_number(one) is None:  # what stands in a template is the word's affair
            waiting.extend(ast.iter_child_nodes(one))
    return found


def _attribute(name: str, module: str) -> ast.expr:
    root, *rest = name.split(".")
    made: ast.expr = imported(root, module)
    for part in rest:
        made = ast.Attribute(made, part, ast.Load())
    return marked(made, keras=name.removeprefix("keras."))


def _layer(name: str, node: ast.Call) -> ast.Name:
    """The name of a layer where a node stands."""
    return marked(_changed(node, ast.Name(name, ast.Load())), keras=f"layers.{name}")


def _changed(old: ast.AST, new: N) -> N:
    """The new node in the place of the old."""
    return marked(ast.copy_location(new, old), rewritten=True)
