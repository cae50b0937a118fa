"""The data part: what `data()` returns, what `fit` and `evaluate` were given of it, as `Data`.

Where the model function only hands arrays on to `fit`, ``data()`` itself becomes the delayed
function that returns `Data`. Where it computes with them, ``data()`` stays as it is, and both the
model function and a delayed one take the arrays from it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import final

from ..errors import SpaceError
from .marks import imported
from .objective import Objective
from .reading import Fitting, Reading
from .translate import loads, times_stored
from .words import number

__all__ = ["DataPart", "constants_of", "data_part", "fact_of", "returned"]

TEST = re.compile(r"(^|_)te(_|$)|test", re.IGNORECASE)
VALIDATION = re.compile(r"(^|_)(val|dev)(_|$)|valid", re.IGNORECASE)
TARGET = re.compile(r"(^|_)(y|label|labels|target|targets)(_|$)|^y|label|target", re.IGNORECASE)


@final
@dataclass(slots=True)
class DataPart:
    """What a model is trained and judged on, as expressions of the model function.

    Attributes:
        x, y, weight: the training part.
        validation: a fraction or (x, y), None for none.
        test: (x, y), None for none.
        from_generator: whether they were drawn by a generator, in batches that it made.
    """

    x: ast.expr
    y: ast.expr | None
    weight: ast.expr | None = None
    validation: ast.expr | None = None
    test: ast.expr | None = None
    from_generator: bool = False

    def expressions(self) -> list[ast.expr]:
        """Every expression of it."""
        found = (self.x, self.y, self.weight, self.validation, self.test)
        return [item for item in found if item is not None]

    def call(self) -> ast.Call:
        """``Data((x, y), validation=…, test=…)``."""
        train = [item for item in (self.x, self.y, self.weight) if item is not None]
        part = train[0] if len(train) == 1 else ast.Tuple(train, ast.Load())
        keywords = [
            ast.keyword(name, value)
            for name, value in (("validation", self.validation), ("test", self.test))
            if value is not None
        ]
        return ast.Call(imported("Data", "hpsearch"), [part], keywords)


@final
@dataclass(slots=True)
class Returned:
    """What ``data()`` returns.

    Attributes:
        values: the items of its one `return`, [] if it has several or none of its own.
        names: what each is called in the model function.
        statement: the return itself.
    """

    values: list[ast.expr] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    statement: ast.Return | None = None


def returned(reading: Reading) -> Returned:
    """What ``data()`` returns and what the model function calls it.

    hyperas bound by name: an argument of the model function is the variable of that name in
    ``data()``, whatever the order. Where the names differ, the order decides.
    """
    names = reading.parameters
    if reading.data is None:
        return Returned(names=names)
    found = [node for node in ast.walk(reading.data) if isinstance(node, ast.Return)]
    last = reading.data.body[-1]
    if len(found) != 1 or found[0] is not last or not isinstance(last, ast.Return):
        return Returned(names=names)
    value = last.value
    values = value.elts if isinstance(value, ast.Tuple | ast.List) else [value] if value else []
    own = [item.id if isinstance(item, ast.Name) else "" for item in values]
    if set(names) <= set(own) or len(names) != len(values):
        names = [name or f"part_{i}" for i, name in enumerate(own)]
    return Returned(list(values), names, last)


def constants_of(reading: Reading) -> dict[str, ast.expr]:
    """The plain numbers and strings that ``data()`` assigns once, at the level of its body."""
    if reading.data is None:
        return {}
    times, found = times_stored(reading.data.body), {}
    for statement in reading.data.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if times[name] == 1 and _plain(value):
                    found[name] = value
    return found


def _plain(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple | ast.List):
        return all(_plain(item) for item in node.elts)
    return isinstance(node, ast.Constant) or number(node) is not None


def data_part(reading: Reading, fitting: Fitting, objective: Objective) -> DataPart:
    """What the fit call and the objective say of the data; notes where hyperas used test data.

    Raises:
        SpaceError: if ``data()`` returns nothing.
    """
    _check_returned(reading)
    part = _trained_on(reading, fitting)
    split, given = fitting.arguments.get("validation_split"), _validation(reading, fitting)
    evaluated = _pair(objective.evaluated) if len(objective.evaluated) == 2 else None
    names = returned(reading).names
    named = _named(TEST, names)
    notes, line = reading.context.notes, fitting.call.lineno
    if split is not None and number(split) != 0:
        part.validation, part.test = split, evaluated or named
        if evaluated is not None and _is_test(evaluated):
            notes.add(
                line,
                f"hyperas chose the model by {ast.unparse(objective.evaluated[0])}, its test data",
                f"validation={ast.unparse(split)} decides here, and the test data is used once, "
                "at the end",
            )
        return part
    kept_apart = evaluated or _named(VALIDATION, names) or named
    part.validation = given or (None if objective.on_training else kept_apart)
    if part.validation is None and not objective.on_training:
        part.validation = ast.Constant(0.1)
        notes.add(line, "no validation data found", "a tenth of the training rows is taken here")
    part.test = next((p for p in (evaluated, named) if p and _apart(p, part.validation)), None)
    if part.test is None and part.validation is not None and _is_test(part.validation):
        notes.add(
            line,
            "hyperas chose the model by its test data, so that no test part is left",
            "for an honest test: Data((x, y), validation=0.1, test=(x_test, y_test))",
        )
    return part


def _check_returned(reading: Reading) -> None:
    if not returned(reading).names:
        line = (reading.data or reading.model).lineno
        raise SpaceError(
            f"{reading.context.source.name}:{line}: {reading.data_name}() must return what "
            f"{reading.model.name}() takes, and nothing is returned or taken. "
            "Write return x_train, y_train, x_test, y_test."
        )


def _trained_on(reading: Reading, fitting: Fitting) -> DataPart:
    notes, arguments = reading.context.notes, fitting.arguments
    x = arguments.get("x", arguments.get("generator"))
    assert x is not None, "a call of fit with arguments has the first"
    flow = _flow(reading, x)
    if flow is not None:
        named = {k.arg: k.value for k in flow.keywords}
        given = [*flow.args, *([named["x"]] if "x" in named else [])]
        y = flow.args[1] if len(flow.args) > 1 else named.get("y")
        batch = flow.args[2] if len(flow.args) > 2 else named.get("batch_size", ast.Constant(32))
        notes.add(
            fitting.call.lineno,
            f"{fitting.method} of a generator that augments; trained on the arrays themselves here",
            "augment with layers at the start of the model, or give a keras.utils.PyDataset as "
            "the training part of Data",
        )
        arguments["batch_size"] = batch
        return DataPart(given[0], y, from_generator=True)
    if fitting.method == "fit_generator":
        notes.add(
            fitting.call.lineno,
            "fit_generator of a generator of your own",
            "make it a keras.utils.PyDataset or a tf.data.Dataset: a plain generator is used up "
            "by the first trial",
        )
    return DataPart(x, arguments.get("y"), arguments.get("sample_weight"))


def _flow(reading: Reading, node: ast.expr | None) -> ast.Call | None:
    """The call ``datagen.flow(x, y, …)`` that this is, or was assigned."""
    if isinstance(node, ast.Name):
        for statement in reading.model.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == node.id:
                    return _flow(reading, value) if not isinstance(value, ast.Name) else None
    match node:
        case ast.Call(func=ast.Attribute(attr="flow"), args=[_, *_]):
            return node
    return None


def _validation(reading: Reading, fitting: Fitting) -> ast.expr | None:
    given = fitting.arguments.get("validation_data")
    flow = _flow(reading, given)
    if flow is not None:
        return _pair(tuple(flow.args[:2]))
    if isinstance(given, ast.List | ast.Tuple):
        return _pair(tuple(given.elts))
    return None if isinstance(given, ast.Constant) else given


def _pair(items: tuple[ast.expr, ...]) -> ast.expr:
    return ast.Tuple(list(items), ast.Load())


def _named(kind: re.Pattern[str], names: list[str]) -> ast.expr | None:
    """The two of the names that are of this kind of data by their names, inputs first."""
    found = [name for name in names if kind.search(name)]
    if len(found) != 2:
        return None
    found.sort(key=lambda name: TARGET.search(kind.sub("_", name)) is not None)
    return _pair(tuple(ast.Name(name, ast.Load()) for name in found))


def _apart(one: ast.expr, other: ast.expr | None) -> bool:
    """Whether two parts of the data have no array in common."""
    return other is None or not loads(one) & loads(other)


def _is_test(node: ast.expr) -> bool:
    return any(TEST.search(name) for name in loads(node))


def fact_of(part: DataPart, node: ast.expr) -> ast.expr | None:
    """What `given` says in place of an expression that only asks for a shape or a number of rows."""
    match node:
        case ast.Call(func=ast.Name(id="len"), args=[array], keywords=[]):
            return _given("rows") if _path(part.x, array) is not None else None
        case ast.Tuple(elts=[ast.Subscript(slice=ast.Constant(value=1)) as only]):
            whole = ast.Subscript(only.value, ast.Slice(ast.Constant(1)), ast.Load())
            return fact_of(part, whole)  # of rows of numbers: (x.shape[1],)
        case ast.Subscript(value=ast.Attribute(value=array, attr="shape"), slice=index):
            path = _path(part.x, array)
            at = number(index)
            if path is None:
                is_target = part.y is not None and ast.dump(part.y) == ast.dump(array)
                return _given("classes") if is_target and at in (1, -1) else None
            if at == 0:
                return _given("rows")
            shape = _given("shape")
            for key in path:
                shape = ast.Subscript(shape, ast.Constant(key), ast.Load())
            return _from_shape(shape, index, at)
    return None


def _from_shape(shape: ast.expr, index: ast.expr, at: float | None) -> ast.expr | None:
    """The part of a shape with the rows that `index` takes, of a shape without."""
    if at is not None:
        place = ast.Constant(int(at) - 1) if at > 0 else ast.UnaryOp(ast.USub(), ast.Constant(-at))
        return ast.Subscript(shape, place, ast.Load())
    match index:
        case ast.Slice(lower=lower, upper=None, step=None) if number(lower) == 1:
            return shape
    return None


def _given(fact: str) -> ast.expr:
    return ast.Attribute(imported("given", "hpsearch"), fact, ast.Load())


def _path(whole: ast.expr, array: ast.expr) -> list[str | int] | None:
    """Where an array is among the inputs: [] for the only one, a key or number for one of several."""
    if ast.dump(whole) == ast.dump(array):
        return []
    match array:
        case ast.Subscript(value=inner, slice=ast.Constant(value=str() as key)):
            if ast.dump(inner) == ast.dump(whole):
                return [key]
    items: list[tuple[str | int, ast.expr]] = []
    if isinstance(whole, ast.List | ast.Tuple):
        items = list(enumerate(whole.elts))
    elif isinstance(whole, ast.Dict):
        items = [
            (key.value, value)
            for key, value in zip(whole.keys, whole.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(key.value, str)
        ]
    return next(([key] for key, item in items if ast.dump(item) == ast.dump(array)), None)
