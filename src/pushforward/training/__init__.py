"""Training: one loop that owns optimizer, schedule, averaging, early stopping and the guard, and its objectives."""

from pushforward.errors import TrainingError
from pushforward.training.distillation import DistillationReport, distill, evaluate_student
from pushforward.training.distillation.reweighting import Chains, Reweighted, independence_metropolis, reweight
from pushforward.training.history import History
from pushforward.training.likelihood import evaluate
from pushforward.training.maximum_likelihood import fit
from pushforward.training.settings import TrainingOptions
from pushforward.training.variational import fit_to_target
from pushforward.training.variational_fit import VariationalFit, evaluate_on_target

__all__ = [
    "Chains",
    "DistillationReport",
    "History",
    "Reweighted",
    "TrainingError",
    "TrainingOptions",
    "VariationalFit",
    "distill",
    "evaluate",
    "evaluate_on_target",
    "evaluate_student",
    "fit",
    "fit_to_target",
    "independence_metropolis",
    "reweight",
]
