"""A Glow of MNIST's images after ten minutes of a GPU, in bits per dimension; for gpu.py."""

import tempfile
from pathlib import Path

import images
import torch
from image_sets import CLASSES, LEVELS, SIDE

SECONDS, AIM = 600, 1.02
# Not tried on a GPU yet: a batch and networks that fill one, of which 64 channels and batches of 64 do not.
SETTINGS = ["--option", "steps=8", "--option", "hidden=192", "--batch-size", "256", "--learning-rate", "1e-3"]
TINY = ["--max-steps", "3", "--option", "steps=1", "--option", "hidden=4", "--option", "blocks=0"]
REMARKS = (
    f"A fit is given {SECONDS // 60} minutes. Bits are an upper bound by uniform noise, with their standard error.",
)


def made_up(count):
    """Images of noise and their classes, which need no download."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(LEVELS, (count, SIDE**2), generator=generator).float()
    return x, torch.arange(count) % CLASSES


def fit_mnist(report):
    """Bits per dimension of the test images, beside the aim."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--device", report.device, "--seconds", str(SECONDS), "--log", str(Path(folder) / "log.csv")]
        options = images.options_of([*arguments, *(TINY if report.quick else SETTINGS)])
        if report.quick:
            found = images.measured(options, made_up(200), made_up(40), made_up(40))
        else:
            found = images.run(options)
    mean, error = found["test"]
    compared = f"{found['parameters']:,} parameters, {found['steps']:,} steps, {found['seconds']:.0f} s"
    verdict = "met" if mean <= AIM else "missed"
    report.add("Glow of MNIST, bits per dimension", compared, f"{mean:.3f} ± {error:.3f}", f"aim {AIM}", verdict)


def fit_all(report):
    """The fits of images, each a line."""
    report.run("Glow of MNIST, bits per dimension", fit_mnist)
