"""Figures for notebooks: draws against data, a flow layer by layer, and calibration."""

from pushforward.evaluation.plots.calibration import calibration
from pushforward.evaluation.plots.corner import corner
from pushforward.evaluation.plots.layers import layers

__all__ = ["calibration", "corner", "layers"]
