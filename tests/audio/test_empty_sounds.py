"""No sequences, and sequences of no samples: the same answers in all four models, with and without a context."""

import pytest
import torch
from audio.random_models import SIZES, randomize

import pushforward as pf
from pushforward.audio.models.adaptive_wavenet import adaptive_wavenet
from pushforward.audio.models.predictive_student import predictive_parallel_wavenet
from pushforward.audio.recordings.mel import LogMel

MODELS = {
    "wavenet": pf.wavenet,
    "parallel": pf.parallel_wavenet,
    "adaptive": adaptive_wavenet,
    "predictive": predictive_parallel_wavenet,
}
CONTEXTS = {"none": {}, "class": {"context": 3}, "frames": {"context": 3, "hop": 10}}
EVERY_MODEL = pytest.mark.parametrize("name", MODELS)
EVERY_CONTEXT = pytest.mark.parametrize("context", CONTEXTS)


def model_and_rows(name, context, batch, time, dtype):
    options = SIZES | CONTEXTS[context]
    if name == "predictive" and context == "frames":
        options |= {"harmonics": 2}
    if name in ("parallel", "predictive"):
        options |= {"flows": 2}
    model = randomize(MODELS[name](**options).to(dtype))
    rows = {"none": None, "class": torch.ones(batch, 3, dtype=dtype)}
    rows["frames"] = torch.ones(batch, time // 10, 3, dtype=dtype)
    return model, rows[context]


# Of more and of fewer samples than the blocks of the averages.
@pytest.mark.parametrize(("batch", "time"), [(0, 300), (0, 20), (2, 0), (0, 0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@EVERY_CONTEXT
@EVERY_MODEL
def test_nothing_has_the_log_density_0_and_is_drawn(name, context, dtype, batch, time):
    model, rows = model_and_rows(name, context, batch, time, dtype)
    x = torch.zeros(batch, time, dtype=dtype)
    for log_prob in (model.log_prob(x, rows), model.scored_log_prob(x, torch.ones_like(x), rows)):
        assert log_prob.dtype == dtype and torch.equal(log_prob.detach(), torch.zeros(batch, dtype=dtype))
    with torch.no_grad():
        assert torch.equal(model.scored_log_prob(x, torch.ones_like(x), rows), torch.zeros(batch, dtype=dtype))
    shape = (batch,) if rows is None else ()
    assert model.sample(shape, rows, length=time).shape == x.shape
    chunks = list(model.stream(shape, rows, length=time, chunk=128))
    assert sum(chunk.shape[-1] for chunk in chunks) == time and all(len(chunk) == batch for chunk in chunks)
    if not model.samples_in_parallel:
        assert model.conditionals(x, rows).batch_shape == x.shape
        return
    assert model.to_latent(x, rows).shape == model.to_data(x, rows).shape == x.shape
    drawn, log_prob = model.rsample_with_log_prob(shape, rows, length=time)
    assert drawn.shape == x.shape and torch.equal(log_prob.detach(), torch.zeros(batch, dtype=dtype))
    drawn, conditionals = model.rsample_with_conditionals(shape, rows, length=time)
    assert drawn.shape == conditionals.batch_shape == x.shape


@pytest.mark.parametrize("shape", [(0, 300), (2, 0), (0,), (3, 0, 5)])
def test_nothing_has_no_frames(shape):
    frames = LogMel(8000)(torch.zeros(shape))
    assert frames.shape == (*shape[:-1], -(-shape[-1] // 80), 20)


@pytest.mark.parametrize("temperature", [float("nan"), -1.0, float("inf")])
@EVERY_MODEL
def test_a_temperature_that_is_none_is_refused(name, temperature):
    model, _ = model_and_rows(name, "none", 1, 10, torch.float32)
    for draw in (model.sample, model.stream):
        with pytest.raises(ValueError, match="temperature must be 0 or more"):
            draw((2,), length=10, temperature=temperature)


@pytest.mark.parametrize("context", ["class", "frames"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@EVERY_MODEL
def test_a_context_that_is_not_finite_is_refused_with_its_place(name, context, value):
    model, rows = model_and_rows(name, context, 2, 20, torch.float32)
    rows[1, ..., 2] = value
    for draw in (model.sample, model.stream):
        with pytest.raises(ValueError, match=r"context has a number that is not finite, at \(1,"):
            draw((), rows)


@EVERY_MODEL
def test_whole_numbers_and_other_precisions_are_refused(name):
    model, _ = model_and_rows(name, "none", 1, 10, torch.float32)
    for x in (torch.ones(2, 10, dtype=torch.int64), torch.ones(2, 10, dtype=torch.float64)):
        for score in (model.log_prob, *([model.to_latent] if model.samples_in_parallel else [])):
            with pytest.raises(ValueError, match=r"x is \w+, the flow float32"):
                score(x)
