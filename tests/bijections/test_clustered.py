"""Clusters far apart in several columns: hardly a draw mixes them, and densities are exact and near the truth."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

import pushforward as pf
from pushforward.bijections.cluster_marginals import ClusterMarginals
from pushforward.bijections.clustered import Clustered
from pushforward.bijections.clusters import find_clusters
from pushforward.bijections.latent_shares import divide, join
from pushforward.zoo.recipe import choose_recipe

TWO = [[0, 0], [1, 1]]
# The third shares a side with each of the others.
THREE = [[0, 0], [1, 1], [0, 1]]
FOUR = [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 0, 1, 0], [1, 0, 0, 0, 0]]


class Truth:
    """Normal distributions with a correlation of their own around each center."""

    def __init__(self, centers, separation, seed=0):
        self.random = np.random.default_rng(seed)
        self.centers = separation * torch.tensor(centers, dtype=torch.float64)
        clusters, features = self.centers.shape
        self.separation, self.shares = separation, torch.linspace(1, 2, clusters).double() / (1.5 * clusters)
        factors = torch.from_numpy(self.random.normal(size=(clusters, features, features)))
        covariances = factors @ factors.mT / features + 0.5 * torch.eye(features)
        self.parts = [MultivariateNormal(*both) for both in zip(self.centers, covariances, strict=True)]

    def draw(self, rows):
        label = self.random.choice(len(self.shares), rows, p=self.shares.numpy())
        noise = torch.from_numpy(self.random.normal(size=(rows, self.centers.shape[1])))
        roots = torch.stack([part.scale_tril for part in self.parts])
        return self.centers[label] + (roots[label] @ noise[..., None])[..., 0]

    def log_prob(self, x):
        return torch.stack([s.log() + p.log_prob(x) for s, p in zip(self.shares, self.parts, strict=True)]).logsumexp(0)

    def share_outside(self, x):
        """The share of rows further than a tenth of the distance of clusters from every center."""
        distance = (torch.as_tensor(x)[:, None] - self.centers).abs().amax(-1).amin(-1)
        return float((distance > 0.1 * self.separation).double().mean())


@pytest.mark.parametrize("centers", [TWO, THREE, FOUR])
@pytest.mark.parametrize("separation", [1e3, 1e5])
def test_every_cluster_has_a_box_and_the_boxes_divide_the_space(centers, separation):
    truth = Truth(centers, separation)
    x = truth.draw(1500)
    boxes = find_clusters(x)
    assert len(boxes.low) == len(centers)
    nearest = (x[:, None] - truth.centers).abs().amax(-1).argmin(-1)
    labels = boxes.labels(x)
    assert len(torch.stack([nearest, labels], 1).unique(dim=0)) == len(centers)
    anywhere = separation * (torch.rand(2000, x.shape[1], dtype=torch.float64) - 0.25) * 2
    for rows in (anywhere, boxes.low[1:].nan_to_num(neginf=0.0)):
        inside = (rows[:, None] >= boxes.low) & (rows[:, None] < boxes.high)
        assert bool((inside.all(-1).sum(-1) == 1).all())


@pytest.mark.parametrize("columns", ["one", "independent", "outlier", "constant in a cluster", "missing"])
def test_no_boxes_where_the_sides_of_gaps_do_not_belong_together(columns):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 3, generator=generator, dtype=torch.float64)
    if columns == "outlier":
        x[0] = 1e6
    elif columns == "independent":
        x[:, :2] += 1e4 * torch.randint(0, 2, (2000, 2), generator=generator)
    else:
        x[::3, 0] += 1e4
    if columns in ("missing", "constant in a cluster"):
        x[::3, 1] += 1e4
        x[::3, 2] = math.nan if columns == "missing" else 5.0
    assert find_clusters(x) is None


def test_a_table_without_clusters_has_the_flow_that_it_had():
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[::3, 0] += 1e4
    flow = choose_recipe(300, 2).make(x)
    assert not isinstance(flow.bijection, Clustered) and "clusters" not in flow.config


def test_a_flow_with_an_order_of_the_columns_keeps_it():
    x = Truth(TWO, 1e4).draw(300)
    flow = pf.gaussianized(pf.maf(2, layers=1, hidden=(4,), order="same"), x, knots=8)
    assert flow.bijection.order() == [0, 1] and "clusters" not in flow.config


class TestLatentShares:
    shares = torch.tensor([0.3, 0.0005, 0.5995, 0.1], dtype=torch.float64).log()

    def test_both_directions_agree_and_their_log_derivatives_are_right(self):
        z = torch.cat([torch.linspace(-4, 4, 999), torch.tensor([-1e3, -40.0, 40.0, 1e3])]).double().requires_grad_()
        label, y, log_det = divide(z, self.shares)
        back, log_det_back = join(label, y, self.shares)
        torch.testing.assert_close(back, z, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(log_det_back, -log_det, rtol=1e-7, atol=1e-7)
        (slope,) = torch.autograd.grad(y.sum(), z)
        torch.testing.assert_close(slope[:999].log(), log_det[:999], rtol=1e-8, atol=1e-8)

    def test_a_label_has_its_share_and_the_number_is_normal_whatever_the_label(self):
        # Midpoints of equal probabilities.
        uniform = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
        label, y, _ = divide(torch.special.ndtri(uniform), self.shares)
        counts = torch.bincount(label).double() / len(label)
        torch.testing.assert_close(counts, self.shares.exp(), rtol=0, atol=1e-5)
        for own in range(4):
            p = torch.special.ndtr(y[label == own])
            even = (torch.arange(len(p), dtype=torch.float64) + 0.5) / len(p)
            torch.testing.assert_close(p, even, rtol=0, atol=2 / len(p))


def rough(flow, size=0.2):
    """The flow with noise added to its weights, in float64."""
    generator = torch.Generator().manual_seed(0)
    flow = flow.double().eval()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += size * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return flow


@pytest.mark.slow
@pytest.mark.parametrize("context", [0, 1])
def test_the_density_integrates_to_one(context):
    truth = Truth(THREE, 60.0)
    x = truth.draw(900)
    given = torch.linspace(-1, 1, 900).double()[:, None] if context else None
    flow = rough(choose_recipe(900, 2, context).make(x, given), 0.05)
    assert flow.config["clusters"] == 3
    # Around each cluster; the heavy tails beyond have next to nothing of the probability.
    step, half = 0.125, 14.0
    axis = torch.arange(-half + step / 2, half, step, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).flatten(0, 1)
    point = None if given is None else torch.tensor([0.4], dtype=torch.float64)
    with torch.no_grad():
        masses = [flow.log_prob(center + grid, point).exp().sum() * step**2 for center in truth.centers]
    assert float(sum(masses)) == pytest.approx(1, abs=2e-3)
    # Those of the draws.
    with torch.no_grad():
        torch.manual_seed(0)
        draws = flow.sample((20_000,), point)
    nearest = (draws[:, None] - truth.centers).abs().amax(-1).argmin(-1)
    found = torch.bincount(nearest, minlength=3) / len(nearest)
    for share, mass in zip(found.tolist(), masses, strict=True):
        assert abs(share - float(mass)) < 5 * (float(mass) / len(nearest)) ** 0.5 + 2e-3


@pytest.mark.parametrize("labels", [True, False])
def test_a_saved_flow_gives_the_same_numbers(tmp_path, labels):
    x = Truth(THREE, 1e4).draw(400).abs()
    flow = choose_recipe(400, 2).make(x, low=[0.0, 0.0])
    if not labels:
        flow = pf.gaussianized(pf.nsf(2, layers=2, hidden=(4,)), x, knots=8, low=[0.0, 0.0])
    assert flow.config["clusters"] == 3 and flow.config["labels"] == labels and flow.config["bounded"]
    flow = flow.eval()
    pf.save(flow, tmp_path / "flow.safetensors")
    loaded = pf.load(tmp_path / "flow.safetensors").eval()
    assert torch.equal(flow.log_prob(x), loaded.log_prob(x)) and loaded.config == flow.config
    assert bool((loaded.sample((1000,)) > 0).all())


def test_weights_are_those_of_rows():
    x = Truth(TWO, 1e4).draw(400)
    second = x[:, 0] > 5e3
    weights = torch.where(second, 3.0, 1.0).double()
    flow = choose_recipe(400, 2).make(x, weights=weights)
    share = float(weights[second].sum() / weights.sum())
    assert sorted(flow.bijection.log_shares.exp().tolist()) == pytest.approx(sorted([share, 1 - share]), abs=1e-12)


@pytest.mark.parametrize("row", [[5e3, 5e3], [0.0, 1e4], [5e3 - 1e-3, 0.0], [1e9, -1e9], [3e3, 1e4]])
def test_a_row_that_belongs_to_no_cluster_is_improbable_and_not_impossible(row):
    x = Truth(TWO, 1e4).draw(500)
    flow = choose_recipe(500, 2).make(x).eval()
    found = flow.log_prob(torch.tensor([row], dtype=torch.float64)).item()
    assert -2000 < found < flow.log_prob(x).min().item() - 5
    point = torch.tensor([row], dtype=torch.float64, requires_grad=True)
    flow.log_prob(point).sum().backward()
    assert bool(point.grad.isfinite().all())


@pytest.mark.slow
def test_shares_follow_the_context():
    random = np.random.default_rng(0)
    given = random.normal(size=2000)
    second = random.random(2000) < 1 / (1 + np.exp(-3 * given))
    x = random.normal(size=(2000, 2)) + 1e4 * second[:, None]
    torch.manual_seed(0)
    estimator = pf.ConditionalFlowDensity(max_steps=150, random_state=0).fit(given[:, None], x)
    flow = estimator.flow_.eval()
    assert flow.config["clusters"] == 2
    # What a logistic regression on as many rows leaves open of the logit.
    seen, share = np.column_stack([np.ones(2000), given]), 1 / (1 + np.exp(-3 * given))
    open_left = np.linalg.inv(seen.T @ (seen * (share * (1 - share))[:, None]))
    for at in (-1.0, 1.0):
        with torch.no_grad():
            side = flow.sample((4000,), torch.tensor([at], dtype=torch.float64)) > 5e3
        assert bool((side[:, 0] == side[:, 1]).all())
        share = 1 / (1 + np.exp(-3 * at))
        slope, row = share * (1 - share), np.array([1.0, at])
        # Five standard errors of the draws and of the rows, and an eighth of what the context tells for the fit.
        error = np.sqrt(slope / 4000 + slope**2 * (row @ open_left @ row))
        assert abs(float(side[:, 0].double().mean()) - share) < 5 * error + abs(share - 0.5) / 8


@pytest.mark.slow
@pytest.mark.parametrize("centers", [TWO, FOUR])
def test_fitted_tables_mix_no_clusters(centers):
    truth = Truth(centers, 1e4)
    x = truth.draw(800)
    table = pf.tables.to_table(x.numpy(), [f"x{place}" for place in range(x.shape[1])])
    model = pf.fit_table(table, max_steps=30, progress=False).model
    torch.manual_seed(0)
    assert truth.share_outside(model.draw(5000)) <= 1e-3
    side = model.draw(5000)[:, 0] > 5e3
    assert abs(side.mean() - float((x[:, 0] > 5e3).double().mean())) < 5 * (0.25 * (1 / 5000 + 1 / 800)) ** 0.5


def test_a_student_learns_from_a_teacher_with_clusters():
    truth = Truth(TWO, 1e4)
    teacher = choose_recipe(400, 2).make(truth.draw(400)).eval()
    student = pf.student_for(teacher, layers=1, hidden=(8,))
    pf.distill(teacher, student, max_steps=3, progress=False)
    assert truth.share_outside(student.sample((2000,))) <= 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("centers", [TWO, THREE, FOUR])
@pytest.mark.parametrize("separation", [1e4, 1e5])
@pytest.mark.parametrize("rows", [1000])
def test_likelihood_is_near_the_truth(centers, separation, rows):
    truth = Truth(centers, separation)
    model = pf.fit_table(truth.draw(rows).numpy(), max_steps=400, progress=False).model
    fresh = truth.draw(10_000)
    lost = truth.log_prob(fresh) - torch.from_numpy(model.log_prob(fresh.numpy()))
    error = float(lost.std()) / len(fresh) ** 0.5
    # Means and covariances of as many clusters are not known better than by half of their number over the rows.
    clusters, features = truth.centers.shape
    numbers = clusters * (features + features * (features + 1) / 2)
    assert -5 * error < float(lost.mean()) < 0.03 + 3 * numbers / (2 * rows) + 5 * error
    torch.manual_seed(0)
    assert truth.share_outside(model.draw(20_000)) <= 1e-3


def two_clusters(rows, seed=0):
    """Two far clusters, the second with a seventh of the rows, and a normal number that is larger in it."""
    random = np.random.default_rng(seed)
    second = random.random(rows) < 1 / 7
    x = random.normal(size=(rows, 3)) + second[:, None] * np.array([1e4, -1e4, 2.0])
    return x, second


@pytest.mark.parametrize("rows", [150, 1500])
def test_features_with_tails_of_their_own_have_straight_ones_in_every_cluster(rows):
    x = torch.from_numpy(two_clusters(rows)[0])
    boxes = find_clusters(x)
    data = ClusterMarginals.from_data(x, boxes, 8, normal=[2])
    scores = torch.zeros(50, 3, dtype=torch.float64)
    scores[:, 2] = torch.linspace(-30, 30, 50)
    for label in range(data.clusters):
        labels = torch.full((50,), label)
        found = data(scores, labels)[0]
        steps = found[:, 2].diff() / scores[:, 2].diff()
        # A normal number remains one, up to its deviation in the cluster.
        assert float(steps[scores[1:, 2] < -8].max()) < 1.5 and float(steps[scores[:-1, 2] > 8].max()) < 1.5
        assert float(found[:, 2].abs().max()) < 45
        # The other features lie at medians, inside the box.
        torch.testing.assert_close(data.inverse(found)[0], scores, rtol=1e-7, atol=1e-7)
    bent = ClusterMarginals.from_data(x, boxes, 8)
    assert float(bent(scores, torch.zeros(50, dtype=torch.long))[0][:, 2].abs().max()) > 1e6


def test_draws_beside_atoms_and_clusters_stay_near_the_data():
    x, _ = two_clusters(400)
    random = np.random.default_rng(1)
    amounts = np.where(random.random(400) < 0.4, 0.0, np.exp(x[:, 2]))
    rows = np.column_stack([x[:, :2], amounts])
    model = pf.fit_table(rows, max_steps=2, progress=False).model
    assert isinstance(model.flow.bijection, Clustered)
    drawn = np.asarray(model.draw(20_000))[:, 2]
    # Of fifty times as many amounts the largest is about four times as large as the largest row, and itself varies
    # much; the tenth largest does not.
    assert np.sort(drawn)[-10] < 8 * amounts.max() and drawn.min() == 0


@pytest.mark.parametrize("count", [30, 40])
def test_more_than_32_boxes_are_none(count):
    label = torch.arange(50 * count) % count
    noise = torch.randn(50 * count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    boxes = find_clusters(noise + 1000.0 * label[:, None])
    assert boxes is None if count > 32 else len(boxes.low) == count
