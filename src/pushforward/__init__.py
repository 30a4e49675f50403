"""Normalizing flows: exact densities, exact samples and latent features through invertible maps.

Every name is imported when it is first used, so that a program loads only what it needs.
"""

from typing import TYPE_CHECKING

from pushforward.support.lazy import lazy
from pushforward.version import __version__

if TYPE_CHECKING:
    from pushforward import bijections as bijections
    from pushforward import distributions as distributions
    from pushforward import networks as networks
    from pushforward import solvers as solvers
    from pushforward.audio.models.architectures import parallel_wavenet as parallel_wavenet
    from pushforward.audio.models.architectures import wavenet as wavenet
    from pushforward.bijections.base import Bijection as Bijection
    from pushforward.bijections.compose import Compose as Compose
    from pushforward.bijections.compose import Inverse as Inverse
    from pushforward.chains.evidence import evidence as evidence
    from pushforward.chains.information import information as information
    from pushforward.chains.prior import as_prior as as_prior
    from pushforward.chains.reading import read_chain as read_chain
    from pushforward.chains.tension import tension as tension
    from pushforward.errors import InputError as InputError
    from pushforward.errors import TrainingError as TrainingError
    from pushforward.estimator import ConditionalFlowDensity as ConditionalFlowDensity
    from pushforward.estimator import FlowDensity as FlowDensity
    from pushforward.estimator import FlowOutlierDetector as FlowOutlierDetector
    from pushforward.estimator import FlowTransformer as FlowTransformer
    from pushforward.evaluation import plots as plots
    from pushforward.evaluation.check import Report as Report
    from pushforward.evaluation.check import check_bijection as check_bijection
    from pushforward.evaluation.check import check_flow as check_flow
    from pushforward.evaluation.report.building import report as report
    from pushforward.evaluation.report.comparison import compare as compare
    from pushforward.evaluation.report.drift import drift as drift
    from pushforward.exports.writing import export as export
    from pushforward.flow import Flow as Flow
    from pushforward.store.card import card as card
    from pushforward.store.description import describe as describe
    from pushforward.store.model_file import load as load
    from pushforward.store.model_file import save as save
    from pushforward.table_models.distillation import distill_table as distill_table
    from pushforward.table_models.fitting import fit_table as fit_table
    from pushforward.table_models.model import TableModel as TableModel
    from pushforward.table_models.scorer import scorer as scorer
    from pushforward.tables.files.opening import open_table as open_table
    from pushforward.training.distillation import DistillationReport as DistillationReport
    from pushforward.training.distillation import distill as distill
    from pushforward.training.distillation import evaluate_student as evaluate_student
    from pushforward.training.distillation.reweighting import Chains as Chains
    from pushforward.training.distillation.reweighting import Reweighted as Reweighted
    from pushforward.training.distillation.reweighting import independence_metropolis as independence_metropolis
    from pushforward.training.distillation.reweighting import reweight as reweight
    from pushforward.training.history import History as History
    from pushforward.training.likelihood import evaluate as evaluate
    from pushforward.training.maximum_likelihood import fit as fit
    from pushforward.training.settings import TrainingOptions as TrainingOptions
    from pushforward.training.variational import fit_to_target as fit_to_target
    from pushforward.training.variational_fit import VariationalFit as VariationalFit
    from pushforward.training.variational_fit import evaluate_on_target as evaluate_on_target
    from pushforward.zoo.autoregressive import autoregressive as autoregressive
    from pushforward.zoo.autoregressive import iaf as iaf
    from pushforward.zoo.autoregressive import maf as maf
    from pushforward.zoo.coupling import coupling as coupling
    from pushforward.zoo.coupling import nice as nice
    from pushforward.zoo.coupling import realnvp as realnvp
    from pushforward.zoo.dequantized import dequantized as dequantized
    from pushforward.zoo.images import glow as glow
    from pushforward.zoo.images import realnvp_image as realnvp_image
    from pushforward.zoo.mixtures import mixture_cdf as mixture_cdf
    from pushforward.zoo.noised import noised as noised
    from pushforward.zoo.planar import planar as planar
    from pushforward.zoo.planar import radial as radial
    from pushforward.zoo.planar import sylvester as sylvester
    from pushforward.zoo.registry import build as build
    from pushforward.zoo.splines import nsf as nsf
    from pushforward.zoo.students import student_for as student_for
    from pushforward.zoo.tarflow import tarflow as tarflow
    from pushforward.zoo.units import constrained as constrained
    from pushforward.zoo.units import gaussianized as gaussianized
    from pushforward.zoo.units import standardized as standardized

# The same names for Python, which does not read the block above, by the module that defines them.
_HOMES = {
    "pushforward.audio.models.architectures": ["parallel_wavenet", "wavenet"],
    "pushforward.bijections.base": ["Bijection"],
    "pushforward.bijections.compose": ["Compose", "Inverse"],
    "pushforward.chains.evidence": ["evidence"],
    "pushforward.chains.information": ["information"],
    "pushforward.chains.prior": ["as_prior"],
    "pushforward.chains.reading": ["read_chain"],
    "pushforward.chains.tension": ["tension"],
    "pushforward.errors": ["InputError", "TrainingError"],
    "pushforward.estimator": ["ConditionalFlowDensity", "FlowDensity", "FlowOutlierDetector", "FlowTransformer"],
    "pushforward.evaluation": ["plots"],
    "pushforward.evaluation.check": ["Report", "check_bijection", "check_flow"],
    "pushforward.evaluation.report.building": ["report"],
    "pushforward.evaluation.report.comparison": ["compare"],
    "pushforward.evaluation.report.drift": ["drift"],
    "pushforward.exports.writing": ["export"],
    "pushforward.flow": ["Flow"],
    "pushforward.store.card": ["card"],
    "pushforward.store.description": ["describe"],
    "pushforward.store.model_file": ["load", "save"],
    "pushforward.table_models.distillation": ["distill_table"],
    "pushforward.table_models.fitting": ["fit_table"],
    "pushforward.table_models.model": ["TableModel"],
    "pushforward.tables.files.opening": ["open_table"],
    "pushforward.table_models.scorer": ["scorer"],
    "pushforward.training.distillation": ["DistillationReport", "distill", "evaluate_student"],
    "pushforward.training.distillation.reweighting": ["Chains", "Reweighted", "independence_metropolis", "reweight"],
    "pushforward.training.history": ["History"],
    "pushforward.training.likelihood": ["evaluate"],
    "pushforward.training.maximum_likelihood": ["fit"],
    "pushforward.training.settings": ["TrainingOptions"],
    "pushforward.training.variational": ["fit_to_target"],
    "pushforward.training.variational_fit": ["VariationalFit", "evaluate_on_target"],
    "pushforward.zoo.autoregressive": ["autoregressive", "iaf", "maf"],
    "pushforward.zoo.coupling": ["coupling", "nice", "realnvp"],
    "pushforward.zoo.dequantized": ["dequantized"],
    "pushforward.zoo.images": ["glow", "realnvp_image"],
    "pushforward.zoo.mixtures": ["mixture_cdf"],
    "pushforward.zoo.noised": ["noised"],
    "pushforward.zoo.planar": ["planar", "radial", "sylvester"],
    "pushforward.zoo.registry": ["build"],
    "pushforward.zoo.splines": ["nsf"],
    "pushforward.zoo.students": ["student_for"],
    "pushforward.zoo.tarflow": ["tarflow"],
    "pushforward.zoo.units": ["constrained", "gaussianized", "standardized"],
}
_PACKAGES = ["bijections", "distributions", "networks", "solvers"]

__all__ = ["__version__", *_PACKAGES, *(name for names in _HOMES.values() for name in names)]
__getattr__, __dir__ = lazy(__name__, _HOMES)
