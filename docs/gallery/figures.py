"""The interactive figures of the gallery: small flows, trained when the documentation is built, each in one file.

    python docs/gallery/figures.py FOLDER [NAME ...]

writes FOLDER/NAME.html for every figure, or for those that are named.
"""

import html
import json
import sys
import warnings
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pushforward as pf
from pushforward.exports.javascript import evaluator, flow_as_json
from pushforward.flow import Flow
from pushforward.training.distillation import DistillationReport
from pushforward.training.distillation.report import DistillationAlarm

HERE = Path(__file__).parent
ASSETS = files("pushforward.evaluation.report").joinpath("assets")
# Programs and styles of the figures: those that a report has as well, and those of the gallery.
SHARED = ("draw.js", "layers_view.js")
OWN = ("lesson.js", "one_dimension.js", "order_view.js", "distillation_view.js")
ROWS, LATENTS = 300, 500
# Of distillation, a student for each number.
STEPS = (30, 100, 300, 1000, 3000)
# Radius of the disk around the point, in the base space.
DISK = 0.5

Data = dict[str, Any]


def change_of_variables() -> Data:
    """One feature with two modes, one of them skewed."""
    random = np.random.default_rng(0)
    x = np.where(random.uniform(size=3000) < 0.4, random.normal(-1.5, 0.35, 3000), random.gamma(2.0, 0.6, 3000))
    flow = pf.autoregressive(features=1, univariate="spline", layers=2, hidden=(8,), bins=10, linear="actnorm")
    return one_number(fitted(flow, x[:, None], steps=800), x[:, None])


def planar() -> Data:
    """A split ring by sixteen planar layers, fitted to its unnormalized density."""
    return layers(fitted_to_ring(pf.planar(features=2, layers=16)), ring_rows())


def nice() -> Data:
    """Two moons by six additive coupling layers."""
    x = moons(3000)
    return layers(fitted(pf.nice(features=2, layers=6, hidden=(32, 32)), x, steps=1000), x)


def realnvp() -> Data:
    """Two moons by eight affine coupling layers."""
    x = moons(3000)
    return layers(fitted(pf.realnvp(features=2, layers=8, hidden=(32, 32), actnorm=False), x, steps=1000), x)


def maf() -> Data:
    """Two moons by five affine autoregressive layers."""
    x = moons(3000)
    return layers(fitted(pf.maf(features=2, layers=5, hidden=(32, 32)), x, steps=1000), x)


def iaf() -> Data:
    """The split ring by six inverse autoregressive layers."""
    return layers(fitted_to_ring(pf.iaf(features=2, layers=6, hidden=(32, 32))), ring_rows())


def maf_unit_by_unit() -> Data:
    """One autoregressive layer fitted to five numbers, each of which depends on those before it."""
    x = path(3000)
    return unit_by_unit(fitted(pf.maf(features=5, layers=1, hidden=(32,), order="same"), x, steps=500), x)


def iaf_unit_by_unit() -> Data:
    """The same for one inverse autoregressive layer."""
    x = path(3000)
    return unit_by_unit(fitted(pf.iaf(features=5, layers=1, hidden=(32,), order="same"), x, steps=500), x)


def distillation() -> Data:
    """An autoregressive teacher of two moons, and inverse autoregressive students that were trained ever longer."""
    teacher = fitted(pf.maf(features=2, layers=5, hidden=(32, 32)), moons(3000), steps=1000)
    return side_by_side(teacher, [(steps, *student_of(teacher, steps)) for steps in STEPS])


FIGURES: dict[str, Callable[[], Data]] = {
    figure.__name__: figure
    for figure in (
        change_of_variables,
        planar,
        nice,
        realnvp,
        maf,
        maf_unit_by_unit,
        iaf,
        iaf_unit_by_unit,
        distillation,
    )
}


# ---- targets ----


def split_ring(x: torch.Tensor) -> torch.Tensor:
    """The first of the four densities of Rezende and Mohamed 2015, arXiv:1505.05770, not normalized."""
    sides = torch.stack([-0.5 * ((x[:, 0] - side) / 0.6) ** 2 for side in (2.0, -2.0)])
    return sides.logsumexp(0) - 0.5 * ((x.norm(dim=1) - 2) / 0.4) ** 2


def ring_rows() -> np.ndarray:
    """Rows of the split ring to compare with, by rejection."""
    proposals = 8 * torch.rand(40_000, 2, generator=torch.Generator().manual_seed(0)) - 4
    density = split_ring(proposals).exp()
    kept = torch.rand(len(density), generator=torch.Generator().manual_seed(1)) * density.max() < density
    return proposals[kept].numpy()


def moons(rows: int) -> np.ndarray:
    """Two half circles that reach into each other."""
    random = np.random.default_rng(0)
    angle = np.pi * random.uniform(size=rows)
    side = random.integers(0, 2, rows)
    x = np.where(side, 1 - np.cos(angle), np.cos(angle)) - 0.5
    y = np.where(side, 0.5 - np.sin(angle), np.sin(angle)) - 0.25
    return 1.6 * np.stack([x, y], 1) + 0.12 * random.normal(size=(rows, 2))


def path(rows: int, length: int = 5) -> np.ndarray:
    """Numbers one after the other, each near a wave of the one before it and as uncertain as the first is large."""
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, length))
    for d in range(1, length):
        x[:, d] = np.sin(1.6 * x[:, d - 1]) + np.exp(0.5 * np.tanh(x[:, 0]) - 0.9) * x[:, d]
    return x


# ---- fits ----


def fitted(flow: Flow, x: np.ndarray, steps: int) -> Flow:
    """The flow after a short training."""
    rows = torch.from_numpy(x).float()
    pf.fit(flow, rows, max_steps=steps, batch_size=256, learning_rate=5e-3, progress=False, seed=0)
    return flow.eval()


def fitted_to_ring(flow: Flow) -> Flow:
    """The flow after variational inference: from a flat target to the whole ring, so that neither half is missed."""
    options = {"annealing_steps": 2000, "max_steps": 3000, "batch_size": 256, "progress": False, "seed": 0}
    pf.fit_to_target(flow, split_ring, estimator="plain", **options)
    return flow.eval()


def student_of(teacher: Flow, steps: int) -> tuple[Flow, DistillationReport]:
    """A student after so many steps of distillation, and how well it matches its teacher."""
    torch.manual_seed(0)
    student = pf.iaf(features=2, layers=5, hidden=(32, 32))
    options = {"batch_size": 256, "learning_rate": 5e-3, "timing_rows": 0, "progress": False, "seed": 0}
    with warnings.catch_warnings():
        # That those after few steps are bad students is what the figure shows.
        warnings.simplefilter("ignore", DistillationAlarm)
        return student, pf.distill(teacher, student, max_steps=steps, **options)


# ---- what the views take ----


def one_number(flow: Flow, x: np.ndarray) -> Data:
    """A map of one number, with the densities of both sides."""
    return {"view": "oneDimensionView", "flow": flow_as_json(flow), "rows": x[:ROWS].round(4).tolist()}


def layers(flow: Flow, x: np.ndarray) -> Data:
    """A flow of two features, layer by layer."""
    return {
        "view": "layersView",
        "flow": flow_as_json(flow),
        "columns": [{"name": f"x{place + 1}", "plain": True, "discrete": False} for place in range(flow.features)],
        "rows": x[:ROWS].round(4).tolist(),
        "latents": flow.base.sample((LATENTS,)).tolist(),
        "disk": DISK,
    }


def unit_by_unit(flow: Flow, x: np.ndarray) -> Data:
    """A single affine autoregressive layer of a few features."""
    return {"view": "orderView", "flow": flow_as_json(flow), "rows": x[:1].round(4).tolist()}


def side_by_side(teacher: Flow, students: list[tuple[int, Flow, DistillationReport]]) -> Data:
    """A teacher and its students: steps of training, flow, and how well it matches."""
    with torch.no_grad():
        draws = teacher.sample((LATENTS,))
    return {
        "view": "distillationView",
        "teacher": flow_as_json(teacher),
        "students": [
            {"steps": steps, "flow": flow_as_json(student), "kl": report.kl, "klError": report.kl_error}
            for steps, student, report in students
        ],
        "draws": draws.tolist(),
        "latents": teacher.base.sample((LATENTS,)).tolist(),
    }


# ---- pages ----


def sources() -> list[Path]:
    """The files that a figure is made of: it is out of date when one of them is newer."""
    own = [HERE / name for name in ("figures.py", "figure.html", "figure.css", *OWN)]
    return [*own, *(Path(str(ASSETS.joinpath(name))) for name in (*SHARED, "page.css"))]


def write(name: str, folder: Path) -> Path:
    """Write one figure as a page of its own."""
    torch.manual_seed(0)
    data = FIGURES[name]()
    scripts = [evaluator(), *(ASSETS.joinpath(script).read_text() for script in SHARED)]
    scripts += [(HERE / script).read_text() for script in OWN]
    page = (HERE / "figure.html").read_text()
    parts = {
        "STYLE": ASSETS.joinpath("page.css").read_text(),
        "FIGURE_STYLE": (HERE / "figure.css").read_text(),
        "DATA": json.dumps(data).replace("<", "\\u003c"),
        "SCRIPTS": "\n".join(scripts),
        "TITLE": html.escape(name.replace("_", " ")),
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
