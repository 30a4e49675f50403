"""The interactive figures of the gallery: small flows, trained when the documentation is built, each in one file.

    python docs/gallery/figures.py FOLDER [NAME ...]

writes FOLDER/NAME.html for every figure, or for those that are named.
"""

import json
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch

import pushforward as pf
from pushforward.flow import Flow
from pushforward.store.javascript import evaluator, flow_as_json

HERE = Path(__file__).parent
ROWS, LATENTS = 300, 500


def change_of_variables() -> tuple[Flow, np.ndarray]:
    """One feature with two modes, one of them skewed."""
    random = np.random.default_rng(0)
    x = np.where(random.uniform(size=3000) < 0.4, random.normal(-1.5, 0.35, 3000), random.gamma(2.0, 0.6, 3000))
    flow = pf.autoregressive(features=1, univariate="spline", layers=2, hidden=(8,), bins=10, linear="actnorm")
    return fitted(flow, x[:, None], steps=800)


def planar() -> tuple[Flow, np.ndarray]:
    """A split ring by sixteen planar layers, fitted to its unnormalized density; rows of the ring to compare with."""
    torch.manual_seed(0)
    flow = pf.planar(features=2, layers=16)
    # From a flat target to the whole one, so that neither half is missed.
    options = {"annealing_steps": 2000, "max_steps": 3000, "batch_size": 256, "progress": False, "seed": 0}
    pf.fit_to_target(flow, split_ring, estimator="plain", **options)
    proposals = 8 * torch.rand(40_000, 2, generator=torch.Generator().manual_seed(0)) - 4
    density = split_ring(proposals).exp()
    kept = torch.rand(len(density), generator=torch.Generator().manual_seed(1)) * density.max() < density
    return flow.eval(), proposals[kept].numpy()


def split_ring(x: torch.Tensor) -> torch.Tensor:
    """The first of the four densities of Rezende and Mohamed 2015, arXiv:1505.05770, not normalized."""
    sides = torch.stack([-0.5 * ((x[:, 0] - side) / 0.6) ** 2 for side in (2.0, -2.0)])
    return sides.logsumexp(0) - 0.5 * ((x.norm(dim=1) - 2) / 0.4) ** 2


def maf() -> tuple[Flow, np.ndarray]:
    """Two moons by five affine autoregressive layers."""
    return fitted(pf.maf(features=2, layers=5, hidden=(32, 32)), moons(3000), steps=1000)


FIGURES = {"change_of_variables": change_of_variables, "planar": planar, "maf": maf}


def moons(rows: int) -> np.ndarray:
    """Two half circles that reach into each other."""
    random = np.random.default_rng(0)
    angle = np.pi * random.uniform(size=rows)
    side = random.integers(0, 2, rows)
    x = np.where(side, 1 - np.cos(angle), np.cos(angle)) - 0.5
    y = np.where(side, 0.5 - np.sin(angle), np.sin(angle)) - 0.25
    return 1.6 * np.stack([x, y], 1) + 0.12 * random.normal(size=(rows, 2))


def fitted(flow: Flow, x: np.ndarray, steps: int) -> tuple[Flow, np.ndarray]:
    """The flow after a short training on standardized rows, and these rows."""
    rows = torch.from_numpy(x).float()
    pf.fit(flow, rows, max_steps=steps, batch_size=256, learning_rate=5e-3, progress=False, seed=0)
    return flow.eval(), x


def write(name: str, folder: Path) -> Path:
    """Write one figure as a page of its own."""
    torch.manual_seed(0)
    flow, x = FIGURES[name]()
    data = {
        "view": "oneDimensionView" if flow.features == 1 else "layersView",
        "flow": flow_as_json(flow),
        "columns": [{"name": f"x{place + 1}", "plain": True, "discrete": False} for place in range(flow.features)],
        "rows": x[:ROWS].round(4).tolist(),
        "latents": flow.base.sample((LATENTS,)).tolist(),
        "jacobian": True,
    }
    assets = files("pushforward.evaluation.report").joinpath("assets")
    scripts = [evaluator(), *(assets.joinpath(script).read_text() for script in ("draw.js", "layers_view.js"))]
    scripts.append((HERE / "one_dimension.js").read_text())
    page = (HERE / "figure.html").read_text()
    parts = {
        "STYLE": assets.joinpath("page.css").read_text(),
        "DATA": json.dumps(data).replace("<", "\\u003c"),
        "SCRIPTS": "\n".join(scripts),
        "TITLE": name.replace("_", " "),
    }
    for part, text in parts.items():
        page = page.replace(f"{{{{{part}}}}}", text)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.html"
    path.write_text(page)
    return path


if __name__ == "__main__":
    for chosen in sys.argv[2:] or FIGURES:
        print(write(chosen, Path(sys.argv[1])))
