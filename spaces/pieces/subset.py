"""A choice of any subset of named options: what the pieces with `among=` have in common."""

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
