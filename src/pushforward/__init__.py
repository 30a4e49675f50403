"""Normalizing flows: exact densities, exact samples and latent features through invertible maps."""

from typing import TYPE_CHECKING, Any

from pushforward import bijections, distributions, networks, solvers
from pushforward.audio import parallel_wavenet, wavenet
from pushforward.bijections import Bijection, Compose, Inverse
from pushforward.errors import InputError
from pushforward.evaluation.check import Report, check_bijection, check_flow
from pushforward.flow import Flow
from pushforward.store.model_file import describe, load, save
from pushforward.table_models.distillation import distill_table
from pushforward.table_models.fitting import fit_table
from pushforward.table_models.model import TableModel
from pushforward.training import (
    Chains,
    DistillationReport,
    History,
    Reweighted,
    TrainingError,
    VariationalFit,
    distill,
    evaluate,
    evaluate_on_target,
    evaluate_student,
    fit,
    fit_to_target,
    independence_metropolis,
    reweight,
)
from pushforward.version import __version__
from pushforward.zoo.autoregressive import autoregressive, iaf, maf
from pushforward.zoo.coupling import coupling, nice, realnvp
from pushforward.zoo.mixtures import mixture_cdf
from pushforward.zoo.planar import planar, radial, sylvester
from pushforward.zoo.registry import build
from pushforward.zoo.splines import nsf
from pushforward.zoo.students import student_for
from pushforward.zoo.units import constrained, gaussianized, standardized

if TYPE_CHECKING:
    from pushforward.estimator import ConditionalFlowDensity, FlowDensity, FlowOutlierDetector, FlowTransformer

__all__ = [
    "Bijection",
    "Chains",
    "Compose",
    "ConditionalFlowDensity",
    "DistillationReport",
    "Flow",
    "FlowDensity",
    "FlowOutlierDetector",
    "FlowTransformer",
    "History",
    "InputError",
    "Inverse",
    "Report",
    "Reweighted",
    "TableModel",
    "TrainingError",
    "VariationalFit",
    "__version__",
    "autoregressive",
    "bijections",
    "build",
    "check_bijection",
    "check_flow",
    "constrained",
    "coupling",
    "describe",
    "distill",
    "distill_table",
    "distributions",
    "evaluate",
    "evaluate_on_target",
    "evaluate_student",
    "fit",
    "fit_table",
    "fit_to_target",
    "gaussianized",
    "iaf",
    "independence_metropolis",
    "load",
    "maf",
    "mixture_cdf",
    "networks",
    "nice",
    "nsf",
    "parallel_wavenet",
    "planar",
    "radial",
    "realnvp",
    "reweight",
    "save",
    "solvers",
    "standardized",
    "student_for",
    "sylvester",
    "wavenet",
]

# Imported when they are first asked for: scikit-learn takes a second.
_ESTIMATORS = ("ConditionalFlowDensity", "FlowDensity", "FlowOutlierDetector", "FlowTransformer")


def __getattr__(name: str) -> Any:
    if name in _ESTIMATORS:
        from pushforward import estimator

        return getattr(estimator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
