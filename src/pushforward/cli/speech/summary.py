"""How a model of recordings is summed up."""

from typing import TYPE_CHECKING

from pushforward.cli.output import metrics_path, print_json, release_checkpoint, say

if TYPE_CHECKING:
    from pushforward.audio.speech.model import SpeechModel


def summarize(model: "SpeechModel", output: str, lines: list[str], json: bool, quiet: bool) -> None:
    """Print the notes of a model that was saved, as JSON if they are wanted, and its summary.

    The checkpoint of its training is no longer needed, unless it was interrupted.
    """
    lines = [*lines, *release_checkpoint(output, model.notes["stopped"])]
    if model.notes["steps"] == 0:
        lines = [
            *lines,
            "no step was taken: the time was over before the first one, so these are the weights of the start",
        ]
    if json:
        # The two left out are long, and in the file.
        notes = {name: value for name, value in model.notes.items() if name not in ("ladder", "teacher")}
        print_json({"model": output, "metrics": str(metrics_path(output)), **notes}, output)
    named = {"teacher": "model", "student": "student", "parallel": "parallel model"}[model.kind]
    for line in [*lines, f"{named} in {output}"]:
        say(line, quiet)
