"""Kinds of columns: the registry, a kind defined here, and what every kind must answer."""

from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pytest
import torch

import pushforward as pf
from pushforward.tables import as_json, decode, encode, infer_schema, parse_schema
from pushforward.tables.columns.base import KINDS, Column
from pushforward.tables.columns.columns import Columns
from pushforward.tables.columns.kinds import INFERENCE_ORDER


@pytest.fixture
def degrees(monkeypatch):
    """A kind that the library does not have: temperatures written as text, such as 21.5 in: °C."""
    before = dict(KINDS)

    class Degrees(Column):
        kind: Literal["degrees"] = "degrees"
        unit: str | None = None

        @property
        def numeric(self) -> bool:
            return False

        @property
        def kept_as_text(self) -> bool:
            return True

        @classmethod
        def infer(cls, values) -> Self | None:
            texts = values.column.drop_null().to_pylist() if values.is_text else [""]
            return cls().complete(values) if all(text.endswith(("°C", "°F")) for text in texts) else None

        def complete(self, values) -> Self:
            return self.model_copy(update={"unit": values.first()[-2:]})

        def encode(self, values) -> np.ndarray:
            return np.array([np.nan if text is None else float(text.split()[0]) for text in values.column.to_pylist()])

        @property
        def arrow_type(self):
            return pa.string()

        def decode(self, codes):
            return pa.array([None if np.isnan(code) else f"{code:g} in: {self.unit}" for code in codes])

    monkeypatch.setattr("pushforward.tables.schema.inference.INFERENCE_ORDER", [Degrees, *INFERENCE_ORDER])
    yield Degrees
    KINDS.clear()
    KINDS.update(before)


@pytest.mark.slow
def test_a_new_kind_is_one_class(degrees, tmp_path):
    generator = np.random.default_rng(0)
    warmth = generator.normal(20, 5, 300).round(2)
    table = pa.table(
        {
            "warmth": [None if k % 10 == 0 else f"{x:g} in: °C" for k, x in enumerate(warmth)],
            "x": warmth + generator.normal(size=300),
        }
    )
    schema = infer_schema(table, source="t")
    assert schema["warmth"] == degrees(unit="°C", missing_share=0.1) and schema["x"].numeric
    assert parse_schema(as_json(schema)) == schema
    assert parse_schema({"warmth": "degrees"})["warmth"] == degrees()
    codes = encode(table, schema, ["warmth", "x"], source="t")
    assert np.isnan(codes[::10, 0]).all()
    assert decode(codes, schema, ["warmth", "x"]).equals(table)
    columns = Columns(schema, ["warmth"])
    torch.testing.assert_close(columns.decode(torch.from_numpy(codes[1:10, :1])), torch.from_numpy(codes[1:10, :1]))
    # Complete rows have a usual flow, rows with gaps one of any columns given any others; a file has the text again.
    complete = table.filter(pa.array(np.arange(300) % 10 > 0))
    for data in (complete, table):
        model = pf.fit_table(data, max_steps=5, progress=False).model
        model.save(tmp_path / "model.safetensors")
        again = pf.TableModel.load(tmp_path / "model.safetensors")
        assert again.schema == model.schema and again.schema["warmth"].unit == "°C"
        drawn = again.decode(again.draw(20)).column("warmth").to_pylist()
        assert all(text.endswith(" in: °C") for text in drawn)
        assert np.isfinite(again.log_prob(again.encode(complete))).all()


def test_every_kind_is_registered_by_its_name_and_tried_once():
    assert set(INFERENCE_ORDER) == set(KINDS.values()) and len(INFERENCE_ORDER) == len(KINDS)
    assert all(kind.model_fields["kind"].default == name for name, kind in KINDS.items())


VALUES = {
    "continuous": np.random.default_rng(0).standard_cauchy(500),
    "positive": np.random.default_rng(1).exponential(size=500),
    "bounded": np.random.default_rng(2).random(500),
    "integer": np.random.default_rng(3).integers(-2, 9, 500),
    "category": np.random.default_rng(4).choice(["a", "b", "c"], 500),
    "periodic": np.random.default_rng(5).random(500) * 360,
    "date-time": np.datetime64("2024-01-01", "s") + np.random.default_rng(6).integers(0, 10**6, 500),
    "mixed": np.where(np.random.default_rng(7).random(500) < 0.4, 0.0, np.random.default_rng(8).normal(size=500)),
    "constant": ["one"] * 500,
    "all-missing": [None] * 500,
}


@pytest.mark.parametrize("kind", VALUES)
def test_what_a_kind_answers_is_consistent(kind):
    name = "angle" if kind == "periodic" else "x"
    table = pa.table({name: VALUES[kind]})
    column = infer_schema(table, source="t")[name]
    assert column.kind == kind
    codes = encode(table, {name: column}, [name], source="t")[:, 0]
    assert column.decode(codes).type == column.arrow_type
    if not column.modeled:
        return
    low, high = column.support
    assert codes.min() >= low and codes.max() <= high
    assert not (column.dense and column.has_probabilities) and column.has_probabilities >= column.discrete
    every = column.all_codes()
    if every is not None:
        assert set(codes) <= set(every) and len(every) == len(column.frequencies)
    spread = np.quantile(codes, np.linspace(0, 1, 50))
    for asked in (None, np.linspace(*np.quantile(codes, [0.1, 0.9]), 7)):
        grid = column.grid(spread, asked)
        assert (np.diff(grid) > 0).all() or kind in ("continuous", "positive")
        if column.discrete:
            # Whatever is shown of a discrete column is one of its codes.
            again = encode(decode(grid[:, None], {name: column}, [name]), {name: column}, [name], source="t")
            np.testing.assert_array_equal(again[:, 0], grid)
    x = torch.from_numpy(codes)
    scores = torch.zeros_like(x)
    assert column.network_inputs(x, scores, scores).shape == (len(codes), column.input_width)
    assert column.as_condition().numeric == column.numeric
    assert column.as_condition().plain_condition or kind in ("category", "periodic")
