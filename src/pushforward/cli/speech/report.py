"""pushforward speech report MODELS WAVS -o PAGE"""

from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli.options import Json, Quiet, Seed, Verbose
from pushforward.cli.output import command, print_json, progress, say
from pushforward.errors import InputError


@command
def report(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Model files (.safetensors) and recordings that none was fitted to.",
            metavar="MODEL... WAVS...",
            show_default=False,
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="Page to write (.html).")],
    seconds: Annotated[float, typer.Option(help="Length in seconds of the sounds to generate.")] = 1.0,
    copies: Annotated[
        int,
        typer.Option(
            min=0, help="Recordings that conditional models copy from their mel frames, to be measured; 0: none."
        ),
    ] = 5,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure models on recordings, and write a page: likelihood, divergence, volume, speed, spectrograms."""
    from pushforward.audio.recordings.files import read_recordings
    from pushforward.audio.speech.measurement import measure
    from pushforward.audio.speech.model import SpeechModel, check_duration
    from pushforward.audio.speech.report import check_page_path, write_page

    check_page_path(output)
    check_duration(seconds)
    names = [name for name in files if name.endswith(".safetensors")]
    wavs = [name for name in files if not name.endswith(".safetensors")]
    if not names or not wavs:
        missing = "a model (.safetensors)" if not names else "recordings (.wav, .flac, a folder)"
        raise InputError(f"A report needs at least one model and recordings to measure it on: name {missing}.")
    stems = [Path(name).stem for name in names]
    titles = [name if stems.count(stem) > 1 else stem for name, stem in zip(names, stems, strict=True)]
    models = [SpeechModel.load(name) for name in names]
    recordings = read_recordings(wavs, models[0].rate)
    with progress("measuring", quiet) as tell:
        figures = measure(
            models,
            titles,
            recordings,
            seconds=seconds,
            copies=copies,
            seed=seed,
            report=tell,
        )
    write_page(figures, output)
    if json:
        print_json({"page": output, **figures.to_dict()}, output)
    for name, value in figures.baselines.items():
        say(f"{name:44} {value:8.3f} nats per sample", quiet)
    for model in figures.models:
        say(f"{model.name}: {model.summary()}", quiet)
        for alarm in model.alarms:
            say(f"Alarm: {alarm}", quiet)
    say(f"page in {output}", quiet)
