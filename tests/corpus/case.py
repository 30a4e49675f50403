"""A file of the corpus, what is done with it, and what may come of it."""

from dataclasses import dataclass

MODEL, TABLE, SCHEMA = "model.safetensors", "good.csv", "schema.json"


@dataclass(frozen=True)
class Case:
    """A file and what is done with it.

    Attributes:
        category: what kind of damage it has.
        name: of the file, with the ending that it is given.
        content: its bytes.
        commands: what it is given to: fit, score, info, sample, given, resume.
        certain: whether it must be refused; chance damage may also do no harm.
        large: takes more than a moment.
        read: whether there is nothing wrong with it, and no command may refuse it.
        options: further options of a fit.
        schema: the content of a schema file of a fit.
    """

    category: str
    name: str
    content: bytes
    commands: tuple[str, ...] = ("fit", "score")
    certain: bool = True
    large: bool = False
    read: bool = False
    options: tuple[str, ...] = ()
    schema: bytes = b""

    @property
    def right(self) -> tuple[str, ...]:
        """The outcomes that are right."""
        return ("done",) if self.read else ("refused",) if self.certain else ("refused", "done")

    @property
    def options_of_fit(self) -> tuple[str, ...]:
        """The flow, which only tables of plain numbers can have, and what else was chosen."""
        flow = () if self.options or self.schema else ("--flow", "nice")
        return (*flow, *self.options, *(("--schema", SCHEMA) if self.schema else ()))

    def arguments(self, command: str) -> list[str]:
        """The command line, for a folder with a good model and a good table of columns a, b, c."""
        return {
            "fit": ["fit", self.name, "-o", "out.safetensors", "--max-time", "0.01", *self.options_of_fit],
            "score": ["score", MODEL, self.name, "-o", "out.csv"],
            "info": ["info", self.name],
            "sample": ["sample", self.name, "-n", "3", "-o", "out.csv"],
            "use": ["score", self.name, TABLE, "-o", "out.csv"],
            "resume": ["fit", TABLE, "-o", "resumed.safetensors", "--flow", "nice", "--max-time", "0.01", "--resume"],
        }[command]
