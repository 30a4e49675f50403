"""One library, asked over standard input to do one thing at a time and say how long it took.

    python benchmarks/worker.py LIBRARY        # pushforward, compiled, zuko, nflows or flowjax

Each line in is JSON {"case": {...}, "operation": "log_prob" | "step" | "sample"}; each line out the seconds it took.
The first use of an operation builds and warms it up untimed. A short operation is repeated for a tenth of a second.
"""

import json
import sys
import time


def torch_operations(log_prob, sample, parameters, x):
    """The three operations of a torch flow."""
    import torch

    optimizer = torch.optim.Adam(parameters, 1e-4, fused=True)

    def step():
        optimizer.zero_grad()
        loss = -log_prob(x).mean()
        loss.backward()
        optimizer.step()

    def without_gradients(function, *arguments):
        def run():
            with torch.no_grad():
                function(*arguments)

        return run

    return {
        "log_prob": without_gradients(log_prob, x),
        "step": step,
        "sample": without_gradients(sample, len(x)),
    }


def build_pushforward(features, hidden, batch, bins=0, kind="autoregressive", compiled=False):
    """Pushforward."""
    import torch

    import pushforward as pf

    torch.manual_seed(0)
    sizes = {"layers": 5, "hidden": (hidden, hidden)}
    flow = pf.nsf(features, bins=bins, kind=kind, **sizes) if bins else pf.maf(features, **sizes)
    x = torch.randn(batch, features)
    log_prob = torch.compile(flow.log_prob) if compiled else flow.log_prob
    return torch_operations(log_prob, flow.sample, list(flow.parameters()), x)


def build_compiled(**case):
    """Pushforward under torch.compile, which needs a C++ compiler."""
    return build_pushforward(**case, compiled=True)


def build_zuko(features, hidden, batch, bins=0, kind="autoregressive"):
    """Zuko."""
    import torch
    import zuko

    torch.manual_seed(0)
    sizes = {"transforms": 5, "hidden_features": (hidden, hidden)}
    # Two passes over half of the features each are its coupling layers.
    passes = {"passes": 2} if kind == "coupling" else {}
    flow = zuko.flows.NSF(features, 0, bins=bins, **passes, **sizes) if bins else zuko.flows.MAF(features, 0, **sizes)
    x = torch.randn(batch, features)
    return torch_operations(
        lambda x: flow().log_prob(x), lambda count: flow().sample((count,)), list(flow.parameters()), x
    )


def build_nflows(features, hidden, batch, bins=0):
    """Nflows."""
    import torch
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow, MaskedAutoregressiveFlow
    from nflows.transforms import (
        CompositeTransform,
        MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
        ReversePermutation,
    )

    torch.manual_seed(0)
    # Its first masked layer comes before its blocks: one block makes two hidden layers.
    network = {"use_residual_blocks": False}
    if bins:
        layers = []
        for _ in range(5):
            layers.append(ReversePermutation(features))
            layers.append(
                MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                    features, hidden, num_bins=bins, tails="linear", tail_bound=5.0, num_blocks=1, **network
                )
            )
        flow = Flow(CompositeTransform(layers), StandardNormal([features]))
    else:
        flow = MaskedAutoregressiveFlow(features, hidden, num_layers=5, num_blocks_per_layer=1, **network)
    x = torch.randn(batch, features)
    return torch_operations(flow.log_prob, flow.sample, list(flow.parameters()), x)


def build_flowjax(features, hidden, batch, bins=0):
    """flowjax, compiled."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax
    from flowjax.bijections import Affine, RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import masked_autoregressive_flow

    key = jax.random.key(0)
    flow = masked_autoregressive_flow(
        key,
        base_dist=Normal(jnp.zeros(features)),
        transformer=RationalQuadraticSpline(knots=bins, interval=5) if bins else Affine(),
        flow_layers=5,
        nn_width=hidden,
        nn_depth=2,
    )
    x = jax.random.normal(key, (batch, features))
    optimizer = optax.adam(1e-4)
    trained, still = eqx.partition(flow, eqx.is_inexact_array)
    state = {"flow": trained, "optimizer": optimizer.init(trained)}

    @eqx.filter_jit
    def log_prob(flow, x):
        return flow.log_prob(x)

    @eqx.filter_jit
    def sample(flow, key):
        return flow.sample(key, (batch,))

    @eqx.filter_jit
    def update(trained, optimizer_state, x):
        loss = eqx.filter_value_and_grad(lambda t: -eqx.combine(t, still).log_prob(x).mean())
        value, gradient = loss(trained)
        change, optimizer_state = optimizer.update(gradient, optimizer_state)
        return eqx.apply_updates(trained, change), optimizer_state, value

    def step():
        state["flow"], state["optimizer"], value = update(state["flow"], state["optimizer"], x)
        jax.block_until_ready((state["flow"], value))

    return {
        "log_prob": lambda: log_prob(flow, x).block_until_ready(),
        "step": step,
        "sample": lambda: sample(flow, key).block_until_ready(),
    }


def main(library: str) -> None:
    """Answer until standard input ends."""
    build = {
        "pushforward": build_pushforward,
        "compiled": build_compiled,
        "zuko": build_zuko,
        "nflows": build_nflows,
        "flowjax": build_flowjax,
    }[library]
    built, warm, repeats = {}, set(), {}
    for line in sys.stdin:
        request = json.loads(line)
        case = tuple(sorted(request["case"].items()))
        operation = request["operation"]
        if case not in built:
            built.clear()
            built[case] = build(**request["case"])
            warm.clear()
        run = built[case][operation]
        if operation not in warm:
            for _ in range(request["warm_up"]):
                run()
            warm.add(operation)
            started = time.perf_counter()
            run()
            # A short operation is repeated, or the caches that the other processes emptied would be most of it.
            repeats[operation] = max(1, int(0.1 / (time.perf_counter() - started)))
        start = time.perf_counter()
        for _ in range(repeats[operation]):
            run()
        print((time.perf_counter() - start) / repeats[operation], flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
