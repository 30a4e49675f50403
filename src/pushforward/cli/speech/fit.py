"""pushforward speech fit WAVS -o MODEL"""

from typing import Annotated

import typer

from pushforward.cli.options import Json, MaxTime, ModelOutput, Quiet, Resume, Seed, Verbose
from pushforward.cli.output import command, counted, course, say_course
from pushforward.cli.speech.summary import summarize


@command
def fit(
    wavs: Annotated[
        list[str],
        typer.Argument(
            help="Mono .wav or .flac files of one sample rate, folders or patterns.",
            metavar="WAVS",
            show_default=False,
        ),
    ],
    output: ModelOutput,
    mel: Annotated[bool, typer.Option("--mel", help="Condition on log-mel frames: p(sound | frames).")] = False,
    bands: Annotated[int | None, typer.Option(min=1, help="Bands of a mel frame; default 20.")] = None,
    frame_ms: Annotated[float | None, typer.Option(help="Milliseconds between mel frames; default 10.")] = None,
    pitch: Annotated[
        bool, typer.Option("--pitch", help="Put pitch and voicing into the mel frames: students get a voice.")
    ] = False,
    parallel: Annotated[
        bool, typer.Option("--parallel", help="Fit a parallel WaveNet, which generates all samples at once.")
    ] = False,
    channels: Annotated[int, typer.Option(min=1, max=10_000, help="Channels of the WaveNet.")] = 16,
    layers: Annotated[int, typer.Option(min=1, max=20, help="Layers of each of its two stacks, or flows.")] = 7,
    mixture: Annotated[
        bool, typer.Option("--mixture", help="Use mixtures of logistics instead of normal distributions.")
    ] = False,
    drop_silence: Annotated[bool, typer.Option("--drop-silence", help="Leave out silent segments.")] = False,
    max_time: MaxTime = None,
    seed: Seed = 0,
    resume: Resume = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Learn the density of recordings: p(sound), or p(sound | mel frames)."""
    from pushforward.audio.speech.fitting import fit_speech
    from pushforward.store.model_file import check_model_path

    check_model_path(output)
    with course(output, quiet, resume) as kept:
        result = fit_speech(
            wavs,
            mel=mel,
            bands=bands,
            frame_ms=frame_ms,
            pitch=pitch,
            parallel=parallel,
            channels=channels,
            layers=layers,
            head="logistic_mixture" if mixture else "gaussian",
            drop_silence=drop_silence,
            max_time=max_time,
            seed=seed,
            **kept,
        )
        result.model.save(output)
    history = result.history
    lines = [f"{counted(history.steps, 'step')} in {history.total_seconds:.1f} s ({history.stopped})"]
    lines += [f"  {name:44} {value:8.3f} nats per sample" for name, value in result.baselines.items()]
    lines += [f"  {'this model':44} {result.held_out:8.3f} (negative log-likelihood, held-out files)"]
    summarize(result.model, output, lines, json, quiet)
    say_course(history, quiet)
