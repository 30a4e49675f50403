"""What can be made by name, and where it is: known without importing any of it, or torch."""

import re
from pathlib import Path

# Densities of a number of features, by the module that makes them.
ARCHITECTURES = {
    "autoregressive": "pushforward.zoo.autoregressive",
    "coupling": "pushforward.zoo.coupling",
    "iaf": "pushforward.zoo.autoregressive",
    "maf": "pushforward.zoo.autoregressive",
    "mixture_cdf": "pushforward.zoo.mixtures",
    "nice": "pushforward.zoo.coupling",
    "nsf": "pushforward.zoo.splines",
    "planar": "pushforward.zoo.planar",
    "radial": "pushforward.zoo.planar",
    "realnvp": "pushforward.zoo.coupling",
    "residual": "pushforward.zoo.residual",
    "sylvester": "pushforward.zoo.planar",
}
# Densities whose rows each take an equation to solve, to a tolerance; pip install 'pushforward[ode]' brings the solver.
IN_CONTINUOUS_TIME = {"continuous": "pushforward.zoo.continuous"}
# Everything else that a model file may hold.
OTHERS = {
    "adaptive_wavenet": "pushforward.audio.models.adaptive_wavenet",
    "arbitrary_conditional": "pushforward.table_models.arbitrary_conditional_flow",
    "dequantized": "pushforward.zoo.dequantized",
    "flow_mixture": "pushforward.zoo.flow_mixture",
    "gaussianized": "pushforward.zoo.units",
    "glow": "pushforward.zoo.images",
    "imported": "pushforward.integrations.imported.flow",
    "kernel_density": "pushforward.zoo.kernel_density",
    "normal_mixture": "pushforward.zoo.normal_mixture",
    "noised": "pushforward.zoo.noised",
    "parallel_wavenet": "pushforward.audio.models.architectures",
    "predictive_parallel_wavenet": "pushforward.audio.models.predictive_student",
    "realnvp_image": "pushforward.zoo.images",
    "standardized": "pushforward.zoo.units",
    "tarflow": "pushforward.zoo.tarflow",
    "wavenet": "pushforward.audio.models.architectures",
}

_REGISTERED = re.compile(r'^@univariate\("(\w+)"\)$', re.MULTILINE)


def univariate_names() -> list[str]:
    """The names of the univariate families, as their files register them.

    Example:
        >>> "spline" in univariate_names()
        True
    """
    folder = Path(__file__).parent.parent / "bijections" / "univariate"
    return sorted(name for file in folder.glob("*.py") for name in _REGISTERED.findall(file.read_text("utf-8")))
