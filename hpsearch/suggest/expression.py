"""Any space of hyperopt as columns of codes: its expression read once, raw values encoded.

Every parameter is found with the options of switches that lead to it, whatever the switches ask: a
choice, or an expression of several parameters. hyperopt 0.3.0's own `expr_to_config` fails on
`pchoice` (AttributeError) and on such expressions (AssertionError), so the reading is ours.
"""

from __future__ import annotations

import itertools
import math
import numbers
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, final

import numpy as np
from hyperopt.pyll import Literal, dfs, rec_eval
from hyperopt.pyll.base import GarbageCollected
from hyperopt.pyll.stochastic import implicit_stochastic_symbols

from .codes import Atom, Codes, Column
from .columns import Columns
from .priors import Listed, Raw, Scale, scale_of

__all__ = ["Expression", "fingerprint"]

Asked: TypeAlias = tuple[int, int]  # the number of an index of switches, and an option
Place: TypeAlias = frozenset[Asked]

MOST_PLACES = 100  # ways to a parameter that are told apart


@final
class Expression:
    """A hyperopt expression as columns.

    Attributes:
        columns: one for each label, those that decide before those that they decide about.
    """

    def __init__(self, expression: Any) -> None:
        graph = _Graph(expression)
        labels = graph.ordered()
        self._labels = labels
        self._nodes = [graph.parameters[label] for label in labels]
        self._numbers = {node: j for j, node in enumerate(self._nodes)}
        self._bounds = [self._read(node.pos_args[1]) for node in self._nodes]
        self._scales = [
            None if bounds else scale_of(label, node.pos_args[1], {}, graph.order(node))
            for label, node, bounds in zip(labels, self._nodes, self._bounds, strict=True)
        ]
        atoms = {
            asked: self._atom(graph.indexes[asked[0]], asked[1])
            for label in labels
            for place in graph.places[label]
            for asked in place
        }
        self.columns = Columns(
            [
                Column(
                    label,
                    None if scale is None else scale.edges,
                    scale is None or scale.ordered,
                    tuple(tuple(atoms[asked] for asked in place) for place in graph.places[label]),
                    None if scale is None else scale.snap,
                )
                for label, scale in zip(labels, self._scales, strict=True)
            ],
            key=self._key if any(self._bounds) else None,
        )

    def rows(self, points: Sequence[Mapping[str, Any]]) -> Codes:
        """Return the codes (n, columns) of raw values; NaN for labels that are missing or not active.

        A value that the prior cannot draw counts as the nearest that it can; what is no number is
        taken as missing.
        """
        raws = np.array(
            [[_number(point.get(label)) for label in self._labels] for point in points]
        ).reshape(len(points), len(self._labels))
        found = np.full_like(raws, np.nan)
        with np.errstate(over="ignore"):
            for j, scale in enumerate(self._scales):
                here = ~np.isnan(raws[:, [j, *self._bounds[j]]]).any(axis=1)
                if scale is not None:
                    found[here, j] = scale.codes(raws[here, j])
                    continue
                for i in np.flatnonzero(here):
                    memo = {self._nodes[k]: raws[i, k] for k in self._bounds[j]}
                    found[i, j] = self._scale(j, memo).codes(raws[i, [j]])[0]
        return self.columns.blanked(found)

    def raws(self, row: Codes) -> dict[str, Raw]:
        """Return the raw values of the active columns of a row, as hyperopt's documents hold them."""
        values = self._values(range(len(row)), row.tolist())
        pairs = zip(self._labels, self._nodes, strict=True)
        return {label: values[node] for label, node in pairs if node in values}

    def _key(self, row: Codes) -> bytes:
        """Of a row's values: where bounds depend on others, a range of codes can be one value."""
        return repr(self.raws(row)).encode()

    def _read(self, node: Any) -> tuple[int, ...]:
        """The columns of the parameters that an expression reads."""
        return tuple(sorted(self._numbers[each] for each in _parameters(node)))

    def _scale(self, j: int, memo: Mapping[Any, Raw]) -> Scale:
        """The scale of a column where other parameters have these values."""
        prior = self._nodes[j].pos_args[1]
        return self._scales[j] or scale_of(self._labels[j], prior, memo, ordered=True)

    def _values(self, columns: Sequence[int], codes: Sequence[float]) -> dict[Any, Raw]:
        """The raw value of each node; those that others have in their bounds come first."""
        memo: dict[Any, Raw] = {}
        for j, code in zip(columns, codes, strict=True):
            if not math.isnan(code):
                memo[self._nodes[j]] = self._scale(j, memo).value(code)
        return memo

    def _atom(self, index: Any, option: int) -> Atom:
        """One switch on the way: its index has to be the option's."""
        columns = self._read(index)
        idle = {self._nodes[j]: GarbageCollected for j in columns}

        def holds(codes: Sequence[float]) -> bool:
            try:
                found = rec_eval(
                    index, memo=idle | self._values(columns, codes), print_node_on_error=False
                )
            except Exception:  # reads what is not active: then the switch is not, either
                return False
            return bool(np.asarray(found).item() == option)

        scale = self._scales[columns[0]] if len(columns) == 1 else None
        if isinstance(scale, Listed):
            allowed = [holds((code,)) for code in scale.codes(np.array(scale.values)).tolist()]
            return Atom(columns, allowed=np.array(allowed, dtype=bool))
        return Atom(columns, holds=holds, partly=True)


def fingerprint(expression: Any) -> Hashable:
    """Equal for expressions written alike; objects other than numbers and texts count by identity."""
    position = {node: number for number, node in enumerate(dfs(expression))}

    def described(node: Any) -> Hashable:
        if isinstance(node, Literal):
            plain = isinstance(node.obj, str | bytes | int | float | np.number | None)
            return type(node.obj), repr(node.obj) if plain else id(node.obj)
        names = tuple(name for name, _ in node.named_args)
        return node.name, names, tuple(position[child] for child in node.inputs())

    return tuple(described(node) for node in position)


@final
class _Graph:
    """The parameters of an expression, and where each is needed.

    Attributes:
        parameters: the node of each label.
        places: the ways to it, each the options that have to be taken; by label.
        indexes: what switches ask.
    """

    def __init__(self, root: Any) -> None:
        nodes = dfs(root)
        self.parameters = {node.pos_args[0].obj: node for node in _parameters(root)}
        self.places: dict[str, list[Place]] = {}
        self.indexes: list[Any] = []
        self._options: dict[Any, list[list[Any]]] = defaultdict(list)
        for node in nodes:
            if node.name == "switch":
                self._options[node.pos_args[0]].append(node.pos_args[1:])
        self.indexes = list(self._options)
        self._asked = {index: number for number, index in enumerate(self.indexes)}
        self._widths = [max(map(len, options)) for options in self._options.values()]
        self._random = {index for index in self.indexes if _is_random(index)}
        self._find_places(nodes)

    def order(self, node: Any) -> Sequence[int] | None:
        """The options of a parameter in the order of their numbers; see `scale_of`."""
        if node not in self._options:
            return None
        found = {_order(options) for options in self._options[node]}
        return found.pop() if len(found) == 1 else ()

    def ordered(self) -> list[str]:
        """Labels with those that decide before those that they decide about, else as found."""
        done: dict[str, None] = {}

        def put(label: str) -> None:
            if label in done:
                return
            asked = {number for place in self.places[label] for number, _ in place}
            read = [self.parameters[label].pos_args[1], *(self.indexes[n] for n in sorted(asked))]
            for node in itertools.chain.from_iterable(map(_parameters, read)):
                put(node.pos_args[0].obj)
            done[label] = None

        for label in self.parameters:
            put(label)
        return list(done)

    def _find_places(self, nodes: Sequence[Any]) -> None:
        found: dict[Any, set[Place]] = defaultdict(set)
        found[nodes[-1]] = {frozenset()}
        for node in reversed(nodes):  # what reads a node comes before it
            here = self._simplified(found.pop(node, set()))
            if node.name == "hyperopt_param":
                self.places[node.pos_args[0].obj] = sorted(here, key=sorted)
            for child, asked in self._children(node):
                if asked is None:
                    found[child] |= here
                else:
                    found[child] |= {place | {asked} for place in here if _allows(place, asked)}

    def _children(self, node: Any) -> Iterator[tuple[Any, Asked | None]]:
        """What a node reads, and what has to be so that it does."""
        if node.name != "switch" or node.pos_args[0] in self._random:
            yield from ((child, None) for child in node.inputs() if not isinstance(child, Literal))
            return
        index, *options = node.pos_args
        yield index, None
        for number, option in enumerate(options):
            if not isinstance(option, Literal):
                yield option, (self._asked[index], number)

    def _simplified(self, places: set[Place]) -> set[Place]:
        """The same in fewer places, or what all of many have in common."""
        if len(places) > MOST_PLACES:
            return {frozenset.intersection(*places)}
        found = _shortest(places)
        while wider := {rest for place in found for rest in self._without_a_question(place, found)}:
            found = _shortest(found | wider)
        return found

    def _without_a_question(self, place: Place, places: set[Place]) -> Iterator[Place]:
        """A place without one of its questions if every answer to that leads to some place."""
        for asked in place:
            rest, number = place - {asked}, asked[0]
            answers = (rest | {(number, option)} for option in range(self._widths[number]))
            if all(any(other <= answer for other in places) for answer in answers):
                yield rest


def _parameters(node: Any) -> list[Any]:
    """The parameters that an expression reads, also those in the bounds of others."""
    return [each for each in dfs(node) if each.name == "hyperopt_param"]


def _is_random(index: Any) -> bool:
    """Whether an expression is drawn anew at each evaluation, not only from parameters."""
    priors = {node.pos_args[1] for node in _parameters(index)}
    return any(n.name in implicit_stochastic_symbols and n not in priors for n in dfs(index))


def _allows(place: Place, asked: Asked) -> bool:
    return all(number != asked[0] or option == asked[1] for number, option in place)


def _shortest(places: set[Place]) -> set[Place]:
    """Those that no shorter one contains."""
    return {place for place in places if not any(other < place for other in places)}


def _order(options: Sequence[Any]) -> tuple[int, ...]:
    """The order of three or more options that are all numbers, else nothing."""
    values = [option.obj for option in options if isinstance(option, Literal)]
    if len(values) < max(len(options), 3) or not all(map(_is_number, values)):
        return ()
    return tuple(sorted(range(len(values)), key=values.__getitem__))


def _number(value: Any) -> float:
    """A value as a float, NaN if it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
