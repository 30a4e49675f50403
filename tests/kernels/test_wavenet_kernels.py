"""The compiled WaveNet, sample by sample and many at once, against the same model in torch and float64."""

import copy

import pytest
import torch
from audio.random_models import CONTEXTS, context_of, normal
from catalogue import randomize
from instruction_sets import SETS

import pushforward as pf
from pushforward.audio.models import streams
from pushforward.kernels import Native, native, wavenet
from pushforward.networks import WaveNet

pytestmark = pytest.mark.skipif(native is None, reason="The kernels were not built.")

SIZES = [
    {"channels": 16},
    {"channels": 5, "skip_channels": 3, "kernel_size": 3},
    {"channels": 33, "skip_channels": 70, "layers": 2},
    {"channels": 80, "skip_channels": 20, "layers": 1, "stacks": 2},
]


@pytest.fixture(params=SETS)
def calls(request, monkeypatch):
    """Each instruction set that this processor supports, and how often the loop over samples ran."""
    seen, (kernel, of_many) = [], wavenet.functions_of(Native(native.path, request.param))

    def counted(*arguments):
        seen.append(arguments)
        kernel(*arguments)

    monkeypatch.setattr(wavenet, "_loop", counted)
    monkeypatch.setattr(wavenet, "_pass", of_many)
    return seen


@pytest.fixture
def passes(calls, monkeypatch):
    """How often the pass over many samples ran."""
    seen, kernel = [], wavenet._pass

    def counted(*arguments):
        seen.append(arguments)
        kernel(*arguments)

    monkeypatch.setattr(wavenet, "_pass", counted)
    return seen


def float32_of(make, sizes, **options):
    scale = {} if make is pf.audio.adaptive_wavenet else {"scale": 0.3}
    model = make(**{"layers": 4, "stacks": 1, **scale, **sizes, **options})
    # The more units a sum has, the smaller each: what a network gives stays of order one.
    return randomize(model, scale=1 / (sizes["channels"] + 2) ** 0.5)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("head", ["gaussian", "logistic_mixture"])
@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: str(sizes["channels"]))
def test_the_teachers_draws_are_those_of_torch(calls, sizes, head, context):
    model = float32_of(pf.wavenet, sizes, head=head, components=7, **CONTEXTS[context])
    truth = copy.deepcopy(model).double()
    rows = context_of(context, frames=15)
    noise = model.head.noise(torch.empty(2, 100, dtype=torch.float64), torch.Generator().manual_seed(0))
    x = model.from_noise(noise.float(), None if rows is None else rows.float())
    assert len(calls) == 1
    torch.testing.assert_close(x.double(), truth.from_noise(noise, rows), rtol=1e-3, atol=1e-4)
    assert len(calls) == 1


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("univariate", ["affine", "relative_affine"])
@pytest.mark.parametrize("sizes", SIZES[:2], ids=lambda sizes: str(sizes["channels"]))
def test_the_students_way_back_is_that_of_torch(calls, sizes, univariate, context):
    model = float32_of(pf.parallel_wavenet, sizes, univariate=univariate, **CONTEXTS[context])
    truth = copy.deepcopy(model).double()
    x, rows = 0.3 * normal(2, 40), context_of(context, frames=15)
    wide = (x, rows)
    narrow = (x.float(), None if rows is None else rows.float())
    with torch.no_grad():
        found = model.to_latent(*narrow), model.log_prob(*narrow)
        assert len(calls) == 4  # two flows, twice
        torch.testing.assert_close(found[0].double(), truth.to_latent(*wide), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(found[1].double(), truth.log_prob(*wide), rtol=1e-4, atol=1e-2)
    # Where gradients are wanted, torch alone computes.
    model.log_prob(*narrow).sum().backward()
    assert len(calls) == 4


@pytest.mark.parametrize(
    "options",
    [{}, {"order": 0}, {"order": 1, "spans": (5.0,)}, {"spans": (4.0, 30.0), "head": "logistic_mixture"}],
    ids=["default", "no prediction", "one span", "mixture"],
)
def test_draws_behind_an_adaptive_scale_are_those_of_torch(calls, options):
    model = float32_of(pf.audio.adaptive_wavenet, {"channels": 16}, **options)
    scale = model.adaptive
    with torch.no_grad():
        scale.coefficients.copy_(0.3 * normal(scale.order) / max(1, scale.order) ** 0.5)
        scale.gain.fill_(1.3)
        scale.ceiling.fill_(0.01)
    truth = copy.deepcopy(model).double()
    noise = model.head.noise(torch.empty(2, 200, dtype=torch.float64), torch.Generator().manual_seed(0))
    x = model.from_noise(noise.float())
    assert len(calls) == 1
    torch.testing.assert_close(x.double(), truth.from_noise(noise), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("sizes", [*SIZES, {"channels": 4, "inputs": 9}], ids=lambda sizes: str(sizes["channels"]))
def test_the_pass_is_that_of_torch(passes, sizes, context):
    # The last dilation reaches further than one span of the kernel, the samples than one round of it.
    sizes = {key: value for key, value in sizes.items() if key not in ("layers", "stacks")}
    network = WaveNet(7, dilations=(1, 2, 70), **sizes, **CONTEXTS[context])
    network = randomize(network, scale=1 / (sizes["channels"] + 2) ** 0.5)
    truth, rows = copy.deepcopy(network).double(), context_of(context, frames=170)
    x = normal(2, 1100, *([sizes["inputs"]] if "inputs" in sizes else []))
    with torch.no_grad():
        found = network(x.float(), None if rows is None else rows.float())
        assert len(passes) == 1
        torch.testing.assert_close(found.double(), truth(x, rows), rtol=1e-4, atol=1e-5)
    # Where gradients are wanted, torch alone computes.
    recorded = network(x.float(), None if rows is None else rows.float())
    assert len(passes) == 1 and recorded.requires_grad
    torch.testing.assert_close(recorded, found, rtol=1e-4, atol=1e-5)


def test_a_pass_in_parts_of_any_size_has_the_bits_of_the_whole(passes):
    network = randomize(WaveNet(2, dilations=(1, 2, 70), **CONTEXTS["class"]))
    previous, rows = normal(2, 1100).float(), context_of("class").float()
    with torch.no_grad():
        whole = network.compiled(2).parameters(previous, rows)
        state = network.compiled(2)
        parts = [state.parameters(part, rows) for part in previous.split([1, 63, 3, 900, 133], 1)]
    assert torch.equal(torch.cat(parts, 1), whole)


def test_the_student_makes_its_blocks_by_passes(passes):
    model = float32_of(pf.parallel_wavenet, SIZES[0], **CONTEXTS["frames"])
    rows, seed = context_of("frames", frames=160).float(), torch.Generator()
    x = model.sample((3,), rows, generator=seed.manual_seed(0))
    assert len(passes) == 4 and x.shape == (3, 2, 1120)
    seed.manual_seed(0)
    z = torch.cat([model._noise((6, size), seed) for size in (1024, 96)], 1).reshape(3, 2, 1120)
    truth = copy.deepcopy(model).double()
    torch.testing.assert_close(x.double(), truth.to_data(z.double(), rows.double()), rtol=1e-3, atol=1e-4)


def test_parts_of_any_size_give_the_bits_of_the_whole(calls):
    model = float32_of(pf.wavenet, SIZES[0], **CONTEXTS["class"])
    rows, noise = context_of("class").float(), normal(2, 100, 1).float()
    whole, parts = model.from_noise(noise, rows), []
    with torch.no_grad():
        sampler = model._sampler(2)
        for part in noise.split([1, 30, 69], 1):
            parts.append(sampler(part, rows, 1.0))
    assert torch.equal(torch.cat(parts, 1), whole)


def test_frames_are_found_from_any_block_on(calls, monkeypatch):
    model = float32_of(pf.wavenet, SIZES[0], **CONTEXTS["frames"])
    rows, seed = context_of("frames", frames=15).float(), torch.Generator()
    whole = model.sample((3,), rows, generator=seed.manual_seed(0))
    chunks = list(model.stream((3,), rows, generator=seed.manual_seed(0), chunk=10))
    assert len(calls) == 2 and torch.equal(torch.cat(chunks, -1), whole)
    monkeypatch.setattr(streams, "BLOCK", 64)
    blocks = list(model._blocks([3, 2], rows, 105, 0.0, None))
    monkeypatch.setattr(wavenet, "native", None)
    torch.testing.assert_close(torch.cat(blocks, -1), model.sample((3,), rows, temperature=0.0), rtol=1e-4, atol=1e-5)


def test_weights_that_change_between_draws_count(calls):
    model, noise = float32_of(pf.wavenet, SIZES[0]), normal(2, 20, 1).float()
    before = model.from_noise(noise)
    with torch.no_grad():
        model.network.output.bias += 1
    assert bool((model.from_noise(noise) != before).all())


def test_draws_of_nothing_and_numbers_of_another_precision(calls):
    model = float32_of(pf.wavenet, SIZES[0])
    assert model.from_noise(torch.empty(2, 0, 1)).shape == (2, 0)
    assert model.from_noise(torch.empty(0, 9, 1)).shape == (0, 9)
    with pytest.raises(pf.InputError, match="x is float64, the flow float32"):
        model.from_noise(torch.zeros(1, 9, 1, dtype=torch.float64))


def test_numbers_far_out_and_numbers_that_are_none(calls):
    """Nothing overflows in the gates, and NaN is not swallowed."""
    model = float32_of(pf.wavenet, SIZES[0])
    with torch.no_grad():
        model.network.input.weight *= 1e30
    noise = torch.ones(1, 20, 1)
    assert bool(model.from_noise(noise).isfinite().all())
    noise[0, 5] = torch.nan
    assert model.from_noise(noise).isnan()[0].tolist() == [False] * 5 + [True] * 15
