"""The WaveNet behind an adaptive scale: causal, exactly sampled, as likely as its scale alone at the start."""

import pytest
import torch

import pushforward as pf
from pushforward.audio.models.adaptive_wavenet import adaptive_wavenet
from pushforward.audio.speech.baselines import adaptive_scale_nll

HEADS = ["gaussian", "logistic_mixture"]


def model(head="gaussian", **options):
    """Weights, all of them, away from where they start."""
    torch.manual_seed(0)
    made = adaptive_wavenet(
        order=3, spans=(4.0, 16.0), channels=5, layers=4, head=head, components=3, **options
    ).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))
    made.adaptive.coefficients.copy_(torch.tensor([1.2, -0.5, 0.1]))
    made.adaptive.start.fill_(1e-3)
    return made


@pytest.mark.parametrize("head", HEADS)
def test_samples_are_those_of_the_density_to_the_last_digits(head):
    teacher = model(head, context=2, hop=10)
    context = torch.randn(3, 6, 2, dtype=torch.float64)
    noise = teacher.head.noise(torch.empty(3, 60, dtype=torch.float64))
    x = teacher.from_noise(noise, context)
    location, log_scale, features = teacher.adaptive(x)
    parameters = teacher.network(features, context)
    again = location + log_scale.exp() * teacher.head.draw(parameters, noise)
    torch.testing.assert_close(again, x, atol=1e-10, rtol=1e-10)
    if head == "gaussian":
        law = teacher.conditionals(x, context)
        torch.testing.assert_close((x - law.loc) / law.scale, noise[..., 0], atol=1e-10, rtol=1e-8)


def test_streams_are_samples():
    teacher = model()
    whole = teacher.sample((2,), length=50, generator=torch.Generator().manual_seed(1))
    parts = list(teacher.stream((2,), length=50, generator=torch.Generator().manual_seed(1), chunk=7))
    assert torch.equal(torch.cat(parts, -1), whole)


@pytest.mark.parametrize("head", HEADS)
def test_no_sample_looks_at_itself_or_ahead(head):
    teacher = model(head)
    x = 0.1 * torch.randn(1, 40, dtype=torch.float64)

    def parameters(x):
        location, log_scale, features = teacher.adaptive(x)
        return torch.cat([teacher.network(features), location[..., None], log_scale[..., None]], -1)[0]

    jacobian = torch.func.jacrev(parameters)(x)[:, :, 0].abs().sum(1)
    assert torch.triu(jacobian).max() == 0 and torch.diagonal(jacobian, -1).min() > 0
    # From the first sample on, and far back.
    assert (jacobian[1:, 0] > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_the_density_of_two_samples_integrates_to_one(head):
    teacher = model(head)
    teacher.adaptive.floor = 0.05
    grid = torch.linspace(-3, 3, 601, dtype=torch.float64)
    first, second = torch.meshgrid(grid[::3], grid, indexing="ij")
    with torch.no_grad():
        density = teacher.log_prob(torch.stack([first.flatten(), second.flatten()], 1)).exp()
    assert float(density.sum()) * 0.03 * 0.01 == pytest.approx(1, abs=2e-3)


def test_a_fresh_model_is_the_gaussian_autoregression_with_adaptive_scale():
    fresh = adaptive_wavenet(order=2).double()
    fresh.adaptive.coefficients.copy_(torch.tensor([1.5, -0.8]))
    x = 0.01 * torch.randn(1, 500, dtype=torch.float64)
    expected = adaptive_scale_nll(fresh.adaptive, [x[0].numpy()])
    assert -fresh.log_prob(x).item() / 500 == pytest.approx(expected, rel=1e-12)


def test_a_model_is_saved_with_its_scale(tmp_path):
    teacher = model().float()
    pf.save(teacher, tmp_path / "m.safetensors")
    loaded = pf.load(tmp_path / "m.safetensors")
    x = 0.1 * torch.randn(2, 100)
    assert torch.equal(loaded.log_prob(x), teacher.log_prob(x))
    assert torch.equal(loaded.adaptive.start, teacher.adaptive.start)


def test_gradients_reach_every_weight_and_the_sound():
    teacher = model("logistic_mixture", context=1, hop=10)
    x = (0.1 * torch.randn(2, 60, dtype=torch.float64)).requires_grad_()
    teacher.log_prob(x, torch.ones(2, 6, 1, dtype=torch.float64)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in teacher.parameters())
    assert x.grad.isfinite().all() and x.grad.abs().min() > 0
