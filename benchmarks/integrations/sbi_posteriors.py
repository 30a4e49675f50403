"""Posteriors of NPE with our flow and with sbi's own, told from the reference posteriors of sbibm by a classifier.

    python benchmarks/integrations/sbi_posteriors.py [SIMULATIONS]

needs `pip install 'pushforward[sbi]'` and takes about fifteen minutes. All have the same simulations and the training
of sbi, until it stops; sbi's own is trained a second time, as many epochs as fit into our seconds. The observations and
their reference posteriors are those of sbibm, whose wheel is downloaded, and not installed. A two-sample test of 0.5
means that the classifier cannot tell them apart.
"""

import bz2
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from sbi.inference import NPE
from sbi.utils import BoxUniform
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier

from pushforward.integrations.sbi import posterior_nn

COUNT = 1_000
OBSERVATIONS = (1, 2, 3)
SIZES = {"layers": 5, "hidden": (50, 50), "bins": 10}


def two_moons(theta):
    """x = (r cos a + 1/4, r sin a) + (-|θ1 + θ2|, θ2 - θ1) / √2."""
    a = (torch.rand(len(theta)) - 0.5) * math.pi
    r = 0.1 + 0.01 * torch.randn(len(theta))
    first, second = theta.unbind(1)
    shift = torch.stack([-(first + second).abs(), second - first], 1) / math.sqrt(2)
    return torch.stack([r * a.cos() + 0.25, r * a.sin()], 1) + shift


def slcp(theta):
    """Four draws from a Gaussian of means θ1, θ2, variances θ3⁴, θ4⁴ and correlation tanh θ5."""
    first, second = theta[:, 2, None] ** 2, theta[:, 3, None] ** 2
    rho = theta[:, 4, None].tanh()
    u, v = torch.randn(2, len(theta), 4)
    x = theta[:, 0, None] + first * u
    y = theta[:, 1, None] + second * (rho * u + (1 - rho**2).sqrt() * v)
    return torch.stack([x, y], 2).flatten(1)


TASKS = {"two moons": ("two_moons", two_moons, 2, 1.0), "SLCP": ("slcp", slcp, 5, 3.0)}


def downloaded_sbibm(folder):
    """The wheel of sbibm, whose requirements are left out."""
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, "sbibm==1.1.0"], check=True)
    return zipfile.ZipFile(next(Path(folder).glob("sbibm-*.whl")))


def reference_of(wheel, task, number):
    """An observation and draws from its posterior."""
    folder = f"sbibm/tasks/{task}/files/num_observation_{number}"
    observed = wheel.read(f"{folder}/observation.csv")
    draws = bz2.decompress(wheel.read(f"{folder}/reference_posterior_samples.csv.bz2"))
    tables = (np.loadtxt(part.decode().splitlines(), delimiter=",", skiprows=1, ndmin=2) for part in (observed, draws))
    observed, draws = (torch.from_numpy(table).float() for table in tables)
    return observed[0], draws[:COUNT]


def two_sample_test(a, b):
    """The accuracy of a classifier, by five-fold cross-validation."""
    rows = torch.cat([a, b]).numpy()
    rows = (rows - a.numpy().mean(0)) / a.numpy().std(0)
    labels = np.repeat([0, 1], [len(a), len(b)])
    order = np.random.default_rng(0).permutation(len(rows))
    network = MLPClassifier((10 * a.shape[1],) * 2, max_iter=1_000, random_state=0)
    return cross_val_score(network, rows[order], labels[order], cv=5).mean()


def trained(estimator, prior, theta, x, references, epochs):
    """The two-sample test of each reference, the epochs, and the processor seconds of the training."""
    torch.manual_seed(0)
    trainer = NPE(prior, density_estimator=estimator, show_progress_bars=False)
    began = time.process_time()
    trainer.append_simulations(theta, x).train(max_num_epochs=epochs)
    seconds = time.process_time() - began
    posterior = trainer.build_posterior()
    tests = [
        two_sample_test(draws, posterior.sample((COUNT,), x=observed, show_progress_bars=False))
        for observed, draws in references
    ]
    return tests, trainer.summary["epochs_trained"][-1], seconds


if __name__ == "__main__":
    torch.set_num_threads(1)
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    folder = tempfile.mkdtemp()
    os.chdir(folder)  # sbi writes logs where it runs
    wheel = downloaded_sbibm(folder)
    for task, (name, simulate, parameters, bound) in TASKS.items():
        torch.manual_seed(0)
        prior = BoxUniform(-bound * torch.ones(parameters), bound * torch.ones(parameters))
        theta = prior.sample((simulations,))
        x = simulate(theta)
        references = [reference_of(wheel, name, number) for number in OBSERVATIONS]

        def report(estimator, built, epochs, task=task, given=(prior, theta, x, references)):
            tests, epochs, seconds = trained(built, *given, epochs)
            row = {"task": task, "estimator": estimator, "epochs": epochs, "processor seconds": round(seconds)}
            row["two-sample test"] = round(float(np.mean(tests)), 3)
            row["of each observation"] = [round(float(test), 3) for test in tests]
            print(json.dumps(row), flush=True)
            return epochs, seconds

        _, seconds = report("pf.nsf", posterior_nn("nsf", **SIZES), 300)
        epochs, own = report("sbi nsf", "nsf", 300)
        report("sbi nsf in our seconds", "nsf", max(1, round(epochs * seconds / own)))
