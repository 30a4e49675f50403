"""The exception of a training run that cannot go on."""


class TrainingError(RuntimeError):
    """Training met non-finite values too often to go on; the message names where, the flow keeps its best weights."""
