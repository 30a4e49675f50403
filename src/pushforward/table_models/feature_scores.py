"""Features of rows as scores: nearly normal numbers, and angles that are nearly uniform on their circle."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.bijections import MarginalSpline
from pushforward.bijections.circular_marginal import CircularMarginal

# Coordinates of angles that vary less are shown as they are.
LEAST_SPREAD = 1e-6


class FeatureScores(nn.Module):
    """The fixed maps from scores to features, and what a network is shown of angles.

    Arguments:
        features: D.
        widths: (D,) how many inputs of a network each feature has beside its score.
        circular: features that are angles.
        knots: of the splines that make features nearly normal.
        bounded: whether those splines have bounds.
        circle_knots: of the splines that make angles nearly uniform; 0 for none.

    Attributes:
        circular: (D,), True for angles.
        angles: their places.
        owner: (D + Σ widths,) the feature of each input.
        marginal: from normal scores to features that are no angles; see `MarginalSpline`.
        circle: from uniform angles to the angles of the data, or None; see `CircularMarginal`.
        center, spread: (Σ widths,) of the inputs beside the scores, 0 and 1 but for those of angles; None without
            `circle`.
    """

    circular: Tensor
    angles: Tensor
    owner: Tensor
    center: Tensor | None
    spread: Tensor | None

    def __init__(
        self,
        features: int,
        widths: Sequence[int],
        circular: Sequence[int],
        knots: int,
        bounded: bool,
        circle_knots: int,
    ) -> None:
        super().__init__()
        self.features = features
        is_circular = torch.tensor([feature in set(circular) for feature in range(features)])
        each = torch.arange(features)
        owner = torch.cat([each, each.repeat_interleave(torch.tensor(widths))])
        self.register_buffer("circular", is_circular, persistent=False)
        self.register_buffer("angles", each[is_circular], persistent=False)
        self.register_buffer("owner", owner, persistent=False)
        self.marginal = MarginalSpline(features, knots, bounded)
        self.circle = CircularMarginal(len(set(circular)), circle_knots) if circle_knots and len(circular) else None
        for name, value in (("center", 0.0), ("spread", 1.0)):
            beside = torch.full((sum(widths),), value, dtype=torch.float64)
            self.register_buffer(name, None if self.circle is None else beside)

    def scores(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores of features, (n, D), angles in radians, and log ∂s/∂y of each."""
        s, log_slope = self.marginal.each_inverse(y)
        # Places, not a mask: how many there are is known without a look at the device.
        if len(self.angles):
            angles = y[:, self.angles]
            turned = (angles, torch.zeros_like(angles)) if self.circle is None else self.circle.each_inverse(angles)
            s, log_slope = s.clone(), log_slope.clone()
            s[:, self.angles], log_slope[:, self.angles] = turned
        return s, log_slope

    def of_scores(self, s: Tensor) -> Tensor:
        """Return the features, (n, D), of scores, angles in radians."""
        y = self.marginal.each_forward(s)[0]
        if len(self.angles):
            y = y.clone()
            angles = s[:, self.angles]
            y[:, self.angles] = angles if self.circle is None else self.circle.each_forward(angles)[0].to(y)
        return y

    @torch.no_grad()
    def learn_inputs_of_angles(self, inputs: Tensor, present: Tensor) -> None:
        """Standardize what a network is shown of angles, which may all lie in a narrow sector.

        Arguments:
            inputs: (n, D + Σ widths) of rows to train on.
            present: (n, D), whether there is a value.
        """
        if self.center is None or self.spread is None:
            return
        for place, owner in enumerate(self.owner[self.features :].tolist()):
            own = inputs[present[:, owner], self.features + place].double()
            if bool(self.circular[owner]) and len(own) > 1 and float(own.std()) > LEAST_SPREAD:
                self.center[place], self.spread[place] = own.mean(), own.std()

    def standardized_inputs(self, inputs: Tensor) -> Tensor:
        """Inputs, (n, D + Σ widths), with those of angles in units of their own deviations."""
        if self.center is None or self.spread is None:
            return inputs
        beside = (inputs[:, self.features :] - self.center) / self.spread
        return torch.cat([inputs[:, : self.features], beside.to(inputs.dtype)], 1)
