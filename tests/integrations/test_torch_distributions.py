"""A flow's map and base among the transforms and distributions of torch."""

import copy
import pickle

import pytest
import torch
from torch.distributions import Independent, Normal, TransformedDistribution

import pushforward as pf
from pushforward.integrations import as_transform, base_of
from pushforward.integrations.requirement import MissingPackageError, requires

FLOWS = {
    "maf": lambda context: pf.maf(features=3, context=context, layers=2, hidden=(16,)),
    "iaf": lambda context: pf.iaf(features=3, context=context, layers=2, hidden=(16,)),
    "coupling": lambda context: pf.nsf(features=3, context=context, kind="coupling", layers=2, hidden=(16,)),
}


def randomized(flow):
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return flow.double()


@pytest.fixture(params=FLOWS)
def make(request):
    return lambda context=0: randomized(FLOWS[request.param](context))


def test_the_transformed_base_has_the_density_and_the_gradients_of_the_flow(make):
    flow = make()
    density = TransformedDistribution(base_of(flow), as_transform(flow))
    x = torch.randn(7, 3, dtype=torch.float64)
    torch.testing.assert_close(density.log_prob(x), flow.log_prob(x))
    ours = torch.autograd.grad(flow.log_prob(x).sum(), list(flow.parameters()))
    theirs = torch.autograd.grad(density.log_prob(x).sum(), list(flow.parameters()))
    torch.testing.assert_close(theirs, ours)


def test_draws_are_those_of_the_flow_and_carry_gradients(make):
    flow = make(2)
    context = torch.randn(4, 2, dtype=torch.float64)
    density = TransformedDistribution(base_of(flow, (4,)), as_transform(flow, context))
    assert density.batch_shape == (4,) and density.event_shape == (3,)
    torch.manual_seed(1)
    x = density.rsample((5,))
    torch.manual_seed(1)
    torch.testing.assert_close(x, flow.rsample((5,), context))
    torch.testing.assert_close(density.log_prob(x), flow.log_prob(x, context))
    assert all(g is not None for g in torch.autograd.grad(x.sum(), list(flow.parameters()), allow_unused=True)[:1])


def test_the_jacobian_is_that_of_autograd_right_after_a_call_and_later(make):
    transform = as_transform(make())
    z = torch.randn(3, dtype=torch.float64)
    x = transform(z)
    truth = torch.linalg.slogdet(torch.autograd.functional.jacobian(transform, z)).logabsdet
    transform(z)
    for _ in range(2):  # remembered by the call, and computed
        torch.testing.assert_close(transform.log_abs_det_jacobian(z, x), truth)
    torch.testing.assert_close(transform.inv(x), z)
    torch.testing.assert_close(transform.inv.log_abs_det_jacobian(x, z), -truth)


def test_one_density_takes_one_evaluation(make):
    flow = make()
    calls = []
    flow.bijection.register_forward_hook(lambda *_: calls.append("forward"))
    inverse = flow.bijection.inverse
    flow.bijection.inverse = lambda *arguments: calls.append("inverse") or inverse(*arguments)
    density = TransformedDistribution(base_of(flow), as_transform(flow))
    density.log_prob(torch.zeros(2, 3, dtype=torch.float64))
    assert calls == ["inverse"]


def test_a_cache_gives_the_same_latent_back_and_none_is_kept_without(make):
    transform = as_transform(make())
    z = torch.randn(2, 3, dtype=torch.float64)
    cached = transform.with_cache(1)
    assert cached.inv(cached(z)) is z and cached.with_cache(1) is cached
    assert transform.inv(transform(z)) is not z


def test_any_other_base_will_do_and_the_whole_survives_pickle_and_copies(make):
    flow = make()
    base = Independent(Normal(torch.zeros(3, dtype=torch.float64), 2.0), 1)
    density = TransformedDistribution(base, as_transform(flow))
    x = density.sample((2,))
    z, log_det = flow.bijection.inverse(x)
    expected = base.log_prob(z) + log_det
    for copied in (density, pickle.loads(pickle.dumps(density)), copy.deepcopy(density)):
        torch.testing.assert_close(copied.log_prob(x), expected)


def test_the_base_keeps_its_shapes():
    base = base_of(pf.maf(features=3), (4,))
    assert base.sample((2,)).shape == (2, 4, 3)
    assert base.log_prob(torch.zeros(3)).shape == (4,)
    assert base.expand((5, 4)).batch_shape == (5, 4)


def test_wrong_shapes_are_refused_by_what_was_expected(make):
    with pytest.raises(pf.InputError, match=r"needs a context of shape \(..., 2\)"):
        as_transform(make(2))
    with pytest.raises(pf.InputError, match=r"Expected a context of shape \(..., 2\), got \(5, 3\)"):
        as_transform(make(2), torch.zeros(5, 3))
    with pytest.raises(pf.InputError, match="takes no context"):
        as_transform(make(), torch.zeros(2))
    with pytest.raises(pf.InputError, match=r"3 features: expected shape \(..., 3\), got \(5, 4\)|\(..., 3\)"):
        as_transform(make())(torch.zeros(5, 4, dtype=torch.float64))
    with pytest.raises(pf.InputError, match=r"shape \(..., 3\), got \(5, 4\)"):
        base_of(make()).log_prob(torch.zeros(5, 4))


@pytest.mark.parametrize(
    "values", [torch.zeros(5, 3, dtype=torch.float64), torch.zeros(5, 3, dtype=torch.int64), [[0.0] * 3]]
)
def test_another_precision_is_named_in_both_directions(values):
    """As by the methods of a flow; and so is that of a context."""
    flow = pf.nsf(features=3, layers=1, hidden=(8,))
    transform = as_transform(flow)
    says = "is (float64|int64), the flow float32: convert|A flow takes tensors"
    for ask in (transform, transform.inv, lambda x: transform.log_abs_det_jacobian(x, x), flow.log_prob):
        with pytest.raises(pf.InputError, match=says):
            ask(values)
    conditional = pf.nsf(features=3, context=2, layers=1, hidden=(8,))
    with pytest.raises(pf.InputError, match="context is float64, the flow float32"):
        as_transform(conditional, torch.zeros(2, dtype=torch.float64))(torch.zeros(5, 3))
    with pytest.raises(pf.InputError, match="A flow takes tensors, and value"):
        base_of(flow).log_prob([[0.0] * 3])


def test_a_missing_package_names_the_extra_and_another_missing_module_itself():
    with (
        pytest.raises(MissingPackageError, match=r"pip install 'pushforward\[things\]'"),
        requires("missing", "things"),
    ):
        raise ModuleNotFoundError(name="missing.part")
    with pytest.raises(ModuleNotFoundError, match="other") as caught, requires("missing", "things"):
        raise ModuleNotFoundError("other", name="other")
    assert not isinstance(caught.value, pf.InputError)
