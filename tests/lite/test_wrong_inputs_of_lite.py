"""What numpy's evaluator cannot use is refused in one sentence that says which, and what it should be."""

from pathlib import Path

import numpy as np
import pytest

import pushforward as pf
from pushforward import lite

GOLDEN = Path(__file__).parent.parent / "golden"
FILES = {
    "flow": "flows/maf.safetensors",
    "given": "flows/maf_given.safetensors",
    "table": "tables/plain.safetensors",
    "table given": "tables/given.safetensors",
    "any": "tables/any_given.safetensors",
}
zeros = np.zeros


@pytest.mark.parametrize(
    ("model", "call", "sentence"),
    [
        ("flow", lambda m: m.log_prob(zeros((3, 4))), r"rows of 3 numbers, got the shape \(3, 4\)"),
        ("flow", lambda m: m.to_data(3.0), r"rows of 3 numbers, got the shape \(\)"),
        ("flow", lambda m: m.log_prob([["a", "b", "c"]]), "an array of numbers as rows, got list of something else"),
        ("flow", lambda m: m.log_prob([[1.0], [1.0, 2.0]]), "an array of numbers as rows, got list of something else"),
        ("flow", lambda m: m.log_prob(zeros((3, 3)), zeros((3, 1))), "takes no context"),
        ("flow", lambda m: m.quantile([0.5]), "3 features has no quantiles"),
        ("flow", lambda m: m.sample(-1), "whole number of at least 0; it is -1"),
        ("flow", lambda m: m.sample("3"), "whole number of at least 0; it is '3'"),
        ("flow", lambda m: m.sample(3, seed=-1), "seed must be a whole number from 0 to 9223372036854775807; it is -1"),
        ("given", lambda m: m.log_prob(zeros((3, 3))), "conditional: it needs a context of 2 numbers"),
        ("given", lambda m: m.log_prob(zeros((3, 3)), zeros((3, 5))), r"contexts of 2 numbers, got the shape \(3, 5\)"),
        ("given", lambda m: m.log_prob(zeros((3, 3)), [["a", "b"]]), "an array of numbers as a context"),
        ("given", lambda m: m.log_prob(zeros((3, 3)), zeros((2, 2))), "do not broadcast"),
        ("given", lambda m: m.sample(3), "conditional: it needs a context of 2 numbers"),
        ("table", lambda m: m.log_prob(zeros((3, 9))), r"codes of 3 columns, got the shape \(3, 9\)"),
        ("table", lambda m: m.sample(2.5), "whole number of at least 0; it is 2.5"),
        ("table", lambda m: m.sample(given=zeros((2, 1))), "Give a number of rows to a model without given columns"),
        ("table given", lambda m: m.sample(given=zeros((2, 7))), r"codes of 1 columns, got the shape \(2, 7\)"),
        ("table given", lambda m: m.sample(2), "given codes to one with them"),
        ("any", lambda m: m.log_prob_given(zeros((2, 3)), zeros((2, 9), bool)), r"known of 3 columns, got .*\(2, 9\)"),
        ("any", lambda m: m.fill(zeros((2, 3)), seed="a"), "seed must be a whole number"),
        ("any", lambda m: m.quantiles(zeros((2, 3)), "none", [0.5]), 'Column "none" does not vary'),
        ("any", lambda m: m.quantile([0.5]), "`quantiles` of one column"),
    ],
)
def test_wrong_inputs_are_refused_in_one_sentence(model, call, sentence):
    with pytest.raises(pf.InputError, match=sentence) as caught:
        call(lite.load(GOLDEN / FILES[model]))
    assert "\n" not in str(caught.value)
