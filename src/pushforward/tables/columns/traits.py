"""What is true of a kind of column: each question that other code asks about it, with the answer of most kinds."""

from pushforward.tables.columns.figures import Figures
from pushforward.tables.columns.grids import Grid
from pushforward.tables.columns.reading import Reading


class Traits(Reading):
    """What is true of a column; a kind overrides what is different from a number on the whole line."""

    @property
    def modeled(self) -> bool:
        """Whether the column varies, so that it has a density."""
        return True

    @property
    def discrete(self) -> bool:
        """Whether every value has a probability rather than a density."""
        return False

    @property
    def has_probabilities(self) -> bool:
        """Whether some single values have a probability."""
        return self.discrete

    @property
    def dense(self) -> bool:
        """Whether every value has a density and none has a probability."""
        return False

    @property
    def cells(self) -> Grid | Figures | None:
        """The grid to which measurements were rounded, if each stands for the numbers within half a step of it."""
        return None

    @property
    def recorded(self) -> Grid | Figures | None:
        """The grid to which measurements were rounded, all or some of them."""
        return self.cells

    @property
    def partly_recorded(self) -> bool:
        """Whether measurements beside that grid were not rounded, so that each has a density of its own."""
        return False

    @property
    def circular(self) -> bool:
        """Whether the values lie on a circle."""
        return False

    @property
    def numeric(self) -> bool:
        """Whether the values are read as numbers."""
        return True

    @property
    def measured(self) -> bool:
        """Whether the values are numbers or times on a scale, and not levels."""
        return True

    @property
    def parsed_early(self) -> bool:
        """Whether the reader of a CSV may turn its text into numbers: they are plain ones."""
        return self.numeric and self.format is None

    @property
    def kept_as_text(self) -> bool | None:
        """Whether a CSV's column is read as text; None if that depends on what it holds."""
        return False

    @property
    def strict(self) -> bool:
        """Whether some values of the right type are refused."""
        return True

    @property
    def declares_support(self) -> bool:
        """Whether a user who declared the column so has said which values it can have."""
        return bool(self.model_fields_set & {"low", "high", "step", "levels", "value", "whole"})

    @property
    def plain_condition(self) -> bool:
        """Whether a flow can take the codes as its context, because they are numbers on a line."""
        return True

    @property
    def explainable(self) -> bool:
        """Whether the surprise of a value can be found by quadrature along the column."""
        return self.modeled
