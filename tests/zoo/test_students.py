"""Students that suit their teachers."""

import pytest
import torch

import pushforward as pf
from pushforward.bijections import LU, Autoregressive
from pushforward.zoo.students import student_for

DATA = 100 + 5 * torch.randn(500, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).exp()
CONTEXT = torch.randn(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("wrap", [pf.standardized, pf.gaussianized])
def test_units_are_the_teachers(wrap, tmp_path):
    teacher = wrap(pf.nsf(3, context=2, layers=2, hidden=(8,), linear="lu"), DATA, CONTEXT).eval()
    student = student_for(teacher, layers=2, hidden=(8,))
    assert sum(isinstance(module, LU) for module in student.modules()) == 2
    for theirs, ours in zip(teacher.bijection.data.buffers(), student.bijection.data.buffers(), strict=True):
        assert torch.equal(theirs, ours) and theirs is not ours
    assert torch.equal(teacher.bijection.context.shift, student.bijection.context.shift)
    assert student.bijection.cost.forward == "1 pass" and student.sample((), CONTEXT).dtype == torch.float64
    pf.save(student, tmp_path / "s.safetensors")
    again = pf.load(tmp_path / "s.safetensors")
    torch.testing.assert_close(again.log_prob(DATA, CONTEXT), student.eval().log_prob(DATA, CONTEXT))


def test_order_and_base_are_the_teachers():
    student = student_for(pf.standardized(pf.maf(3, layers=1, base="logistic", order=(2, 0, 1)), DATA))
    assert {tuple(m.order()) for m in student.modules() if isinstance(m, Autoregressive)} == {(2, 0, 1)}
    assert isinstance(student.base, pf.distributions.Logistic)
    student = student_for(pf.standardized(pf.maf(3, layers=2), DATA))
    assert {tuple(m.order()) for m in student.modules() if isinstance(m, Autoregressive)} == {(0, 1, 2), (2, 1, 0)}


def test_a_teacher_without_units_is_measured():
    inner = pf.Flow(pf.bijections.ElementwiseAffine([50.0, -3.0], [4.0, 0.1]), pf.distributions.StandardNormal(2))
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    student = student_for(inner)
    assert torch.equal(torch.rand(1), expected)
    x = student.sample((4000,))
    # The units come from 4096 draws of the teacher.
    deviation = torch.tensor([4.0, 0.1])
    error = 5 * (1 / 4000 + 1 / 4096) ** 0.5
    assert bool(((x.mean(0) - torch.tensor([50.0, -3.0])).abs() < error * deviation).all())
    assert bool(((x.std(0) / deviation - 1).abs() < error).all())
    conditional = pf.maf(2, context=2, layers=1)
    assert student_for(conditional, context=CONTEXT.float()).context_features == 2


def test_units_are_taken_from_flows_that_have_some():
    with pytest.raises(ValueError, match="no units to take"):
        pf.zoo.units.in_units_of(pf.maf(2), pf.maf(2))


@pytest.mark.parametrize("order", ["same", "alternating", (2, 0, 1)])
@pytest.mark.parametrize("make", [pf.maf, pf.iaf, pf.nsf])
def test_orders_of_architectures(make, order):
    flow = make(3, layers=2, hidden=(8,), order=order)
    found = [m.order() for m in flow.modules() if isinstance(m, Autoregressive)]
    second = {"same": [0, 1, 2], "alternating": [2, 1, 0]}.get(order, [2, 0, 1])
    assert found == [[0, 1, 2] if isinstance(order, str) else [2, 0, 1], second]
    assert [m.order() for m in pf.build(flow.config).modules() if isinstance(m, Autoregressive)] == found
    with pytest.raises(pf.InputError, match=r"order must hold each of 0 .. 2 once"):
        make(3, order=(0, 1))
