"""What the estimators share: their options, the fit, and the evaluation of many rows."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from pushforward.errors import InputError
from pushforward.estimator.cells import check_finite, readable
from pushforward.estimator.context_columns import ContextColumns
from pushforward.estimator.flow_training import FlowTraining
from pushforward.estimator.kinds import CONTINUOUS, ColumnKinds, continuous_kinds, declared_kinds, learn_kinds
from pushforward.estimator.rows import FEWEST_ROWS, FLOATS, FittedRows, rows_with_weight, warn_of_dependence
from pushforward.estimator.stacked import USUAL_FRACTION
from pushforward.estimator.varying import VaryingColumns
from pushforward.flow import Flow
from pushforward.support.modules import device_of
from pushforward.support.seeding import seeded
from pushforward.tables.checks import check_scale
from pushforward.tables.columns.kinds import Column
from pushforward.tables.columns.values import UNSEEN
from pushforward.training import evaluate
from pushforward.training.copies import copies_of
from pushforward.training.settings import REAL, WHOLE, TrainingOptions, check_types, settings_from
from pushforward.training.splitting import split_table

OPTIONS = {*REAL, *WHOLE}


@dataclass(eq=False, repr=False)
class FlowEstimator(FlowTraining, BaseEstimator):
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
        kinds: what the columns (of `ConditionalFlowDensity`, the targets y0, y1, ..., and the columns of X by their
            names, x0, x1, ... in an array) are. By default that is learned from the rows, as `pushforward.fit_table`
            does: flags, counts and grades have probabilities, rounded numbers stand for their cells, positive and
            bounded numbers keep their bounds. {column name or position: kind}, such as {"visits": "integer"}, declares
            some columns; a kind may be an entry of a schema. "continuous" takes all columns for numbers on the line,
            with a warning where modeled ones repeat values, as `FlowTransformer` always does.
    """

    flow: str | None = None
    _: KW_ONLY
    max_time: float | None = None
    max_steps: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    validation_fraction: float = USUAL_FRACTION
    random_state: Any = None
    device: str = "auto"
    verbose: bool = False
    kinds: Any = None

    # Whether rows are mapped to latent features and back, which only numbers with a density can be.
    _needs_invertible_map = False
    # Whether values of X may be missing.
    _takes_gaps = False

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
        context_names: Sequence[str] = (),
        context_texts: Mapping[int, Sequence[str]] | None = None,
    ) -> FittedRows:
        """Set flow_ and history_ by maximum likelihood of x, (n, D), given the context, (n, C), weighted by (n,)."""
        options = {name: value for name, value in self.get_params().items() if name in OPTIONS}
        check_types(options)
        # Before a time is shared out among several flows.
        of_training = {name: options[name] for name in TrainingOptions.__annotations__ if options.get(name) is not None}
        settings_from({"max_steps": 1, **of_training}, evaluate_every=1)
        seed = _seed_of(self.random_state)
        rows, x = x, x.astype(np.float64)
        row_weights = None if weights is None else torch.from_numpy(weights)
        whole = x if context is None else np.hstack([x, context.astype(np.float64)])
        copies = copies_of(whole)
        split = split_table(torch.from_numpy(whole), self.validation_fraction, seed, row_weights, copies=copies)
        training_rows = split[0].numpy()
        self._columns = VaryingColumns(x[training_rows], names)
        varying = [names[int(place)] for place in self._columns.places]
        check_scale(self._columns.of(x[training_rows]), varying, source="X")
        declared, of_context = declared_kinds(self.kinds, names, context_names)
        self._kinds = self._learn_kinds(rows, names, declared)
        warn_of_dependence(self._columns.of(x[training_rows]), varying, self._kinds.discrete)
        codes = self._kinds.encode(self._columns.of(rows))
        given = None
        if context is not None:
            learned, seen = self.kinds != CONTINUOUS, context[training_rows]
            self._context_columns = ContextColumns(seen, context_names, of_context, learned, context_texts)
            if self._context_columns.width:
                given = self._context_columns(context).astype(np.float64)
        self._train(codes, given, split, seed, weights, copies)
        return FittedRows(rows, training_rows, split[1].numpy(), copies)

    def _learn_kinds(self, rows: np.ndarray, names: Sequence[str], declared: Mapping[int, Column]) -> ColumnKinds:
        """What the columns of rows, (n, D), that vary are, given what a user says of some."""
        places = [int(place) for place in self._columns.places]
        varying, known = rows[:, places], [names[place] for place in places]
        invertible_only = self._needs_invertible_map and self.kinds is None
        if invertible_only or (isinstance(self.kinds, str) and self.kinds == CONTINUOUS):
            return continuous_kinds(varying, known)
        if self._needs_invertible_map:
            raise InputError(
                "FlowTransformer takes all columns for continuous numbers, since values with a probability have no "
                "latent feature of their own; leave out kinds, or use FlowDensity."
            )
        return learn_kinds(varying, known, {index: declared[p] for index, p in enumerate(places) if p in declared})

    def _fit_rows(self, X: Any, sample_weight: Any = None) -> FittedRows:
        """Fit the density of the rows of X, and return those that have a weight."""
        options: dict[str, Any] = {"ensure_min_samples": FEWEST_ROWS, "ensure_all_finite": False}
        rows: np.ndarray = validate_data(self, readable(X), dtype=FLOATS, **options)
        check_finite(rows, X)
        rows, weights = rows_with_weight(sample_weight, rows)
        # scikit-learn sets the names only if X has any.
        names = vars(self).get("feature_names_in_", range(rows.shape[1]))
        return self._fit_flow(rows, [str(name) for name in names], weights=weights)

    def _score_rows(self, X: Any) -> np.ndarray:
        """log p of each row of X, (n,)."""
        check_is_fitted(self)
        rows = self._checked(X)
        return self._log_prob(rows, precision=rows.dtype)

    def _checked(self, X: Any, **options: Any) -> np.ndarray:
        """X of a fitted estimator as an array of floats."""
        options |= {"reset": False, "ensure_all_finite": False}
        numbers = readable(self._as_numbers(X), gaps=self._takes_gaps)
        array: np.ndarray = validate_data(self, numbers, dtype=FLOATS, **options)
        check_finite(array, X, gaps=self._takes_gaps)
        return array

    def _as_numbers(self, X: Any) -> Any:
        """X with numbers for what it holds that numbers stand for."""
        return X

    def _evaluated_by(self, dtype: np.dtype) -> Flow:
        """The flow for rows of a dtype: in double precision a row's result does not depend on the other rows."""
        return copy.deepcopy(self.flow_).double() if dtype == np.float64 else self.flow_

    def _context_of(self, given: Any) -> Any:
        """What is given of rows, an array or a tensor, (n, width); None if that is nothing."""
        return given if given.shape[1] else None

    def _log_prob(self, x: np.ndarray, given: np.ndarray | None = None, *, precision: np.dtype) -> np.ndarray:
        """log p(x | given) in nats, (n,), float64.

        It is -inf where a value was never seen in a column of probabilities or lies outside the bounds of its column,
        where a column that was constant in the fit has another value, and for a row so far from the data that even
        float64 has no number for it.
        """
        codes = self._kinds.encode(self._columns.of(x))
        log_prob = np.full(len(codes), -np.inf)
        seen = np.flatnonzero((codes != UNSEEN).all(1))
        if not seen.size:
            return log_prob
        context = None if given is None else self._context_of(given)
        parts = [codes[seen]] if context is None else [codes[seen], context[seen].astype(np.float64)]
        found = evaluate(self._kinds.density(self._evaluated_by(precision)), *parts).double().numpy()
        bad = np.flatnonzero(~np.isfinite(found))
        if bad.size and precision != np.float64:
            exact = self._kinds.density(self._evaluated_by(np.dtype(np.float64)))
            found[bad] = evaluate(exact, *(part[bad] for part in parts)).numpy()
        log_prob[seen] = found
        log_prob[~np.isfinite(log_prob) | ~self._columns.same(x)] = -np.inf
        return log_prob


def _seed_of(random_state: Any) -> int:
    """A seed drawn from scikit-learn's `random_state`."""
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError:
        raise InputError(
            "random_state is None, a whole number from 0 to 4294967295 or a numpy.random.RandomState, not "
            f"{random_state!r}."
        ) from None


@contextmanager
def seeded_draws(random_state: Any, flow: Flow) -> Iterator[None]:
    """Draws of a flow that follow scikit-learn's `random_state`; the random state of torch is restored."""
    with seeded(_seed_of(random_state), device_of(flow)):
        yield
