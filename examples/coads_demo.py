"""Fit, score and sample a density of the ocean surface, a table of seven columns.

Fits p(sea temperature, air temperature, humidity, wind speed, wind components, pressure) to the COADS climatology with
the command line, scores held-out rows, draws new rows, compares the result with a Gaussian and a mixture of Gaussians,
and writes a report. All files are in demo/.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet

from pushforward.evaluation.baselines import mean_and_standard_error, mixture_log_likelihood
from pushforward.evaluation.plots import corner
from pushforward.table_models.gaussian import gaussian_log_likelihood
from pushforward.tables import matrix_from_frame, read_columns

SECONDS_OF_TRAINING = 55
DATA = Path(__file__).parent / "coads" / "coads.parquet"
COLUMNS = [
    "sea_temperature",
    "air_temperature",
    "specific_humidity",
    "wind_speed",
    "wind_u",
    "wind_v",
    "pressure",
]
DEMO = Path("demo")


def pushforward(*arguments: str) -> None:
    """Show a command and run it."""
    print(f"\n$ pushforward {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "pushforward", *arguments], check=True)


def split() -> tuple[np.ndarray, np.ndarray]:
    """Hold out a tenth of the rows."""
    table = parquet.read_table(DATA, columns=COLUMNS)
    order = np.random.default_rng(0).permutation(table.num_rows)
    test, train = order[: table.num_rows // 10], order[table.num_rows // 10 :]
    parquet.write_table(table.take(train), DEMO / "train.parquet")
    parquet.write_table(table.take(test), DEMO / "test.parquet")
    return read("train.parquet"), read("test.parquet")


def read(name: str) -> np.ndarray:
    return matrix_from_frame(read_columns(DEMO / name))[0]


def main() -> None:
    """Fit, score, sample, compare, draw, report."""
    start = time.monotonic()
    DEMO.mkdir(exist_ok=True)
    print("1 of 7: hold out a tenth of the rows", flush=True)
    train, test = split()
    print(f"{len(train)} rows to fit, {len(test)} held out, {len(COLUMNS)} columns: {', '.join(COLUMNS)}")

    print(f"\n2 of 7: fit a density ({SECONDS_OF_TRAINING} seconds of training)", flush=True)
    pushforward("fit", "demo/train.parquet", "-o", "demo/model.safetensors", "--max-time", str(SECONDS_OF_TRAINING))
    print("\n3 of 7: score the rows held out", flush=True)
    pushforward("score", "demo/model.safetensors", "demo/test.parquet", "-o", "demo/scores.parquet")
    print("\n4 of 7: draw as many rows as were fitted", flush=True)
    pushforward("sample", "demo/model.safetensors", "-n", str(len(train)), "-o", "demo/samples.parquet", "--seed", "0")

    print("\n5 of 7: fit a Gaussian and a mixture of Gaussians to compare with", flush=True)
    gaussian = gaussian_log_likelihood(train, test)
    mixture, components = mixture_log_likelihood(train, test)
    flow = parquet.read_table("demo/scores.parquet").column("log_prob").to_numpy()
    print("\nLog-likelihood of the held-out rows, nats per row, and the gain over the Gaussian (± standard error)")
    for name, values in (
        ("full-covariance Gaussian", gaussian),
        (f"mixture of {components} Gaussians", mixture),
        ("pushforward", flow),
    ):
        (mean, error), (gain, gain_error) = (mean_and_standard_error(v) for v in (values, values - gaussian))
        print(f"  {name:26} {mean:8.3f} ± {error:.3f}   {gain:+7.3f} ± {gain_error:.3f}")

    print("\n6 of 7: draw a picture of data and samples", flush=True)
    samples = read("samples.parquet")
    corner(train, samples, COLUMNS, "demo/corner.png", title="Ocean surface: data and samples")

    print("\n7 of 7: report on the density, by the rows held out", flush=True)
    pushforward("report", "demo/model.safetensors", "demo/test.parquet", "-o", "demo/report.html")
    files = "model.safetensors, scores.parquet, samples.parquet, corner.png, report.html"
    print(f"\nIn demo/: {files} ({time.monotonic() - start:.0f} s)")


if __name__ == "__main__":
    main()
