"""The one exception for input that cannot be used."""


class InputError(ValueError):
    """Input that cannot be used: a file, a table, a model, an option.

    The message is one clear sentence: what is wrong, where (file, column, first row), and what to do. The command line
    prints it as it stands and exits with status 2.
    """
