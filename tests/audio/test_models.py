"""The two models of sound: exactness of densities and draws, and what must stay alive far out."""

import copy
import itertools
import math
import pickle

import pytest
import torch
from audio.random_models import CONTEXTS, FLOWS, HEADS, context_of, normal, student, teacher

import pushforward as pf
from pushforward.audio.models import streams
from pushforward.audio.models.streams import BLOCK

EVERY_HEAD = pytest.mark.parametrize("head", HEADS)
EVERY_FLOW = pytest.mark.parametrize("flow", FLOWS)
EVERY_CONTEXT = pytest.mark.parametrize("context", CONTEXTS)


def options_of(kind, context="none"):
    return {**HEADS, **FLOWS}[kind] | CONTEXTS[context]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# The teacher.


@EVERY_HEAD
@EVERY_CONTEXT
def test_samples_by_rings_are_those_of_the_parallel_pass(head, context):
    model, rows = teacher(**options_of(head, context)), context_of(context)
    noise = model.head.noise(torch.empty(2, 50, dtype=torch.float64), seeded())
    x = model.from_noise(noise, rows)
    # One pass over the finished x: each sample must be what its own conditional makes of its noise.
    parameters = model.network(x / model.scale, rows)
    torch.testing.assert_close(model.scale * model.head.draw(parameters, noise), x, rtol=0, atol=1e-12)


@EVERY_HEAD
def test_the_density_of_two_samples_integrates_to_one(head):
    model = teacher(**options_of(head))
    # The first sample's density and, along the second, the joint density; in units that reach far into both tails.
    grid = torch.linspace(-40, 40, 4001, dtype=torch.float64) * model.scale
    with torch.no_grad():
        one = torch.trapezoid(model.log_prob(grid[:, None]).exp(), grid)
        coarse = grid[::16]
        pairs = torch.cartesian_prod(coarse, coarse)
        both = model.log_prob(pairs).exp().reshape(len(coarse), -1)
        two = torch.trapezoid(torch.trapezoid(both, coarse), coarse)
    assert abs(float(one) - 1) < 1e-6
    assert abs(float(two) - 1) < 1e-4


@EVERY_HEAD
def test_the_first_sample_is_scored_like_every_other(head):
    model, x = teacher(**options_of(head)), normal(3, 10)
    by_sample = model.conditionals(x).log_prob(x)
    torch.testing.assert_close(model.log_prob(x[:, :1]), by_sample[:, 0])
    torch.testing.assert_close(model.log_prob(x), by_sample.sum(-1))
    moved = x.clone()
    moved[:, 0] += 1
    assert bool((model.log_prob(moved[:, :1]) != model.log_prob(x[:, :1])).all())


@EVERY_HEAD
def test_draws_follow_the_conditionals(head):
    """Of many draws, the first sample's and then the second's distribution function is uniform."""
    model = teacher(**options_of(head))
    x = model.sample((20_000,), length=3, generator=seeded())
    with torch.no_grad():
        u = model.conditionals(x).cdf(x).sort(0).values
    steps = (torch.arange(20_000, dtype=torch.float64) + 0.5)[:, None] / 20_000
    # Kolmogorov-Smirnov, with the probability of five standard deviations.
    assert float((u - steps).abs().max()) < 2.75 / math.sqrt(20_000)


@EVERY_HEAD
def test_a_fresh_teacher_has_mean_0_and_the_given_scale(head):
    model = pf.wavenet(**{**options_of(head), "components": 10}, layers=3, stacks=1, scale=0.1).double()
    law = model.conditionals(normal(2, 5))
    torch.testing.assert_close(law.mean, torch.zeros(2, 5, dtype=torch.float64))
    torch.testing.assert_close(law.stddev, torch.full((2, 5), 0.1, dtype=torch.float64), rtol=0.01, atol=0)


@EVERY_HEAD
def test_gradients_reach_x_and_every_weight(head):
    model, x = teacher(**options_of(head, "class")), normal(2, 12).requires_grad_()
    model.log_prob(x, context_of("class")).sum().backward()
    assert bool((x.grad != 0).all())
    for name, parameter in model.named_parameters():
        assert bool((parameter.grad != 0).any()), name


@EVERY_HEAD
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("log_scale", [-60.0, -30.0, 30.0, 60.0])
def test_no_clamp_kills_a_gradient(head, dtype, log_scale):
    """Log-scales far beyond all reason, and a sample far from where it is expected, still feel their gradients."""
    model = teacher(**options_of(head)).to(dtype)
    model.network.start_at_zero()
    with torch.no_grad():
        count = 1 if head == "gaussian" else model.head.components
        model.network.output.bias[-count:] = log_scale
    x = torch.tensor([[0.3]], dtype=dtype, requires_grad=True)
    model.log_prob(x).sum().backward()
    gradient = model.network.output.bias.grad
    assert bool(gradient.isfinite().all()) and bool((gradient[-count:] != 0).any())
    assert bool(x.grad.isfinite().all()) and bool((x.grad != 0).all())


def test_temperature_scales_the_noise():
    model = teacher()
    first = model.conditionals(torch.zeros(1, 1, dtype=torch.float64))
    cold = model.sample((20_000,), length=1, temperature=0.5, generator=seeded())[:, 0]
    assert abs(float(cold.std() / first.scale[0, 0].detach()) - 0.5) < 5 * 0.5 / math.sqrt(2 * 20_000)
    assert torch.equal(model.sample((2,), length=9, temperature=0.0), model.sample((2,), length=9, temperature=0.0))


# The student.


@EVERY_FLOW
@EVERY_CONTEXT
def test_the_density_by_rings_is_that_of_the_parallel_pass(flow, context):
    model, rows = student(**options_of(flow, context)), context_of(context)
    x, log_prob = model.rsample_with_log_prob(() if context != "none" else (2,), rows, length=50)
    torch.testing.assert_close(model.log_prob(x, rows), log_prob, rtol=0, atol=1e-10)
    z = model.to_latent(x, rows)
    torch.testing.assert_close(model.to_data(z, rows), x, rtol=0, atol=1e-10)


@EVERY_FLOW
def test_the_log_det_of_the_student_is_that_of_its_jacobian(flow):
    model, z = student(**options_of(flow)), normal(12)
    jacobian = torch.func.jacrev(lambda z: model.to_data(z[None])[0])(z)
    assert bool((jacobian.triu(1) == 0).all()), "a sample depends on later noise"
    assert bool((jacobian.diagonal() > 0).all()) and bool((jacobian.tril(-1)[2:, 0] != 0).any())
    base = torch.distributions.Normal(0.0, 1.0) if flow != "logistic" else pf.audio.Logistic(z[0] * 0, z[0] * 0 + 1)
    expected = base.log_prob(z).sum() - torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(model.log_prob(model.to_data(z)), expected, rtol=0, atol=1e-9)


@pytest.mark.slow
@EVERY_FLOW
def test_the_density_of_the_student_integrates_to_one(flow):
    model = student(**options_of(flow))
    reach = 30 if flow == "logistic" else 15  # its tails are heavy; the others' densities narrow
    grid = torch.linspace(-reach, reach, 801, dtype=torch.float64) * model.scale
    pairs = torch.cartesian_prod(grid, grid)
    with torch.no_grad():
        both = model.log_prob(pairs).exp().reshape(len(grid), -1)
    assert abs(float(torch.trapezoid(torch.trapezoid(both, grid), grid)) - 1) < 1e-3


@EVERY_FLOW
@EVERY_CONTEXT
def test_the_conditionals_of_a_draw_multiply_to_its_density(flow, context):
    model, rows = student(**options_of(flow, context)), context_of(context)
    x, law = model.rsample_with_conditionals(() if context != "none" else (2,), rows, length=30)
    torch.testing.assert_close(law.log_prob(x).sum(-1), model.log_prob(x, rows), rtol=0, atol=1e-10)
    kind = {"logistic": pf.audio.Logistic, "spline": pf.audio.models.conditionals.MappedDistribution}.get(
        flow, torch.distributions.Normal
    )
    assert type(law) is kind
    assert law.batch_shape == x.shape
    assert law.rsample((5,)).shape == (5, *x.shape)


@EVERY_FLOW
def test_other_values_of_a_sample_have_the_density_that_its_conditional_says(flow):
    """log q(x[0 .. t]) - log q(x[0 .. t-1]) with another x[t], by the way back, against the conditional of t."""
    model = student(**options_of(flow))
    x, law = model.rsample_with_conditionals((2,), length=8)
    with torch.no_grad():
        other = x + 0.3 * normal(2, 8, seed=3)
        for t in (0, 3, 7):
            changed = torch.cat([x[:, :t], other[:, t : t + 1]], 1)
            by_difference = model.log_prob(changed) - (model.log_prob(x[:, :t]) if t else 0.0)
            torch.testing.assert_close(law.log_prob(other)[:, t], by_difference, rtol=0, atol=1e-9)


@EVERY_FLOW
def test_a_fresh_student_is_its_base_times_the_scale(flow):
    model = pf.parallel_wavenet(**options_of(flow), layers=3, flows=3, scale=0.05).double()
    z = normal(2, 9)
    torch.testing.assert_close(model.to_data(z), 0.05 * z, rtol=0, atol=1e-9)


@EVERY_FLOW
def test_gradients_of_a_draw_reach_every_weight(flow):
    model = student(**options_of(flow, "class"))
    x, log_prob = model.rsample_with_log_prob((3,), context_of("class"), length=20)
    assert x.shape == (3, 2, 20)
    (x.sin().sum() + log_prob.sum()).backward()
    for name, parameter in model.named_parameters():
        assert bool((parameter.grad != 0).any()), name


@EVERY_FLOW
def test_the_density_of_data_is_differentiable(flow):
    model, x = student(**options_of(flow), layers=2, stacks=1), 0.3 * normal(1, 5)
    weight = model.networks[0].output.bias
    weight.requires_grad_()
    model.log_prob(x).sum().backward()
    step = 1e-6
    with torch.no_grad():
        weight[1] += step
        above = model.log_prob(x).sum()
        weight[1] -= 2 * step
        below = model.log_prob(x).sum()
    assert abs(float(weight.grad[1] - (above - below) / (2 * step))) < 1e-6


# Both.


def models(context):
    for kind in (*HEADS, *FLOWS):
        yield kind, (teacher if kind in HEADS else student)(**options_of(kind, context))


@EVERY_CONTEXT
@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)])
def test_chunks_of_any_size_are_the_one_shot_to_the_last_bit(context, dtype, monkeypatch):
    """In both precisions: whatever the chunks, numbers are drawn and products taken in the same blocks."""
    monkeypatch.setattr(streams, "BLOCK", 64)
    rows = context_of(context, frames=24)
    rows = None if rows is None else rows.to(dtype)
    for kind, model in models(context):
        model = model.to(dtype)
        whole = model.sample((2,), rows, 150, generator=seeded())
        for chunk in (1, 37, 64, 1000):
            chunks = list(model.stream((2,), rows, 150, generator=seeded(), chunk=chunk))
            assert all(c.shape[-1] == chunk for c in chunks[:-1])
            assert torch.equal(torch.cat(chunks, -1), whole), kind


@EVERY_FLOW
def test_blocks_are_the_whole_sequence_at_once_but_for_rounding(flow):
    model = student(**options_of(flow))
    x = model.sample((2,), length=BLOCK + 300, generator=seeded())
    z = model.to_latent(x[:, :60])
    noise = torch.cat([model._noise((2, BLOCK), g := seeded()), model._noise((2, 300), g)], 1)
    torch.testing.assert_close(z, noise[:, :60], rtol=0, atol=1e-9)
    torch.testing.assert_close(model.to_data(noise), x, rtol=0, atol=1e-12)


def test_without_frames_a_stream_has_no_end():
    model = student()
    chunks = list(itertools.islice(model.stream((2,), chunk=700), 4))
    assert [c.shape for c in chunks] == [(2, 700)] * 4


@pytest.mark.slow
@EVERY_CONTEXT
def test_any_batch_is_its_rows_one_by_one(context):
    rows = context_of(context)
    for kind, model in models(context):
        x = 0.3 * normal(4, 2, 20)
        together = model.log_prob(x, rows)
        assert together.shape == (4, 2)
        for a, b in ((0, 0), (3, 1)):
            alone = model.log_prob(x[a, b], None if rows is None else rows[b])
            torch.testing.assert_close(together[a, b], alone, rtol=0, atol=1e-9, msg=kind)


def test_draws_are_as_long_as_told_or_as_their_frames():
    frames = context_of("frames")
    for _, model in models("frames"):
        assert model.sample((3,), frames).shape == (3, 2, 56)
        assert model.sample((), frames, length=20).shape == (2, 20)
        with pytest.raises(ValueError, match="too short"):
            model.sample((), frames, length=57)
        with pytest.raises(ValueError, match="Expected a context"):
            next(model.stream())
    for _, model in models("none"):
        model.length = 11
        assert model.sample(2).shape == (2, 11)
        assert model.sample(length=0).shape == (0,)
        assert model.sample((0,), length=4).shape == (0, 4)
        assert model.log_prob(model.sample((0,), length=4)).shape == (0,)


@pytest.mark.slow
@EVERY_CONTEXT
def test_copies_and_files_give_the_same_numbers(context, tmp_path):
    x, rows = 0.3 * normal(2, 20), context_of(context)
    for kind, model in models(context):
        expected = model.log_prob(x, rows)
        path = tmp_path / f"{kind}.safetensors"
        pf.save(model, path, sample_rate=8000, mel={"bands": 20})
        for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), pf.load(path)):
            assert torch.equal(copied.log_prob(x, rows), expected), kind
        assert pf.load(path).config == model.config
        assert pf.describe(path)["notes"] == {"sample_rate": 8000, "mel": {"bands": 20}}


def test_options_that_make_no_model_are_refused():
    with pytest.raises(pf.InputError, match='did you mean "channels"'):
        pf.wavenet(chanels=3)
    with pytest.raises(pf.InputError, match="option head cannot be 'gauss'"):
        pf.wavenet(head="gauss")
    with pytest.raises(pf.InputError, match="needs context=C"):
        pf.parallel_wavenet(hop=80)
    with pytest.raises(pf.InputError, match="no option 'features'"):
        pf.build({"architecture": "wavenet", "features": 3})


@pytest.mark.slow
def test_a_teacher_learns_the_known_entropy_of_a_resonance():
    """x[t] = a x[t-1] + b x[t-2] + noise: nats per sample can fall to the entropy of the noise, and no lower."""
    torch.manual_seed(0)
    radius, pole, deviation = 0.97, 2 * math.pi * 500 / 8000, 0.05
    a, b = 2 * radius * math.cos(pole), -(radius**2)
    entropy = 0.5 * math.log(2 * math.pi * math.e * deviation**2)

    def draw(rows, length):
        noise, x = deviation * torch.randn(rows, length + 500), [torch.zeros(rows)] * 2
        for t in range(length + 500):
            x.append(a * x[-1] + b * x[-2] + noise[:, t])
        return torch.stack(x[-length:], 1)

    train, held_out = draw(64, 1000), draw(64, 1000)
    model = pf.wavenet(channels=8, layers=4, stacks=1, scale=float(train.std()))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=400)
    for _ in range(400):
        loss = -model.log_prob(train[torch.randint(64, (8,))]).mean() / 1000
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        # The first two samples are not known so well: they cost the stationary spread.
        nats = -model.conditionals(held_out).log_prob(held_out)[:, 50:].mean()
    error = 1 / math.sqrt(2 * 64 * 950)
    assert entropy - 5 * error < float(nats) < entropy + 0.02
