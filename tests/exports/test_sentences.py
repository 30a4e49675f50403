"""What an export cannot do is said in one sentence with what to do."""

import pytest

import pushforward as pf
from pushforward.errors import InputError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("sentences") / "m.safetensors"
    pf.save(pf.maf(features=1, base="student_t", layers=1, hidden=(4,)), path)
    return path


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("x", {}, r"x has no ending; name a file that ends in \.json or \.onnx"),
        (".json", {}, r"\.json has no ending; name a file"),
        ("x.txt", {}, r"x\.txt ends in \.txt; name a file"),
        ("x.json", {"functions": "log_prob"}, "leave functions and precision out"),
        ("x.json", {"precision": "float32"}, "leave functions and precision out"),
        ("x" * 300 + ".json", {}, "cannot write x+…: File name too long; give another name"),
        ("x.onnx", {"functions": "quantile"}, "numpy and SciPy alone"),
    ],
)
def test_a_sentence_says_what_to_do(name, options, sentence, model, tmp_path):
    if name.endswith(".onnx"):
        pytest.importorskip("onnx", reason="onnx is not installed")
    with pytest.raises(InputError, match=sentence) as caught:
        pf.export(model, tmp_path / name, **options)
    assert "\n" not in str(caught.value) and " xp" not in str(caught.value)
    assert not list(tmp_path.iterdir())
