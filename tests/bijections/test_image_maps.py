"""Maps of images on images of several shapes: against torch's own reshapes and convolutions, and the contracts."""

import pytest
import torch

import pushforward as pf
from pushforward.bijections import (
    UNIVARIATES,
    ActNorm,
    Convolution1x1,
    ImageCoupling,
    Intensities,
    PatchAutoregressive,
    Pixelwise,
    Split,
    squeeze,
)
from pushforward.bijections.image_coupling import channels, checkerboard
from pushforward.evaluation import contracts
from pushforward.evaluation.contracts import randomized

MAPS = {
    "squeeze": lambda: squeeze((2, 4, 2)),
    "activation normalization": lambda: Pixelwise(ActNorm(3), 4),
    "1x1 convolution": lambda: Convolution1x1(3, 4),
    "split": lambda: Split(Convolution1x1(2, 4), 12),
    "checkerboard": lambda: ImageCoupling(checkerboard((2, 3, 2)), UNIVARIATES["affine"](), 6, 1, context=2),
    "channels": lambda: ImageCoupling(channels((3, 2, 2)), UNIVARIATES["spline"](bins=4), 6, 2),
    "first channels": lambda: ImageCoupling(channels((3, 2, 2), first=True), UNIVARIATES["affine"](), 6, 0, context=1),
    "scalar roots": lambda: ImageCoupling(channels((2, 2, 2)), UNIVARIATES["logistic_mixture"](components=3), 4, 1),
    "patches": lambda: PatchAutoregressive((1, 4, 4), 2, UNIVARIATES["affine"](), 8, 1, 2, context=3),
    "patches, the last first": lambda: PatchAutoregressive(
        (2, 2, 4), 2, UNIVARIATES["spline"](bins=4), 8, 2, 4, reverse=True
    ),
    "glow": lambda: pf.glow((1, 4, 4), steps=2, hidden=6, context=2).bijection,
    "glow of colors": lambda: pf.glow((3, 2, 2), steps=2, hidden=6).bijection,
    "realnvp_image": lambda: pf.realnvp_image((1, 4, 2), couplings=2, hidden=6, blocks=1, context=1).bijection,
    "tarflow": lambda: pf.tarflow((1, 4, 2), context=2, patch=2, layers=2, width=8, depth=1, heads=2).bijection,
    "realnvp_image of odd sides": lambda: pf.realnvp_image((2, 3, 1), couplings=2, hidden=6, blocks=1).bijection,
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in MAPS])
def test_every_contract_of_a_map(name):
    pf.check_bijection(MAPS[name]()).raise_if_failed()


@pytest.mark.parametrize("name", MAPS)
def test_both_directions_and_the_volume(name):
    bijection = randomized(MAPS[name](), scale=0.3)
    context = torch.randn(5, bijection.context_features, dtype=torch.float64) if bijection.context_features else None
    value = torch.randn(5, bijection.features, dtype=torch.float64)
    for direction in contracts.DIRECTIONS:
        contracts.round_trip(bijection, direction, value, context, 1e-8)
        contracts.opposite_log_dets(bijection, direction, value, context, 1e-8)
        row = None if context is None else context[0]
        contracts.jacobian_log_det(bijection, direction, value[0], row, 1e-8)


def test_squeezing_is_the_inverse_of_pixel_shuffle():
    z = torch.randn(5, 3 * 4 * 6)
    x, log_det = squeeze((3, 4, 6))(z)
    expected = torch.nn.functional.pixel_shuffle(z.view(5, 12, 2, 3), 2).flatten(1)
    assert torch.equal(x, expected) and not log_det.any()


def test_a_1x1_convolution_is_that_of_torch_and_starts_orthogonal():
    layer = Convolution1x1(4, 6).double()
    lower, upper, log_det = layer.lu.triangles()
    matrix = (lower @ upper)[layer.source]
    torch.testing.assert_close(matrix @ matrix.t(), torch.eye(4, dtype=torch.float64), atol=1e-6, rtol=0)
    assert abs(float(log_det.detach())) < 1e-5
    layer = randomized(layer)
    lower, upper, _ = layer.lu.triangles()
    matrix = (lower @ upper)[layer.source]
    z = torch.randn(5, 24, dtype=torch.float64)
    expected = torch.nn.functional.conv2d(z.view(5, 4, 2, 3), matrix[..., None, None], layer.lu.shift).flatten(1)
    torch.testing.assert_close(layer(z)[0], expected)


@pytest.mark.parametrize("changed", [checkerboard((2, 4, 4)), channels((4, 2, 2)), channels((3, 2, 2), first=True)])
def test_a_coupling_keeps_what_it_keeps_and_its_network_does_not_see_what_it_changes(changed):
    layer = randomized(ImageCoupling(changed, UNIVARIATES["affine"](), hidden=6, blocks=1))
    z = torch.randn(changed.numel(), dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda value: layer(value)[0])(z)
    flat = changed.flatten()
    eye = torch.eye(len(flat), dtype=torch.float64)
    assert torch.equal(jacobian[~flat], eye[~flat])
    among_changed = jacobian[flat][:, flat]
    assert torch.equal(among_changed != 0, torch.eye(int(flat.sum())) != 0)
    # The network of 3 × 3 convolutions sees more than half of these small images from everywhere.
    assert float((jacobian[flat][:, ~flat] != 0).double().mean()) > 0.5


@pytest.mark.parametrize("reverse", [False, True])
def test_patches_depend_on_those_before_them_alone(reverse):
    """The patches of an image of 4 × 6 pixels, by hand: rows first."""
    layer = randomized(PatchAutoregressive((2, 4, 6), 2, UNIVARIATES["affine"](), 8, 1, 2, reverse=reverse))
    row, column = torch.meshgrid(torch.arange(4) // 2, torch.arange(6) // 2, indexing="ij")
    patch = (3 * row + column).expand(2, -1, -1).flatten()
    z = torch.randn(48, dtype=torch.float64)
    before = patch[:, None] < patch if reverse else patch[:, None] > patch
    expected = before | torch.eye(48, dtype=torch.bool)
    for direction in contracts.DIRECTIONS:
        jacobian = torch.func.jacrev(lambda v, d=direction: contracts.apply(layer, d, v)[0])(z)
        assert bool(((jacobian != 0) == expected).all())


def test_sampling_with_kept_keys_and_values_is_exact_to_the_pass_over_all_patches():
    layer = randomized(PatchAutoregressive((1, 8, 8), 2, UNIVARIATES["affine"](), 16, 3, 4, context=2))
    z, context = torch.randn(5, 64, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    x, log_det = layer(z, context)
    back, log_det_back = layer.inverse(x, context)
    assert float((back - z).detach().abs().max()) < 1e-10
    assert float((log_det + log_det_back).detach().abs().max()) < 1e-10
    # Patch by patch with the pass over all of them, which sees what is not known yet as zeros.
    patches, known = layer._patches_of(z), torch.zeros(5, 16, 4, dtype=torch.float64)
    for number in range(16):
        parameters = layer.network(known, context)[:, number]
        known[:, number] = layer.univariate.forward(patches[:, number], parameters)[0].detach()
    assert float((layer._image_of(known) - x).detach().abs().max()) < 1e-10


def test_all_numbers_are_changed_in_turn():
    for shape in ((1, 3, 3), (2, 1, 4)):
        assert bool((checkerboard(shape) ^ checkerboard(shape, odd=False)).all())
    for shape in ((3, 2, 2), (4, 1, 1)):
        assert bool((channels(shape) ^ channels(shape, first=True)).all())


def test_what_cannot_be_is_refused_in_a_sentence():
    with pytest.raises(pf.InputError, match="3 × 4 pixels cannot be squeezed"):
        squeeze((1, 3, 4))
    with pytest.raises(pf.InputError, match="at least two pixels"):
        checkerboard((4, 1, 1))
    with pytest.raises(ValueError, match="at least one number"):
        ImageCoupling(torch.zeros(1, 2, 2, dtype=torch.bool), UNIVARIATES["affine"]())
    with pytest.raises(ValueError, match="more than there are"):
        Split(ActNorm(3), 2)
    with pytest.raises(pf.InputError, match="odd side"):
        pf.glow((1, 7, 8))
    with pytest.raises(pf.InputError, match="halved 2 times, not 3"):
        pf.glow((1, 12, 12), scales=3)
    with pytest.raises(pf.InputError, match="does not consist of patches of 3 × 3"):
        pf.tarflow((1, 8, 8), patch=3)
    with pytest.raises(pf.InputError, match="at least two patches"):
        pf.tarflow((1, 8, 8), patch=8)
    with pytest.raises(pf.InputError, match="multiple of the 3 heads"):
        pf.tarflow((1, 8, 8), heads=3)
    with pytest.raises(pf.InputError, match="glow has no option 'step'"):
        pf.glow((1, 8, 8), step=3)


HISTOGRAM = [40.0, 1.0, 2.0, 0.01, 9.0]


@pytest.mark.parametrize("shares", [None, HISTOGRAM])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_intensities_round_trip_with_the_derivative_of_autograd(shares, dtype):
    layer = Intensities(64, 5, shares).to(dtype)
    x = torch.linspace(0, 5, 64, dtype=dtype)
    z, log_det = layer.inverse(x)
    back, _ = layer(z)
    assert z.dtype == back.dtype == log_det.dtype == dtype
    torch.testing.assert_close(back, x, atol=1e-10 if dtype == torch.float64 else 1e-4, rtol=0)
    if dtype == torch.float64:
        # Not at the edges of the steps, where the slope jumps.
        inside = (x + 0.01) % 1 > 0.02
        torch.testing.assert_close(
            layer.each_forward(z)[1][inside], -layer.each_inverse(x)[1][inside], atol=1e-8, rtol=0
        )
        slope = torch.func.vmap(torch.func.grad(lambda v: layer.each_inverse(v.expand(64))[0][0]))(x[inside])
        torch.testing.assert_close(slope.log(), layer.each_inverse(x)[1][inside], atol=1e-9, rtol=0)
        forward = torch.func.vmap(torch.func.grad(lambda v: layer.each_forward(v.expand(64))[0][0]))(z[inside])
        torch.testing.assert_close(forward.log(), layer.each_forward(z)[1][inside], atol=1e-9, rtol=0)


def test_intensities_of_a_histogram_are_logistic_under_their_own_map():
    # P(step k) under a standard logistic z is the share of step k, exactly.
    layer = Intensities(1, 5, HISTOGRAM).double()
    edges = layer.inverse(torch.arange(6.0, dtype=torch.float64)[:, None])[0][:, 0].sigmoid()
    expected = torch.tensor(HISTOGRAM, dtype=torch.float64) / sum(HISTOGRAM)
    torch.testing.assert_close(edges.diff() / (1 - 2 * layer.margin), expected, atol=1e-7, rtol=0)


def test_intensities_far_out_and_at_the_ends_are_finite():
    layer = Intensities(4, 5, HISTOGRAM)
    for z in (torch.full((4,), 1e3), torch.full((4,), -1e3), torch.zeros(4)):
        x, log_det = layer(z)
        assert bool(x.isfinite().all() and log_det.isfinite())
    z, log_det = layer.inverse(torch.tensor([0.0, 5.0, 4.999999, 2.5]))
    assert bool(z.isfinite().all() and log_det.isfinite())


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((1, 1), "at least 2 levels"),
        ((1, 3, [1.0, 2.0]), "3 positive numbers"),
        ((1, 2, [1.0, 0.0]), "2 positive numbers"),
        ((1, 2, None, 0.5), "between 0 and 1/2"),
    ],
)
def test_intensities_without_a_histogram_are_refused(arguments, match):
    with pytest.raises(pf.InputError, match=match):
        Intensities(*arguments)
