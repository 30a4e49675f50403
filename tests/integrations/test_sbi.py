"""Flows in sbi: estimators, and the posteriors that NPE and NLE find with them."""

import pytest
import torch

import pushforward as pf

sbi = pytest.importorskip("sbi", reason="pip install 'pushforward[sbi]' brings it")
from sbi.inference import NLE, NPE  # noqa: E402
from sbi.utils import BoxUniform  # noqa: E402

from pushforward.integrations.sbi import FlowEstimator, likelihood_nn, posterior_nn  # noqa: E402

PRIOR = BoxUniform(-2 * torch.ones(2), 2 * torch.ones(2))
NOISE = 0.3


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder for the logs that sbi writes where it runs."""
    monkeypatch.chdir(tmp_path)


def simulate(count):
    theta = PRIOR.sample((count,))
    return theta, theta.flip(1) + NOISE * torch.randn(count, 2)


# Over trainings with other seeds means and deviations of the draws scatter by 0.03; five times as much.
ALLOWED = 0.15
FEW = {"max_num_epochs": 40, "training_batch_size": 50}


def is_posterior(draws):
    """Whether draws are N((-0.5, 0.5), 0.3²), the posterior at (0.5, -0.5), far from the ends of the prior."""
    return (
        (draws.mean(0) - torch.tensor([-0.5, 0.5])).abs().max() < ALLOWED
        and (draws.std(0) - NOISE).abs().max() < ALLOWED
        and (draws.abs() < 2).all()
    )


@pytest.mark.slow
def test_npe_finds_the_posterior():
    trainer = NPE(PRIOR, density_estimator=posterior_nn("nsf", layers=2, hidden=(32,)))
    trainer.append_simulations(*simulate(3_000)).train(**FEW)
    posterior = trainer.build_posterior()
    draws = posterior.sample((2_000,), x=torch.tensor([0.5, -0.5]), show_progress_bars=False)
    assert is_posterior(draws)
    assert posterior.log_prob(draws[:5], x=torch.tensor([0.5, -0.5])).isfinite().all()


@pytest.mark.slow
def test_nle_finds_the_posterior():
    trainer = NLE(PRIOR, density_estimator=likelihood_nn("maf", layers=2, hidden=(32,)))
    trainer.append_simulations(*simulate(3_000)).train(**FEW)
    posterior = trainer.build_posterior(
        mcmc_method="slice_np_vectorized", mcmc_parameters={"num_chains": 20, "warmup_steps": 50, "thin": 2}
    )
    draws = posterior.sample((1_000,), x=torch.tensor([0.5, -0.5]), show_progress_bars=False)
    assert is_posterior(draws)


@pytest.mark.slow
def test_an_embedding_is_trained_with_the_flow():
    embedding = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    before = embedding[1].weight.detach().clone()
    trainer = NPE(PRIOR, density_estimator=posterior_nn("maf", embedding=embedding, layers=2, hidden=(16,)))
    theta, x = simulate(500)
    trainer.append_simulations(theta, torch.stack([x, x], 1)).train(max_num_epochs=2)
    assert not torch.equal(trainer._neural_net.embedding_net[1].weight, before)


def test_the_estimator_keeps_the_shapes_of_sbi_and_the_density_of_the_flow():
    flow = pf.nsf(features=2, context=3, layers=2)
    estimator = FlowEstimator(flow, (3,))
    values, condition = torch.randn(7, 5, 2), torch.randn(5, 3)
    log_prob = estimator.log_prob(values, condition)
    torch.testing.assert_close(log_prob, flow.log_prob(values, condition))
    torch.testing.assert_close(estimator.log_prob(values[0], condition), log_prob[:1])
    torch.testing.assert_close(estimator.log_prob(values, condition[:1]), flow.log_prob(values, condition[0]))
    torch.testing.assert_close(estimator.loss(values[0], condition), -log_prob[0])
    draws, densities = estimator.sample_and_log_prob((7,), condition)
    torch.testing.assert_close(densities, estimator.log_prob(draws, condition))
    assert draws.shape == (7, 5, 2) == estimator.sample((7,), condition).shape


@pytest.mark.parametrize(
    ("value", "says"), [(0.0, "is constant"), (torch.nan, "not finite"), (torch.inf, "not finite")]
)
def test_columns_without_units_are_called_as_sbi_calls_them(value, says):
    good, bad = torch.randn(50, 2), torch.randn(50, 2)
    bad[:, 1] = value
    for builder in (posterior_nn, likelihood_nn):
        with pytest.raises(pf.InputError, match=f"Column 1 of the parameters .*{says}"):
            builder("maf", layers=1)(bad, good)
        with pytest.raises(pf.InputError, match=f"Column 1 of the observations .*{says}"):
            builder("maf", layers=1)(good, bad)
    with pytest.raises(pf.InputError, match=f"Column 1 of the embedding .*{says}"):
        posterior_nn("maf", embedding=torch.nn.Identity(), layers=1)(good, bad)


def test_wrong_shapes_and_options_are_named():
    with pytest.raises(pf.InputError, match=r"parameters of shape \(N, D\), got \(5,\)"):
        posterior_nn()(torch.randn(5), torch.randn(5, 2))
    with pytest.raises(pf.InputError, match=r"observations of shape \(N, C\), got \(5, 2, 3\); posterior_nn\(emb"):
        posterior_nn()(torch.randn(5, 2), torch.randn(5, 2, 3))
    with pytest.raises(pf.InputError, match=r"embedding must give \(N, C\) numbers, got \(5, 2, 3\)"):
        posterior_nn(embedding=torch.nn.Identity())(torch.randn(5, 2), torch.randn(5, 2, 3))
    with pytest.raises(pf.InputError, match='did you mean "nsf"'):
        posterior_nn("nfs")
    for builder in (posterior_nn, likelihood_nn):
        with pytest.raises(pf.InputError, match="no option 'layer'"):
            builder("nsf", layer=2)
        with pytest.raises(pf.InputError, match="option layers cannot be -1"):
            builder("nsf", layers=-1)
        with pytest.raises(pf.InputError, match="leave out the option 'context'"):
            builder("nsf", context=3)
    with pytest.raises(pf.InputError, match="An embedding is a module of torch, not an object of type int"):
        posterior_nn("nsf", embedding=5)
    with pytest.raises(pf.InputError, match=r"context of shape \(3,\); the condition has shape \(4,\)"):
        FlowEstimator(pf.maf(features=2, context=3), (4,))
    estimator = FlowEstimator(pf.maf(features=2, context=3), (3,))
    with pytest.raises(ValueError, match="Shape of condition"):
        estimator.sample((2,), torch.zeros(5, 4))
    with pytest.raises(ValueError, match="Shape of input"):
        estimator.log_prob(torch.zeros(5, 4), torch.zeros(5, 3))
