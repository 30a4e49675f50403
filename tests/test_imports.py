"""What is imported, and when: the package and the command line load only what is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pushforward as pf

ROOT = Path(__file__).parent.parent
HEAVY = {
    "torch", "lightning_fabric", "sklearn", "scipy", "pandas", "polars", "narwhals", "pyarrow", "numpy", "matplotlib",
    "arviz_stats", "pydantic", "rich", "typer", "soundfile", "ray", "plotly",
}  # fmt: skip
COMMANDS = ["fit", "score", "sample", "impute", "posterior", "distill", "report", "compare", "drift", "info"]
COMMANDS += ["card", "export", "speech"]


def imported(code):
    """The packages that are loaded when a fresh process has run some code."""
    code += "\nimport sys; sys.stderr.write(','.join({name.partition('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stderr.split(","))


def commands(*lines):
    return "from pushforward.cli.app import app\n" + "\n".join(
        f"app({[*line]!r}, standalone_mode=False)" for line in lines
    )


def test_the_package_imports_nothing_before_it_is_used():
    assert not imported("import pushforward") & HEAVY


def test_a_flow_needs_no_library_for_tables_or_pictures_and_leaves_the_validation_of_torch_on():
    unused = HEAVY - {"torch", "numpy", "pydantic"}
    code = "import pushforward, torch; pushforward.maf(2); assert torch.distributions.Distribution._validate_args"
    assert not imported(code) & (unused - {"scipy", "lightning_fabric", "rich"})


def test_help_and_version_need_no_torch():
    helps = [[name, "--help"] for name in COMMANDS]
    loaded = imported(commands(["--version"], ["--help"], *helps, ["speech", "fit", "--help"]))
    assert not loaded & (HEAVY - {"typer", "pydantic"})


def test_a_model_file_is_described_without_what_reads_tables_or_trains():
    model = ROOT / "tests" / "golden" / "tables" / "kinds.safetensors"
    # Its columns are described by classes of pydantic, and a file of weights is opened by numpy.
    described = imported(
        commands(["info", str(model)]) + "\nimport sys; assert 'pushforward.tables.columns.kinds' in sys.modules"
    )
    assert not described & (HEAVY - {"typer", "pydantic", "numpy"})


def test_every_public_name_is_there_for_python_and_for_type_checkers():
    tree = ast.parse((ROOT / "src" / "pushforward" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    checked = {
        (statement.module, alias.name)
        for statement in block.body
        for alias in statement.names
        if statement.module != "pushforward"
    }
    assert checked == {(module, name) for module, names in pf._HOMES.items() for name in names}
    assert all(getattr(pf, name) is not None for name in pf.__all__) and set(pf.__all__) <= set(dir(pf))
    assert pf.training.fit is pf.fit
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        pf.nonsense  # noqa: B018


def test_scores_need_no_compiler_of_torch():
    model = ROOT / "tests" / "golden" / "tables" / "kinds.safetensors"
    # SymPy and what torch's compiler needs take as long to import as the rest of torch.
    code = f"import pushforward; pushforward.TableModel.load({str(model)!r}).density.sample((3,))"
    assert "sympy" not in imported(code)
