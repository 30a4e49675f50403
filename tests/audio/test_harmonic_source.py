"""Students with a voice that is known from the context: exact like those without, with the pitch of the context."""

import numpy as np
import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.audio.models.harmonic_source import HarmonicSource
from pushforward.audio.models.predictive_student import predictive_parallel_wavenet
from pushforward.audio.recordings.pitch import pitch, pitch_features

EVERY_FAMILY = pytest.mark.parametrize("univariate", ["affine", "relative_affine", "spline"])
SIZES = {"order": 3, "channels": 4, "layers": 4, "scale": 0.1, "context": 5, "hop": 10, "harmonics": 4}


def student(**options):
    torch.manual_seed(0)
    made = predictive_parallel_wavenet(**SIZES, **options).double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    made.coefficients.copy_(torch.tensor([1.5, -0.8, 0.1]))
    return made


def contexts(batch=2, frames=6):
    """Three features, the pitch in octaves, and the voicing."""
    generator = torch.Generator().manual_seed(1)
    context = torch.randn(batch, frames, 5, generator=generator, dtype=torch.float64)
    context[..., -1] = (context[..., -1] > 0).double()
    return context


@EVERY_FAMILY
def test_noise_is_found_again_and_the_density_is_that_of_the_draw(univariate):
    made, context = student(univariate=univariate), contexts()
    z = torch.randn(2, 60, dtype=torch.float64)
    torch.testing.assert_close(made.to_latent(made.to_data(z, context), context), z, atol=1e-10, rtol=0)
    x, log_prob = made.rsample_with_log_prob((), context)
    torch.testing.assert_close(made.log_prob(x, context), log_prob, atol=1e-9, rtol=0)


@EVERY_FAMILY
def test_the_log_density_is_that_of_the_jacobian(univariate):
    made, context = student(univariate=univariate), contexts(batch=1, frames=2)
    z = torch.randn(1, 12, dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda z: made.to_data(z, context)[0])(z)[:, 0]
    expected = torch.distributions.Normal(0, 1).log_prob(z).sum() - torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(made.log_prob(made.to_data(z, context), context)[0], expected)


@EVERY_FAMILY
def test_the_conditionals_multiply_to_the_density(univariate):
    made, context = student(univariate=univariate), contexts()
    x, law = made.rsample_with_conditionals((), context)
    assert isinstance(law, torch.distributions.Normal) == (univariate != "spline")
    torch.testing.assert_close(law.log_prob(x).sum(-1), made.log_prob(x, context), atol=1e-9, rtol=1e-9)


@EVERY_FAMILY
def test_blocks_and_chunks_are_one_draw(univariate):
    made, context = student(univariate=univariate), contexts(frames=150)
    whole = made.sample((), context, generator=torch.Generator().manual_seed(1))
    parts = made.stream((), context, generator=torch.Generator().manual_seed(1), chunk=77)
    assert torch.equal(torch.cat(list(parts), -1), whole)
    generator = torch.Generator().manual_seed(1)
    noise = torch.cat([made._noise((2, size), generator) for size in (1024, 476)], 1)
    torch.testing.assert_close(made.to_data(noise, context), whole, rtol=0, atol=1e-9 * float(whole.std()))


def test_gradients_reach_every_weight_of_the_source():
    made = student()
    x, _ = made.rsample_with_log_prob((), contexts())
    x.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 and p.grad.isfinite().all() for p in made.source.parameters())


def test_a_new_source_has_the_pitch_it_is_told_and_is_silent_where_there_is_no_voice():
    rate, hop = 8000, 80
    told = np.concatenate([np.zeros(20), 150 * 2 ** np.linspace(0, 1, 60), np.zeros(20)])
    with torch.no_grad():
        sound = HarmonicSource(2, hop)(pitch_features(told)[None])[0].numpy()
    assert sound.shape == (100 * hop,)
    found = pitch(sound, rate)
    np.testing.assert_allclose(found[24:76], told[24:76], rtol=0.02)
    assert not sound[: 19 * hop].any() and not sound[81 * hop :].any()


def test_harmonics_end_at_half_the_sample_rate():
    source = HarmonicSource(2, hop=80, harmonics=200)
    # 300 Hz at 8000 samples per second has 13 harmonics.
    context = torch.tensor([np.log2(1.5), 1.0], dtype=torch.float32).expand(1, 100, 2)
    with torch.no_grad():
        spectrum = np.abs(np.fft.rfft(source(context)[0, 800:7200].numpy() * np.hanning(6400)))
    peaks = np.flatnonzero(spectrum > 0.1 * spectrum.max())
    assert set(np.round(peaks * 8000 / 6400 / 300).astype(int)) == set(range(1, 14))


def test_a_phase_is_exact_after_minutes():
    source = HarmonicSource(2, hop=80, harmonics=1)
    with torch.no_grad():
        sound = source(torch.tensor([0.0, 1.0]).expand(1, 12_000, 2))[0]
    # 200 Hz for two minutes: the same phase every 40 samples.
    torch.testing.assert_close(sound[-4000:], sound[4000:8000], atol=1e-4, rtol=0)


def test_it_is_saved_with_its_source(tmp_path):
    made, context = student().float(), contexts().float()
    pf.save(made, tmp_path / "s.safetensors")
    loaded = pf.load(tmp_path / "s.safetensors")
    z = torch.randn(2, 60)
    assert torch.equal(loaded.to_data(z, context), made.to_data(z, context))
    assert loaded.source.harmonics == 4


def test_what_has_no_frames_has_no_source():
    with pytest.raises(pf.InputError, match="harmonics"):
        predictive_parallel_wavenet(context=3, harmonics=4)
    with pytest.raises(pf.InputError, match="harmonics"):
        predictive_parallel_wavenet(context=1, hop=10, harmonics=4)
    made = predictive_parallel_wavenet(**SIZES)
    with pytest.raises(ValueError, match="samples per frame"):
        type(made)(made.networks, made.univariate, made.coefficients, source=HarmonicSource(5, hop=20))
