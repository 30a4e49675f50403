"""How the flows of an estimator are trained: one, a stack of few rows, or the mixture of one target given others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pushforward.estimator.context_columns import ContextColumns
from pushforward.estimator.gaussian_start import keep_gaussian
from pushforward.estimator.kinds import ColumnKinds
from pushforward.estimator.members import mixture_of, splits_of_members
from pushforward.estimator.one_fit import Rows, train
from pushforward.estimator.regressions import line_of, regressions_of
from pushforward.estimator.stacked import fit_stack, folds_of
from pushforward.support.progress import silent, to_standard_error
from pushforward.table_models.stacking import seconds_of_flow
from pushforward.training.folds import FoldedRows
from pushforward.training.history import History
from pushforward.training.settings import TrainingOptions
from pushforward.zoo.recipe import Recipe, choose_recipe, named_recipe


class FlowTraining:
    """The training of an estimator, by the options that it has."""

    # Options of the estimator.
    flow: str | None
    max_time: float | None
    max_steps: int | None
    validation_fraction: float
    device: str
    verbose: bool
    # What its columns are.
    _kinds: ColumnKinds
    _context_columns: ContextColumns
    # What is trained.
    flow_: Any
    history_: History

    # Whether few rows are answered with a stack of flows and simple densities.
    _is_stacked = False

    def _train(
        self,
        codes: np.ndarray,
        given: np.ndarray | None,
        split: Any,
        seed: int,
        weights: np.ndarray | None,
        copies: np.ndarray | None,
    ) -> None:
        """Set flow_ and history_ by the codes of rows, (n, D), given a context, (n, C)."""
        flags = () if given is None else self._context_columns.flags
        # The points are those that a Gaussian is made of as well.
        points = self._kinds.points(codes, seed)
        rows = Rows(codes, points, given, None if weights is None else torch.from_numpy(weights), flags)
        folded = FoldedRows(torch.from_numpy(codes), copies)
        folds = folds_of(codes, folded, vars(self), seed) if self._is_stacked and weights is None else []
        if folds:
            max_time = seconds_of_flow(self.max_time, len(codes))
            recipe, options = self._chosen(rows, split, seed, max_time, len(folds))
            result = fit_stack(self._kinds, recipe, rows, folded, folds, seed, options)
            self.flow_ = result.flow
            self.history_ = result.history
            self._announce(self.history_.events[-1:])
        elif self.flow is None and given is not None and codes.shape[1] == 1 and weights is None:
            self._train_mixture(rows, folded, split, seed)
        else:
            recipe, options = self._chosen(rows, split, seed, self.max_time)
            self.flow_, self.history_ = train(self._kinds, recipe, rows, split, seed, options)
            before = len(self.history_.events)
            if self.flow is None:
                self.flow_ = keep_gaussian(self.flow_, self._kinds, self.history_, rows, split)
            self._announce(self.history_.events[before:])

    def _train_mixture(self, rows: Rows, folded: FoldedRows, split: Any, seed: int) -> None:
        """Set flow_ and history_ of one target: a mixture of a few flows that are shown what regressions say of it."""
        assert rows.given is not None
        start, max_time = time.monotonic(), self.max_time
        regressions = regressions_of(self._kinds, rows, folded, seed, max_time, self.max_steps)
        about = [line_of(regressions)] if regressions else []
        self._announce(about)
        splits = splits_of_members(rows, split, self.validation_fraction, seed)
        rows = rows.shown(regressions)
        if max_time is not None:
            max_time = max(max_time - (time.monotonic() - start), 0.5 * max_time) / len(splits)
        recipe, options = self._chosen(rows, split, seed, max_time, len(splits))
        found = [train(self._kinds, recipe, rows, part, seed + k, options) for k, part in enumerate(splits)]
        self.history_ = found[0][1]
        before = len(self.history_.events)
        self.flow_ = mixture_of(found, self._kinds, rows, splits, [one.model for one in regressions])
        self._announce(self.history_.events[before:])
        self.history_.events[before:before] = about

    def _chosen(
        self, rows: Rows, split: Any, seed: int, max_time: float | None, flows: int = 1
    ) -> tuple[Recipe, TrainingOptions]:
        """The recipe of a flow, which is said, and the options of its training."""
        count, context = len(split[0]), 0 if rows.given is None else rows.given.shape[1]
        if self.flow is None:
            recipe = choose_recipe(count, rows.codes.shape[1], context, max_time, flows)
        else:
            recipe = named_recipe(self.flow, count)
        of_context = [] if rows.given is None else self._context_columns.describe()
        self._announce([*self._kinds.describe(), *of_context, *recipe.reasons])
        return recipe, self._training_options(recipe, seed, max_time)

    def _announce(self, lines: Sequence[str]) -> None:
        for line in lines:
            (to_standard_error if self.verbose else silent)(line)

    def _training_options(self, recipe: Recipe, seed: int, max_time: float | None) -> TrainingOptions:
        """The options of the recipe, and those that were given in their place."""
        given = {name: getattr(self, name) for name in ("max_steps", "epochs", "learning_rate", "batch_size")}
        chosen = {name: value for name, value in given.items() if value is not None}
        progress = None if self.verbose else False
        options = {"max_time": max_time, "device": self.device, "seed": seed, "progress": progress}
        return {**recipe.training, **chosen, **options}  # type: ignore[typeddict-item]
