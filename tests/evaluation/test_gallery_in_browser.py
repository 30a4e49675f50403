"""The figures of the documentation's gallery in a real browser: they follow the flows that they show."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import browser, opened

import pushforward as pf
from pushforward.training.distillation import evaluate_student

sys.path.append(str(Path(__file__).parents[2] / "docs" / "gallery"))
import figures

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pushforward.training.distillation.report.DistillationAlarm"),
]
# Untrained flows like those of the figures.
OF_ONE_NUMBER = {
    "change_of_variables": lambda: pf.autoregressive(
        features=1, univariate="spline", layers=2, hidden=(8,), bins=10, linear="actnorm"
    )
}
OF_LAYERS = {
    "planar": lambda: pf.planar(features=2, layers=4),
    "nice": lambda: pf.nice(features=2, layers=3, hidden=(8,)),
    "realnvp": lambda: pf.realnvp(features=2, layers=3, hidden=(8,), actnorm=False),
    "maf": lambda: pf.maf(features=2, layers=3, hidden=(8,)),
    "iaf": lambda: pf.iaf(features=2, layers=3, hidden=(8,)),
}
OF_UNITS = {
    "maf_unit_by_unit": lambda: pf.maf(features=5, layers=1, hidden=(8,), order="same"),
    "iaf_unit_by_unit": lambda: pf.iaf(features=5, layers=1, hidden=(8,), order="same"),
}
FLOWS = {**OF_ONE_NUMBER, **OF_LAYERS, **OF_UNITS}
PAIR = (lambda: pf.maf(features=2, layers=2, hidden=(8,)), lambda: pf.iaf(features=2, layers=2, hidden=(8,)))
VIEWS = {
    **dict.fromkeys(OF_ONE_NUMBER, figures.one_number),
    **dict.fromkeys(OF_LAYERS, figures.layers),
    **dict.fromkeys(OF_UNITS, figures.unit_by_unit),
}


@pytest.fixture(scope="module")
def chromium():
    with browser() as one:
        yield one


def shaken(make):
    """A flow whose parameters are all moved at random."""
    flow = make().eval()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return flow


@pytest.fixture
def figure(tmp_path, monkeypatch):
    """Writes a figure of untrained flows, and returns its path and the flow, or teacher and students."""

    def write(name):
        if name == "distillation":
            teacher, *students = flows = [shaken(make) for make in (PAIR[0], PAIR[1], PAIR[1])]
            reports = [evaluate_student(teacher, student, draws=1000, timing_rows=0) for student in students]
            data = figures.side_by_side(teacher, list(zip((10, 20), students, reports, strict=True)))
            shown = [flow.double() for flow in flows]
        else:
            flow = shaken(FLOWS[name])
            data = VIEWS[name](flow, flow.sample((300,)).numpy())
            shown = flow.double()
        monkeypatch.setitem(figures.FIGURES, name, lambda: data)
        return figures.write(name, tmp_path), shown

    return write


def state(page, name="point"):
    """What the figure shows, as numbers."""
    return json.loads(page.locator(".figure").get_attribute(f"data-{name}"))


def ready(page, name):
    if name in OF_LAYERS:
        page.wait_for_selector(".figure[data-ready]", timeout=60_000)


def drag(page, canvas):
    box = page.locator("canvas").nth(canvas).bounding_box()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.4 * box["height"], steps=3)
    page.mouse.up()


def same(found, wanted):
    np.testing.assert_allclose(np.atleast_1d(found), np.atleast_1d(wanted), rtol=1e-6, atol=1e-6)


def test_every_figure_is_on_a_page_of_the_index_and_is_described():
    pages = {path.stem: path.read_text() for path in figures.HERE.glob("*.md") if path.stem != "index"}
    listed = (figures.HERE / "index.md").read_text().split("```")[1]
    assert sorted(pages) == sorted(re.findall(r"^\w+$", listed, re.MULTILINE))
    frames = re.findall(
        r'<iframe class="figure-frame[^"]*" src="\.\./_static/(\w+)\.html"[^>]*?>', "".join(pages.values())
    )
    assert sorted(frames) == sorted(figures.FIGURES)
    for text in pages.values():
        assert text.count("<iframe") == len(re.findall(r'title="[^"]{20,}"', text)) > 0
        assert "**Cost.**" in text
        assert "**Where it fails.**" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [800, 390])
@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_figure_opens_without_complaint(chromium, figure, name, width, scheme):
    with opened(chromium, figure(name)[0], width, scheme) as page:
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        unnamed = "input:not([aria-label]):not(label *), canvas:not([aria-label]), select:not([aria-label])"
        assert page.locator(unnamed).count() == 0
        for button in page.locator("button").all():
            assert button.get_attribute("aria-label") or button.text_content().strip()


@pytest.mark.parametrize(
    ("name", "canvas"),
    [*((name, 0) for name in OF_ONE_NUMBER), *((name, canvas) for name in OF_LAYERS for canvas in (0, 1))],
)
def test_a_dragged_point_is_mapped_by_the_flow(chromium, figure, name, canvas):
    path, flow = figure(name)
    with opened(chromium, path) as page:
        ready(page, name)
        before = state(page)
        drag(page, canvas)
        now = state(page)
        assert now["x"] != before["x"]
        with torch.no_grad():
            x = flow.to_data(torch.tensor(now["z"], dtype=torch.float64).reshape(1, -1))
            log_prob = flow.log_prob(x)
        same(now["x"], x[0])
        same(now["logProb"], log_prob)


@pytest.mark.parametrize("name", [*OF_ONE_NUMBER, *OF_LAYERS, "distillation"])
def test_arrow_keys_move_the_point(chromium, figure, name):
    with opened(chromium, figure(name)[0]) as page:
        ready(page, name)
        for canvas in page.locator("canvas").all():
            assert "Arrow keys" in canvas.get_attribute("aria-label")
            before = state(page)
            canvas.focus()
            page.keyboard.press("ArrowRight")
            assert state(page)["x"] != before["x"]


@pytest.mark.parametrize("name", OF_LAYERS)
def test_the_jacobian_of_every_step_is_that_of_python(chromium, figure, name):
    path, flow = figure(name)
    with opened(chromium, path) as page:
        ready(page, name)
        z = torch.tensor(state(page)["z"], dtype=torch.float64)
        zeros = []
        page.locator("input[type=range]").first.evaluate(
            "slider => { slider.value = 1; slider.dispatchEvent(new Event('input')); }"
        )
        for layer in flow.bijection:
            found = page.locator(".jacobian").first.locator("td").all()
            # Rounded to three digits on the page, where a minus sign is a proper one.
            numbers = [float(cell.text_content().replace("−", "-")) for cell in found]
            with torch.no_grad():
                wanted = torch.func.jacrev(lambda row, layer=layer: layer(row)[0])(z)
                z = layer(z)[0]
            np.testing.assert_allclose(numbers, wanted.flatten(), rtol=6e-3, atol=1e-4)
            zeros.append([place for place, cell in enumerate(found) if cell.get_attribute("class") == "zero"])
            page.get_by_role("button", name="One step ahead").click()
        if name == "planar":
            assert zeros == [[]] * len(zeros)
        else:
            assert all(set(places) & {1, 2} for places in zeros)


@pytest.mark.parametrize("name", OF_UNITS)
def test_one_direction_takes_a_pass_for_every_unit(chromium, figure, name):
    path, flow = figure(name)
    waits, waited, free = ("z", "x", "x") if name.startswith("maf") else ("x", "z", "z")
    with opened(chromium, path) as page:
        page.locator(f"input[value={waits}]").check()
        row = page.get_by_role("group", name="x, the data" if waited == "x" else "z, the base space")
        for known in range(6):
            assert state(page, "order")["passes"] == 5
            assert row.locator("b").all_text_contents().count("?") == 5 - known
            page.get_by_role("button", name="One pass ahead").click() if known < 5 else None
        now = state(page, "order")
        sentence = page.locator(".point").text_content()
        with torch.no_grad():
            z = torch.tensor(now["z"], dtype=torch.float64)
            same(now["x"], flow.to_data(z[None])[0])
            log_prob = flow.log_prob(flow.to_data(z[None]))
        assert float(sentence.rstrip(".").split("= ")[-1].replace("−", "-")) == pytest.approx(float(log_prob), rel=6e-3)
        page.locator(f"input[value={free}]").check()
        assert state(page, "order")["passes"] == 1
        page.get_by_role("button", name="One pass ahead").click()
        assert "?" not in page.locator(".order").text_content()


@pytest.mark.parametrize("name", OF_UNITS)
def test_a_moved_unit_changes_none_before_it(chromium, figure, name):
    path, flow = figure(name)
    with opened(chromium, path) as page:
        before = state(page, "order")
        page.get_by_role("slider", name="z₃").evaluate(
            "slider => { slider.value = -1.37; slider.dispatchEvent(new Event('input')); }"
        )
        now = state(page, "order")
        assert now["z"][2] == -1.37
        same(now["x"][:2], before["x"][:2])
        assert now["x"][2] != before["x"][2]
        with torch.no_grad():
            same(now["x"], flow.to_data(torch.tensor(now["z"], dtype=torch.float64)[None])[0])


def test_teacher_and_student_have_the_densities_and_the_divergence_of_python(chromium, figure):
    path, (teacher, *students) = figure("distillation")
    latents = torch.tensor(figures.FIGURES["distillation"]()["latents"], dtype=torch.float64)
    with opened(chromium, path) as page:
        for canvas in range(3):
            drag(page, canvas)
        for place, student in reversed(list(enumerate(students))):
            page.get_by_role("slider", name="Steps of training").evaluate(
                f"slider => {{ slider.value = {place}; slider.dispatchEvent(new Event('input')); }}"
            )
            now = state(page)
            x = torch.tensor(now["x"], dtype=torch.float64)[None]
            with torch.no_grad():
                draws, log_det = student.bijection(latents)
                kl = (student.base.log_prob(latents) - log_det - teacher.log_prob(draws)).mean()
                same(now["z"], student.to_latent(x)[0])
                same(now["logProb"], student.log_prob(x))
                same(now["teacher"], teacher.log_prob(x))
            same(now["kl"], kl)
            assert page.locator("tr[aria-current] th").text_content() == str(now["steps"])


def test_a_page_gives_its_figure_the_height_and_the_theme(chromium, figure, tmp_path):
    path, _ = figure("maf_unit_by_unit")
    script, style = ((figures.HERE / "frame" / f"frame.{ending}").read_text() for ending in ("js", "css"))
    frame = f'<iframe class="figure-frame" src="{path.name}" title="A figure"></iframe>'
    page_of_it = tmp_path / "page.html"
    head = f'<!doctype html><title>A page</title><link rel="icon" href="data:,"><style>{style}</style>'
    page_of_it.write_text(f'{head}<body data-theme="dark">{frame}<script>{script}</script></body>')
    with opened(chromium, page_of_it, 800) as page:
        inner = page.frames[1]
        inner.wait_for_selector("html[data-theme=dark]")
        height = inner.evaluate("document.body.getBoundingClientRect().height")
        assert page.locator("iframe").bounding_box()["height"] == pytest.approx(height, abs=2)
        page.evaluate("document.body.dataset.theme = 'light'")
        inner.wait_for_selector("html[data-theme=light]")


def luminance(color):
    shares = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


def test_texts_and_marks_stand_out_in_both_themes():
    """By the guidelines for accessible content, 4.5 for texts and 3 for marks."""
    style = figures.ASSETS.joinpath("page.css").read_text()
    for block in re.findall(r":root[^{]*\{(.*?)\}", style, re.DOTALL)[:2]:
        colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block))
        for least, names in ((4.5, ("text", "muted", "good", "bad")), (3, ("data", "model", "accent"))):
            for name in names:
                for ground in ("card", "page"):
                    low, high = sorted(luminance(colors[one]) for one in (name, ground))
                    assert (high + 0.05) / (low + 0.05) >= least, (name, ground)
