"""The folder for the hub of Hugging Face: what it holds, and that it is read as its model file is."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import pushforward as pf
from pushforward.cli.app import app
from pushforward.errors import InputError
from pushforward.support import atomic

TABLES = Path(__file__).parent.parent / "golden" / "tables"
FILES = ["README.md", "config.json", "model.safetensors"]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def flow(tmp_path):
    """The file of a flow without columns."""
    pf.save(pf.maf(features=2, hidden=(8,)), tmp_path / "flow.safetensors")
    return tmp_path / "flow.safetensors"


@pytest.mark.parametrize("model", sorted(TABLES.glob("*.safetensors")), ids=lambda path: path.stem)
def test_every_model_has_a_card_and_is_read_from_its_folder(model, tmp_path):
    folder = pf.card(model, tmp_path / "hub")
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert (folder / "model.safetensors").read_bytes() == model.read_bytes()
    table_model = pf.TableModel.load(folder)
    text = (folder / "README.md").read_text()
    assert all(f"| {name} | modeled |" in text for name in table_model.columns)
    assert all(f"| {name} | given |" in text for name in table_model.given)
    held_out = table_model.notes.get("held_out_nats")
    assert held_out is None or f"{held_out:.4f} nats per held-out row" in text
    limits = text.partition("## Limits")[2].partition("## Origin")[0]
    assert "such as a new level, has log-density -inf" in limits and "complete them before you publish" in limits
    assert ("Beyond the range of the given columns" in limits) == bool(table_model.given)
    origin = table_model.notes.get("record", {}).get("origin", {})
    assert all(str(origin[key]) in text.partition("## Origin")[2] for key in ("data_hash", "started") if key in origin)
    config = json.loads((folder / "config.json").read_text())
    assert config["config"] == pf.describe(model)["config"] and config["columns"] == table_model.columns
    assert run("info", folder).stdout == run("info", model).stdout


def test_the_hub_reads_the_head_of_the_card(tmp_path):
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    folder = pf.card(TABLES / "kinds.safetensors", tmp_path / "ocean")
    card = hub.ModelCard.load(folder / "README.md")
    assert card.data.library_name == "pushforward" and card.data.license == "unknown"
    assert "normalizing-flow" in card.data.tags and "tabular" in card.data.tags
    (result,) = card.data.eval_results
    assert card.data.model_name == "kinds" and result.metric_type == "log-likelihood"
    assert result.metric_value == pf.describe(folder)["notes"]["fit"]["held_out_nats"]
    assert card.text.lstrip().startswith("# kinds")


def test_a_flow_without_columns(flow, tmp_path):
    x = torch.randn(5, 2)
    assert torch.equal(pf.load(pf.card(flow, tmp_path / "hub")).log_prob(x), pf.load(flow).log_prob(x))
    # A card of the folder of a card is the same card, by the name of its folder.
    again = pf.card(tmp_path / "hub", tmp_path / "again")
    assert (again / "README.md").read_text() == (tmp_path / "hub" / "README.md").read_text().replace(
        "flow\n", "again\n"
    )


def test_other_files_in_the_folder_are_left_alone(flow, tmp_path):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "license.txt").write_text("ours")
    pf.card(flow, tmp_path / "hub")
    assert sorted(path.name for path in (tmp_path / "hub").iterdir()) == sorted([*FILES, "license.txt"])


@pytest.mark.parametrize("file", FILES)
def test_no_file_of_anybody_is_replaced(file, flow, tmp_path):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / file).write_text("ours")
    refused = run("card", flow, "-o", tmp_path / "hub")
    assert refused.exit_code == 2 and f"{file} exists, and a card replaces nothing" in refused.stderr
    assert [(path.name, path.read_text()) for path in (tmp_path / "hub").iterdir()] == [(file, "ours")]
    assert run("card", flow, "-o", "-").exit_code == 2


def test_a_card_that_was_completed_by_hand_stays(flow, tmp_path):
    text = pf.card(flow, tmp_path / "hub") / "README.md"
    text.write_text("license: mit")
    with pytest.raises(InputError, match="replaces nothing"):
        pf.card(flow, tmp_path / "hub")
    with pytest.raises(InputError, match="written over a file that is read"):
        pf.card(tmp_path / "hub", tmp_path / "hub")
    assert text.read_text() == "license: mit"


def test_names_that_markdown_would_read_stay_in_their_cells(tmp_path):
    import pyarrow as pa

    table = pa.table({"a|b": torch.randn(60).numpy(), "<c>": torch.randn(60).numpy()})
    pf.fit_table(table, flow="realnvp", max_steps=2, progress=False).model.save(tmp_path / "model.safetensors")
    text = (pf.card(tmp_path / "model.safetensors", tmp_path / "hub") / "README.md").read_text()
    assert "| a\\|b | modeled | continuous |" in text and "| &lt;c> | modeled | continuous |" in text


def test_what_cannot_be_written_leaves_nothing(flow, tmp_path, monkeypatch):
    for output, message in ((flow, "is a file"), (tmp_path / "no" / "hub", "does not exist")):
        with pytest.raises(InputError, match=message):
            pf.card(flow, output)
    with pytest.raises(InputError, match="There is no file"):
        pf.card(tmp_path / "none.safetensors", tmp_path / "hub")
    with pytest.raises(InputError, match=r"is a folder without model\.safetensors, not a model"):
        pf.card(tmp_path, tmp_path / "hub")

    def full(temporary, final):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "_settle", full)
    with pytest.raises(InputError, match="No space left on device"):
        pf.card(flow, tmp_path / "hub")
    assert not (tmp_path / "hub").exists()


def test_the_command(flow, tmp_path):
    result = run("card", flow, "-o", tmp_path / "hub", "--json", "--quiet")
    assert result.exit_code == 0 and json.loads(result.stdout)["files"] == FILES and not result.stderr
    refused = run("card", tmp_path / "none.safetensors", "-o", tmp_path / "other")
    assert refused.exit_code == 2 and refused.stderr.count("\n") == 1 and not (tmp_path / "other").exists()
