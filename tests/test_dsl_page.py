"""The reference of the words: its blocks run in order, and print what stands below them."""

import contextlib
import io

from documents import DOCS, blocks, code_of

from hpsearch.errors import HpsearchError

PAGE = DOCS / "dsl.md"


def outputs(page):
    """What each block prints; an error of hpsearch is printed as a prompt shows it."""
    namespace = {"__name__": "page"}
    for block in blocks(page):
        stream = io.StringIO()
        with contextlib.redirect_stdout(stream):
            try:
                exec(code_of(page, block), namespace)
            except HpsearchError as error:
                stream.write(f"{type(error).__name__}: {error}\n")
        yield stream.getvalue()


def test_every_block_prints_what_stands_below_it():
    for block, output in zip(blocks(PAGE), outputs(PAGE), strict=True):
        assert output == (block.output or ""), f"dsl.md, line {block.line}"


def test_every_word_of_the_package_is_on_the_page():
    import hpsearch

    text = PAGE.read_text(encoding="utf-8")
    others = (
        "Study",
        "search",
        "hyperopt_algo",
        "to_hyperopt",
    )  # they stand on the pages about searching
    missing = [name for name in hpsearch.__all__ if name not in text and name not in others]
    assert missing == []


def test_every_fact_is_on_the_page():
    from hpsearch.declare import FACTS

    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in FACTS if f"given.{name}" not in text] == []
