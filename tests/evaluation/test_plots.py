import subprocess
import sys

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.image import imread
from small_fits import default_steps

import pushforward as pf
from pushforward.errors import InputError
from pushforward.evaluation.plots import corner
from pushforward.zoo.flow_mixture import FlowMixture
from pushforward.zoo.kernel_density import fit_kernel_density

NAMES = ["sea_temperature", "air_temperature", "humidity", "wind_speed", "wind_u", "wind_v", "pressure"]


def table(columns, rows=1500, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(rows, columns)) @ generator.normal(size=(columns, columns)) + 5.0


def texts(figure):
    return [axes.get_xlabel() for axes in figure.axes] + [axes.get_ylabel() for axes in figure.axes]


@pytest.mark.parametrize("columns", [1, 2, pytest.param(7, marks=pytest.mark.slow)])
def test_file_is_written_with_every_name_on_the_outer_axes(columns, tmp_path):
    path = tmp_path / "corner.png"
    figure = corner(table(columns), table(columns, seed=1), NAMES[:columns], path, title="Against a Gaussian")
    assert [entry.name for entry in tmp_path.iterdir()] == ["corner.png"]
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    height, width, _ = imread(path).shape
    assert width == 1600 and 800 <= height <= 1760
    assert len(figure.axes) == columns**2
    for name in NAMES[:columns]:
        assert texts(figure).count(name) == (1 if columns == 1 else 2)
    assert "Against a Gaussian" in [text.get_text() for text in figure.texts]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["data (1,500 rows)", "samples (1,500 rows)"]


@pytest.mark.parametrize("columns", [2, 3, pytest.param(10, marks=pytest.mark.slow)])
def test_no_text_leaves_the_picture_or_meets_another_line_of_the_header(columns):
    names = ["a_rather_long_name_of_a_column", "$x_1$ and $", *NAMES, "z"]
    figure = corner(table(columns), table(columns, seed=1), names[:columns], title="Title")
    figure.canvas.draw()  # places the names of the axes
    renderer = figure.canvas.get_renderer()
    picture = figure.bbox
    boxes = [figure.legends[0].get_window_extent(renderer), *(t.get_window_extent(renderer) for t in figure.texts)]
    for first in range(len(boxes)):
        assert not any(boxes[first].overlaps(boxes[second]) for second in range(first))
    for axes in figure.axes:
        labels = [axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()]
        boxes += [label.get_window_extent(renderer) for label in labels if label.get_text() and label.get_visible()]
    for box in boxes:
        assert box.x0 >= picture.x0 and box.x1 <= picture.x1 and box.y0 >= picture.y0 and box.y1 <= picture.y1


@pytest.mark.slow
def test_many_columns_make_the_picture_wider():
    figure = corner(table(11, rows=200), table(11, rows=200, seed=1), [f"column_{i}" for i in range(11)])
    assert figure.get_size_inches()[0] * figure.dpi == pytest.approx(1760)


def test_outlines_hold_the_share_they_stand_for():
    rows = np.random.default_rng(2).normal(size=(20_000, 2))
    figure = corner(rows, rows, ["x", "y"])
    (outlines,) = [item for item in figure.axes[2].collections if len(item.get_paths()) == 3]
    assert to_rgba(outlines.get_edgecolor()[0]) == to_rgba("#d55e00")
    shares = [path.contains_points(rows).mean() for path in outlines.get_paths()]
    np.testing.assert_allclose(shares, [0.99, 0.9, 0.5], atol=0.02)


def test_limits_come_from_the_data_alone():
    data = table(2)
    near = corner(data, table(2, seed=1), ["x", "y"])
    far = corner(data, table(2, seed=1) * 1e6, ["x", "y"])
    wild = corner(data, np.where(table(2, seed=1) > 5, np.nan, 1e30), ["x", "y"])
    for axes, other, third in zip(near.axes, far.axes, wild.axes, strict=True):
        assert axes.get_xlim() == other.get_xlim() == third.get_xlim()
    low, high = near.axes[0].get_xlim()
    assert low < np.quantile(data[:, 0], 0.001) and high > np.quantile(data[:, 0], 0.999)


def test_one_outlier_does_not_flatten_the_rest():
    data = table(2, rows=5000)
    data[0] = 1e6
    figure = corner(data, table(2), ["x", "y"])
    low, high = figure.axes[0].get_xlim()
    assert high - low < 100


@pytest.mark.parametrize("offset", [0.0, 1013.25, 1.7e9])
def test_constant_columns_and_large_offsets_are_drawn(offset, tmp_path):
    data = table(3)
    data[:, 1] = offset
    data[:, 2] += offset
    corner(data, data, ["x", "constant", "shifted"], tmp_path / "a.png")
    figure = corner(data, table(3, seed=1), ["x", "constant", "shifted"])
    low, high = figure.axes[-1].get_xlim()
    assert high - low < 50


def test_months_get_a_bin_each():
    generator = np.random.default_rng(0)
    months = np.stack([generator.integers(1, 13, 4000), generator.choice([1, 2, 5], 4000)], axis=1)
    figure = corner(months, months, ["month", "kind"])
    edges = figure.axes[0].patches[0].get_data().edges
    np.testing.assert_allclose(edges[(edges > 0.4) & (edges < 12.6)], np.arange(13) + 0.5)


def test_few_rows_and_unequal_numbers_of_rows_are_drawn(tmp_path):
    corner(table(2, rows=1), table(2, rows=2), ["x", "y"], tmp_path / "a.png")
    corner(table(2, rows=3000), table(2, rows=1), ["x", "y"], tmp_path / "b.png")


def test_a_subset_of_many_rows_is_drawn_the_same_every_time(tmp_path):
    for name in ("a.png", "b.png"):
        figure = corner(table(2), table(2, seed=1), ["x", "y"], tmp_path / name, maximum_rows=400)
    assert figure.legends[0].get_texts()[0].get_text() == "data (400 rows)"
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(("ending", "start"), [(".pdf", b"%PDF"), (".svg", b"<?xml"), (".anything", b"\x89PNG")])
def test_the_ending_decides_the_format(ending, start, tmp_path):
    path = tmp_path / f"corner{ending}"
    corner(table(2, rows=100), table(2, rows=100), ["x", "y"], path)
    assert path.read_bytes().startswith(start)


def test_unusable_input_is_refused(tmp_path):
    with pytest.raises(InputError, match="2 columns, the samples 3"):
        corner(table(2), table(3), ["x", "y"])
    with pytest.raises(InputError, match="2 columns and 1 name"):
        corner(table(2), table(2), ["x"])
    with pytest.raises(InputError, match="the samples have none"):
        corner(table(2), np.full((10, 2), np.nan), ["x", "y"])
    with pytest.raises(InputError, match="shape"):
        corner(table(2)[:, 0], table(2), ["x", "y"])
    with pytest.raises(InputError):
        corner(table(2), table(2), ["x", "y"], tmp_path / "missing" / "corner.png")


@pytest.mark.parametrize(
    ("drawn", "sentence"),
    [
        (lambda: corner([["a"]], [["b"]], ["x"]), "needs numbers, and data holds others"),
        (lambda: corner(table(2), {"x": 1}, ["x", "y"]), "needs numbers, and samples holds others"),
        (lambda: corner(table(2), [[1.0, 2.0], [3.0]], ["x", "y"]), "needs numbers, and samples holds others"),
        (lambda: corner(table(2), table(2), "xy"), "names is a list of 2 texts"),
        (lambda: corner(table(2), table(2), 3), "names is a list of 2 texts"),
        (lambda: corner(table(2), table(2), ["x", "y"], 5), "The name of a file is text"),
        (lambda: corner(table(2), table(2), ["x", "y"], maximum_rows="all"), "maximum_rows must be"),
        (lambda: corner(table(2), table(2), ["x", "y"], maximum_rows=0), "maximum_rows must be"),
        (lambda: pf.plots.calibration("x"), "what pf.report"),
        (lambda: pf.plots.calibration(None), "what pf.report"),
        (lambda: pf.plots.layers("model.safetensors"), "Layers are drawn of a flow"),
        (lambda: pf.plots.layers(pf.nsf(features=1)), "at least two features"),
        (lambda: pf.plots.layers(pf.maf(features=2), 5), "The name of a file is text"),
        (lambda: pf.plots.layers(pf.maf(features=2), pair=3), "two of the features 0 to 1"),
        (lambda: pf.plots.layers(pf.maf(features=2), pair=("x", "y")), "two of the features 0 to 1"),
        (lambda: pf.plots.layers(pf.maf(features=2), pair=(0, 2)), "two of the features 0 to 1"),
        (lambda: pf.plots.layers(pf.maf(features=2), names=["x"]), "2 columns and 1 name"),
        (lambda: pf.plots.layers(pf.maf(features=2), seed="x"), "seed must be"),
        (lambda: pf.plots.layers(pf.maf(features=2, context=3)), r"pass context, of shape \(3,\)"),
        (lambda: pf.plots.layers(pf.maf(features=2, context=3), context=[1.0]), "has shape"),
        (lambda: pf.plots.layers(pf.maf(features=2), context=["x"]), "needs numbers, and context holds others"),
    ],
)
def test_wrong_arguments_of_a_figure_are_refused_in_one_sentence(drawn, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        drawn()
    assert str(caught.value).count("\n") == 0


def test_columns_without_names_are_numbered():
    figure = corner(table(2), table(2, seed=1))
    assert figure.axes[2].get_xlabel() == "0" and figure.axes[2].get_ylabel() == "1"


def stack(flows, weights):
    return FlowMixture(flows, weights)


def drawn_points(figure):
    """The points of each picture, (n, 2), without the lines."""
    return [np.asarray(axes.collections[0].get_offsets()) for axes in figure.axes]


def kernels():
    rows = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return fit_kernel_density(rows, 0.2)


def test_of_a_mixture_the_heaviest_flow_is_drawn_and_the_title_says_so():
    one, other = pf.realnvp(features=2, layers=2), pf.maf(features=2, layers=3)
    figure = pf.plots.layers(stack([one, kernels(), other], [0.1, 0.6, 0.3]))
    alone = pf.plots.layers(other)
    for mine, theirs in zip(drawn_points(figure), drawn_points(alone), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert figure.get_suptitle() == "The heaviest flow of a mixture of 3 densities, of weight 0.30"
    assert alone.get_suptitle() == ""


def test_where_nothing_has_layers_the_heaviest_density_is_drawn():
    figure = pf.plots.layers(stack([kernels(), kernels()], [0.3, 0.7]))
    assert figure.get_suptitle().startswith("The heaviest of 2 densities, of weight 0.70; none is a flow")


@pytest.mark.slow
def test_what_a_fit_gives_is_drawn(monkeypatch):
    rows = table(2, rows=200)
    default_steps(monkeypatch, 5)
    stacked = pf.fit_table(rows, progress=False).model
    assert "mixture" in type(stacked.flow).__name__.lower()
    assert "densities" in pf.plots.layers(stacked.flow, names=stacked.columns).get_suptitle()
    given = pf.fit_table(table(3, rows=200), flow="nsf", given=["2"], max_steps=5, progress=False).model
    low, high = (drawn_points(pf.plots.layers(given.flow, context=[value]))[-1] for value in (0.0, 9.0))
    assert not np.allclose(low, high)
    any_columns = pf.fit_table(rows, arbitrary_conditions=True, max_steps=2, progress=False).model
    with pytest.raises(InputError, match="Layers are drawn of a flow"):
        pf.plots.layers(any_columns.flow)


def test_clusters_are_drawn_stage_by_stage_to_their_boxes():
    centers = np.random.default_rng(0).choice([-1000.0, 1000.0], 3000)[:, None]
    rows = centers + np.random.default_rng(1).normal(size=(3000, 2))
    model = pf.fit_table(rows, flow="nice", max_steps=5, progress=False).model
    figure = pf.plots.layers(model.flow)
    # The base, z′, the layers, and the data: one more than of a flow without clusters.
    assert len(figure.axes) > 3
    data = drawn_points(figure)[-1]
    assert (np.abs(np.abs(data) - 1000) < 50).all() and (data[:, 0] > 0).any() and (data[:, 0] < 0).any()


@pytest.mark.slow
def test_no_global_state_of_matplotlib_is_touched():
    code = (
        "import sys, numpy as np; from pushforward.evaluation.plots import corner; "
        "corner(np.random.rand(99, 2), np.random.rand(99, 2), ['x', 'y']); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False"]
