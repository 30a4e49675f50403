"""The scikit-learn faces: densities, conditional densities, outlier detection and latent features as estimators."""

from pushforward.estimator.conditional import ConditionalFlowDensity
from pushforward.estimator.density import FlowDensity
from pushforward.estimator.outliers import FlowOutlierDetector
from pushforward.estimator.transformer import FlowTransformer

__all__ = ["ConditionalFlowDensity", "FlowDensity", "FlowOutlierDetector", "FlowTransformer"]
