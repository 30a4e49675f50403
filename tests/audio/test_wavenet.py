"""The WaveNet conditioner: what it may see, and its three ways to be computed."""

import pytest
import torch
from audio.random_models import CONTEXTS, context_of, normal
from catalogue import randomize

from pushforward.networks import WaveNet


def make_network(outputs=2, context="none", seed=0, **options):
    options = {"channels": 5, "skip_channels": 16, "dilations": (1, 2, 4), **CONTEXTS[context], **options}
    return randomize(WaveNet(outputs, **options).double(), seed, scale=0.5)


def jacobian_of(network, samples, context=None):
    """∂parameters[t] / ∂x[s], (T, P, T)."""
    x = normal(samples)
    return torch.func.jacrev(lambda x: network(x[None], context)[0])(x)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("kernel_size", [2, 3])
def test_parameters_see_exactly_the_samples_before_within_the_receptive_field(context, kernel_size):
    network = make_network(context=context, kernel_size=kernel_size)
    rows = context_of(context)
    jacobian = jacobian_of(network, 30, None if rows is None else rows[:1])
    t, s = torch.meshgrid(torch.arange(30), torch.arange(30), indexing="ij")
    # The dilations 1, 2, 4 leave no gap: all of the last `receptive_field` samples are seen.
    seen = (s < t) & (s >= t - network.receptive_field)
    assert bool((jacobian.movedim(1, 2)[~seen] == 0).all())
    assert bool((jacobian.movedim(1, 2)[seen] != 0).all())


def test_the_receptive_field_of_seven_layers_twice_is_255():
    assert WaveNet(2).receptive_field == 255


def test_the_first_parameters_are_a_function_of_the_context_alone():
    network = make_network(context="class")
    context = context_of("class")
    first, other = network(normal(2, 9), context), network(normal(2, 9, seed=1), context)
    assert torch.equal(first[:, 0], other[:, 0])
    assert not torch.equal(first[0, 0], first[1, 0])


def test_a_frame_counts_for_its_own_samples_and_those_after():
    network = make_network(context="frames")
    x, context = normal(1, 21), context_of("frames")[:1]
    jacobian = torch.func.jacrev(lambda c: network(x, c)[0, :, 0])(context)[:, 0, :, 0]
    for frame in range(context.shape[1]):
        reached = jacobian[:, frame].nonzero().flatten().tolist()
        # Later samples hear it through the layers but the first: it enters their gates.
        last = min(21, (frame + 1) * 7 + sum(network.dilations[1:]))
        assert reached == list(range(frame * 7, last))


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("kernel_size", [2, 3])
def test_steps_and_chunks_and_the_whole_agree(context, kernel_size):
    network = make_network(context=context, kernel_size=kernel_size)
    x, rows = normal(2, 50), context_of(context)
    whole = network(x, rows)
    previous = torch.cat([torch.zeros(2, 1), x], 1)
    state, steps = network.initial_state(2), []
    for t in range(50):
        steps.append(state.step(previous[:, t], rows))
    torch.testing.assert_close(torch.stack(steps, 1), whole, rtol=0, atol=1e-12)
    state, start, chunks = network.initial_state(2), 0, []
    for size in (1, 13, 0, 2, 34):  # a step may follow a chunk, and a chunk a step
        if size == 1:
            parameters = state.step(previous[:, start], rows)[:, None]
        else:
            parameters = state.parameters(previous[:, start : start + size], rows)
        chunks.append(parameters)
        start += size
    torch.testing.assert_close(torch.cat(chunks, 1), whole, rtol=0, atol=1e-12)


def test_every_weight_has_a_gradient():
    network = make_network(context="frames")
    network(normal(2, 20), context_of("frames")).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and bool((parameter.grad != 0).any()), name


def test_a_network_that_starts_at_zero_gives_zeros_and_can_learn():
    network = make_network()
    network.start_at_zero()
    parameters = network(normal(2, 20))
    assert bool((parameters == 0).all())
    parameters.sum().backward()
    assert bool((network.output.weight.grad != 0).any())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dilations": ()}, "needs layers"),
        ({"kernel_size": 1}, "kernel_size of at least 2"),
        ({"channels": 0}, "sizes positive"),
        ({"hop": 5}, "for each frame of a context"),
    ],
)
def test_sizes_that_make_no_network_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        WaveNet(2, **options)


@pytest.mark.parametrize(
    ("kind", "context", "said"),
    [
        ("none", normal(2, 3), "takes no context"),
        ("class", None, r"shape \(batch, C\) with C = 3, got none"),
        ("class", normal(2, 4), r"got \(2, 4\)"),
        ("frames", normal(2, 3), r"shape \(batch, frames, C\)"),
        ("frames", normal(2, 2, 3), "2 frames of 7 samples is too short for 20 samples"),
    ],
)
def test_a_context_that_does_not_fit_is_refused(kind, context, said):
    with pytest.raises(ValueError, match=said):
        make_network(context=kind)(normal(2, 20), context)


def test_sequences_of_no_samples_and_batches_of_no_rows():
    network = make_network()
    assert network(normal(2, 0)).shape == (2, 0, 2)
    assert network(normal(0, 9)).shape == (0, 9, 2)
