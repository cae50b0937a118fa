"""Who may import whom, and which outside library belongs to which part (design, section 5)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "hpsearch"

DATA = {"errors", "trial"}
DRIVER = {"declare", "space", "build", "train", "suggest", "execute", "store", "record"}
MAY_IMPORT = {
    "errors": set(),
    "trial": set(),
    "wire": {"trial"},
    "declare": {"errors"},
    "spaces": set(),
    "space": {"declare", "spaces", *DATA},
    "keras": {"declare", "errors"},
    "suggest": {"declare", "space", *DATA},
    "build": {"declare", "space", *DATA},
    "train": {"build", "space", *DATA},
    "execute": {"train", "wire", *DATA},
    "store": {"wire", *DATA},
    "record": {"store", "wire", *DATA},
    "report": {"store", "wire", *DATA},
    "plain_keras": {"declare", "space", "build", "train", "keras", *DATA},
    "import_hyperas": {"declare", "space", "errors"},
    "preflight": {"space", "build", "train", "wire", *DATA},
    "predict": {"space", "train", "store", "record", *DATA},
    "study": {*DRIVER, "preflight", *DATA},
    "cli": {
        *("study", "preflight", "predict", "plain_keras", "report", "import_hyperas", "wire"),
        *DRIVER,
        *DATA,
    },
    "__main__": {"cli"},
    "__init__": {"declare", "space", "study", "suggest"},
}
"""Part of the package: the parts it may import."""

OWNERS = {
    "keras": {"keras", "train", "record", "predict", "plain_keras", "preflight"},
    "tensorflow": {"train"},
    "hyperopt": {"suggest"},
    "scipy": {"suggest"},
    "mlflow": {"record"},
    "sqlite3": {"store"},
    "click": {"cli"},
    "rich": {"cli"},
    "plotly": {"report"},
    "cloudpickle": {"study"},
    "psutil": {"execute"},
    "threadpoolctl": {"execute", "suggest"},
    "numpy": {
        *("suggest", "build", "train", "preflight", "record", "study"),
        *("plain_keras", "predict", "cli"),
    },
}
"""Library outside: the parts that may import it. Any other library is nobody's."""

LATE = ("keras", "tensorflow", "mlflow", "click", "rich", "cloudpickle", "threadpoolctl")
HEAVY = (
    "keras",
    "tensorflow",
    "mlflow",
    "hyperopt",
    "pandas",
    "scipy",
    "numpy",
    "sklearn",
    "psutil",
)


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = modules()


def part_of(name: str) -> str:
    """The part of the package that a module belongs to."""
    return [*name.split("."), "__init__"][1]


def imports(name: str) -> Iterator[tuple[str, bool]]:
    """(dotted name, whether it is imported with the module itself) for every import of a module."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    package = name.split(".") if MODULES[name].name == "__init__.py" else name.split(".")[:-1]
    inside = {id(n) for f in ast.walk(tree) if _deferred(f) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            found = [f"{whole}.{alias.name}" for alias in node.names]
        else:
            continue
        for item in found:
            yield item, id(node) not in inside


def _deferred(node: ast.AST) -> bool:
    """A function's body, or what only a type checker reads."""
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef | ast.Lambda)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_what_its_part_may(name: str) -> None:
    part = part_of(name)
    allowed = MAY_IMPORT[part] | {part}
    for target, _ in imports(name):
        if target.partition(".")[0] == "hpsearch" and part_of(target) in MAY_IMPORT:
            assert part_of(target) in allowed, f"{name} imports {target}"


@pytest.mark.parametrize("name", MODULES)
def test_a_library_is_imported_only_by_the_part_that_owns_it(name: str) -> None:
    standard = sys.stdlib_module_names - set(OWNERS)
    for target, _ in imports(name):
        library = target.partition(".")[0]
        if library != "hpsearch" and library not in standard:
            assert part_of(name) in OWNERS.get(library, set()), f"{name} imports {target}"


@pytest.mark.parametrize("name", MODULES)
def test_heavy_libraries_are_imported_inside_the_functions_that_need_them(name: str) -> None:
    """Type checkers read `hpsearch.keras` as Keras: those imports never run."""
    for target, at_once in imports(name):
        if target.partition(".")[0] in LATE and part_of(name) not in ("cli", "record"):
            assert not at_once, f"{name} imports {target} as soon as it is imported"


def test_the_parts_form_no_cycle() -> None:
    graph = {part: {p for p in parts if p != part} for part, parts in MAY_IMPORT.items()}
    done: set[str] = set()
    while len(done) < len(graph):
        ready = {part for part, needs in graph.items() if part not in done and needs <= done}
        assert ready, f"a cycle among {sorted(set(graph) - done)}"
        done |= ready


def test_every_part_is_in_the_table() -> None:
    assert {part_of(name) for name in MODULES} <= set(MAY_IMPORT)


def test_ready_spaces_import_only_what_is_public() -> None:
    for path in sorted((ROOT / "spaces").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            modules += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            for module in filter(None, modules):
                if module.partition(".")[0] == "hpsearch":
                    public = module in ("hpsearch", "hpsearch.keras")
                    assert public or module.startswith(("hpsearch.keras.", "hpsearch.spaces.")), (
                        f"{path.name} imports {module}"
                    )


@pytest.mark.parametrize(
    "first", ["hpsearch", "hpsearch.keras", "hpsearch.space", "hpsearch.trial"]
)
def test_importing_loads_no_heavy_library(first: str) -> None:
    code = (
        f"import sys, {first}\n"
        f"print(sorted({{n.partition('.')[0] for n in sys.modules}} & set({HEAVY!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [n for n in MODULES if not n.endswith("__main__")])
def test_every_module_names_what_it_offers(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{name} has no docstring"
    targets = [
        t.id
        for n in tree.body
        if isinstance(n, ast.Assign)
        for t in n.targets
        if isinstance(t, ast.Name)
    ]
    assert "__all__" in targets or name == "hpsearch.spaces", f"{name} has no __all__"
