"""The page for those who come from hyperas: its example is what the command makes of it."""

import re

from documents import DOCS, blocks, code_of

from hpsearch.import_hyperas import convert
from hpsearch.import_hyperas.words import DISTRIBUTIONS

PAGE = DOCS / "from-hyperas.md"
TEXTS = re.findall(
    r"^```text\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)


def test_the_space_on_the_page_is_what_the_file_above_it_becomes():
    (block,) = blocks(PAGE)
    module = convert(TEXTS[0], "digits.py").module
    assert module.partition('"""\n\n')[2] == block.code


def test_the_report_on_the_page_has_the_names_and_labels_of_the_file():
    found = convert(TEXTS[0], "digits.py")
    table = [re.split(r"\s{2,}", line) for line in TEXTS[1].splitlines()[1:7]]
    assert [[row.old, row.label, row.word] for row in found.rows] == table
    assert TEXTS[1].splitlines()[-1].endswith(" ".join(found.options))


def test_the_space_on_the_page_is_searched_as_it_stands(folder):
    import hpsearch

    (block,) = blocks(PAGE)
    namespace = {"__name__": "page"}
    exec(code_of(PAGE, block), namespace)
    result = hpsearch.search(
        namespace["space"], max_trials=1, seed=1, algo="random", folder=folder / "m", progress=False
    )
    assert [trial.error for trial in result.trials] == [None]


def test_every_distribution_of_hyperas_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in DISTRIBUTIONS if f"{{{{{name}(" not in text] == []


def test_every_command_named_on_the_page_is_there():
    from hpsearch.cli.main import COMMANDS

    named = re.findall(r"`hpsearch ([a-z-]+)", PAGE.read_text(encoding="utf-8"))
    assert set(named) <= set(COMMANDS)
