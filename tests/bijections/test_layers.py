"""What single layers promise beyond the common contracts."""

import math
import pickle

import pytest
import torch
from catalogue import randomize

from pushforward.bijections import (
    ActNorm,
    Additive,
    Affine,
    Autoregressive,
    Bijection,
    Compose,
    Coupling,
    ElementwiseAffine,
    Inverse,
    Permutation,
    Rescaling,
    Standardized,
    soft_bound,
)
from pushforward.networks import Conditioner


class TestActNorm:
    def test_the_first_training_batch_comes_out_standardized(self):
        layer, x = ActNorm(3), 5 + torch.tensor([1.0, 10.0, 0.01]) * torch.randn(500, 3)
        z, log_det = layer.inverse(x)
        torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
        torch.testing.assert_close(z.std(0), torch.ones(3), atol=1e-4, rtol=0)
        torch.testing.assert_close(log_det, -x.std(0).log().sum().expand(500), atol=1e-4, rtol=0)

    def test_only_the_first(self):
        layer = ActNorm(2)
        layer.inverse(torch.randn(50, 2))
        before = layer.shift.clone()
        layer.inverse(100 + torch.randn(50, 2))
        assert torch.equal(layer.shift, before)

    def test_never_from_samples_nor_in_evaluation(self):
        layer = ActNorm(2)
        layer(torch.randn(50, 2) + 7)
        layer.eval().inverse(torch.randn(50, 2) + 7)
        assert not layer.initialized
        assert torch.equal(layer.shift, torch.zeros(2))

    def test_a_batch_of_one_neither_initializes_nor_breaks(self):
        layer = ActNorm(2)
        z, log_det = layer.inverse(torch.ones(1, 2))
        assert bool(torch.isfinite(z).all()) and bool(torch.isfinite(log_det).all())
        assert not layer.initialized

    def test_a_constant_feature_keeps_scale_one(self):
        layer = ActNorm(2)
        z, log_det = layer.inverse(torch.stack([torch.full((9,), 4.0), torch.randn(9)], -1))
        assert bool(torch.isfinite(z).all()) and bool(torch.isfinite(log_det).all())
        assert layer.log_scale[0].item() == 0

    def test_a_loaded_layer_is_not_initialized_again(self):
        trained = ActNorm(2)
        trained.inverse(3 + torch.randn(50, 2))
        loaded = ActNorm(2)
        loaded.load_state_dict(trained.state_dict())
        loaded.train().inverse(100 + torch.randn(50, 2))
        assert torch.equal(loaded.shift, trained.shift)
        assert bool(pickle.loads(pickle.dumps(trained)).initialized)


class TestSoftBound:
    def test_stays_inside_with_a_live_gradient(self):
        value = torch.tensor([-1e6, -50.0, 0.0, 50.0, 1e6], dtype=torch.float64, requires_grad=True)
        bounded = soft_bound(value, 7.0)
        bounded.sum().backward()
        assert bool((bounded.abs() < 7).all())
        assert bool((value.grad > 0).all())
        assert float(value.grad[2]) == 1

    def test_a_number_does_not_depend_on_the_rest_of_the_batch(self):
        alone, among = soft_bound(torch.tensor([3.0]), 7.0), soft_bound(torch.tensor([3.0, 1e9, -1e9]), 7.0)
        assert float(alone[0]) == float(among[0])


class TestAutoregressive:
    @pytest.mark.parametrize("hidden", [(32, 32), (3, 2)])
    @pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]])
    def test_the_jacobian_is_triangular_in_its_order_with_nothing_lost(self, order, hidden):
        layer = randomize(Autoregressive(5, Affine(), Conditioner(hidden, "elu"), order=order).double(), scale=0.7)
        for apply in (layer, layer.inverse):
            jacobian = torch.func.jacrev(lambda v, apply=apply: apply(v)[0])(torch.randn(5).double())
            sorted_jacobian = jacobian[order][:, order]
            assert bool((sorted_jacobian.triu(1) == 0).all())
            assert bool((sorted_jacobian.tril() != 0)[torch.ones(5, 5).tril().bool()].all())

    def test_the_inverse_flow_is_the_same_class_turned_round(self):
        layer = randomize(Autoregressive(4, Affine()))
        x = torch.randn(6, 4)
        assert torch.equal(Inverse(layer)(x)[0], layer.inverse(x)[0])
        assert Inverse(layer).cost == layer.cost[::-1]


class TestCoupling:
    def test_fixed_features_pass_unchanged_and_alone_drive_the_rest(self):
        moved = torch.tensor([True, False, True, False])
        layer = randomize(Coupling(moved, Affine(), Conditioner((16,), "elu")).double(), scale=0.7)
        z = torch.randn(4).double()
        jacobian = torch.func.jacrev(lambda v: layer(v)[0])(z)
        assert torch.equal(layer(z)[0][~moved], z[~moved])
        assert torch.equal(jacobian[~moved][:, ~moved], torch.eye(2).double())
        assert bool((jacobian[moved][:, ~moved] != 0).all())
        assert bool((jacobian[moved][:, moved] != 0).eq(torch.eye(2).bool()).all())

    def test_additive_coupling_preserves_volume(self):
        layer = randomize(Coupling([True, False, True], Additive(), Conditioner((8,))))
        assert torch.equal(layer(torch.randn(5, 3))[1], torch.zeros(5))

    def test_at_least_one_feature_must_be_transformed(self):
        with pytest.raises(ValueError, match="must transform at least one"):
            Coupling([False, False], Affine())


class TestElementwiseAffine:
    def test_known_values(self):
        layer = ElementwiseAffine(shift=[1.0, -1.0], scale=[2.0, 0.5])
        x, log_det = layer(torch.tensor([1.0, 4.0]))
        assert x.tolist() == [3.0, 1.0]
        assert float(log_det) == pytest.approx(0.0, abs=1e-7)

    @pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
    def test_a_scale_that_is_not_positive_is_refused(self, scale):
        with pytest.raises(ValueError, match="positive and finite"):
            ElementwiseAffine(scale=[1.0, scale])

    def test_lengths_must_agree(self):
        with pytest.raises(ValueError, match="vectors of one length"):
            ElementwiseAffine(shift=[1.0], scale=[1.0, 2.0])
        with pytest.raises(ValueError, match="shift or a scale"):
            ElementwiseAffine()


def test_standardized_keeps_float64_data_exact_about_a_float32_map():
    inner = randomize(Autoregressive(1, Affine(), Conditioner((4,))))
    layer = Standardized(inner, ElementwiseAffine(torch.tensor([1e6]).double(), torch.tensor([1e-3]).double()))
    x = 1e6 + 1e-3 * torch.randn(50, 1, dtype=torch.float64)
    z, _ = layer.inverse(x)
    assert z.dtype == torch.float32
    assert float((layer(z)[0] - x).abs().max()) < 1e-8  # float32 alone is no finer than 0.06 here


def test_permutation_refuses_what_is_not_one():
    with pytest.raises(ValueError, match=r"each of 0 \.\. D-1 once"):
        Permutation([0, 0])


class TestCompose:
    def test_the_first_map_is_nearest_to_the_latent(self):
        add, double = ElementwiseAffine(shift=[1.0]), ElementwiseAffine(scale=[2.0])
        assert float(Compose([add, double])(torch.zeros(1))[0]) == 2
        assert float(Compose([double, add])(torch.zeros(1))[0]) == 1

    def test_is_a_sequence(self):
        parts = [Permutation([1, 0]), Rescaling(2)]
        assert list(Compose(parts)) == parts and len(Compose(parts)) == 2 and Compose(parts)[1] is parts[1]

    def test_parts_must_fit(self):
        with pytest.raises(ValueError, match="same number of features"):
            Compose([Rescaling(2), Rescaling(3)])
        with pytest.raises(ValueError, match="at least one"):
            Compose([])


def test_a_map_without_a_direction_says_which():
    with pytest.raises(NotImplementedError, match="Bijection has no inverse"):
        Bijection().inverse(torch.zeros(1))
