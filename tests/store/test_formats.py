"""Files of earlier formats are read for ever, in the names of today."""

import json
import struct

import pytest
import torch

import pushforward as pf
from pushforward.store.formats import FORMAT, OLDEST_FORMAT
from pushforward.table_models.arbitrary_conditional_flow import ArbitraryConditionalFlow


def rewritten(path, **metadata):
    """The file again with a header made by hand."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"].update({key: json.dumps(value) for key, value in metadata.items()})
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def test_format_2_called_arbitrary_conditions_any_given(tmp_path):
    path = tmp_path / "m.safetensors"
    flow = ArbitraryConditionalFlow(features=2, hidden=8, blocks=1, bins=4, knots=6)
    pf.save(flow, path)
    fit = {"flow": "any_given", "any_given": True, "steps": 3}
    notes = {"columns": ["a", "b"], "given": [], "schema": {}, "fit": fit}
    about = {"format": 2, "version": "0.1.0"}
    rewritten(path, pushforward=about, config={**flow.config, "architecture": "any_given"}, notes=notes)
    loaded = pf.load(path)
    assert loaded.config == flow.config and type(loaded) is ArbitraryConditionalFlow
    for key, value in flow.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)
    described = pf.describe(path)
    assert described["config"] == flow.config and described["format"] == 2
    expected = {"flow": "arbitrary_conditional", "arbitrary_conditions": True, "steps": 3}
    assert described["notes"] == {**notes, "fit": expected}
    assert pf.TableModel.load(path).arbitrary_conditions


def test_the_present_format_is_taken_as_it_is(tmp_path):
    path = tmp_path / "m.safetensors"
    pf.save(pf.maf(2), path, fit={"any_given": 1})
    described = pf.describe(path)
    assert described["format"] == FORMAT and described["notes"] == {"fit": {"any_given": 1}}


@pytest.mark.parametrize("file_format", range(OLDEST_FORMAT, FORMAT + 1))
@pytest.mark.parametrize("notes", [None, 3, [], {"fit": None}, {"fit": {"flow": {}}}])
def test_notes_of_any_kind_are_read(file_format, notes, tmp_path):
    path = tmp_path / "m.safetensors"
    pf.save(pf.maf(2), path)
    rewritten(path, pushforward={"format": file_format, "version": "0"}, notes=notes)
    assert pf.describe(path)["notes"] == notes and pf.load(path).features == 2
