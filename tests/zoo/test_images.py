"""Flows of images and their dequantized densities: against quadrature, simpler densities, files and fits."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import pushforward as pf
from pushforward.evaluation.contracts import randomized
from pushforward.training.likelihood import has_error

SMALL = {
    "glow": lambda **options: pf.glow((1, 4, 4), steps=2, hidden=6, **options),
    "realnvp_image": lambda **options: pf.realnvp_image((1, 4, 4), couplings=1, hidden=6, blocks=1, **options),
    "tarflow": lambda **options: pf.tarflow((1, 4, 4), patch=2, layers=2, width=8, depth=1, heads=2, **options),
    "glow of splines": lambda **options: pf.glow((1, 4, 4), steps=1, hidden=6, univariate="spline", bins=4, **options),
}
EVERY = pytest.mark.parametrize("name", SMALL)


def normal(features):
    return pf.distributions.StandardNormal(features)


def pixels(rows, features=16, levels=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(levels, (rows, features), generator=generator).float()


@EVERY
@pytest.mark.parametrize("context", [0, 3])
def test_a_model_file_holds_the_same_density(name, context, tmp_path):
    flow = randomized(SMALL[name](context=context), scale=0.3).float()
    model = pf.dequantized(flow, pixels(50), levels=5).eval()
    given = torch.randn(7, context) if context else None
    pf.save(model, tmp_path / "model.safetensors")
    loaded = pf.load(tmp_path / "model.safetensors")
    assert loaded.config == model.config
    assert torch.equal(loaded.log_prob(pixels(7), given), model.log_prob(pixels(7), given))
    torch.manual_seed(3)
    drawn = model.sample((2,), given)
    torch.manual_seed(3)
    assert torch.equal(loaded.sample((2,), given), drawn)
    assert drawn.shape == ((2, 7, 16) if context else (2, 16))
    assert set(drawn.unique().tolist()) <= set(range(5))


@EVERY
def test_a_flow_itself_is_saved_and_built_from_its_config(name, tmp_path):
    flow = randomized(SMALL[name](context=2), scale=0.3)
    pf.save(flow, tmp_path / "flow.safetensors")
    x, context = torch.randn(4, 16, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    assert torch.equal(pf.load(tmp_path / "flow.safetensors").log_prob(x, context), flow.log_prob(x, context))
    assert pf.build(flow.config).config == flow.config


@EVERY
def test_the_density_that_comes_with_a_draw_is_that_of_the_draw(name):
    flow, context = randomized(SMALL[name](context=2), scale=0.3), torch.randn(5, 2, dtype=torch.float64)
    x, log_prob = flow.sample_with_log_prob((3,), context)
    assert x.shape == (3, 5, 16)
    torch.testing.assert_close(flow.log_prob(x, context), log_prob)


def test_probabilities_of_all_images_of_two_pixels_add_up_to_one():
    """P(x) = ∫ p(x + v) dv: their sum, by quadrature, is the share of draws within the range, nearly 1."""
    flow = randomized(pf.realnvp_image((1, 1, 2), couplings=2, hidden=4, blocks=1), scale=0.3)
    model = pf.dequantized(flow, pixels(50, 2, 3), levels=3).double().eval()
    nodes, weights = np.polynomial.legendre.leggauss(60)
    line = torch.tensor(np.concatenate([k + (nodes + 1) / 2 for k in range(3)]))
    weight = torch.tensor(np.tile(weights / 2, 3))
    points = torch.cartesian_prod(line, line)
    mass = (model.flow.log_prob(points).exp() * torch.cartesian_prod(weight, weight).prod(1)).sum()
    draws = model.flow.sample((20_000,))
    inside = float(((draws >= 0) & (draws < 3)).all(1).double().mean())
    assert inside > 0.95
    assert abs(float(mass.detach()) - inside) < 5 * (max(inside * (1 - inside), 1e-4) / 20_000) ** 0.5 + 1e-3


def test_log_prob_is_a_bound_on_the_probability_on_average():
    """E over v of log p(x + v) ≤ log P(x), the latter by quadrature, for every image of two pixels."""
    flow = randomized(pf.realnvp_image((1, 1, 2), couplings=2, hidden=4, blocks=1), scale=0.3)
    model = pf.dequantized(flow, pixels(50, 2, 3), levels=3).double()
    nodes, weights = np.polynomial.legendre.leggauss(40)
    line, weight = torch.tensor((nodes + 1) / 2), torch.tensor(weights / 2)
    points, weight = torch.cartesian_prod(line, line), torch.cartesian_prod(weight, weight).prod(1)
    # New noise at every call, from layers that no batch initializes.
    model.eval().training = True
    for image in torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0)).double():
        log_probs = model.flow.log_prob(image + points).detach()
        exact, bound = (log_probs.exp() * weight).sum().log(), (log_probs * weight).sum()
        drawn = model.log_prob(image.expand(4000, 2)).detach()
        assert abs(float(drawn.mean() - bound)) < 5 * float(drawn.std()) / 4000**0.5
        assert bound <= exact


def by_quadrature(model, image):
    """log P(image) and the weights and points of the quadrature over the noise, for images of two pixels."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    line, weight = torch.tensor((nodes + 1) / 2), torch.tensor(weights / 2)
    points, weight = torch.cartesian_prod(line, line), torch.cartesian_prod(weight, weight).prod(1)
    return (model.flow.log_prob(image + points).detach().exp() * weight).sum().log()


def of_two_pixels(context=0):
    """A density of images of two pixels of three levels, with noise from a flow."""
    flow = pf.realnvp_image((1, 1, 2), couplings=2, hidden=4, blocks=1, context=context)
    noise = pf.maf(features=2, context=2 + context, layers=2, hidden=(8, 8))
    images = pf.dequantized(randomized(flow, scale=0.3), pixels(50, 2, 3), 3, noise=randomized(noise, scale=0.3))
    model = images.double().eval()
    # New noise at every call, from layers that no batch initializes.
    model.training = True
    return model


def test_with_noise_from_a_flow_log_prob_is_a_bound_and_importance_sampling_closes_it():
    """E log p(x + v) - log q(v | x) ≤ log P(x) = log E p(x + v) / q(v | x), with log P(x) by quadrature."""
    torch.manual_seed(1)
    model = of_two_pixels()
    gaps, variances = 0.0, 0.0
    for image in torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0)).double():
        exact = float(by_quadrature(model, image))
        one, one_error = mean_and_error(model.log_prob(image.expand(4000, 2)))
        assert one < exact + 5 * one_error
        gaps, variances = gaps + exact - one, variances + one_error**2
        weight, weight_error = mean_and_error((model.log_prob(image.expand(4000, 2)) - exact).exp())
        assert abs(weight - 1) < 5 * weight_error
        # Of more draws, a bound again, and a closer one.
        many, many_error = mean_and_error(model.log_prob_by_importance(image.expand(500, 2), draws=32))
        assert one - 5 * one_error < many < exact + 5 * many_error
        assert exact - many < (exact - one) / 4 + 5 * many_error
    assert gaps > 5 * variances**0.5


def mean_and_error(values):
    """The mean of some values and its standard error."""
    values = values.detach()
    return float(values.mean()), float(values.std()) / len(values) ** 0.5


def test_the_log_density_of_the_noise_is_that_of_its_map():
    """q(v | x, context) integrates to one, and is 1 / |∂v/∂w| at the w, uniform, of which v is made."""
    model = of_two_pixels(context=1)
    x, context = torch.tensor([1.0, 2.0]).double(), torch.tensor([0.7]).double()
    w = torch.rand(2, dtype=torch.float64) * 0.8 + 0.1
    jacobian = torch.func.jacrev(lambda w: model.with_noise(x, w, context)[0])(w)
    torch.testing.assert_close(model.with_noise(x, w, context)[1], -jacobian.det().abs().log(), atol=1e-9, rtol=0)


def test_a_flow_of_the_noise_starts_as_uniform_noise_and_is_fitted_with_the_images():
    noise = pf.realnvp_image((1, 4, 4), context=16, scales=0, couplings=1, hidden=6, blocks=0)
    flow, x = SMALL["glow"](), pixels(200)
    uniform, variational = pf.dequantized(flow, x, levels=5), pf.dequantized(flow, x, levels=5, noise=noise)
    x = x[:7]
    torch.testing.assert_close(variational.eval().log_prob(x), uniform.eval().log_prob(x), atol=1e-2, rtol=1e-4)
    model = of_two_pixels(context=3)
    (-model.log_prob(pixels(20, 2, 3).double(), torch.randn(20, 3, dtype=torch.float64)).mean()).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    assert any(float(parameter.grad.abs().max()) > 0 for parameter in model.noise.parameters())
    # One image beside several contexts, and several images beside one.
    contexts, images = torch.randn(4, 3, dtype=torch.float64), pixels(4, 2, 3).double()
    assert model.log_prob(images[0], contexts).shape == model.log_prob(images, contexts[0]).shape == (4,)


def test_a_model_with_noise_from_a_flow_is_saved(tmp_path):
    noise = randomized(pf.glow((1, 4, 4), context=18, steps=1, hidden=6), scale=0.3).float()
    model = pf.dequantized(SMALL["glow"](context=2), pixels(50), levels=5, noise=noise).eval()
    pf.save(model, tmp_path / "model.safetensors")
    loaded = pf.load(tmp_path / "model.safetensors").eval()
    x, context = pixels(3), torch.randn(3, 2)
    assert loaded.config == model.config
    assert torch.equal(loaded.log_prob(x, context), model.log_prob(x, context))
    with pytest.raises(pf.InputError, match="16 features and a context of 16, the image and its own context; it has"):
        pf.dequantized(SMALL["glow"](), levels=5, noise=noise)
    logistic = pf.Flow(noise.bijection, pf.distributions.Logistic(16))
    with pytest.raises(pf.InputError, match="standard normal base"):
        pf.dequantized(SMALL["glow"](context=2), levels=5, noise=logistic)
    with pytest.raises(pf.InputError, match="at least one draw, got 0"):
        model.log_prob_by_importance(x, context, draws=0)


def test_noise_is_new_in_training_and_a_function_of_the_image_in_evaluation():
    model = pf.dequantized(SMALL["glow"](), levels=5)
    x = pixels(6)
    assert not torch.equal(model.train().log_prob(x), model.log_prob(x))
    model.eval()
    assert torch.equal(model.log_prob(x), model.log_prob(x))
    torch.testing.assert_close(model.log_prob(x[2:3]), model.log_prob(x)[2:3])
    noise = model.noise_of(pixels(2000, seed=1))
    assert len(noise.unique(dim=0)) == 2000 and float(noise.min()) >= 0 and float(noise.max()) < 1
    # Uniform and, from image to image, uncorrelated: five standard errors.
    assert float((noise.mean(0) - 0.5).abs().max()) < 5 * (1 / 12 / 2000) ** 0.5
    assert float((noise.var(0) - 1 / 12).abs().max()) < 5 * (1 / 180 / 2000) ** 0.5
    off = torch.corrcoef(noise.t()) - torch.eye(16)
    assert float(off.abs().max()) < 5 / 2000**0.5


def test_bits_per_dim_of_an_untrained_model_are_those_of_the_histogram_of_all_pixels():
    """At the identity a standard normal base takes the place of the logistic one: the difference is their KL."""
    x = (torch.rand(400, 16, generator=torch.Generator().manual_seed(0)) ** 3 * 5).floor()
    model = pf.dequantized(SMALL["realnvp_image"](), x, levels=5).double().eval()
    shares = torch.bincount(x.flatten().long(), minlength=5).double() / x.numel()
    entropy = float(-(shares * shares.log2()).sum())
    z = torch.distributions.TransformedDistribution(
        torch.distributions.Uniform(torch.tensor(0.0, dtype=torch.float64), 1.0),
        [torch.distributions.SigmoidTransform().inv],
    )
    nodes = torch.linspace(-30, 30, 20001, dtype=torch.float64)
    density = z.log_prob(nodes).exp()
    normal = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1.0)
    divergence = float(torch.trapezoid(density * (z.log_prob(nodes) - normal.log_prob(nodes)), nodes)) / math.log(2)
    bits = model.bits_per_dim(x.double()).detach()
    error = float(bits.std()) / len(bits) ** 0.5
    assert abs(float(bits.mean()) - entropy - divergence) < 5 * error


def with_uniform_noise(flow):
    return pf.dequantized(flow, pixels(50, 2, 3), levels=3)


def with_noise_of_a_flow(flow):
    noise = randomized(pf.maf(features=2, context=3, layers=2, hidden=(8, 8)), scale=0.3)
    return pf.dequantized(flow, pixels(50, 2, 3), levels=3, noise=noise)


@pytest.mark.parametrize(
    "make", [with_uniform_noise, with_noise_of_a_flow, lambda flow: pf.noised(flow, levels=3, deviation=0.5)]
)
def test_the_error_of_a_random_bound_is_that_of_its_mean(make):
    """Values and errors against the mean over many noises, of every density of images."""
    flow = pf.realnvp_image((1, 1, 2), context=1, couplings=2, hidden=4, blocks=1)
    model = make(randomized(flow, scale=0.3)).double().eval()
    x, context = pixels(6, 2, 3).double(), torch.linspace(-1, 1, 6, dtype=torch.float64)[:, None]
    value, error = pf.log_prob_with_error(model, x, context, repeats=64)
    assert has_error(model) and (error > 0).all()
    with torch.no_grad():
        model.training = True
        many = torch.stack([model.log_prob(x, context) for _ in range(1000)])
        model.training = False
    assert ((value - many.mean(0)).abs() < 5 * torch.hypot(error, many.std(0) / 1000**0.5)).all()
    # The scatter of one noise, over the root of their number; of so few numbers it is itself known to a third or so.
    assert (error / (many.std(0) / 8)).log().abs().max() < 1
    # The model itself is as it was.
    assert model.noise_seed == 0 and not torch.equal(model.log_prob(x, context), value)


def test_images_in_parts_have_the_values_of_all_at_once(monkeypatch):
    model = pf.dequantized(randomized(SMALL["glow"](context=2), scale=0.3), levels=5).double().eval()
    x, context = pixels(7).double(), torch.randn(7, 2, dtype=torch.float64)
    at_once = model.log_prob(x, context)
    monkeypatch.setattr("pushforward.zoo.levels.NUMBERS_AT_A_TIME", 40)
    torch.testing.assert_close(model.log_prob(x, context), at_once)
    assert model.log_prob(x[:0], context[:0]).shape == (0,)
    torch.testing.assert_close(model.log_prob(x, context[0]), model.log_prob(x, context[:1].expand(7, 2)))


@pytest.mark.parametrize(
    ("x", "match"),
    [
        (torch.full((1, 16), 5.0), "from 0 to 4; these lie between 5 and 5"),
        (torch.full((1, 16), -1.0), "lie between -1"),
        (torch.full((1, 16), 0.5), "are not whole"),
        (torch.full((1, 16), math.nan), "Pixels are whole numbers"),
    ],
)
def test_what_is_no_level_is_refused(x, match):
    model = pf.dequantized(SMALL["glow"](), levels=5)
    with pytest.raises(pf.InputError, match=match):
        model.log_prob(x)
    with pytest.raises(pf.InputError, match=match):
        pf.dequantized(SMALL["glow"](), x, levels=5)


@pytest.mark.parametrize("shape", [(2, 10), (2, 4, 4), (15,)])
@pytest.mark.parametrize("make", [pf.dequantized, pf.noised])
def test_images_of_another_size_are_refused_wherever_they_come(make, shape):
    model, x = make(SMALL["glow"](), levels=5), torch.zeros(shape)
    asked = [model.log_prob, lambda x: pf.dequantized(SMALL["glow"](), x, levels=5)]
    asked += [model.bits_per_dim, model.log_prob_by_importance] if make is pf.dequantized else []
    for one in asked:
        with pytest.raises(pf.InputError, match=r"expected shape \(\.\.\., 16\), got"):
            one(x)


@pytest.mark.parametrize("method", ["log_prob", "bits_per_dim", "log_prob_by_importance"])
def test_a_context_that_is_missing_or_too_much_is_told(method):
    of_class, plain = (pf.dequantized(SMALL["glow"](context=c), levels=5) for c in (3, 0))
    with pytest.raises(pf.InputError, match="This flow is conditional"):
        getattr(of_class, method)(pixels(2))
    with pytest.raises(pf.InputError, match="This flow takes no context"):
        getattr(plain, method)(pixels(2), torch.zeros(2, 3))


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        (lambda flow: pf.dequantized(flow, noise=3), "takes a flow, .* not an object of type int"),
        (lambda flow: pf.dequantized(pf.dequantized(flow)), "takes a flow of images, .* Dequantized"),
        (lambda flow: pf.noised(pf.noised(flow)), "takes a flow of images, .* Noised"),
        (lambda flow: pf.check_flow(pf.dequantized(flow)), "check_flow takes a flow, .* Dequantized"),
        (lambda flow: pf.check_flow(flow.bijection), "check_flow takes a flow"),
        (lambda flow: pf.dequantized(flow, levels=17.5), "a whole number of at least 2 levels, got 17.5"),
        (lambda flow: pf.dequantized(flow, pixels(3), levels=16.5), "a whole number of at least 2 levels"),
        (lambda flow: pf.noised(flow, levels=True), "a whole number of at least 2 levels, got True"),
        (lambda flow: pf.dequantized(flow).log_prob_by_importance(pixels(2), draws=1.5), "whole number of draws"),
        (lambda flow: pf.dequantized(flow).log_prob_by_importance(pixels(2), draws=0), "whole number of draws"),
    ],
)
def test_what_is_no_flow_or_no_number_is_one_sentence(asked, match):
    with pytest.raises(pf.InputError, match=match):
        asked(SMALL["glow"]())


def test_denoising_is_the_mean_given_the_noisy_image(tmp_path):
    """Of normal images x ~ N(m, s²) with noise of width w: E[x | y] = m + s² / (s² + w²) · (y - m)."""
    flow = pf.Flow(pf.bijections.ElementwiseAffine(torch.full((4,), 0.2), torch.full((4,), 0.5)), normal(4))
    model = pf.noised(flow, levels=256, deviation=0.3).double().eval()
    half, width = 127.5, model.width
    mean, variance = half * 1.2, (half * 0.5) ** 2 - width**2
    y = torch.tensor([[0.0, 50.0, 128.0, 255.0]], dtype=torch.float64)
    expected = mean + variance / (variance + width**2) * (y - mean)
    torch.testing.assert_close(model.denoised(y), expected)


def test_a_noised_model_is_saved_and_draws_levels(tmp_path):
    flow = randomized(SMALL["tarflow"](context=2), scale=0.3).float()
    model, context = pf.noised(flow, levels=5, deviation=0.1).eval(), torch.randn(3, 2)
    pf.save(model, tmp_path / "model.safetensors")
    loaded = pf.load(tmp_path / "model.safetensors")
    assert torch.equal(loaded.log_prob(pixels(3), context), model.log_prob(pixels(3), context))
    drawn = loaded.sample((4,), context)
    assert drawn.shape == (4, 3, 16) and set(drawn.unique().tolist()) <= set(range(5))
    noise, _ = model.with_noise(torch.zeros(2000, 16, dtype=torch.float64), torch.rand(2000, 16, dtype=torch.float64))
    assert abs(float(noise.std()) / model.width - 1) < 5 / (2 * 32_000) ** 0.5
    with pytest.raises(pf.InputError, match="deviation must be positive"):
        pf.noised(flow, deviation=0.0)


@pytest.fixture(scope="module")
def digits():
    """Training and validation images of the digits of scikit-learn, and their classes."""
    data = load_digits()
    x = torch.tensor(data.data, dtype=torch.float32)
    classes = torch.nn.functional.one_hot(torch.tensor(data.target)).float()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    training, validation = order[:1400], order[1400:]
    return x[training], classes[training], x[validation], classes[validation]


def independent_pixels(x, validation, levels=17):
    """Bits per dimension of one histogram for each pixel, one image more for each level."""
    bits = 0.0
    for pixel, held_out in zip(x.t().long(), validation.t().long(), strict=True):
        shares = torch.bincount(pixel, minlength=levels).double() + 1
        bits -= float((shares / shares.sum()).log2()[held_out].mean())
    return bits / x.shape[1]


def gaussian(x, validation):
    """Bits per dimension of a Gaussian of the pixels with noise."""
    generator = torch.Generator().manual_seed(1)
    filled = x.double() + torch.rand(x.shape, generator=generator, dtype=torch.float64)
    normal = torch.distributions.MultivariateNormal(filled.mean(0), filled.t().cov())
    held_out = validation.double() + torch.rand(validation.shape, generator=generator, dtype=torch.float64)
    return -float(normal.log_prob(held_out).mean()) / math.log(2) / x.shape[1]


@pytest.mark.slow
def test_glow_of_digits_beats_independent_pixels_and_a_gaussian(digits):
    x, classes, validation, validation_classes = digits
    torch.manual_seed(0)
    flow = pf.glow((1, 8, 8), context=10, steps=4, univariate="spline", bins=8)
    model = pf.dequantized(flow, x, levels=17)
    pf.fit(
        model, x, classes, validation=validation, validation_context=validation_classes,
        max_steps=600, batch_size=64, progress=False,
    )  # fmt: skip
    bits = float(model.bits_per_dim(validation, validation_classes).detach().mean())
    assert bits < independent_pixels(x, validation) - 0.2
    assert bits < gaussian(x, validation) - 0.2
    # The class that makes an image likeliest is its own, mostly.
    every = torch.stack([model.log_prob(validation, one.expand(len(validation), -1)) for one in torch.eye(10)])
    assert float((every.argmax(0) == validation_classes.argmax(1)).float().mean()) > 0.8
    # A draw of a class looks like that class to the same density's rule.
    drawn = model.sample((10,), torch.eye(10)).reshape(-1, 64)
    labels = torch.stack([model.log_prob(drawn, one.expand(100, -1)) for one in torch.eye(10)]).argmax(0)
    assert float((labels.view(10, 10) == torch.arange(10)).float().mean()) > 0.8


LEARNERS = {
    "glow": lambda: pf.glow((1, 8, 8), steps=1, hidden=8, blocks=0),
    "realnvp_image": lambda: pf.realnvp_image((1, 8, 8), couplings=1, hidden=8, blocks=0),
    "tarflow": lambda: pf.tarflow((1, 8, 8), patch=2, layers=2, width=16, depth=1, heads=2),
}


@pytest.mark.parametrize("name", ["glow", *(pytest.param(n, marks=pytest.mark.slow) for n in LEARNERS if n != "glow")])
def test_a_fit_improves_digits(digits, name):
    x, _, validation, _ = digits
    model = pf.dequantized(LEARNERS[name](), x, levels=17)
    before = float(model.eval().bits_per_dim(validation).detach().mean())
    pf.fit(model, x, validation=validation, max_steps=60, batch_size=64, learning_rate=3e-3, progress=False)
    assert float(model.bits_per_dim(validation).detach().mean()) < before - 0.2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("make", [pf.dequantized, pf.noised])
def test_levels_of_any_dtype_have_the_same_density(make, dtype):
    density = make(pf.realnvp_image((1, 2, 2), hidden=8), levels=3).eval()
    levels = torch.tensor([[0, 1, 1, 0], [0, 0, 0, 1]])
    with torch.no_grad():
        expected, found = density.log_prob(levels.double()), density.log_prob(levels.to(dtype))
        assert found.dtype == (dtype if dtype.is_floating_point else torch.float32)
        torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=1e-5)
        assert density.log_prob(levels[:0].to(dtype)).shape == (0,)
        assert density.train().log_prob(levels.to(dtype)).abs().max() < 100


@pytest.mark.parametrize(
    ("shape", "patch"), [((1, 8, 8), 4), ((1, 9, 6), 3), ((3, 7, 5), 1), ((1, 4, 4), 2), ((1, 3, 3), 1)]
)
def test_patches_fit_the_sides_of_an_image(shape, patch):
    flow = pf.tarflow(shape, layers=1, width=8, depth=1)
    assert flow.bijection.bijections[0].patch == patch
