"""The model file: the same numbers back, and one clear sentence for every file that is not one."""

import json
import os

import pytest
import torch
from catalogue import randomize
from safetensors.torch import save_file

import pushforward as pf
from pushforward.zoo.registry import ARCHITECTURES


@pytest.fixture
def saved(tmp_path):
    flow = randomize(pf.maf(3, context=1, layers=2, hidden=(8,), base="mixture"))
    path = tmp_path / "flow.safetensors"
    pf.save(flow, path, columns=["a", "b", "c"], given=["d"])
    return flow, path


def rewrite(path, **changes):
    """The file again with other metadata; a change of None removes the entry."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    metadata = {k: v for k, v in {**metadata, **changes}.items() if v is not None}
    save_file(tensors, path, metadata)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_architecture_comes_back_with_the_same_numbers(name, dtype, tmp_path):
    flow = randomize(getattr(pf, name)(4, context=2, layers=2, hidden=(8, 8))).to(dtype)
    path = tmp_path / "flow.safetensors"
    pf.save(flow, path)
    loaded = pf.load(path)
    x, context = torch.randn(5, 4, dtype=dtype), torch.randn(5, 2, dtype=dtype)
    assert torch.equal(loaded.log_prob(x, context), flow.log_prob(x, context))
    assert loaded.sample(3, context).dtype == dtype
    assert loaded.config == flow.config and not loaded.training
    assert all(p.requires_grad for p in loaded.parameters())


def test_standardized_flows_keep_float64_units(tmp_path):
    x = 1e6 + torch.randn(50, 2, dtype=torch.float64)
    flow = pf.standardized(pf.realnvp(2, layers=2, hidden=(8,)), x).eval()
    pf.save(flow, tmp_path / "flow.safetensors")
    loaded = pf.load(tmp_path / "flow.safetensors")
    assert torch.equal(loaded.log_prob(x), flow.log_prob(x))
    assert loaded.bijection.data.shift.dtype == torch.float64
    assert loaded.bijection.bijection[0].conditioner.first.weight.dtype == torch.float32


def test_loading_leaves_the_random_state_alone(saved):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    pf.load(saved[1])
    assert torch.equal(torch.rand(1), expected)


def test_describe_tells_without_loading(saved):
    flow, path = saved
    about = pf.describe(path)
    assert about["version"] == pf.__version__
    assert about["config"] == flow.config
    assert about["notes"] == {"columns": ["a", "b", "c"], "given": ["d"]}


def test_the_number_of_parameters_is_of_those_that_are_trained(tmp_path):
    x = torch.randn(50, 2)
    flow = pf.standardized(pf.maf(2, layers=1, hidden=(4,)), x)
    path = tmp_path / "flow.safetensors"
    pf.save(flow, path)
    trained, stored = (sum(t.numel() for t in part) for part in (flow.parameters(), flow.state_dict().values()))
    # Shift and scale of each column are stored as well.
    assert pf.describe(path)["parameters"] == trained == stored - 4
    about = {"format": pf.describe(path)["format"], "version": "0.2.0"}
    for damaged in ("many", 3.5, True, -1, {}):
        rewrite(path, pushforward=json.dumps({**about, "parameters": damaged}))
        with pytest.raises(pf.InputError, match="damaged description"):
            pf.describe(path)
    # Earlier versions did not write the number.
    rewrite(path, pushforward=json.dumps(about))
    assert pf.describe(path)["parameters"] == stored and pf.load(path).features == 2


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    flow, path = saved
    before = path.read_bytes()

    def fail(temporary, content):
        with open(temporary, "wb") as file:
            file.write(content[: len(content) // 2])
        raise RuntimeError("power cut")

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(RuntimeError):
        pf.save(flow, path)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_flows_without_a_config_and_wrong_endings_are_refused(tmp_path):
    flow = pf.Flow(pf.bijections.Rescaling(2), pf.distributions.StandardNormal(2))
    with pytest.raises(pf.InputError, match="no config to rebuild it from"):
        pf.save(flow, tmp_path / "flow.safetensors")
    with pytest.raises(pf.InputError, match=r"ends in \.safetensors"):
        pf.save(pf.nice(2), tmp_path / "flow.pt")


class TestBadFiles:
    @staticmethod
    def refused(path, match):
        for call in (pf.load, pf.describe):
            with pytest.raises(pf.InputError, match=match) as caught:
                call(path)
            assert str(path) in str(caught.value) and "\n" not in str(caught.value)

    def test_missing_and_folder(self, tmp_path):
        self.refused(tmp_path / "none.safetensors", "There is no file")
        self.refused(tmp_path, "is a folder")

    @pytest.mark.parametrize("length", [0, 7, 40, 1000, -1])
    def test_truncated(self, saved, length):
        path = saved[1]
        path.write_bytes(path.read_bytes()[:length])
        self.refused(path, "cut short")

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04pickle", b"\xff" * 100, b"PAR1" * 20])
    def test_foreign(self, tmp_path, content):
        path = tmp_path / "flow.safetensors"
        path.write_bytes(content)
        self.refused(path, "not a model file")

    def test_safetensors_of_something_else(self, tmp_path):
        path = tmp_path / "flow.safetensors"
        save_file({"w": torch.zeros(2)}, path)
        self.refused(path, "not a pushforward model")

    def test_newer(self, saved):
        rewrite(saved[1], pushforward=json.dumps({"format": 99, "version": "9.1"}))
        self.refused(saved[1], r"written by pushforward 9\.1 in format 99.*upgrade")

    @pytest.mark.parametrize(
        "changes",
        [
            {"config": None},
            {"config": "{"},
            {"config": "[]"},
            {"dtype": '"int8"'},
            {"pushforward": "3"},
            {"notes": "[" * 100_000},
        ],
    )
    def test_damaged_description(self, saved, changes):
        rewrite(saved[1], **changes)
        self.refused(saved[1], "damaged description")

    @pytest.mark.parametrize(
        ("config", "match"),
        [
            ({"architecture": "os.system"}, "no architecture 'os.system'"),
            ({"architecture": "maf", "features": 3, "import": "os"}, "no option 'import'"),
            ({"architecture": "maf", "features": -1}, "option features"),
            ({"architecture": "maf", "features": 3, "layers": 10**9}, "option layers"),
            ({"architecture": "maf", "features": 3, "context": 1, "layers": 3, "hidden": [8]}, "damaged: its weight"),
            ({"architecture": "maf", "features": 9, "context": 1, "layers": 2, "hidden": [8]}, "damaged: its weight"),
        ],
    )
    def test_a_config_that_does_not_fit(self, saved, config, match):
        rewrite(saved[1], config=json.dumps(config))
        with pytest.raises(pf.InputError, match=match):
            pf.load(saved[1])

    def test_a_config_nested_without_end(self, saved):
        config = {"architecture": "maf", "features": 3}
        for _ in range(900):
            config = {"architecture": "standardized", "flow": config}
        rewrite(saved[1], config=json.dumps(config))
        with pytest.raises(pf.InputError):
            pf.load(saved[1])


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_the_file_has_the_permissions_of_any_new_file(saved, tmp_path):
    _, path = saved
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_loaded_weights_start_at_whole_cache_lines(saved):
    assert all(parameter.data_ptr() % 64 == 0 for parameter in pf.load(saved[1]).parameters())


def test_a_file_of_an_earlier_format_is_refused(saved):
    rewrite(saved[1], pushforward=json.dumps({"format": 1, "version": "0.0"}))
    with pytest.raises(pf.InputError, match="in format 1, which is no longer read: fit again"):
        pf.load(saved[1])


def test_a_changed_digit_of_a_weight_is_noticed(tmp_path):
    path = tmp_path / "flow.safetensors"
    pf.save(pf.maf(features=2), path)
    whole = bytearray(path.read_bytes())
    whole[-3] ^= 1
    path.write_bytes(whole)
    with pytest.raises(pf.InputError, match="is damaged: its weights are not those that were written"):
        pf.load(path)
