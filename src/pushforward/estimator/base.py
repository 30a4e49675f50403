"""What the estimators share: their parameters, the fit, and the evaluation of many rows."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import Tensor

from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.support.modules import device_of
from pushforward.training import evaluate, fit
from pushforward.training.likelihood import CHUNK_ROWS
from pushforward.training.splitting import split_rows
from pushforward.zoo.recipe import Recipe, choose_recipe, knots_for

FLOATS = (np.float64, np.float32)
# Enough to train on, where a straight line does not go through every row.
FEWEST_ROWS = 4
# Eigenvalues of a correlation matrix below this are rounding.
RESOLUTION = 1e-12


class FlowEstimator(BaseEstimator):
    """The parameters of all estimators, and the fit of a flow that is in the units of the data.

    Arguments:
        flow: a named architecture with its own defaults, such as "maf"; by default `pushforward.zoo.recipe` chooses
            architecture, size and training from the data and the time.
        max_time: most seconds of training; by default it goes on until it stops gaining.
        max_steps: most steps of training.
        epochs: most passes over the training rows.
        learning_rate: peak learning rate.
        batch_size: rows in a training batch.
        validation_fraction: share of rows that is held out of the training and decides when it stops.
        random_state: of the split, the initial weights and the batches: a number, a `numpy.random.RandomState`, or None
            for another fit each time.
        device: "auto", "cpu", "cuda" or "mps".
        verbose: whether to say what was chosen and why, and to show a progress bar, on standard error.
    """

    def __init__(
        self,
        flow: str | None = None,
        *,
        max_time: float | None = None,
        max_steps: int | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        device: str = "auto",
        verbose: bool = False,
    ):
        self.flow = flow
        self.max_time = max_time
        self.max_steps = max_steps
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

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
        of_rows = None if weights is None else torch.from_numpy(weights)
        training_rows = split_rows(len(x), self.validation_fraction, seed, of_rows)[0].numpy()
        train = x[training_rows]
        _check_density(train, names)
        given = None
        if context is not None:
            # A constant says nothing, and could not be standardised.
            self._context_columns = np.flatnonzero(~_constant(context[training_rows]))
            if len(self._context_columns):
                given = context[:, self._context_columns].astype(np.float64)
        if self.flow is None:
            features = 0 if given is None else given.shape[1]
            recipe = choose_recipe(len(train), x.shape[1], features, self.max_time)
        else:
            recipe = Recipe({"architecture": self.flow}, knots_for(len(train)), {}, ())
        if self.verbose:
            for line in recipe.reasons:
                print(line, file=sys.stderr)
        chosen = {
            "max_steps": self.max_steps,
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "batch_size": self.batch_size,
        }
        options = {**recipe.training, **{name: value for name, value in chosen.items() if value is not None}}
        flow = recipe.make(
            torch.from_numpy(train),
            None if given is None else torch.from_numpy(given[training_rows]),
            seed,
            weights=None if of_rows is None else of_rows[training_rows],
        )
        self.history_ = fit(
            flow,
            x,
            given,
            weights=weights,
            validation_fraction=self.validation_fraction,
            seed=seed,
            max_time=self.max_time,
            device=self.device,
            progress=None if self.verbose else False,
            **options,
        )
        self.flow_ = flow

    def _fit_rows(self, X: Any, sample_weight: Any = None) -> np.ndarray:
        """Fit the density of the rows of X, and return those that have a weight as an array of floats."""
        rows: np.ndarray = validate_data(self, X, dtype=FLOATS, ensure_min_samples=FEWEST_ROWS)
        rows, weights = weighty(sample_weight, rows)
        self._fit_flow(rows, names_of(self, rows.shape[1]), weights=weights)
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
        """The flow for rows of a dtype: in double precision a row's result does not depend on the rows beside it."""
        return copy.deepcopy(self.flow_).double() if dtype == np.float64 else self.flow_

    def _context_of(self, rows: Any) -> Any:
        """The context of rows, an array or a tensor, or None."""
        return rows[:, self._context_columns] if len(self._context_columns) else None

    def _log_prob(self, x: np.ndarray, rows: np.ndarray | None = None, *, precision: np.dtype) -> np.ndarray:
        """log p(x | rows) in nats, (n,), float64.

        Raises:
            InputError: a row whose log-density is not finite even in float64.
        """
        context = None if rows is None else self._context_of(rows)
        parts = [x.astype(np.float64)] if context is None else [x.astype(np.float64), context.astype(np.float64)]
        log_prob = evaluate(self._evaluated_by(precision), *parts).double().numpy()
        bad = np.flatnonzero(~np.isfinite(log_prob))
        if bad.size and precision != np.float64:
            exact = self._evaluated_by(np.dtype(np.float64))
            log_prob[bad] = evaluate(exact, *(part[bad] for part in parts)).numpy()
            bad = np.flatnonzero(~np.isfinite(log_prob))
        if bad.size:
            raise InputError(
                f"Row {bad[0] + 1} has no finite log-density ({log_prob[bad[0]]}): it lies too far from the data that "
                "the estimator was fitted to."
            )
        return log_prob


def map_rows(function: Callable[..., Tensor], flow: Flow, *arrays: np.ndarray, rows: int = CHUNK_ROWS) -> np.ndarray:
    """Apply a function of tensors to arrays a few rows at a time, on the flow's device and without gradients.

    Arguments:
        function: of one tensor for each array, with results of as many rows.
        flow: says where and in which precision: float32 arrays are not widened for a float64 flow.
        arrays: of equal lengths, at least one row.
        rows: most rows at a time.

    Returns:
        The results one below the other.
    """
    device = device_of(flow)

    def some(array: np.ndarray, start: int) -> Tensor:
        # A copy where it takes one: torch knows no read-only memory.
        return torch.from_numpy(np.require(array[start : start + rows], requirements=["C", "W"])).to(device)

    with torch.no_grad():
        parts = [function(*(some(array, start) for array in arrays)) for start in range(0, len(arrays[0]), rows)]
    result: np.ndarray = torch.cat([part.cpu() for part in parts]).numpy()
    return result


@contextmanager
def seeded(random_state: Any) -> Iterator[None]:
    """Draws of torch that follow scikit-learn's `random_state`; the global random state of torch is put back."""
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def weighty(sample_weight: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The rows whose weight is above zero, and their weights, (m,), or None where all are alike.

    >>> weighty([2, 0, 2, 2, 1], np.arange(5))
    (array([0, 2, 3, 4]), array([2., 2., 2., 1.]))
    """
    if sample_weight is None:
        return rows, None
    if not np.asarray(sample_weight).any():
        raise InputError("All sample weights are zero; give some rows a weight above.")
    weights = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    there = weights > 0
    if there.sum() < FEWEST_ROWS:
        raise InputError(
            f"{there.sum()} rows have a sample weight above zero; at least {FEWEST_ROWS} are needed to fit a density."
        )
    weights = weights[there]
    # Alike, they are no weights: the fit is then just that of the rows that are left.
    return rows[there], None if (weights == weights[0]).all() else weights


def mean_by_weight(log_prob: np.ndarray, sample_weight: Any) -> float:
    """The mean of log p, (n,), by the weights of its rows, (n,), or the plain mean without weights."""
    if sample_weight is not None:
        sample_weight = _check_sample_weight(sample_weight, log_prob, dtype=np.float64, ensure_non_negative=True)
    return float(np.average(log_prob, weights=sample_weight))


def names_of(estimator: Any, columns: int) -> list[str]:
    """The names of the columns of X, or their numbers from 0."""
    names = getattr(estimator, "feature_names_in_", None)
    return [str(index) for index in range(columns)] if names is None else [str(name) for name in names]


def _check_density(rows: np.ndarray, names: Sequence[str]) -> None:
    """Refuse rows without a density, a column that is constant, and warn of one that is a linear function of others.

    >>> _check_density(np.array([[1.0, 2.0], [1.0, 3.0]]), ["mass", "radius"])
    Traceback (most recent call last):
    pushforward.errors.InputError: Column "mass" is 1.0 in every row that is trained on: a density does not exist for
    it; leave it out.
    """
    constant = np.flatnonzero(_constant(rows))
    if constant.size:
        raise InputError(
            f'Column "{names[constant[0]]}" is {rows[0, constant[0]]} in every row that is trained on: a density does '
            "not exist for it; leave it out."
        )
    if 1 < rows.shape[1] < len(rows):
        values, vectors = np.linalg.eigh(np.corrcoef(rows, rowvar=False))
        if values[0] < RESOLUTION:
            name = names[int(np.abs(vectors[:, 0]).argmax())]
            warnings.warn(
                f'Column "{name}" is a linear function of others in every row that is trained on: their joint density '
                "is infinite there, and how large the fitted one becomes says how long it was trained; leave it out.",
                RuntimeWarning,
                stacklevel=4,
            )


def _constant(rows: np.ndarray) -> np.ndarray:
    """Which columns vary by no more than rounding, (columns,)."""
    low, high = rows.min(0), rows.max(0)
    constant: np.ndarray = high - low <= RESOLUTION * np.maximum(np.abs(low), np.abs(high))
    return constant
