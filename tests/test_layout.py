"""The order of the folders: a module imports only from its own folder and those below it, and never in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
# From the bottom to the top; `pushforward` itself and `__main__` stand above all.
ORDER = ["version", "errors", "support", "kernels", "networks", "solvers", "bijections", "distributions", "flow", "zoo"]
ORDER += [
    "tables",
    "training",
    "store",
    "lite",
    "exports",
    "table_models",
    "estimator",
    "evaluation",
    "chains",
    "audio",
    "images",
]
ORDER += ["integrations", "cli"]
FILES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}


def imports(path):
    """The modules that a file imports, wherever in the file, except for type checkers."""
    tree = ast.parse(path.read_text())
    typing = {id(n) for b in ast.walk(tree) if isinstance(b, ast.If) and "TYPE_CHECKING" in ast.unparse(b.test)
              for n in ast.walk(b)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in typing:
            yield from (f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in FILES else node.module
                        for a in node.names)  # fmt: skip


@pytest.fixture(scope="module")
def graph():
    """What each module imports of the others."""
    return {name: {module for module in imports(path) if module in FILES} for name, path in FILES.items()}


def place(module):
    return ORDER.index(module.split(".")[1])


def test_imports_point_downward(graph):
    named = {module for module in graph if module.count(".") and module != "pushforward.__main__"}
    assert [f"{a} imports {b}" for a in sorted(named) for b in graph[a] & named if place(b) > place(a)] == []


def test_no_module_imports_itself_through_others(graph):
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]))
