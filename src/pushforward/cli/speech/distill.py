"""pushforward speech distill MODEL WAVS -o FAST"""

from typing import Annotated

import typer

from pushforward.cli.options import Json, MaxTime, Model, ModelOutput, Quiet, Resume, Seed, Verbose
from pushforward.cli.output import command, course, say_course
from pushforward.cli.speech.summary import summarize


@command
def distill(
    teacher: Model,
    output: ModelOutput,
    wavs: Annotated[
        list[str] | None,
        typer.Argument(
            help="The recordings of the teacher's fit, for mel frames and the power loss.",
            metavar="WAVS",
        ),
    ] = None,
    flows: Annotated[int, typer.Option(min=1, max=100, help="Flows of the student.")] = 2,
    channels: Annotated[int, typer.Option(min=1, max=10_000, help="Channels of each flow.")] = 16,
    layers: Annotated[int, typer.Option(min=1, max=20, help="Layers of each flow.")] = 8,
    spline: Annotated[bool, typer.Option("--spline", help="Put splines before the affine maps.")] = False,
    power: Annotated[
        float | None,
        typer.Option(help="Weight of the power loss; default 0.3 without mel frames, 0 with them."),
    ] = None,
    regularization: Annotated[
        float, typer.Option(help="Weight of ClariNet's regularization of log-scales; 0 leaves it out.")
    ] = 0.0,
    contrastive: Annotated[
        float, typer.Option(help="Weight of the contrastive loss, for mel frames; 0 leaves it out.")
    ] = 0.0,
    spectral: Annotated[
        float, typer.Option(help="Weight of the multi-resolution spectral loss, for mel frames; 0 leaves it out.")
    ] = 0.0,
    mel: Annotated[
        float | None,
        typer.Option(help="Weight of the distance of mel frames of draws from those given; default 3 with mel frames."),
    ] = None,
    harmonics: Annotated[
        int | None,
        typer.Option(
            min=0, max=1000, help="Harmonics of the student's voice, for mel frames with a pitch; default 20, 0: none."
        ),
    ] = None,
    segment: Annotated[
        int | None, typer.Option(min=1, help="Samples of a draw; default those of an eighth of a second.")
    ] = None,
    loud: Annotated[bool, typer.Option("--loud", help="Choose segments by their volume: pauses count little.")] = False,
    max_time: MaxTime = None,
    seed: Seed = 0,
    resume: Resume = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a parallel WaveNet, which generates all samples at once, to imitate a WaveNet."""
    from pushforward.audio.speech.distillation import distill_speech
    from pushforward.audio.speech.model import SpeechModel
    from pushforward.store.model_file import check_model_path

    check_model_path(output)
    with course(output, quiet, resume) as kept:
        result = distill_speech(
            SpeechModel.load(teacher),
            wavs or [],
            flows=flows,
            channels=channels,
            layers=layers,
            univariate="spline" if spline else "relative_affine",
            power=power,
            log_scale_regularization=regularization,
            contrastive=contrastive,
            spectral=spectral,
            mel=mel,
            harmonics=harmonics,
            segment=segment,
            loud=loud,
            max_time=max_time,
            seed=seed,
            **kept,
        )
        result.model.save(output)
    notes = result.model.notes
    reference = "the recordings" if wavs else "its teacher"
    lines = [
        f"KL(student || teacher) {notes['kl_nats_per_sample']:.4f} nats per sample, "
        f"{notes['kl_nats_per_segment']:.1f} ± {notes['kl_error']:.1f} for {notes['segment']} samples",
        f"volume of the student over that of {reference}: {notes['spread']:.2f}",
        *(f"Alarm: {alarm}" for alarm in result.alarms),
    ]
    summarize(result.model, output, lines, json, quiet)
    say_course(result.report.history, quiet)
