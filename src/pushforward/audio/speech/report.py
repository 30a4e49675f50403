"""The report on models of recordings: one HTML file that contains its pictures and sounds."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pushforward.audio.evaluation.copies import Copies
from pushforward.audio.evaluation.intervals import Estimate
from pushforward.audio.recordings.files import audio_bytes
from pushforward.audio.speech.measurement import SpeechFigures, SpeechReport
from pushforward.audio.speech.pictures import average_spectra, png, spectrograms
from pushforward.errors import InputError
from pushforward.support.atomic import atomic_path, check_writable
from pushforward.support.wording import counted

ENDINGS = (".html", ".htm")
# Files with fewer of which an interval is too narrow to be left without a word.
FEW_FILES = 10
# Sounds of each model on the page.
SHOWN = 2
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: .6rem 0; } th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; }
th { text-align: left; font-weight: 600; } td { text-align: right; font-variant-numeric: tabular-nums; }
td.name { text-align: left; } img { max-width: 100%; } .alarm { color: #a30000; font-weight: 600; }
.note { color: #555; } audio { height: 2rem; vertical-align: middle; }
"""


def check_page_path(path: str | os.PathLike[str]) -> None:
    """Raise an InputError if a page cannot be written to a path, before the work is done."""
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"The name of a page must end in .html; {path} does not.")
    check_writable(path)


def write_page(report: SpeechReport, path: str | os.PathLike[str]) -> None:
    """Write figures, spectrograms and sounds to one HTML file, atomically; it needs no other file and no network.

    Arguments:
        report: The result of `pushforward.audio.speech.measurement.measure`.
        path: A name that ends in .html.

    Raises:
        InputError: The name has another ending, or the file cannot be written.
    """
    check_page_path(path)
    rate = report.rate
    shown = [(f"recording {k + 1}", sound) for k, sound in enumerate(report.data[:SHOWN])]
    for figures, draws in zip(report.models, report.draws, strict=True):
        shown += [(f"{figures.name} ({figures.kind}), draw {k + 1}", sound) for k, sound in enumerate(draws[:SHOWN])]
    names = [figures.name for figures in report.models]
    parts = [
        f"<h1>Models of sound: {html.escape(', '.join(names))}</h1>",
        f"<p>Measured on {counted(report.files, 'recording')}, {report.seconds:.1f} s at {rate} samples per second, "
        f"with {_threads(report.threads)}.</p>",
        *(f'<p class="alarm">{html.escape(alarm)}</p>' for f in report.models for alarm in f.alarms),
        "<h2>Likelihood</h2>",
        _likelihoods(report),
        "<h2>Figures of the models</h2>",
        _models(report.models),
        "<h2>Sounds</h2>",
        "<p>A model with mel frames follows those of the recording with the same number. Draws of the other models "
        "need not resemble any recording.</p>",
        _image(png(spectrograms(shown, rate)), "spectrograms"),
        _sounds(shown, rate),
        *([] if report.copies is None else _copies(report.copies)),
        "<h2>Average spectra</h2>",
        _image(png(average_spectra(report.data, list(zip(names, report.draws, strict=True)), rate)), "average spectra"),
    ]
    document = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>Models of sound</title>\n<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n"
        "</html>\n"
    )
    with atomic_path(path) as temporary:
        temporary.write_text(document, encoding="utf-8")


# Of each measure its name, the factor on it, and its unit.
COLUMNS = {
    "intelligibility": ("intelligibility (STOI)", 1, ""),
    "words": ("words heard again", 100, "%"),
    "pitch": ("pitch within half a semitone", 100, "%"),
    "voicing": ("same voicing", 100, "%"),
    "distortion": ("mel cepstral distortion", 1, " dB"),
}


def _copies(copies: Copies) -> list[str]:
    """The section on copies of recordings: the table, spectrograms of the first, and players."""
    shown: list[tuple[str, Tensor]] = []
    for number, (name, recording) in enumerate(zip(copies.names[:SHOWN], copies.recordings, strict=False)):
        sounds = {"recording": recording, **{system: made[number] for system, made in copies.sounds.items()}}
        shown += [(f"{name}: {system}", torch.from_numpy(sound)) for system, sound in sounds.items()]
    measures = list(next(iter(copies.table.values())))
    head = "".join(f"<th>{COLUMNS[measure][0]}</th>" for measure in measures)
    rows = "".join(
        f'<tr><td class="name">{html.escape(system)}</td>'
        + "".join(f"<td>{_interval(row[measure], *COLUMNS[measure][1:])}</td>" for measure in measures)
        + "</tr>"
        for system, row in copies.table.items()
    )
    missing = (
        f'<p class="note">Not installed, and not measured: {", ".join(copies.missing)} '
        "(pip install 'pushforward[speech-evaluation]').</p>"
        if copies.missing
        else ""
    )
    # The bootstrap of n files has (n - 1) / n of the variance, and knows no values but theirs.
    few = len(copies.names) < FEW_FILES
    heard = f", {counted(copies.heard, 'word')} in all," if copies.heard else ""
    caution = " Those of so few files are too narrow: let the models copy more (--copies)." if few else ""
    return [
        "<h2>Copies of recordings</h2>",
        f"<p>{counted(len(copies.names), 'recording')}, copied from their mel frames. In brackets: 95% confidence "
        f"intervals over the files.{caution}</p>",
        f"<table><tr><th>system</th>{head}</tr>{rows}</table>",
        '<p class="note">STOI compares spectral envelopes over 0.4 s; 1 is perfect. Words heard again: of the words '
        f"that a recognizer (PocketSphinx) hears in recordings{heard}, those that it hears in copies. Pitch: of "
        "the voiced frames of the recordings. Griffin-Lim and the LPC vocoder, which has the pitch of the recording, "
        "have learned nothing.</p>" + missing,
        _image(png(spectrograms(shown[: len(copies.sounds) + 1], copies.rate)), "spectrograms of copies"),
        _sounds(shown, copies.rate),
    ]


def _interval(estimate: Estimate, factor: float, unit: str) -> str:
    if not estimate.files:
        return ""
    value, low, high = (factor * part for part in (estimate.value, estimate.low, estimate.high))
    digits = 0 if factor == 100 else 2
    interval = "" if low != low else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{value:.{digits}f}{unit}{interval}"


def _likelihoods(report: SpeechReport) -> str:
    rows = [(name, value) for name, value in report.baselines.items()]
    rows += [(f.name, f.nll) for f in report.models if f.nll is not None]
    body = "".join(f'<tr><td class="name">{html.escape(name)}</td><td>{value:.3f}</td></tr>' for name, value in rows)
    return (
        "<table><tr><th>density</th><th>negative log-likelihood, nats per sample</th></tr>" + body + "</table>"
        '<p class="note">Lower is better. All samples of all recordings count, silence included, each file from its '
        "first sample on, with the noise of 16-bit rounding added. The Gaussian densities were fitted to the training "
        "files of a model on this page.</p>"
    )


def _models(models: Sequence[SpeechFigures]) -> str:
    columns = [
        ("model", lambda f: html.escape(f.name)),
        ("kind", lambda f: f.kind + (", mel" if f.conditional else "")),
        ("parameters", lambda f: f"{f.parameters:,}"),
        ("nats per sample of segments", lambda f: _number(f.segment_nll, ".3f")),
        ("compared with", lambda f: html.escape(f.reference or "")),
        ("KL to it, nats per sample", lambda f: _with_error(f.kl, f.kl_error)),
        ("nats per segment", lambda f: _number(f.kl_of_segment, ".1f")),
        ("volume / recordings", lambda f: _number(f.spread, ".2f")),
        ("volume / the compared model's", lambda f: _number(f.spread_of_reference, ".2f")),
        ("spectral distance, dB", lambda f: _number(f.log_spectral_distance, ".1f")),
        ("spectral convergence", lambda f: _number(f.spectral_convergence, ".2f")),
        ("times real time", lambda f: _number(f.real_time_factor, ".3g")),
        ("without cache", lambda f: _number(f.naive_real_time_factor, ".2g")),
        ("inexactness", lambda f: _number(f.inexactness, ".0e")),
    ]
    rows = "".join(
        f'<tr><th scope="row">{name}</th>' + "".join(f"<td>{value(f)}</td>" for f in models) + "</tr>"
        for name, value in columns
        if any(value(f) for f in models)
    )
    return (
        f"<table>{rows}</table>"
        '<p class="note">Nats per sample of segments: negative log-likelihood of segments of recordings scored from '
        "their first sample, of a parallel model through its slow inverse; a student can be compared with its teacher "
        "here. Students are compared with their teacher if it is on this page; other parallel models, which have none, "
        "and students without it with the first WaveNet of the same context. KL is KL(model || the one it is compared "
        "with) from new draws, ± one standard error. Volume is the standard deviation of draws. "
        "Times real time: seconds of sound generated in a second, one sound at a time; without cache: if the whole "
        "receptive field were computed again for each sample. Inexactness: largest difference between the noise of a "
        "draw and the noise recovered from it, in float64.</p>"
    )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _with_error(value: float | None, error: float | None) -> str:
    return "" if value is None or error is None else f"{value:.4f} ± {error:.4f}"


def _threads(count: int) -> str:
    return counted(count, "thread")


def _image(content: bytes, name: str) -> str:
    return f'<p><img alt="{name}" src="data:image/png;base64,{base64.b64encode(content).decode()}"></p>'


def _sounds(shown: Sequence[tuple[str, Tensor]], rate: int) -> str:
    rows = []
    for name, sound in shown:
        content = base64.b64encode(audio_bytes(sound.numpy(), rate)).decode()
        rows.append(
            f'<tr><td class="name">{html.escape(name)}</td>'
            f'<td><audio controls src="data:audio/wav;base64,{content}"></audio></td></tr>'
        )
    return f"<table>{''.join(rows)}</table>"
