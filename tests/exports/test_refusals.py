"""What a form cannot express is refused by name before anything is written, and so is what is not installed."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import pushforward as pf
from pushforward import lite
from pushforward.bijections import UNIVARIATES, Affine, Bijection, Compose, Coupling, TailTransform
from pushforward.bijections.univariate.base import univariate
from pushforward.cli.app import app
from pushforward.distributions import StandardNormal
from pushforward.errors import InputError
from pushforward.exports.javascript import flow_as_json

GOLDEN = Path(__file__).parent.parent / "golden"
FORMS = ["onnx", "json"]


class Doubling(Bijection):
    """A map of a user's own."""

    features, context_features, cost = 2, 0, ("1 pass", "1 pass")

    def forward(self, z, context=None):
        return 2 * z, torch.full(z.shape[:-1], 2 * torch.log(torch.tensor(2.0)).item())

    def inverse(self, x, context=None):
        return x / 2, torch.full(x.shape[:-1], -2 * torch.log(torch.tensor(2.0)).item())


class Squares(torch.nn.Module):
    """A function of the context of a user's own, as the conditioner of a layer."""

    def forward(self, x, context=None):
        return torch.cat([x, context**2], -1)


def of_own_map():
    return pf.Flow(Compose([Doubling(), TailTransform(2)]), StandardNormal(2))


def of_own_function():
    flow = pf.realnvp(features=2, context=1, layers=1, hidden=(4,))
    coupling = next(part for part in flow.modules() if isinstance(part, Coupling))
    coupling.conditioner = Squares()
    flow.config = None
    return flow


@pytest.fixture
def own_family(tmp_path):
    """The file of a flow of a family that a user registered."""

    @univariate("own")
    @dataclasses.dataclass(frozen=True)
    class Own(Affine):
        """A family of a user's own."""

    path = tmp_path / "own.safetensors"
    try:
        pf.save(pf.coupling(2, "own", layers=1, hidden=(4,)), path)
        yield path
    finally:
        del UNIVARIATES["own"]


@pytest.mark.parametrize(("make", "name"), [(of_own_map, "Doubling"), (of_own_function, "Squares")])
def test_parts_of_a_users_own_are_refused_by_name(make, name, tmp_path):
    with pytest.raises(InputError, match=rf"parts of your own \({name}\)"):
        pf.save(make(), tmp_path / "flow.safetensors")
    with pytest.raises(InputError, match=rf"parts of your own \({name}\)"):
        flow_as_json(make())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FORMS)
def test_a_family_of_a_users_own_is_refused_by_name(form, own_family):
    target = own_family.with_suffix(f".{form}")
    with pytest.raises(InputError, match="univariate family 'own'"):
        pf.export(own_family, target)
    assert not target.exists()


REFUSED = [
    ("onnx", "sound/adaptive_wavenet.safetensors", "architecture 'adaptive_wavenet'; those that can"),
    ("json", "sound/adaptive_wavenet.safetensors", "architecture 'adaptive_wavenet'"),
    ("json", "tables/kinds.safetensors", "any columns given any others: export it to .onnx"),
    ("json", "tables/errors.safetensors", "measurement errors: export it to .onnx"),
]


@pytest.mark.parametrize(("form", "path", "name"), REFUSED)
def test_models_without_such_a_form_are_refused_by_name(form, path, name, tmp_path):
    target = tmp_path / f"model.{form}"
    result = CliRunner().invoke(app, ["export", str(GOLDEN / path), "-o", str(target)])
    assert result.exit_code == 2 and not list(tmp_path.iterdir())
    with pytest.raises(InputError, match=name):
        pf.export(GOLDEN / path, target)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["residual", "continuous"])
def test_flows_of_steps_without_an_end_are_refused_by_name(form, name, tmp_path):
    pf.save(getattr(pf, name)(features=2), tmp_path / "flow.safetensors")
    sentence = f"flow.safetensors cannot be exported: it is a model of the architecture '{name}'; distill it first"
    with pytest.raises(InputError, match=sentence) as refusal:
        pf.export(tmp_path / "flow.safetensors", tmp_path / f"flow.{form}")
    # An export has PyTorch; a reader that has none says so.
    assert "PyTorch" not in str(refusal.value)
    with pytest.raises(InputError, match="cannot be read without PyTorch"):
        lite.load(tmp_path / "flow.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["flow.safetensors"]


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_left_as_it_was_where_the_new_one_is_refused(form, tmp_path):
    target = tmp_path / f"model.{form}"
    target.write_bytes(b"as it was")
    with pytest.raises(InputError):
        pf.export(GOLDEN / "sound" / "adaptive_wavenet.safetensors", target)
    assert target.read_bytes() == b"as it was"


@pytest.mark.parametrize("form", [*FORMS, "card"])
@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_files_that_are_no_models_leave_nothing(form, content, tmp_path):
    source, folder = tmp_path / "model.safetensors", tmp_path / "out"
    folder.mkdir()
    if content is None:
        # The layers that the config names are not those of the weights.
        shutil.copy(GOLDEN / "flows" / "maf.safetensors", source)
        source.write_bytes(source.read_bytes().replace(rb"\"layers\": 2", rb"\"layers\": 9"))
        if form == "card":
            return
    else:
        source.write_bytes(content)
    with pytest.raises(InputError, match="model"):
        pf.card(source, folder / "card") if form == "card" else pf.export(source, folder / f"model.{form}")
    assert not list(folder.iterdir())


@pytest.mark.parametrize(("missing", "extra"), [("onnx", "onnx")])
def test_a_package_that_is_not_installed_is_named_with_its_extra(missing, extra, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else pytest.fail(name))
    target = tmp_path / f"model.{missing}"
    result = CliRunner().invoke(app, ["export", str(GOLDEN / "flows" / "maf.safetensors"), "-o", str(target)])
    assert result.exit_code == 2 and f"pushforward[{extra}]" in result.stderr
    assert not list(tmp_path.iterdir())
