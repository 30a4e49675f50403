"""The parallel WaveNet behind a linear filter: scipy's filter, the density of what was drawn, known conditionals."""

import numpy as np
import pytest
import scipy.signal
import torch
from torch import nn

import pushforward as pf
from pushforward.audio.models.predictive_student import predictive_parallel_wavenet, synthesized

EVERY_FAMILY = pytest.mark.parametrize("univariate", ["affine", "spline"])
COEFFICIENTS = torch.tensor([1.5, -0.8, 0.1], dtype=torch.float64)


def student(**options):
    torch.manual_seed(0)
    made = predictive_parallel_wavenet(order=3, channels=4, layers=4, scale=0.1, **options).double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    made.coefficients.copy_(COEFFICIENTS)
    return made


def test_the_filter_is_scipys_and_differentiable():
    errors = torch.randn(2, 3, 400, dtype=torch.float64, requires_grad=True)
    expected = scipy.signal.lfilter([1], [1, *(-COEFFICIENTS).tolist()], errors.detach().numpy())
    np.testing.assert_allclose(synthesized(errors, COEFFICIENTS).detach().numpy(), expected, atol=1e-12)
    assert torch.autograd.gradcheck(
        lambda e: synthesized(e, COEFFICIENTS), errors[:1, :1, :6].detach().requires_grad_()
    )


@EVERY_FAMILY
@pytest.mark.parametrize("conditional", [False, True])
def test_the_density_of_a_draw_is_found_again(conditional, univariate):
    made = student(univariate=univariate, **({"context": 2, "hop": 10} if conditional else {}))
    context = torch.randn(2, 6, 2, dtype=torch.float64) if conditional else None
    x, log_prob = made.rsample_with_log_prob(() if conditional else (2,), context, length=60)
    torch.testing.assert_close(made.log_prob(x, context), log_prob, atol=1e-9, rtol=1e-9)
    z = torch.randn(2, 60, dtype=torch.float64)
    torch.testing.assert_close(made.to_latent(made.to_data(z, context), context), z, atol=1e-9, rtol=1e-9)


@EVERY_FAMILY
def test_the_log_density_is_that_of_the_jacobian(univariate):
    made = student(univariate=univariate)
    z = torch.randn(1, 12, dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda z: made.to_data(z)[0])(z)[:, 0]
    expected = torch.distributions.Normal(0, 1).log_prob(z).sum() - torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(made.log_prob(made.to_data(z))[0], expected)
    # A Fourier transform leaves rounding errors where nothing may be.
    assert torch.triu(jacobian, 1).abs().max() < 1e-15


@EVERY_FAMILY
def test_the_conditionals_multiply_to_the_density(univariate):
    made = student(univariate=univariate)
    torch.manual_seed(3)
    x, law = made.rsample_with_conditionals((4,), length=50)
    assert isinstance(law, torch.distributions.Normal) == (univariate == "affine")
    torch.testing.assert_close(law.log_prob(x).sum(-1), made.log_prob(x), atol=1e-9, rtol=1e-9)
    assert law.rsample((3,)).shape == (3, 4, 50)


@EVERY_FAMILY
def test_other_values_of_a_sample_have_the_density_that_its_conditional_says(univariate):
    made = student(univariate=univariate)
    with torch.no_grad():
        x, law = made.rsample_with_conditionals((2,), length=8)
        other = x + 0.3 * torch.randn(2, 8, dtype=torch.float64)
        for t in (1, 7):
            changed = torch.cat([x[:, :t], other[:, t : t + 1]], 1)
            by_difference = made.log_prob(changed) - made.log_prob(x[:, :t])
            torch.testing.assert_close(law.log_prob(other)[:, t], by_difference, rtol=0, atol=1e-9)


@EVERY_FAMILY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_are_what_their_noise_makes(univariate, dtype):
    """Block by block through a recursive filter, or at once through Fourier transforms: but for rounding the same."""
    made, generator = student(univariate=univariate).to(dtype), torch.Generator().manual_seed(1)
    x = made.sample((2,), length=1500, generator=generator)
    generator.manual_seed(1)
    noise = torch.cat([made._noise((2, size), generator) for size in (1024, 476)], 1)
    accuracy = 1e-4 if dtype == torch.float32 else 1e-10
    torch.testing.assert_close(made.to_data(noise), x, rtol=0, atol=accuracy * float(x.std()))


@EVERY_FAMILY
def test_streams_are_samples_whatever_their_chunks(univariate):
    made = student(univariate=univariate)
    whole = made.sample((2,), length=2500, generator=torch.Generator().manual_seed(1))
    parts = list(made.stream((2,), length=2500, generator=torch.Generator().manual_seed(1), chunk=77))
    assert torch.equal(torch.cat(parts, -1), whole)


def test_samples_follow_the_density_that_draws_have():
    made = predictive_parallel_wavenet(order=3, channels=4, layers=3, scale=0.1)
    made.coefficients.copy_(COEFFICIENTS)
    # A fresh student is the autoregression itself.
    x = made.sample((200,), length=600, generator=torch.Generator().manual_seed(0)).double()
    errors = scipy.signal.lfilter([1, *(-COEFFICIENTS).tolist()], [1], x.numpy())
    assert errors.std() == pytest.approx(0.1, rel=5 / (2 * 120_000) ** 0.5)
    assert abs(np.corrcoef(errors[:, 1:].ravel(), errors[:, :-1].ravel())[0, 1]) < 5 / 119_800**0.5


@EVERY_FAMILY
def test_it_is_saved_with_its_filter(tmp_path, univariate):
    made = student(univariate=univariate).float()
    pf.save(made, tmp_path / "s.safetensors")
    loaded = pf.load(tmp_path / "s.safetensors")
    x = made.sample((2,), length=100)
    assert torch.equal(loaded.coefficients, made.coefficients) and torch.equal(loaded.log_prob(x), made.log_prob(x))


def test_files_from_before_there_were_splines_are_affine():
    """Their configs do not say what the maps are."""
    config = dict(student().config)
    for option in ("univariate", "bins", "bound"):
        del config[option]
    assert pf.build(config).univariate == student().univariate
