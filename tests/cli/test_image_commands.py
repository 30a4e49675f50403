"""The commands for images, on made-up ones: a bright bar on black, upright or lying, by class."""

import json
import math

import numpy as np
import pyarrow.csv
import pytest
import torch
from shared_folder import shared_folder
from typer.testing import CliRunner

import pushforward as pf
from pushforward.cli.app import app
from pushforward.cli.output import Terminated
from pushforward.images.files import read_images, write_image
from pushforward.images.fitting import OPTIONS
from pushforward.images.model import ImageModel
from pushforward.training import checkpoint

pytest.importorskip("PIL.Image")
# Steps of the fits of these tests.
STEPS = 40


def bar(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(30, size=(1, 8, 8))
    place, level = rng.integers(1, 7), rng.integers(150, 256)
    image[0, place] = level
    return (image if seed % 2 else image.swapaxes(1, 2)).astype(np.uint8)


def run(*arguments):
    return CliRunner().invoke(app, ["image", *map(str, arguments)])


def result_of(*arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def fill(folder):
    for number in range(60):
        name = folder / "bars" / ("lying" if number % 2 else "upright")
        name.mkdir(parents=True, exist_ok=True)
        write_image(name / f"{number:02}.png", bar(number))
    mask = np.zeros((1, 8, 8), np.uint8)
    mask[:, 4:] = 255
    write_image(folder / "mask.png", mask)
    write_image(folder / "large.png", np.zeros((1, 10, 8), np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pushforward.training.maximum_likelihood.DEFAULT_EPOCHS", 1)
        patch.setattr("pushforward.training.maximum_likelihood.DEFAULT_LEAST_STEPS", STEPS)
        patch.setitem(OPTIONS, "glow", {"steps": 2, "hidden": 12, "univariate": "spline", "bins": 4})
        fitted = run("fit", folder / "bars", "-o", folder / "model.safetensors", "--by-class", "--json")
    assert fitted.exit_code == 0, fitted.stderr
    (folder / "fitted.json").write_text(fitted.stdout)


@pytest.fixture(scope="session")
def bars(tmp_path_factory):
    """A folder with bars/, a mask, a model of bars by class, and what its fit printed."""
    return shared_folder(tmp_path_factory, "bars", fill)


def test_a_fit_states_bits_below_those_of_independent_pixels(bars):
    figures = json.loads((bars / "fitted.json").read_text())
    assert figures["images"] == 60 and figures["held_out_images"] == 6
    assert 0 < figures["bits_per_dim"] < 12 and figures["bits_per_dim_independent_pixels"] > 0
    assert (bars / "model.metrics.csv").exists()


def test_a_killed_fit_is_resumed(bars, tmp_path, monkeypatch, at_step):
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(checkpoint, "LARGEST_SHARE", math.inf)
    monkeypatch.setitem(OPTIONS, "glow", {"steps": 1, "hidden": 4})
    whole, pieces = tmp_path / "whole.safetensors", tmp_path / "m.safetensors"
    assert run("fit", bars / "bars", "-o", whole).exit_code == 0
    fit = ("fit", bars / "bars", "-o", pieces)
    refused = CliRunner().invoke(app, ["sample", str(whole), "-n", "1", "-o", str(tmp_path / "t.csv")])
    assert refused.exit_code == 2 and "the commands for it are pushforward image" in refused.stderr
    at_step[2] = Terminated()
    assert run(*fit).exit_code == 143 and not pieces.exists()
    refused = run(*fit, "--resume", "--by-class")
    assert refused.exit_code == 2 and "by_class False, and now it is True" in refused.stderr
    at_step[4] = KeyboardInterrupt()
    stopped = run(*fit, "--resume", "--json")
    assert json.loads(stopped.stdout)["stopped"] == "interrupted"
    assert f"{pieces} has the best weights until then; --resume continues from" in stopped.stderr
    assert run(*fit, "--resume").exit_code == 0 and not pieces.with_suffix(".checkpoint").exists()
    weights = [pf.load(path).state_dict() for path in (whole, pieces)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_draws_repeat_with_their_seed(bars, tmp_path):
    for name in ("a", "b"):
        drawn = result_of("sample", bars / "model.safetensors", "-n", 5, "-o", tmp_path / f"{name}.npz", "--seed", 3)
        assert drawn["images"] == 5 and drawn["shape"] == [1, 8, 8]
    first, again = (read_images(tmp_path / f"{name}.npz").pixels for name in ("a", "b"))
    assert np.array_equal(first, again) and first.shape == (5, 1, 8, 8)
    # Draws of each class in turn are scored by their own.
    drawn = read_images(tmp_path / "a.npz")
    assert [drawn.classes[label] for label in drawn.labels] == ["lying", "upright", "lying", "upright", "lying"]
    scored = result_of("score", bars / "model.safetensors", tmp_path / "a.npz", "-o", tmp_path / "scores.csv")
    assert scored["images"] == 5
    result_of("sample", bars / "model.safetensors", "-n", 2, "-o", tmp_path / "one.npz", "--class", "upright")
    assert read_images(tmp_path / "one.npz").classes == ["upright"]
    result_of("sample", bars / "model.safetensors", "-n", 4, "-o", tmp_path / "page.png", "--class", "lying")
    assert read_images(tmp_path / "page.png").shape == (1, 19, 19)


def test_scores_are_those_of_the_density(bars, tmp_path):
    scored = result_of("score", bars / "model.safetensors", bars / "bars", "-o", tmp_path / "scores.csv")
    table = pyarrow.csv.read_csv(tmp_path / "scores.csv")
    assert table.column_names == ["image", "log_prob", "bits_per_dim"] and len(table) == 60
    assert table["image"][0].as_py() == "lying/01.png"
    images, model = read_images(bars / "bars"), pf.load(bars / "model.safetensors")
    context = np.eye(2)[images.labels]
    expected = pf.evaluate(model, images.rows(), context.astype(np.float32)).numpy()
    np.testing.assert_allclose(table["log_prob"], expected, rtol=1e-4)
    np.testing.assert_allclose(scored["bits_per_dim"], -expected.mean() / np.log(2) / 64, rtol=1e-4)


@pytest.mark.parametrize(("table", "sentence"), [("x.xlsx", "x.xlsx"), ("nowhere/x.csv", "nowhere")])
def test_a_table_that_cannot_be_written_is_refused_before_the_images_are_scored(bars, monkeypatch, table, sentence):
    monkeypatch.chdir(bars)
    monkeypatch.setattr(ImageModel, "bits_per_dim", lambda *_: pytest.fail("scored in vain"))
    refused = run("score", "model.safetensors", "bars", "-o", table)
    assert refused.exit_code == 2 and sentence in refused.stderr and refused.stderr.count("\n") == 1


def test_probabilities_of_classes_stand_beside_the_scores(bars, tmp_path):
    model, table_path = bars / "model.safetensors", tmp_path / "scores.csv"
    scored = result_of("score", model, bars / "bars", "-o", table_path, "--posterior")
    table = pyarrow.csv.read_csv(table_path)
    assert table.column_names[3:] == ["probability_lying", "probability_upright"]
    lying, upright = (table[name].to_numpy() for name in table.column_names[3:])
    np.testing.assert_allclose(lying + upright, 1, rtol=1e-6)
    truly = np.array([name.startswith("lying") for name in table["image"].to_pylist()])
    assert scored["recognized"] == np.mean((lying > upright) == truly)
    # log P(image) is that of a mixture, with the shares of the classes in the training.
    of_class = []
    for name in ("lying", "upright"):
        result_of("score", model, bars / "bars", "-o", table_path, "--class", name)
        of_class.append(pyarrow.csv.read_csv(table_path)["log_prob"].to_numpy())
    shares = ImageModel.load(model).shares
    assert sum(shares) == pytest.approx(1) and 20 / 54 <= shares[0] <= 30 / 54
    np.testing.assert_allclose(table["log_prob"], np.logaddexp(*(np.log(shares)[:, None] + of_class)), rtol=1e-4)


def test_images_of_classes_that_the_model_does_not_know_are_named(bars, tmp_path):
    model, images = bars / "model.safetensors", read_images(bars / "bars").pixels[:, 0]
    labels = read_images(bars / "bars").labels

    def said(name, labels):
        np.savez(tmp_path / f"{name}.npz", images=images, labels=labels)
        result = run("score", model, tmp_path / f"{name}.npz", "-o", tmp_path / "s.csv", "--posterior")
        assert result.exit_code == 0, result.stderr
        return result.stderr

    np.savez(tmp_path / "odd.npz", images=images, labels=np.array(["lying", "fallen"])[labels])
    refused = run("score", model, tmp_path / "odd.npz", "-o", tmp_path / "s.csv")
    assert refused.exit_code == 2 and "no class 'fallen', that of some images: name a class" in refused.stderr
    assert "% have their own class as the most probable one\n" in said("all", np.array(["lying", "upright"])[labels])
    some = said("some", np.array(["lying", "fallen, or so"])[labels])
    assert "% of 30 whose class the model knows have it as the most" in some
    assert '; 30 images of classes that it does not know: "fallen, or so"\n' in some
    assert "not known: the model knows none of their classes (0, 1)\n" in said("none", labels)
    assert "not known: the array labels has 59 entries" in said("short", labels[1:])


def test_copies_of_images_change_no_figure(bars, tmp_path):
    model, pixels = bars / "model.safetensors", read_images(bars / "bars").pixels[:12, 0]
    for options in (["--posterior"], ["--class", "lying"]):
        figures = []
        for name, some in (("once", pixels), ("copies", np.repeat(pixels, np.arange(1, 13), axis=0))):
            np.savez(tmp_path / f"{name}.npz", images=some)
            figures.append(result_of("score", model, tmp_path / f"{name}.npz", "-o", tmp_path / "s.csv", *options))
        once, copies = figures
        assert once["images"] == once["distinct_images"] == copies["distinct_images"] == 12 and copies["images"] == 78
        for name in ("bits_per_dim", "bits_per_dim_error", "log_prob"):
            assert copies[name] == pytest.approx(once[name], rel=1e-5)
    np.savez(tmp_path / "one.npz", images=np.repeat(pixels[:1], 9, axis=0))
    said = run("score", model, tmp_path / "one.npz", "-o", tmp_path / "s.csv", "--class", "lying").stderr
    assert said.startswith("9 images (1 of them distinct, which count once): ") and "with an unknown error" in said
    assert "at most" not in said


def test_pictures_between_two_and_inside_one(bars, tmp_path):
    model, image = bars / "model.safetensors", bars / "bars" / "lying" / "01.png"
    other = bars / "bars" / "lying" / "03.png"
    result_of("interpolate", model, image, other, "--class", "lying", "--steps", 4, "-o", tmp_path / "way.png")
    way = read_images(tmp_path / "way.png").pixels[0, 0]
    assert way.shape == (10, 37)
    # In float32 a level may be rounded to the next.
    np.testing.assert_allclose(way[1:9, 1:9].astype(int), read_images(image).pixels[0, 0].astype(int), atol=1)
    options = ["--mask", bars / "mask.png", "--class", "lying", "--steps", 3, "-o", tmp_path / "filled.png"]
    filled = result_of("inpaint", model, image, *options)
    assert filled["pixels"] == 32 and 0 <= filled["accepted"] <= 1
    assert np.array_equal(read_images(tmp_path / "filled.png").pixels[0, 0, :4], read_images(image).pixels[0, 0, :4])
    said = run("inpaint", model, image, *options, "-n", 3).stderr
    assert "steps accepted, all from " in said and " of the model; in " in said
    assert read_images(tmp_path / "filled.png").shape == (1, 19, 19)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sample", "MODEL", "-o", "x.jpg"], "or to an array, .npz, not to x.jpg"),
        (["sample", "MODEL", "-o", "x.png", "--class", "lyign"], "no class 'lyign'; did you mean \"lying\""),
        (["score", "MODEL", "bars/lying", "-o", "x.csv"], "This model needs classes: name one with --class"),
        (
            ["score", "MODEL", "large.png", "-o", "x.csv", "--class", "lying"],
            "10 × 8 pixels, those of the model 8 × 8; --size 8x8 resizes",
        ),
        (["score", "MODEL", "bars", "-o", "x.csv", "--posterior", "--class", "lying"], "leave --class out"),
        (["score", "mask.png", "bars", "-o", "x.csv"], "mask.png"),
        (["fit", "bars/lying", "-o", "x.safetensors", "--by-class"], "There are no classes to condition on"),
        (["fit", "mask.png", "-o", "x.safetensors"], "at least 10 images, not 1"),
        (["fit", "bars", "-o", "x.safetensors", "--flow", "glwo"], "There is no flow of images 'glwo'"),
        (["fit", "bars", "-o", "x.safetensors", "--size", "8"], "--size takes HEIGHTxWIDTH"),
        (["fit", "nowhere", "-o", "x.safetensors"], "There is no file or folder nowhere"),
    ],
)
def test_bad_input_is_one_sentence(bars, monkeypatch, arguments, sentence):
    monkeypatch.chdir(bars)
    result = run(*(str(bars / "model.safetensors") if part == "MODEL" else part for part in arguments))
    assert result.exit_code == 2, result.stderr
    assert sentence in result.stderr and result.stderr.count("\n") == 1
    assert not list(bars.glob("x.*"))


def save_with(folder, arrays):
    pillow = pytest.importorskip("PIL.Image")
    for number, array in enumerate(arrays):
        pillow.fromarray(array).save(folder / f"{number:02}.png")


def transparent(shape, alpha):
    image = np.zeros((*shape, 4), np.uint8)
    image[..., 3] = 255
    image[0, 0, 3] = alpha
    return image


@pytest.mark.parametrize(
    ("odd_one", "sentence"),
    [
        (np.zeros((8, 10), np.uint8), "00.png has 8 × 8 pixels and"),
        (np.zeros((8, 8), np.uint16), "00.png has 8 bits and"),
        (transparent((8, 8), 7), "11.png is transparent in places"),
    ],
)
def test_images_that_do_not_fit_together_are_one_sentence(tmp_path, odd_one, sentence):
    save_with(tmp_path, [np.full((8, 8), number, np.uint8) for number in range(11)] + [odd_one])
    result = run("fit", tmp_path, "-o", tmp_path / "x.safetensors")
    assert result.exit_code == 2 and sentence in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize(
    ("make", "options", "levels", "shape"),
    [
        (lambda number: np.full((8 + number % 2, 8), 20 * number, np.uint8), ["--size", "4x4"], 256, [1, 4, 4]),
        (lambda number: transparent((4, 4), 255) + np.uint8(number) * np.uint8([1, 1, 1, 0]), [], 256, [3, 4, 4]),
        (lambda number: np.full((4, 4), 5000 * number, np.uint16), [], 65536, [1, 4, 4]),
    ],
    ids=["resized", "opaque alpha channel", "16 bits"],
)
def test_images_of_several_sizes_of_alpha_channels_and_of_16_bits_are_fitted(
    tmp_path, monkeypatch, make, options, levels, shape
):
    monkeypatch.setattr("pushforward.training.maximum_likelihood.DEFAULT_EPOCHS", 1)
    monkeypatch.setattr("pushforward.training.maximum_likelihood.DEFAULT_LEAST_STEPS", 2)
    monkeypatch.setitem(OPTIONS, "glow", {"steps": 1, "hidden": 4, "blocks": 0})
    save_with(tmp_path, [make(number) for number in range(12)])
    fitted = result_of("fit", tmp_path, "-o", tmp_path / "model.safetensors", *options)
    assert fitted["held_out_images"] == 1
    assert pf.load(tmp_path / "model.safetensors").levels == levels
    drawn = result_of("sample", tmp_path / "model.safetensors", "-n", 2, "-o", tmp_path / "drawn.npz")
    assert drawn["shape"] == shape and read_images(tmp_path / "drawn.npz").levels == levels
    scored = result_of("score", tmp_path / "model.safetensors", tmp_path, "-o", tmp_path / "s.csv", *options)
    assert scored["images"] == 12 and np.isfinite(scored["bits_per_dim"])


def test_without_pillow_a_sentence_says_how_to_install_it(bars, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "PIL", None)
    result = run("fit", bars / "bars", "-o", bars / "y.safetensors")
    assert result.exit_code == 2 and "pip install 'pushforward[images]'" in result.stderr
