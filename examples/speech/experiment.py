"""A parallel WaveNet on real speech: teachers, students with and without the losses of the papers, one table.

    python examples/speech/experiment.py                      # everything: about an hour on two cores
    python examples/speech/experiment.py --minutes 0.5 --seeds 0
    python examples/speech/experiment.py --only teacher_plain_0 student_plain_kl_0

The script downloads 25 minutes of one speaker with apt-get download (the Debian package asterisk-core-sounds-en-wav:
Allison Smith, CC-BY-SA-3.0; it is not installed and not part of this project), holds out a tenth of the files, and
fills the cells of the table one by one. Each cell leaves a model and a JSON file in the results folder and is not run
again, so that the script continues an interrupted run. The final results are results.json, results.md, a page with
spectrograms and sounds, and the two pictures of the documentation.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import torch

from pushforward.audio.recordings.files import Recordings, read_recordings
from pushforward.audio.recordings.segments import split_files
from pushforward.audio.speech.distillation import distill_speech
from pushforward.audio.speech.fitting import fit_speech
from pushforward.audio.speech.measurement import SpeechReport, measure
from pushforward.audio.speech.model import SpeechModel
from pushforward.audio.speech.pictures import average_spectra, save_picture, spectrograms
from pushforward.audio.speech.report import write_page

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, VERSION = "asterisk-core-sounds-en-wav", "1.6.1-1"
SHA256 = "2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d"
SOUNDS = "usr/share/asterisk/sounds/en_US_f_Allison"
TEST_SHARE, TEST_SEED = 0.1, 0
# The papers' losses: the divergence alone, ClariNet's regularization of log-scales, a power loss.
DIVERGENCE = {"power": 0.0, "spectral": 0.0, "mel": 0.0}
LOSSES = {
    "kl": DIVERGENCE,
    "regularized": {**DIVERGENCE, "log_scale_regularization": 4.0},
    "power": {**DIVERGENCE, "power": 0.3},
}
KINDS = {"plain": False, "mel": True}


def fetch(directory: Path) -> Path:
    """Return the folder of the recordings; download and unpack them if necessary."""
    folder = directory / PACKAGE / SOUNDS
    if folder.is_dir():
        return folder
    directory.mkdir(parents=True, exist_ok=True)
    archive = directory / f"{PACKAGE}_{VERSION}_all.deb"
    if not archive.exists():
        command = ["apt-get", "--quiet", "download", f"{PACKAGE}={VERSION}"]
        if subprocess.run(command, cwd=directory).returncode:
            # A new machine has no list of packages yet.
            subprocess.run(["apt-get", "--quiet", "update"], check=True)
            subprocess.run(command, cwd=directory, check=True)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{archive} has the SHA-256 {found}, not {SHA256}: delete it and download it again.")
    unfinished = directory / "unfinished"
    subprocess.run(["dpkg-deb", "--extract", archive.name, unfinished.name], cwd=directory, check=True)
    unfinished.rename(directory / PACKAGE)
    return folder


class Experiment:
    """The cells of the table, each run once."""

    def __init__(self, folder: Path, sounds: Path, minutes: float, channels: int, layers: int) -> None:
        self.folder = folder
        self.minutes = minutes
        self.channels = channels
        self.layers = layers
        recordings = read_recordings([sounds])
        self.training, self.test = split_files(recordings, TEST_SHARE, TEST_SEED)
        folder.mkdir(parents=True, exist_ok=True)

    def model(self, name: str) -> Path:
        """Return the model file of a cell."""
        return self.folder / f"{name}.safetensors"

    def teacher(self, kind: str, seed: int) -> None:
        """Fit a teacher, and measure it on the test files."""
        name = f"teacher_{kind}_{seed}"
        fitted = fit_speech(
            self.training.paths,
            mel=KINDS[kind],
            channels=self.channels,
            layers=self.layers,
            max_time=60 * self.minutes,
            seed=seed,
            log_path=self.folder / f"{name}.metrics.csv",
            announce=print,
        )
        fitted.model.save(self.model(name))
        report = measure([fitted.model], [name], self.test, seed=seed)
        self._write(name, report, -1, fitted.model.notes)

    def student(self, kind: str, losses: str, seed: int) -> None:
        """Distill a student, and measure it on the test files beside its teacher."""
        name, teacher_name = f"student_{kind}_{losses}_{seed}", f"teacher_{kind}_{seed}"
        teacher = SpeechModel.load(self.model(teacher_name))
        distilled = distill_speech(
            teacher,
            self.training.paths,
            max_time=60 * self.minutes,
            # That of the results in the documentation; long trainings need a smaller one, which is the default.
            learning_rate=1e-2,
            seed=seed,
            log_path=self.folder / f"{name}.metrics.csv",
            announce=print,
            **LOSSES[losses],
        )
        distilled.model.save(self.model(name))
        report = measure([teacher, distilled.model], [teacher_name, name], self.test, seed=seed)
        self._write(name, report, -1, distilled.model.notes)

    def _write(self, name: str, report: SpeechReport, which: int, notes: dict) -> None:
        entry = report.to_dict()
        entry["model"] = entry.pop("models")[which]
        entry |= {"steps": notes["steps"], "training_seconds": notes["seconds"]}
        (self.folder / f"{name}.json").write_text(json.dumps(entry, indent=2) + "\n")


def table(cells: dict[str, dict]) -> str:
    """Return the results as Markdown."""
    lines = ["| test files, all samples | nats per sample |", "|---|---|"]
    first = next(iter(cells.values()))
    lines += [f"| {name} | {value:.3f} |" for name, value in first["baselines"].items()]
    lines += [f"| {name} | {c['model']['nll']:.3f} |" for name, c in cells.items() if c["model"]["nll"] is not None]
    lines += [
        "",
        "| cell | steps | nats per sample, segments | KL per sample | KL per segment | volume / recordings "
        "| volume / teacher | spectral distance, dB | times real time | inexactness |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, cell in cells.items():
        m = cell["model"]
        columns = [
            name,
            str(cell["steps"]),
            f"{m['segment_nll']:.3f}",
            "" if m["kl"] is None else f"{m['kl']:.4f} ± {m['kl_error']:.4f}",
            "" if m["kl"] is None else f"{m['kl_of_segment']:.1f}",
            f"{m['spread']:.2f}",
            "" if m["spread_of_reference"] is None else f"{m['spread_of_reference']:.2f}",
            f"{m['log_spectral_distance']:.1f}",
            f"{m['real_time_factor']:.3g}",
            f"{m['inexactness']:.0e}",
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def speeds(cells: dict[str, dict]) -> str:
    """Return the speed of students relative to their teachers, with and without cache."""
    lines = []
    for name, cell in cells.items():
        teacher = cells.get("_".join(["teacher", *name.split("_")[1:2], name.split("_")[-1]]))
        if name.startswith("student") and teacher is not None:
            own, cached = cell["model"]["real_time_factor"], teacher["model"]["real_time_factor"]
            naive = teacher["model"]["naive_real_time_factor"]
            lines.append(
                f"- {name}: {own:.3g} times real time ({cell['threads']} threads, one sound at a time), "
                f"{own / cached:.3g} times the cached teacher ({cached:.3g}), {own / naive:.3g} times the teacher "
                f"without cache ({naive:.2g})"
            )
    return "\n".join(lines) + "\n"


def show(experiment: Experiment, seed: int, test: Recordings) -> None:
    """Write the page and the pictures of the models of one seed."""
    names = [
        f"{part}_{seed}"
        for part in ("teacher_plain", "student_plain_kl", "student_plain_power", "teacher_mel", "student_mel_power")
    ]
    names = [name for name in names if experiment.model(name).exists()]
    if not names:
        return
    models = [SpeechModel.load(experiment.model(name)) for name in names]
    report = measure(models, names, test, seconds=2.0, seed=seed)
    write_page(report, experiment.folder / "report.html")
    sounds = [("recording", report.data[0])]
    sounds += [(name, draws[0]) for name, draws in zip(names, report.draws, strict=True)]
    save_picture(spectrograms(sounds, report.rate), experiment.folder / "spectrograms.png")
    pairs = list(zip(names, report.draws, strict=True))
    save_picture(average_spectra(report.data, pairs, report.rate), experiment.folder / "spectra.png")


def main() -> None:
    """Run the cells that have no result yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0, help="of training for each cell")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--channels", type=int, default=32, help="of the teacher")
    parser.add_argument("--layers", type=int, default=8, help="of each of the teacher's two stacks")
    parser.add_argument("--only", nargs="+", help="names of cells")
    parser.add_argument("--threads", type=int, help="of the processor; default all")
    parser.add_argument("--directory", type=Path, default=ROOT / ".data" / "speech", help="for sounds and results")
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    sounds = fetch(options.directory)
    experiment = Experiment(options.directory / "results", sounds, options.minutes, options.channels, options.layers)
    jobs = {}
    for seed in options.seeds:
        for kind in KINDS:
            jobs[f"teacher_{kind}_{seed}"] = (experiment.teacher, (kind, seed))
            for losses in LOSSES:
                jobs[f"student_{kind}_{losses}_{seed}"] = (experiment.student, (kind, losses, seed))
    unknown = set(options.only or ()) - jobs.keys()
    if unknown:
        raise SystemExit(f"Unknown cells: {', '.join(sorted(unknown))}; known cells: {', '.join(jobs)}.")
    for name, (run, arguments) in jobs.items():
        done = (experiment.folder / f"{name}.json").exists()
        if done or (options.only and name not in options.only):
            continue
        print(f"\n{name}", flush=True)
        started = time.monotonic()
        run(*arguments)
        print(f"{name} done in {time.monotonic() - started:.0f} s", flush=True)
    cells = {
        name: json.loads(path.read_text()) for name in jobs if (path := experiment.folder / f"{name}.json").exists()
    }
    if not cells:
        sys.exit("No cell has a result.")
    (experiment.folder / "results.json").write_text(json.dumps(cells, indent=2) + "\n")
    text = table(cells) + "\n" + speeds(cells)
    (experiment.folder / "results.md").write_text(text)
    print("\n" + text)
    show(experiment, options.seeds[0], experiment.test)


if __name__ == "__main__":
    main()
