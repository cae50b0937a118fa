"""The names that hyperas gave to its templates, so that old results can be read.

hyperas takes, for each template in the text of the model function, the word that stands before
``(`` or ``=`` in front of the *first* place where the same template text occurs; where there is
none, the name of the template before it. A name that is taken gets a number. Its pattern ends at
the first ``}``, so a template with a dict in it was none.
"""

from __future__ import annotations

import re

__all__ = ["old_names"]

TEMPLATE = re.compile(r"\{\{[^}]+\}\}")


def old_names(text: str) -> dict[tuple[int, int], str]:
    """The name that hyperas gave to each template of a model function's text, by start and end.

    A template is missing where hyperas could not read all of it; the name is ``""`` where it
    failed because no template before it had one.
    """
    bare: list[str] = []
    for found in TEMPLATE.finditer(text):
        before = re.search(r"(\w+)\s*[=(]\s*" + re.escape(found[0]), text)
        bare.append(before[1] if before else bare[-1] if bare else "")
    taken: dict[str, int] = {}
    names = {}
    for found, name in zip(TEMPLATE.finditer(text), bare, strict=True):
        again = taken.get(name, -1) + 1
        taken[name] = again
        names[found.span()] = f"{name}_{again}" if again and name else name
    return names
