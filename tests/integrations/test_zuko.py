"""Flows as flows of zuko, alone and inside pocoMC and lampe."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats

import pushforward as pf

zuko = pytest.importorskip("zuko", reason="pip install 'pushforward[zuko]' brings it")

from pushforward.integrations.zuko import as_zuko  # noqa: E402

FLOWS = {
    "maf": lambda context: pf.maf(features=3, context=context, layers=2, hidden=(16,), base="student_t"),
    "iaf": lambda context: pf.iaf(features=3, context=context, layers=2, hidden=(16,)),
    "coupling": lambda context: pf.nsf(features=3, context=context, kind="coupling", layers=2, hidden=(16,)),
}


@pytest.fixture(params=FLOWS)
def make(request):
    def randomized(context=0):
        flow = FLOWS[request.param](context)
        for parameter in flow.bijection.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        return flow.double()

    return randomized


@pytest.mark.parametrize("context", [None, (4, 2), (2,)])
def test_the_density_its_parts_and_draws_are_those_of_the_flow(make, context):
    flow = make(0 if context is None else 2)
    c = None if context is None else torch.randn(context, dtype=torch.float64)
    batch = () if c is None else c.shape[:-1]
    density = as_zuko(flow)(c)
    x = torch.randn(5, *batch, 3, dtype=torch.float64)
    torch.testing.assert_close(density.log_prob(x), flow.log_prob(x, c))
    z, log_det = density.transform.call_and_ladj(x)
    torch.testing.assert_close(z, flow.to_latent(x, c))
    back, negative = density.transform.inv.call_and_ladj(z)
    torch.testing.assert_close((back, negative), (x, -log_det))
    torch.manual_seed(1)
    draws, log_prob = density.rsample_and_log_prob((7,))
    torch.manual_seed(1)
    torch.testing.assert_close((draws, log_prob), flow.rsample_with_log_prob((7,), c))
    assert draws.shape == (7, *batch, 3) == density.sample((7,)).shape


def test_it_is_a_flow_of_zuko_that_shares_the_weights(make):
    flow = make()
    adapted = as_zuko(flow)
    assert isinstance(adapted, zuko.flows.Flow)
    assert {id(p) for p in adapted.parameters()} == {id(p) for p in flow.parameters()}
    other = copy.deepcopy(adapted)
    other.load_state_dict(adapted.state_dict())


def test_a_wrong_context_or_event_is_refused_by_what_was_expected(make):
    with pytest.raises(pf.InputError, match=r"needs a context of shape \(..., 2\)"):
        as_zuko(make(2))()
    with pytest.raises(pf.InputError, match=r"Expected a context of shape \(..., 2\), got \(3,\)"):
        as_zuko(make(2))(torch.zeros(3))
    with pytest.raises(pf.InputError, match="takes no context"):
        as_zuko(make())(torch.zeros(3))
    with pytest.raises(pf.InputError, match=r"got \(5, 4\)"):
        as_zuko(make())().log_prob(torch.zeros(5, 4, dtype=torch.float64))


def rosenbrock(x):
    return -(10 * (x[:, 0] ** 2 - x[:, 1]) ** 2 + (x[:, 0] - 1) ** 2)


def rosenbrock_evidence():
    """∫ exp(log-likelihood) / 400 over (-10, 10)², by a sum over a grid."""
    first, second = np.linspace(-10, 10, 4001), np.linspace(-10, 10, 4001)
    total = sum(np.exp(rosenbrock(np.stack([np.full_like(second, a), second], 1))).sum() for a in first)
    return np.log(total * (20 / 4000) ** 2 / 400)


def gaussian(x):
    return stats.norm(0.5, 0.3).logpdf(x).sum(1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("features", "log_likelihood", "evidence"),
    [(2, rosenbrock, rosenbrock_evidence), (10, gaussian, lambda: -10 * np.log(20))],
    ids=["rosenbrock", "gaussian"],
)
def test_pocomc_samples_with_it_and_finds_the_evidence(features, log_likelihood, evidence):
    pocomc = pytest.importorskip("pocomc", reason="pip install 'pushforward[pocomc]' brings it")
    torch.manual_seed(0)
    sampler = pocomc.Sampler(
        prior=pocomc.Prior([stats.uniform(-10, 20)] * features),
        likelihood=log_likelihood,
        vectorize=True,
        flow=as_zuko(pf.nsf(features=features, layers=3, hidden=(32, 32))),
        n_effective=256,
        n_active=128,
        train_config={"epochs": 30},
        random_state=0,
    )
    sampler.run(n_total=1024, n_evidence=1024, progress=False)
    found, error = sampler.evidence()
    # The error that pocoMC states is that of importance sampling.
    assert abs(found - evidence()) < 5 * max(error, 0.05)


@pytest.mark.slow
def test_the_npe_of_lampe_trains_with_it():
    inference = pytest.importorskip("lampe.inference", reason="pip install 'pushforward[lampe]' brings it")
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(2_000, 2, generator=generator)
    x = theta + 0.5 * torch.randn(2_000, 2, generator=generator)
    estimator = inference.NPE(2, 2, build=lambda features, context: as_zuko(pf.maf(features, context, layers=2)))
    loss = inference.NPELoss(estimator)
    optimizer = torch.optim.Adam(estimator.parameters(), 3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        loss(theta, x).backward()
        optimizer.step()
    # The posterior is a Gaussian around 0.8 x with variance 0.2.
    draws = estimator.flow(torch.tensor([1.0, -1.0])).sample((4_000,))
    torch.testing.assert_close(draws.mean(0), torch.tensor([0.8, -0.8]), atol=0.12, rtol=0)
    torch.testing.assert_close(draws.std(0), torch.full((2,), 0.2**0.5), atol=0.08, rtol=0)
