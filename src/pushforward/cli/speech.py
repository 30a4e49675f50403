"""pushforward speech fit|distill|sample|report"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushforward.cli.options import Json, Model, Quiet, Verbose
from pushforward.cli.output import command, print_json, progress, say

if TYPE_CHECKING:
    from pushforward.audio.speech.model import SpeechModel

app = typer.Typer(
    no_args_is_help=True, help="Models of recordings: a WaveNet, and a parallel WaveNet distilled from it."
)
Sounds = Annotated[
    list[str],
    typer.Argument(
        help="Mono .wav or .flac files of one sample rate, folders or patterns.", metavar="WAVS...", show_default=False
    ),
]
MaxTime = Annotated[float | None, typer.Option(help="Most seconds of training; default a fixed number of steps.")]
Seed = Annotated[int, typer.Option(help="Makes the run repeat.")]
Output = Annotated[str, typer.Option("--output", "-o", help="Model file to write (.safetensors).")]


@app.command()
@command
def fit(
    wavs: Sounds,
    output: Output,
    mel: Annotated[bool, typer.Option("--mel", help="Condition on log-mel frames: p(sound | frames).")] = False,
    channels: Annotated[int, typer.Option(help="Channels of the WaveNet.")] = 16,
    layers: Annotated[int, typer.Option(help="Layers of each of its two stacks.")] = 7,
    mixture: Annotated[
        bool, typer.Option("--mixture", help="Mixtures of logistics in place of normal distributions.")
    ] = False,
    drop_silence: Annotated[bool, typer.Option("--drop-silence", help="Leave silent segments out.")] = False,
    max_time: MaxTime = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Learn the density of recordings: p(sound), or p(sound | mel frames)."""
    from pushforward.audio.speech.fitting import fit_speech
    from pushforward.store.model_file import check_model_path

    check_model_path(output)
    log_path = Path(output).with_suffix(".metrics.csv")
    result = fit_speech(
        wavs,
        mel=mel,
        channels=channels,
        layers=layers,
        head="logistic_mixture" if mixture else "gaussian",
        drop_silence=drop_silence,
        max_time=max_time,
        seed=seed,
        progress=False if quiet else None,
        log_path=log_path,
        announce=lambda line: say(line, quiet),
    )
    history = result.history
    lines = [f"{history.steps} steps in {history.total_seconds:.1f} s ({history.stopped})"]
    lines += [f"  {name:44} {value:8.3f} nats per sample" for name, value in result.baselines.items()]
    lines += [f"  {'this model':44} {result.held_out:8.3f} (negative log-likelihood, held-out files)"]
    _finish(result.model, output, log_path, lines, json, quiet)


@app.command()
@command
def distill(
    teacher: Annotated[str, typer.Argument(help="Model file of a teacher (.safetensors).", show_default=False)],
    output: Output,
    wavs: Annotated[
        list[str] | None,
        typer.Argument(help="The recordings it was fitted to: for mel frames and the power loss.", metavar="[WAVS...]"),
    ] = None,
    flows: Annotated[int, typer.Option(help="Flows of the student.")] = 2,
    channels: Annotated[int, typer.Option(help="Channels of each flow.")] = 16,
    layers: Annotated[int, typer.Option(help="Layers of each flow.")] = 8,
    spline: Annotated[bool, typer.Option("--spline", help="Splines before the affine maps.")] = False,
    power: Annotated[float, typer.Option(help="Weight of the power loss; 0 leaves it out.")] = 0.3,
    regularization: Annotated[float, typer.Option(help="ClariNet's, of log-scales; 0 leaves it out.")] = 0.0,
    contrastive: Annotated[float, typer.Option(help="Weight of the contrastive loss, for mel frames.")] = 0.0,
    max_time: MaxTime = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Teach a parallel WaveNet, which makes all samples at once, what a teacher has learned."""
    from pushforward.audio.speech.distillation import distill_speech
    from pushforward.audio.speech.model import SpeechModel
    from pushforward.store.model_file import check_model_path

    check_model_path(output)
    log_path = Path(output).with_suffix(".metrics.csv")
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
        max_time=max_time,
        seed=seed,
        progress=False if quiet else None,
        log_path=log_path,
        announce=lambda line: say(line, quiet),
    )
    notes = result.model.notes
    whose = "the recordings" if wavs else "its teacher"
    lines = [
        f"KL(student || teacher) {notes['kl_nats_per_sample']:.4f} nats per sample, "
        f"{notes['kl_nats_per_segment']:.1f} ± {notes['kl_error']:.1f} for {notes['segment']} samples",
        f"volume of the student over that of {whose}: {notes['spread']:.2f}",
        *(f"Alarm: {alarm}" for alarm in result.alarms),
    ]
    _finish(result.model, output, log_path, lines, json, quiet)


@app.command()
@command
def sample(
    model: Model,
    output: Annotated[str, typer.Option("--output", "-o", help="Sound file to write (.wav, .flac).")],
    seconds: Annotated[float | None, typer.Option(help="How long; with --like at most as long as that sound.")] = None,
    like: Annotated[str | None, typer.Option(help="Sound whose mel frames a conditional model follows.")] = None,
    temperature: Annotated[float, typer.Option(help="Factor on the noise; 1 draws from the density.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Makes the draw repeat; default a new draw every time.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make a sound."""
    from pushforward.audio.recordings.files import check_audio_path, write_audio
    from pushforward.audio.speech.model import SpeechModel

    check_audio_path(output)
    speech = SpeechModel.load(model)
    with progress("sampling", quiet) as report:
        drawn = speech.sample(seconds, like=like, seed=seed, temperature=temperature, report=report)
    clipped = write_audio(output, drawn, speech.rate)
    if json:
        print_json(
            {
                "output": output,
                "samples": len(drawn),
                "rate": speech.rate,
                "seconds": len(drawn) / speech.rate,
                "clipped": clipped,
            }
        )
    beyond = f"; {clipped} samples beyond full scale were clipped" if clipped else ""
    say(f"{len(drawn) / speech.rate:.2f} s of sound in {output}{beyond}", quiet)


@app.command()
@command
def report(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Model files (.safetensors), teachers before their students, and recordings that none was fitted to.",
            metavar="MODEL... WAVS...",
            show_default=False,
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="Page to write (.html).")],
    seconds: Annotated[float, typer.Option(help="Length of the sounds that are drawn.")] = 1.0,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure models on recordings, and show it on a page: likelihood, divergence, volume, speed, spectrograms."""
    from pushforward.audio.recordings.files import read_recordings
    from pushforward.audio.speech.measurement import measure
    from pushforward.audio.speech.model import SpeechModel
    from pushforward.audio.speech.report import check_page_path, write_page
    from pushforward.errors import InputError

    check_page_path(output)
    names = [name for name in files if name.endswith(".safetensors")]
    wavs = [name for name in files if not name.endswith(".safetensors")]
    if not names or not wavs:
        missing = "a model (.safetensors)" if not names else "recordings (.wav, .flac, a folder)"
        raise InputError(f"A report needs at least one model and recordings to measure it on: name {missing}.")
    models = [SpeechModel.load(name) for name in names]
    recordings = read_recordings(wavs, models[0].rate)
    with progress("measuring", quiet) as tell:
        figures = measure(models, [Path(n).stem for n in names], recordings, seconds=seconds, seed=seed, report=tell)
    write_page(figures, output)
    if json:
        print_json({"page": output, **figures.to_dict()})
    for name, value in figures.baselines.items():
        say(f"{name:44} {value:8.3f} nats per sample", quiet)
    for model in figures.models:
        say(f"{model.name}: {model.summary()}", quiet)
        for alarm in model.alarms:
            say(f"Alarm: {alarm}", quiet)
    say(f"page in {output}", quiet)


def _finish(model: "SpeechModel", output: str, log_path: Path, lines: list[str], json: bool, quiet: bool) -> None:
    """Save a model that was made; print its notes as JSON if that is wanted, and say what came of it."""
    model.save(output)
    if json:
        # These are long, and stand in the file.
        notes = {name: value for name, value in model.notes.items() if name not in ("ladder", "teacher")}
        print_json({"model": output, "metrics": str(log_path), **notes})
    for line in [*lines, f"{'student' if model.is_student else 'model'} in {output}"]:
        say(line, quiet)
