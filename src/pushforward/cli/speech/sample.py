"""pushforward speech sample MODEL -o SOUND"""

from typing import Annotated

import typer

from pushforward.cli.options import Json, Model, Quiet, SeedOfDraws, Verbose
from pushforward.cli.output import command, progress
from pushforward.cli.speech.written import doubting, say_written


@command
def sample(
    model: Model,
    output: Annotated[str, typer.Option("--output", "-o", help="Sound file to write (.wav, .flac).")],
    seconds: Annotated[
        float | None, typer.Option(help="Length in seconds; with --like at most the length of that sound.")
    ] = None,
    like: Annotated[str | None, typer.Option(help="Sound whose mel frames a conditional model follows.")] = None,
    temperature: Annotated[float, typer.Option(help="Factor on the noise; 1 samples from the density.")] = 1.0,
    seed: SeedOfDraws = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Generate a sound, written as it is generated."""
    from pushforward.audio.recordings.files import check_audio_path, write_chunks
    from pushforward.audio.speech.model import SpeechModel, check_duration

    check_audio_path(output)
    speech = SpeechModel.load(model)
    if seconds is not None:
        check_duration(seconds)
        check_audio_path(output, round(seconds * speech.rate))
    with progress("sampling", quiet) as report:
        chunks = speech.stream(
            seconds, like=like, seed=seed, temperature=temperature, report=report, doubts=doubting(quiet)
        )
        samples, clipped = write_chunks(output, chunks, speech.rate)
    say_written(output, samples, clipped, speech.rate, json, quiet)
