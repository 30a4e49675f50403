"""Install the distributions of a folder into an empty environment, with and without a compiler, and use them.

    python packaging/check_installation.py dist

The wheel is installed where no compiler is on the path; there the smoke test and the demo pass and every instruction
set is in the library of kernels. The source distribution is installed with a compiler, which builds the kernels, and
without one, where everything runs in torch alone.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SMOKE = Path(__file__).parent / "smoke.py"


class Environment:
    """A new virtual environment, whose commands see no compiler unless they are allowed to."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.commands = folder / "venv" / "bin"
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)

    def run(self, program: str, *arguments: str | Path, compiler: bool = False) -> str:
        """Run a program of the environment in its folder; return what it printed on standard output."""
        path = [str(self.commands), *([os.environ["PATH"]] if compiler else [])]
        kept = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX", "PYTHONPATH")}
        print(f"$ {program} {' '.join(map(str, arguments))}", flush=True)
        return subprocess.run(
            [self.commands / program, *map(str, arguments)],
            cwd=self.folder,
            env={**kept, "PATH": os.pathsep.join(path)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    def install(self, *arguments: str, compiler: bool = False) -> None:
        """Install with the tested versions of everything else."""
        options = ["--quiet", "--disable-pip-version-check", "--constraint", str(ROOT / "constraints.txt")]
        self.run("python", "-m", "pip", "install", *options, *arguments, compiler=compiler)

    def replace(self, distribution: Path, compiler: bool) -> None:
        """Install another distribution in place of the one that is there."""
        self.install("--force-reinstall", "--no-deps", "--no-cache-dir", str(distribution), compiler=compiler)

    def use(self, kernels: bool) -> None:
        """Run the smoke test and compare what `--version` says of the kernels."""
        version = self.run("pushforward", "--version").strip()
        print(version)
        if ("compiled kernels:" in version) != kernels:
            sys.exit(f"{version!r} is not what `pushforward --version` should say here.")
        self.run("python", SMOKE, "kernels" if kernels else "torch")


def main() -> None:
    """Check a wheel and a source distribution."""
    parser = argparse.ArgumentParser(description="Install distributions without a compiler, and use them.")
    parser.add_argument("folder", type=Path, help="has one wheel and one .tar.gz")
    parser.add_argument("--without-demo", action="store_true", help="leave out the demo, which takes two minutes")
    arguments = parser.parse_args()
    (wheel,), (source,) = (sorted(arguments.folder.resolve().glob(ending)) for ending in ("*.whl", "*.tar.gz"))
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(Path(folder))
        environment.install(f"{wheel}[report]")
        environment.use(kernels=True)
        if not arguments.without_demo:
            shutil.copytree(ROOT / "examples", Path(folder) / "examples")
            print(environment.run("python", "examples/coads_demo.py"))
        environment.replace(source, compiler=True)
        environment.use(kernels=True)
        environment.replace(source, compiler=False)
        environment.use(kernels=False)
    print(f"{wheel.name} and {source.name} can be installed and used.")


if __name__ == "__main__":
    main()
