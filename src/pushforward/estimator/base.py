"""What the estimators share: their options, the fit, and the evaluation of many rows."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from pushforward.estimator.rows import FEWEST_ROWS, FLOATS, rows_with_weight, warn_of_dependence
from pushforward.estimator.varying import VaryingColumns, constant_columns
from pushforward.flow import Flow
from pushforward.support.modules import device_of
from pushforward.support.progress import Announce, silent, to_standard_error
from pushforward.support.seeding import seeded as seeded_by
from pushforward.tables.checks import check_scale
from pushforward.training import evaluate, fit
from pushforward.training.copies import copies_of
from pushforward.training.settings import TrainingOptions
from pushforward.training.splitting import split_table
from pushforward.zoo.gaussian import best_gaussian
from pushforward.zoo.recipe import Recipe, choose_recipe, knots_for
from pushforward.zoo.registry import config_of


@dataclass(eq=False, repr=False)
class FlowEstimator(BaseEstimator):
    """The options of all estimators, and the fit of a flow that is in the units of the data.

    {options} in the docstring of a subclass stands for the list below; a subclass that is a dataclass may add options.

    Arguments:
        flow: a named architecture with its own defaults, such as "maf"; by default `pushforward.zoo.recipe` chooses
            architecture, size and training from the data and the time.
        max_time: most seconds of training; by default it continues until it stops gaining.
        max_steps: most steps of training.
        epochs: most passes over the training rows.
        learning_rate: peak learning rate.
        batch_size: rows in a training batch.
        validation_fraction: share of rows that is held out of the training and decides when it stops, default 0.1;
            copies of a row stand on one side, and count once among the held-out rows.
        random_state: of the split, the initial weights and the batches: a number, a `numpy.random.RandomState`, or None
            for another fit each time.
        device: "auto" (default), "cpu", "cuda" or "mps".
        verbose: whether to say what was chosen and why, and to show a progress bar, on standard error.
    """

    flow: str | None = None
    _: KW_ONLY
    max_time: float | None = None
    max_steps: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    validation_fraction: float = 0.1
    random_state: Any = None
    device: str = "auto"
    verbose: bool = False

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if cls.__doc__ and FlowEstimator.__doc__:
            options = FlowEstimator.__doc__.partition("Arguments:")[2].strip()
            cls.__doc__ = cls.__doc__.replace("{options}", options)

    def _fit_flow(
        self,
        x: np.ndarray,
        names: Sequence[str],
        context: np.ndarray | None = None,
        weights: np.ndarray | None = None,
    ) -> None:
        """Set flow_ and history_ by maximum likelihood of x, (n, D), given the context, (n, C), weighted by (n,)."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        x = x.astype(np.float64)
        row_weights = None if weights is None else torch.from_numpy(weights)
        whole = x if context is None else np.hstack([x, context.astype(np.float64)])
        copies = copies_of(whole)
        split = split_table(torch.from_numpy(whole), self.validation_fraction, seed, row_weights, copies=copies)
        training_rows = split[0].numpy()
        self._columns = VaryingColumns(x[training_rows], names)
        x = self._columns.of(x)
        train = x[training_rows]
        varying = [names[int(place)] for place in self._columns.places]
        check_scale(train, varying, source="X")
        warn_of_dependence(train, varying)
        given = None
        if context is not None:
            # A constant column carries no information, and cannot be standardized.
            self._context_columns = np.flatnonzero(~constant_columns(context[training_rows]))
            if len(self._context_columns):
                given = context[:, self._context_columns].astype(np.float64)
        if self.flow is None:
            recipe = choose_recipe(len(train), x.shape[1], 0 if given is None else given.shape[1], self.max_time)
        else:
            recipe = Recipe(config_of(self.flow), knots_for(len(train)), {}, ())
        announce = to_standard_error if self.verbose else silent
        for line in recipe.reasons:
            announce(line)
        flow = recipe.make(
            torch.from_numpy(train),
            None if given is None else torch.from_numpy(given[training_rows]),
            seed,
            weights=None if row_weights is None else row_weights[training_rows],
            known=None if given is None else torch.from_numpy(given),
        )
        options = self._training_options(recipe, seed)
        self.history_ = fit(
            flow, x, given, weights=weights, validation_fraction=self.validation_fraction, split=split, **options
        )
        self.flow_ = flow
        if self.flow is None:
            self._keep_gaussian(x, given, split, row_weights, announce)

    def _keep_gaussian(
        self, x: np.ndarray, given: np.ndarray | None, split: Any, weights: torch.Tensor | None, announce: Announce
    ) -> None:
        """Let a Gaussian take the place of flow_ if its held-out value is higher."""
        rows, context = torch.from_numpy(x), None if given is None else torch.from_numpy(given)
        training, held_out = split
        of_held_out = None if weights is None else weights[held_out].numpy()

        def value(flow: Flow) -> float:
            log_prob = evaluate(flow, rows[held_out], None if context is None else context[held_out]).double().numpy()
            return float(np.average(log_prob, weights=of_held_out)) if np.isfinite(log_prob).all() else -np.inf

        device = device_of(self.flow_)
        flow = self.flow_.cpu()
        gaussian, best = best_gaussian(
            flow,
            rows[training],
            None if context is None else context[training],
            None if weights is None else weights[training],
            value,
            bounded=False,
        )
        if gaussian is not None and best > self.history_.best_held_out:
            line = f"a Gaussian has {best:.3f} nats per held-out row, more than the flow: it takes its place"
            self.history_.events.append(line)
            self.history_.best_held_out, self.flow_ = best, gaussian.eval()
            announce(line)
        self.flow_.to(device)

    def _training_options(self, recipe: Recipe, seed: int) -> TrainingOptions:
        """The options of the recipe, and those that were given in their place."""
        given = {name: getattr(self, name) for name in ("max_steps", "epochs", "learning_rate", "batch_size")}
        chosen = {name: value for name, value in given.items() if value is not None}
        progress = None if self.verbose else False
        options = {"max_time": self.max_time, "device": self.device, "seed": seed, "progress": progress}
        return {**recipe.training, **chosen, **options}  # type: ignore[typeddict-item]

    def _fit_rows(self, X: Any, sample_weight: Any = None) -> np.ndarray:
        """Fit the density of the rows of X, and return those that have a weight as an array of floats."""
        rows: np.ndarray = validate_data(self, X, dtype=FLOATS, ensure_min_samples=FEWEST_ROWS)
        rows, weights = rows_with_weight(sample_weight, rows)
        # scikit-learn sets the names only if X has any.
        names = vars(self).get("feature_names_in_", range(rows.shape[1]))
        self._fit_flow(rows, [str(name) for name in names], weights=weights)
        return rows

    def _score_rows(self, X: Any) -> np.ndarray:
        """log p of each row of X, (n,)."""
        check_is_fitted(self)
        rows = self._checked(X)
        return self._log_prob(rows, precision=rows.dtype)

    def _checked(self, X: Any, **options: Any) -> np.ndarray:
        """X of a fitted estimator as an array of floats."""
        array: np.ndarray = validate_data(self, X, dtype=FLOATS, reset=False, **options)
        return array

    def _evaluated_by(self, dtype: np.dtype) -> Flow:
        """The flow for rows of a dtype: in double precision a row's result does not depend on the other rows."""
        return copy.deepcopy(self.flow_).double() if dtype == np.float64 else self.flow_

    def _context_of(self, rows: Any) -> Any:
        """The context of rows, an array or a tensor, or None."""
        return rows[:, self._context_columns] if len(self._context_columns) else None

    def _log_prob(self, x: np.ndarray, rows: np.ndarray | None = None, *, precision: np.dtype) -> np.ndarray:
        """log p(x | rows) in nats, (n,), float64.

        It is -inf where a column that was constant in the fit has another value, and for a row so far from the data
        that even float64 has no number for it.
        """
        context = None if rows is None else self._context_of(rows)
        varying = self._columns.of(x).astype(np.float64)
        parts = [varying] if context is None else [varying, context.astype(np.float64)]
        log_prob = evaluate(self._evaluated_by(precision), *parts).double().numpy()
        bad = np.flatnonzero(~np.isfinite(log_prob))
        if bad.size and precision != np.float64:
            exact = self._evaluated_by(np.dtype(np.float64))
            log_prob[bad] = evaluate(exact, *(part[bad] for part in parts)).numpy()
        log_prob[~np.isfinite(log_prob) | ~self._columns.same(x)] = -np.inf
        return log_prob


@contextmanager
def seeded(random_state: Any, flow: Flow) -> Iterator[None]:
    """Draws of a flow that follow scikit-learn's `random_state`; the random state of torch is restored."""
    with seeded_by(int(check_random_state(random_state).randint(2**31 - 1)), device_of(flow)):
        yield
