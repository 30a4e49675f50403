"""Fits that take little time and depend on no clock: few steps of a small flow, where a test does not say otherwise."""


def small_flows(patch):
    """Let a chosen flow have two layers and networks of 32 units, and be the whole density however few the rows."""
    patch.setattr("pushforward.zoo.recipe.LAYERS", 2)
    patch.setattr("pushforward.zoo.recipe.WIDTH", 32)
    patch.setattr("pushforward.table_models.stacking.MOST_ROWS", 0)


def stacks(patch):
    """Let few rows be answered with a stack again."""
    patch.setattr("pushforward.table_models.stacking.MOST_ROWS", 2_000)


def default_steps(patch, steps):
    """Let fits and distillations whose steps and time are not given take this many steps."""
    patch.setattr("pushforward.zoo.recipe.FEWEST_STEPS", steps)
    patch.setattr("pushforward.zoo.recipe.MOST_STEPS", steps)
    patch.setattr("pushforward.training.maximum_likelihood.DEFAULT_EPOCHS", 1)
    patch.setattr("pushforward.training.maximum_likelihood.DEFAULT_LEAST_STEPS", steps)
    patch.setattr("pushforward.training.distillation.fitting.DEFAULT_STEPS", steps)


def speech_steps(patch, steps):
    """The same of models of sound."""
    patch.setattr("pushforward.audio.speech.fitting.DEFAULT_STEPS", steps)
    patch.setattr("pushforward.audio.speech.distillation.DEFAULT_STEPS", steps)
