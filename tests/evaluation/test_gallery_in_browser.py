"""The figures of the documentation's gallery in a real browser: they follow the flow that they show."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import browser, opened

import pushforward as pf

sys.path.append(str(Path(__file__).parents[2] / "docs" / "gallery"))
import figures

pytestmark = pytest.mark.slow
FLOWS = {
    "change_of_variables": lambda: pf.autoregressive(
        features=1, univariate="spline", layers=2, hidden=(8,), bins=10, linear="actnorm"
    ),
    "planar": lambda: pf.planar(features=2, layers=4),
    "maf": lambda: pf.maf(features=2, layers=3, hidden=(8,)),
}


@pytest.fixture(scope="module")
def chromium():
    with browser() as one:
        yield one


@pytest.fixture
def figure(tmp_path, monkeypatch):
    """Writes the figure of an untrained flow, and returns both."""

    def write(name):
        flow = FLOWS[name]().eval()
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        rows = flow.sample((300,)).numpy()
        monkeypatch.setitem(figures.FIGURES, name, lambda: (flow, rows))
        return figures.write(name, tmp_path), flow.double()

    return write


def test_every_figure_has_a_page_that_shows_it():
    for name in figures.FIGURES:
        assert f"_static/{name}.html" in (figures.HERE / f"{name}.md").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [800, 390])
@pytest.mark.parametrize("name", FLOWS)
def test_a_figure_opens_without_complaint(chromium, figure, name, width, scheme):
    with opened(chromium, figure(name)[0], width, scheme) as page:
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", FLOWS)
def test_a_dragged_point_is_mapped_by_the_flow(chromium, figure, name):
    path, flow = figure(name)
    with opened(chromium, path) as page:
        if name != "change_of_variables":
            page.wait_for_selector(".figure[data-ready]", timeout=60_000)
        box = page.locator("canvas").first.bounding_box()
        before = page.locator(".figure").get_attribute("data-point")
        page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.3 * box["height"], steps=3)
        page.mouse.up()
        now = page.locator(".figure").get_attribute("data-point")
        assert now != before
        found = {key: np.atleast_1d(value) for key, value in json.loads(now).items()}
        with torch.no_grad():
            x = flow.to_data(torch.from_numpy(found["z"])[None])[0]
            log_prob = flow.log_prob(x[None])
        np.testing.assert_allclose(found["x"], x.numpy(), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(found["logProb"], log_prob.numpy(), rtol=1e-6, atol=1e-6)


def test_the_jacobian_of_an_autoregressive_step_is_triangular(chromium, figure):
    with opened(chromium, figure("maf")[0]) as page:
        page.wait_for_selector(".figure[data-ready]", timeout=60_000)
        zeros = []
        for _ in range(3):
            cells = page.locator(".jacobian td").all()
            zeros.append([place for place, cell in enumerate(cells) if cell.get_attribute("class") == "zero"])
            page.get_by_role("button", name="One step back").click()
        assert zeros == [[1], [2], [1]]
