"""A choice of any subset of named options: what the pieces with `among=` have in common."""

import functools

from hpsearch import choice


def one_of(options, among, name=None):
    """A choice of the options that `among` names, in that order.

    Args:
        options: all there are, by name.
        among: names of some of them.
        name: the label, where one value is to serve several places.

    Raises:
        ValueError: if `among` names none of them, something else, or one twice.

    >>> one_of({"a": 1, "b": 2, "c": 3}, among=("c", "a"))
    choice([3, 1])
    """
    names = (among,) if isinstance(among, str) else tuple(among)
    unknown = [key for key in names if key not in options]
    if not names or unknown or len(set(names)) < len(names):
        raise ValueError(
            f"among takes different names out of {', '.join(options)}; got {among!r}. "
            f"Write for example among={tuple(options)[:2]!r}."
        )
    return choice({key: options[key] for key in names}, name=name)


def in_places(options, among, name):
    """A choice for a list of layers: with a name one parameter, in however many places it stands.

    A word with a name may stand twice, two words of one name may not; so the same call gives the
    same word. Without a name each call gives a word of its own, labelled by where it stands.

    Args:
        options: a function that declares all there are, by name.

    >>> in_places(letters := lambda: {"a": 1, "b": 2}, "b", "n") is in_places(letters, "b", "n")
    True
    """
    if name is None:
        return one_of(options(), among)
    return _named(options, (among,) if isinstance(among, str) else tuple(among), name)


@functools.cache
def _named(options, among, name):
    return one_of(options(), among, name)
