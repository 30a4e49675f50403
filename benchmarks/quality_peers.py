"""Another library's spline flow, trained against the clock: one process for one run.

    PEERS_PYTHON benchmarks/quality_peers.py LIBRARY < TASK        # zuko, nflows or flowjax

TASK is JSON {"files": [train, validation, test], "seconds": ..., "seed": ..., "threads": ...}; the answer, one line of
JSON, has the number of steps, the seconds taken, the library's version, the mean validation log-likelihood and the test
log-likelihood with two standard errors, all in nats.

Five autoregressive layers of rational quadratic splines with eight bins on [-5, 5], their order reversed or, in
flowjax, permuted from one to the next; hidden 2 x 128. Adam at 1e-3 with a cosine to zero over the time, batch 512,
gradients clipped at 5, steps that are not finite left out, best weights on the validation rows. The clock runs from
data in memory to the end of the training: construction, compilation and validation are inside.
"""

import copy
import importlib.metadata
import json
import math
import os
import sys
import time

import numpy as np

BATCH, BLOCK = 512, 4096
LEARNING_RATE, CLIP = 1e-3, 5.0
# Of the validation rows, to choose weights by: more would take time from the training.
CHOSEN_BY = 20_000
# Evaluations take at most about a twentieth of the time, and there are at most twenty.
EVALUATION_SHARE = 0.05


class TorchModel:
    """A flow of a torch library."""

    def __init__(self, flow, log_prob, train):
        import torch

        self.torch, self.flow, self._log_prob = torch, flow, log_prob
        self.train = torch.from_numpy(train)
        self.optimizer = torch.optim.Adam(flow.parameters(), LEARNING_RATE)
        self.best = copy.deepcopy(flow.state_dict())

    def step(self, rows, learning_rate):
        """One step on some training rows."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad()
        loss = -self._log_prob(self.train[self.torch.from_numpy(rows)]).mean()
        loss.backward()
        norm = self.torch.nn.utils.clip_grad_norm_(self.flow.parameters(), CLIP)
        if norm.isfinite() and loss.isfinite():
            self.optimizer.step()

    def log_prob(self, x):
        """Log-densities of rows."""
        self.flow.eval()
        with self.torch.no_grad():
            blocks = [self._log_prob(block) for block in self.torch.from_numpy(x).split(BLOCK)]
        self.flow.train()
        return self.torch.cat(blocks).double().numpy()

    def keep(self):
        """Remember these weights."""
        self.best = copy.deepcopy(self.flow.state_dict())

    def restore(self):
        """Go back to the weights remembered."""
        self.flow.load_state_dict(self.best)


def build_zuko(train, seed):
    """Zuko."""
    import torch
    import zuko

    torch.manual_seed(seed)
    flow = zuko.flows.NSF(train.shape[1], 0, bins=8, transforms=5, hidden_features=(128, 128))
    return TorchModel(flow, lambda x: flow().log_prob(x), train)


def build_nflows(train, seed):
    """Nflows."""
    import torch
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.transforms import (
        CompositeTransform,
        MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
        ReversePermutation,
    )

    torch.manual_seed(seed)
    features, transforms = train.shape[1], []
    for _ in range(5):
        # Its first masked layer comes before its blocks: one block makes two hidden layers.
        spline = MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
            features, 128, num_bins=8, tails="linear", tail_bound=5.0, num_blocks=1, use_residual_blocks=False
        )
        transforms += [spline, ReversePermutation(features)]
    flow = Flow(CompositeTransform(transforms), StandardNormal([features]))
    return TorchModel(flow, flow.log_prob, train)


class FlowjaxModel:
    """A flow of flowjax, compiled."""

    def __init__(self, train, seed):
        import equinox as eqx
        import jax
        import jax.numpy as jnp
        import optax
        from flowjax.bijections import RationalQuadraticSpline
        from flowjax.distributions import Normal
        from flowjax.flows import masked_autoregressive_flow

        flow = masked_autoregressive_flow(
            jax.random.key(seed),
            base_dist=Normal(jnp.zeros(train.shape[1])),
            transformer=RationalQuadraticSpline(knots=8, interval=5),
            flow_layers=5,
            nn_width=128,
            nn_depth=2,
        )
        self.numbers = jnp
        self.train = jnp.asarray(train)
        self.weights, still = eqx.partition(flow, eqx.is_inexact_array)
        optimizer = optax.chain(optax.clip_by_global_norm(CLIP), optax.scale_by_adam())
        self.state, self.best = optimizer.init(self.weights), self.weights

        @eqx.filter_jit
        def log_prob(weights, x):
            return eqx.combine(weights, still).log_prob(x)

        @eqx.filter_jit
        def update(weights, state, train, rows, learning_rate):
            x = train[rows]
            loss, gradient = eqx.filter_value_and_grad(lambda w: -eqx.combine(w, still).log_prob(x).mean())(weights)
            change, new_state = optimizer.update(gradient, state)
            new = eqx.apply_updates(weights, jax.tree.map(lambda c: -learning_rate * c, change))
            finite = jnp.isfinite(loss) & jnp.isfinite(optax.global_norm(gradient))
            return jax.tree.map(lambda a, b: jnp.where(finite, a, b), (new, new_state), (weights, state))

        self._log_prob, self._update = log_prob, update
        # Compiled here, so that the first evaluation tells what one costs.
        self.log_prob(train[:1])

    def step(self, rows, learning_rate):
        """One step on some training rows."""
        rate = self.numbers.float32(learning_rate)
        self.weights, self.state = self._update(self.weights, self.state, self.train, self.numbers.asarray(rows), rate)

    def log_prob(self, x):
        """Log-densities of rows, in blocks of one size, since another size would be compiled again."""
        blocks = []
        for start in range(0, len(x), BLOCK):
            block = x[start : start + BLOCK]
            padded = np.concatenate([block, np.repeat(block[:1], BLOCK - len(block), axis=0)])
            blocks.append(np.asarray(self._log_prob(self.weights, padded), np.float64)[: len(block)])
        return np.concatenate(blocks)

    def keep(self):
        """Remember these weights."""
        self.best = self.weights

    def restore(self):
        """Go back to the weights remembered."""
        self.weights = self.best


BUILD = {"zuko": build_zuko, "nflows": build_nflows, "flowjax": FlowjaxModel}


def fit(build, train, validation, seconds, seed):
    """Train for that many seconds from the call on; return the model with its best weights, and the number of steps."""
    start = time.perf_counter()
    model = build(train, seed)
    random, order, used, steps = np.random.default_rng(seed), np.zeros(0, np.int64), 0, 0
    chosen_by = validation[:CHOSEN_BY]
    best, cost, due = -math.inf, 0.0, 0.0
    while True:
        now = time.perf_counter() - start
        # The last evaluation has to end in time.
        end = seconds - 1.2 * cost
        if now >= due or now >= end:
            value = model.log_prob(chosen_by).mean()
            if value > best:
                best = value
                model.keep()
            if now >= end:
                break
            cost = time.perf_counter() - start - now
            due = now + cost + max(EVALUATION_SHARE * seconds, cost / EVALUATION_SHARE)
        if used + BATCH > len(order):
            order, used = random.permutation(len(train)), 0
        rate = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * min(1.0, now / end)))
        model.step(order[used : used + BATCH], rate)
        used, steps = used + BATCH, steps + 1
    model.restore()
    return model, steps, time.perf_counter() - start


def main(library):
    """Train, judge once, answer."""
    task = json.load(sys.stdin)
    if hasattr(os, "sched_setaffinity"):
        # What is compiled for processors takes no number of threads.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task["threads"]])
    if library == "flowjax":
        import equinox  # noqa: F401 (before the clock, like torch)
        import flowjax.flows  # noqa: F401
        import optax  # noqa: F401
    else:
        import torch

        __import__(library + ".flows")
        torch.set_num_threads(task["threads"])
        # The first optimizer imports the compiler, which takes seconds; imports come before the clock for all.
        torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    train, validation, test = (np.load(file) for file in task["files"])
    model, steps, seconds = fit(BUILD[library], train, validation, task["seconds"], task["seed"])
    held_out, values = model.log_prob(validation), model.log_prob(test)
    answer = {
        "validation": held_out.mean(),
        "test": values.mean(),
        "error": 2 * values.std(ddof=1) / math.sqrt(len(values)),
        "steps": steps,
        "elapsed": seconds,
        "version": f"{library} {importlib.metadata.version(library)}",
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
