"""pushforward speech vocode MODEL --like SOUND|FRAMES -o SOUND"""

from typing import Annotated

import typer

from pushforward.cli.options import Json, Model, Quiet, SeedOfDraws, Verbose
from pushforward.cli.output import command, progress
from pushforward.cli.speech.written import doubting, say_written
from pushforward.errors import InputError


@command
def vocode(
    model: Model,
    like: Annotated[
        str,
        typer.Option(
            help="Sound (.wav, .flac), or frames of another program (.npy): ln power in each mel band, not "
            "standardized, then the pitch in Hz (0: unvoiced) if the model takes it."
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="Sound file to write (.wav, .flac).")],
    temperature: Annotated[float, typer.Option(help="Factor on the noise; 1 samples from the density.")] = 1.0,
    seed: SeedOfDraws = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Turn the mel frames of a sound, or of another program, into sound, written as it is generated."""
    from pushforward.audio.recordings.files import check_audio_path, write_chunks
    from pushforward.audio.speech.model import SpeechModel

    check_audio_path(output)
    speech = SpeechModel.load(model)
    if speech.frames is None:
        raise InputError(f"{model} takes no mel frames: fit a model with --mel.")
    with progress("vocoding", quiet) as report:
        chunks = speech.stream(like=like, seed=seed, temperature=temperature, report=report, doubts=doubting(quiet))
        samples, clipped = write_chunks(output, chunks, speech.rate)
    say_written(output, samples, clipped, speech.rate, json, quiet)
