"""Shared by the other scripts in this folder: data in the plane, a fit, and a picture of what the layers do."""

import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import make_moons

import pushforward as pf

# Entropy of the moons below, by Monte Carlo with 100,000 exact draws and the density by quadrature: 2.400 ± 0.002 nats.
MOONS_ENTROPY = 2.400
OUTPUT = Path("textbook")


def moons(rows: int, seed: int) -> torch.Tensor:
    """Return two half circles with noise, (rows, 2)."""
    x, _ = make_moons(rows, noise=0.1, random_state=seed)
    return torch.from_numpy(2 * x + np.array([-1.0, -0.2])).float()


def fit_and_draw(name: str, flow: pf.Flow, make, entropy: float, **options) -> None:
    """Fit by maximum likelihood, print the NLL minus the entropy of the data, and draw a picture.

    Arguments:
        name: Name of the picture.
        flow: A flow of two features.
        make: Returns data for a number of rows and a seed.
        entropy: Exact entropy of the data in nats, the lower bound of the NLL.
        options: Options of `pushforward.fit`.
    """
    train, test = make(20_000, 0), make(20_000, 1)
    history = pf.fit(flow, train, **{"max_time": 30, "learning_rate": 3e-3, "progress": False, **options})
    log_prob = pf.evaluate(flow, test)
    error = float(log_prob.std()) / math.sqrt(len(test))
    print(
        f"{name}: NLL {-float(log_prob.mean()):.4f} ± {error:.4f} nats, exact entropy {entropy:.4f}, "
        f"difference {-float(log_prob.mean()) - entropy:.4f} ({history.steps} steps, {history.total_seconds:.0f} s)"
    )
    draw(name, flow, test)


@torch.no_grad()
def draw(name: str, flow: pf.Flow, data: torch.Tensor) -> None:
    """Draw data, density and samples; below them, a grid in latent space after some of the layers."""
    steps = list(flow.bijection) if isinstance(flow.bijection, pf.Compose) else [flow.bijection]
    shown = sorted({round(k * len(steps) / 5) for k in range(6)})
    figure = plt.figure(figsize=(12, 6.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1.25, 1])
    low, high = data.quantile(0.001, 0) - 0.7, data.quantile(0.999, 0) + 0.7
    extent = [float(low[0]), float(high[0]), float(low[1]), float(high[1])]
    grid = torch.stack(
        torch.meshgrid(torch.linspace(*extent[:2], 240), torch.linspace(*extent[2:], 240), indexing="xy"), -1
    )
    panels = above.subplots(1, 3)
    panels[0].plot(*data[:4000].T, ".", markersize=1.5, color="0.3")
    panels[0].set_title("data")
    panels[1].imshow(flow.log_prob(grid).exp(), extent=extent, origin="lower", cmap="magma", aspect="auto")
    panels[1].set_title("density p(x)")
    panels[2].plot(*flow.sample((4000,)).T, ".", markersize=1.5, color="tab:orange")
    panels[2].set_title("samples x = f(z)")
    for panel in panels:
        panel.set(xlim=extent[:2], ylim=extent[2:], xticks=[], yticks=[])

    # Lines of a grid, drawn more strongly where the base density is larger.
    fine, coarse = torch.linspace(-2.5, 2.5, 201), torch.linspace(-2.5, 2.5, 21)
    across = torch.stack([fine[None].expand(21, 201), coarse[:, None].expand(21, 201)], -1)
    lines = torch.cat([across, across.flip(-1)])
    weight = (-0.25 * lines.square().sum(-1).amin(1)).exp()
    for place, panel in enumerate(np.atleast_1d(below.subplots(1, len(shown)))):
        points = lines
        for step in steps[: shown[place]]:
            points, _ = step(points)
        for line, strength in zip(points, weight, strict=True):
            panel.plot(*line.T, linewidth=0.6, color="tab:blue", alpha=float(strength))
        panel.set_title("latent grid" if shown[place] == 0 else f"after {shown[place]} of {len(steps)}", fontsize=9)
        panel.set(xticks=[], yticks=[], aspect="equal")
    OUTPUT.mkdir(exist_ok=True)
    figure.savefig(OUTPUT / f"{name}.png", dpi=110)
    plt.close(figure)
