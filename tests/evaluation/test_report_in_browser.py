"""The page of a report in a real browser: no complaint, no request, and everything that can be pressed works."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import browser, opened
from sample_report import fitted, report_of

from pushforward.evaluation.report.page import write_page

pytestmark = pytest.mark.slow
# Where screenshots are kept; by default in the test's own folder.
SHOTS = os.environ.get("PUSHFORWARD_TEST_SCREENSHOTS")


@pytest.fixture(scope="module")
def chromium():
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def models():
    return {columns: fitted(columns, rows=700, max_steps=60) for columns in (2, 4)}


@pytest.fixture(scope="module")
def pages(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for columns, model in models.items():
        write_page(report_of(model, rows=300), folder / f"{columns}.html", model)
    return folder


def layers(page):
    """The view of the layers once it is computed."""
    page.locator(".layers").scroll_into_view_if_needed()
    page.wait_for_selector(".layers[data-ready]", timeout=60_000)
    return page.locator(".layers")


def point(page):
    return json.loads(page.locator(".layers").get_attribute("data-point"))


def pixels(canvas):
    return canvas.evaluate("canvas => canvas.toDataURL()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("columns", [2, 4])
def test_the_page_opens_without_complaint_and_fits_its_width(chromium, pages, tmp_path, columns, width, scheme):
    folder = Path(SHOTS or tmp_path)
    with opened(chromium, pages / f"{columns}.html", width, scheme) as page:
        layers(page)
        page.screenshot(path=folder / f"report-{columns}-{width}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        assert page.locator("h1").count() == 1
        assert page.locator("h2").all_inner_texts()[0] == "Verdict"


def test_the_slider_moves_points_and_names_the_step(chromium, pages):
    with opened(chromium, pages / "2.html") as page:
        view = layers(page)
        slider, moving, where = view.locator("input[type=range]"), view.locator("canvas").nth(1), view.locator("output")
        at_data, words = pixels(moving), where.inner_text()
        assert words.startswith("data, after step")
        slider.fill("0")
        page.wait_for_timeout(100)
        assert pixels(moving) != at_data
        assert where.inner_text().startswith("base density")
        slider.press("ArrowRight")
        assert where.inner_text().startswith("after step 1 of")
        assert slider.get_attribute("aria-valuetext") == where.inner_text()


def test_playing_ends_at_the_data(chromium, pages):
    with opened(chromium, pages / "2.html") as page:
        view = layers(page)
        last = view.locator("input[type=range]").get_attribute("max")
        view.get_by_role("button", name="Play").click()
        page.wait_for_function(
            "last => document.querySelector('.layers input').value === last"
            " && document.querySelector('.play').textContent === 'Play'",
            arg=last,
            timeout=60_000,
        )


@pytest.mark.parametrize("columns", [2, 4])
def test_a_dragged_point_goes_where_the_model_takes_it(chromium, pages, models, columns):
    flow = models[columns].flow.double()
    with opened(chromium, pages / f"{columns}.html") as page:
        view = layers(page)
        before = point(page)
        for canvas, space in ((view.locator("canvas").first, "z"), (view.locator("canvas").nth(1), "x")):
            box = canvas.bounding_box()
            page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] * 0.62, box["y"] + box["height"] * 0.4, steps=3)
            page.mouse.up()
            now = point(page)
            assert now[space] != before[space]
            with torch.no_grad():
                x = flow.to_data(torch.tensor([now["z"]], dtype=torch.float64))
                log_prob = flow.log_prob(torch.tensor([now["x"]], dtype=torch.float64))
            np.testing.assert_allclose(now["x"], x[0].numpy(), rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(now["logProb"], log_prob[0].item(), rtol=1e-5, atol=1e-5)
            before = now
        view.locator("canvas").first.press("ArrowRight")
        assert point(page)["z"][0] > before["z"][0]


def test_the_reader_chooses_columns_rows_and_pairs(chromium, pages):
    with opened(chromium, pages / "4.html") as page:
        corner = page.locator("canvas.corner")
        shown = corner.get_attribute("data-columns")
        page.locator(".choices input").first.click()
        assert corner.get_attribute("data-columns") != shown
        view = layers(page)
        before = pixels(view.locator("canvas").nth(1))
        view.locator("select").first.select_option("3")
        page.wait_for_selector(".layers:not([aria-busy])", timeout=60_000)
        page.wait_for_timeout(100)
        assert pixels(view.locator("canvas").nth(1)) != before
        sentence = page.locator(".slice .note").inner_text()
        page.locator(".slice select").first.select_option("5")
        assert page.locator(".slice .note").inner_text() != sentence
        page.locator(".slice select").nth(1).select_option("2")
        assert page.locator(".slice .note").inner_text().startswith("speed = ")
        rows = page.locator(".between tbody tr")
        first = rows.first.inner_text()
        page.locator(".between select").first.select_option("7")
        assert rows.count() == 9 and rows.first.inner_text() != first


def test_tables_sort_by_number_both_ways(chromium, pages):
    with opened(chromium, pages / "2.html") as page:
        heading = page.locator("table.odd thead th").nth(1)
        cells = page.locator("table.odd tbody td:nth-child(2)")

        def shown():
            return [float(cell.get_attribute("data-value")) for cell in cells.all()]

        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == "ascending"
        assert shown() == sorted(shown())
        heading.get_by_role("button").press("Enter")
        assert heading.get_attribute("aria-sort") == "descending"
        assert shown() == sorted(shown(), reverse=True)


def test_the_switch_changes_the_colors_of_page_and_pictures(chromium, pages):
    with opened(chromium, pages / "2.html") as page:
        canvas = page.locator("canvas.corner")
        canvas.scroll_into_view_if_needed()
        page.wait_for_timeout(200)
        before = pixels(canvas), page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.locator(".theme").click()
        page.wait_for_timeout(200)
        after = pixels(canvas), page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert before[0] != after[0] and before[1] != after[1]


def test_everything_has_a_name_for_those_who_do_not_see_it(chromium, pages):
    with opened(chromium, pages / "4.html") as page:
        layers(page)
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll("svg, canvas, button, select, input")].filter((one) =>
                !(one.getAttribute("aria-label") || one.textContent.trim() || one.closest("label"))).map(
                (one) => one.outerHTML.slice(0, 80))"""
        )
        assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_contrast_of_texts_is_enough(chromium, pages, scheme):
    with opened(chromium, pages / "2.html", scheme=scheme) as page:
        found = page.evaluate(
            """() => {
              const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
              const light = (color) => {
                const [r, g, b] = numbers(color).map((v) => v / 255).map(
                  (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
              };
              const behind = (one) => {
                for (; one; one = one.parentElement) {
                  const color = getComputedStyle(one).backgroundColor;
                  if (!/, 0\\)$/.test(color) && color !== "transparent" && !color.startsWith("color")) return color;
                }
                return "rgb(255, 255, 255)";
              };
              const bad = [];
              for (const one of document.querySelectorAll("p, li, td, th, dt, dd, h1, h2, h3, a, button, text")) {
                const color = one.tagName === "text" ? getComputedStyle(one).fill : getComputedStyle(one).color;
                const [a, b] = [light(color), light(behind(one))];
                const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                if (ratio < 4.5) bad.push([one.textContent.slice(0, 30), color, ratio]);
              }
              return bad;
            }"""
        )
        assert found == []


def test_nothing_jumps_when_pictures_are_drawn(chromium, pages):
    with opened(chromium, pages / "2.html") as page:
        before = page.evaluate("document.querySelector('#oddest').getBoundingClientRect().top + scrollY")
        layers(page)
        page.wait_for_timeout(200)
        after = page.evaluate("document.querySelector('#oddest').getBoundingClientRect().top + scrollY")
        assert abs(after - before) < 2


def test_the_printed_page_is_light_and_has_its_pictures(chromium, pages, tmp_path):
    with opened(chromium, pages / "2.html", scheme="dark") as page:
        layers(page)
        file = Path(SHOTS or tmp_path) / "printed.pdf"
        page.pdf(path=file)
        assert file.stat().st_size > 50_000
