"""The exceptions that the library raises by design, and a warning."""


class InputError(ValueError):
    """Input that cannot be used: a file, a table, a model, an option.

    The message is one clear sentence: what is wrong, where (file, column, first row), and what to do. The command line
    prints it as it is and exits with status 2.
    """


class TrainingError(RuntimeError):
    """Training met too many losses or gradients that are not finite.

    The message says where; the flow keeps its best weights.
    """


class AccuracyWarning(RuntimeWarning):
    """Log-densities whose numerical errors are above 0.01 nats."""
