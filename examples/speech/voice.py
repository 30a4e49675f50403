"""Copies of held-out recordings from their mel frames: a teacher, its students, one without a teacher, and baselines.

    python examples/speech/voice.py                          # an hour for each of a teacher and seven others
    python examples/speech/voice.py --minutes 1 --files 5 --directory /tmp/speech --seeds 0
    python examples/speech/voice.py --only teacher_0 voice_0

The script downloads the recordings as experiment.py does, holds out the same tenth of the files, and runs its steps one
after another. Each step leaves a model, a log and the course of its training in the results folder and is not run
again. An interrupted script continues where it was: the step that was interrupted resumes from the checkpoint beside
its model, and its minutes count those before. At the end it writes copies.json and copies.md (the measures of all
models on the held-out files), copies.html (players) and copies.png.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from experiment import ROOT, TEST_SEED, TEST_SHARE, fetch

from pushforward.audio.evaluation.copies import Copies
from pushforward.audio.recordings.files import read_recordings, write_audio
from pushforward.audio.recordings.segments import split_files
from pushforward.audio.speech.distillation import distill_speech
from pushforward.audio.speech.fitting import fit_speech
from pushforward.audio.speech.measurement import copied, measure
from pushforward.audio.speech.model import SpeechModel
from pushforward.audio.speech.pictures import save_picture, spectrograms
from pushforward.audio.speech.report import write_page

TEACHER = {"mel": True, "bands": 80, "frame_ms": 5.0, "pitch": True}
# What each change gives: one thing differs from "voice".
VOICE = {"power": 0.0, "spectral": 0.0, "mel": 3.0, "contrastive": 0.0, "loud": True, "harmonics": 20}
STUDENTS: dict[str, dict[str, Any]] = {
    "voice": VOICE,
    "no_voice": VOICE | {"harmonics": 0},
    "spectral": VOICE | {"spectral": 1.5},
    "power": VOICE | {"power": 0.3},
    "not_loud": VOICE | {"loud": False},
    "contrastive": VOICE | {"contrastive": 0.3},
}
# Copies that are written as sounds.
SOUNDS = 3


class Voices:
    """The steps, each run once, and what they leave in a folder."""

    def __init__(self, folder: Path, sounds: Path, minutes: float, sizes: dict[str, dict[str, int]]) -> None:
        self.folder = folder
        self.minutes = minutes
        self.sizes = sizes
        self.training, self.test = split_files(read_recordings([sounds]), TEST_SHARE, TEST_SEED)
        folder.mkdir(parents=True, exist_ok=True)

    def model(self, name: str) -> Path:
        """Return the model file of a step."""
        return self.folder / f"{name}.safetensors"

    def run(self, name: str) -> None:
        """Run a step, unless its model is there."""
        if self.model(name).exists():
            return
        kind, _, seed = name.rpartition("_")
        started = time.monotonic()
        checkpoint = self.model(name).with_suffix(".checkpoint")
        begun = "resumed" if checkpoint.exists() else "started"
        self.log(name, f"{begun}, {self.minutes:g} minutes, {torch.get_num_threads()} threads")
        common = {
            "max_time": 60 * self.minutes,
            "seed": int(seed),
            "log_path": self.folder / f"{name}.metrics.csv",
            "checkpoint": checkpoint,
            "resume": checkpoint.exists(),
            "announce": partial(self.log, name),
        }
        if kind in ("teacher", "likelihood"):
            parallel = kind == "likelihood"
            options = {**TEACHER, **self.sizes[kind], **common}
            model = fit_speech(self.training.paths, parallel=parallel, **options).model
        else:
            teacher = SpeechModel.load(self.model(f"teacher_{seed}"))
            distilled = distill_speech(
                teacher, self.training.paths, **STUDENTS[kind], **self.sizes["student"], **common
            )
            model = distilled.model
            for alarm in distilled.alarms:
                self.log(name, f"Alarm: {alarm}")
        notes = {key: value for key, value in model.notes.items() if key not in ("ladder", "teacher")}
        self.log(name, json.dumps(notes))
        if notes["stopped"] == "interrupted":
            raise SystemExit(f"Interrupted: the same command continues {name}.")
        model.save(self.model(name))
        checkpoint.unlink(missing_ok=True)
        self.log(name, f"done in {time.monotonic() - started:.0f} s")

    def log(self, name: str, line: str) -> None:
        """Print a line, and keep it in the log of a step."""
        stamped = f"{time.strftime('%H:%M:%S')} {name}: {line}"
        print(stamped, flush=True)
        with (self.folder / f"{name}.log").open("a") as file:
            file.write(stamped + "\n")

    def compare(self, names: list[str], files: int) -> None:
        """Measure the models on held-out files, and write tables, the page, the picture and some sounds."""
        models = [SpeechModel.load(self.model(name)) for name in names]
        copies = copied(models, names, self.test, files)
        (self.folder / "copies.json").write_text(json.dumps(copies.to_dict(), indent=2) + "\n")
        text = table(copies)
        report = measure(models, names, self.test)
        for figures in report.models:
            text += f"\n- {figures.name}: {figures.summary()}, inexactness {figures.inexactness:.0e}"
        (self.folder / "copies.md").write_text(text + "\n")
        print("\n" + text)
        report.copies = copies
        write_page(report, self.folder / "copies.html")
        sounds = {"recording": copies.recordings, **copies.sounds}
        longest = max(range(len(copies.names)), key=lambda k: min(len(copies.recordings[k]), 3 * copies.rate))
        pictured = [(name, torch.from_numpy(made[longest][: 3 * copies.rate])) for name, made in sounds.items()]
        save_picture(spectrograms(pictured, copies.rate), self.folder / "copies.png")
        for name, made in sounds.items():
            for place in range(min(SOUNDS, len(copies.names))):
                write_audio(
                    self.folder / f"{copies.names[place]}_{name}.wav".replace(" ", "_"), made[place], copies.rate
                )


def table(copies: Copies) -> str:
    """Return the measures as Markdown, with their intervals."""
    measures = list(next(iter(copies.table.values())))
    lines = [f"| {len(copies.names)} files | {' | '.join(measures)} |", "|---" * (1 + len(measures)) + "|"]
    for system, row in copies.table.items():
        cells = [f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]" for e in (row[measure] for measure in measures)]
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the steps that have no model yet, and compare the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="of training for each step")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--channels", type=int, default=32, help="of the teacher; students have half as many")
    parser.add_argument("--layers", type=int, default=8, help="of each of the teacher's two stacks, and of a flow")
    parser.add_argument("--files", type=int, default=1000, help="held-out files to copy at most")
    parser.add_argument("--only", nargs="+", help="names of steps")
    parser.add_argument("--threads", type=int, help="of the processor; default all")
    parser.add_argument("--directory", type=Path, default=ROOT / ".data" / "speech", help="for sounds and results")
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    half = max(1, options.channels // 2)
    sizes = {
        "teacher": {"channels": options.channels, "layers": options.layers},
        "student": {"channels": half, "layers": options.layers, "segment": 2000},
        "likelihood": {"channels": half, "layers": options.layers},
    }
    voices = Voices(options.directory / "voices", fetch(options.directory), options.minutes, sizes)
    steps = [f"{kind}_{seed}" for seed in options.seeds for kind in ("teacher", *STUDENTS, "likelihood")]
    unknown = set(options.only or ()) - set(steps)
    if unknown:
        raise SystemExit(f"Unknown steps: {', '.join(sorted(unknown))}; known steps: {', '.join(steps)}.")
    for name in options.only or steps:
        voices.run(name)
    voices.compare([name for name in steps if voices.model(name).exists()], options.files)


if __name__ == "__main__":
    main()
