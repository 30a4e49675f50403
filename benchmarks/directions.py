"""Both directions of every textbook flow: round trips, and the cost of the slow direction.

    python benchmarks/directions.py

For each flow, with random parameters, as after training: the largest error of f⁻¹(f(z)) against z,
scaled by 1 + |z|, in float32 and float64; the time of the slower direction over that of the quicker; and the same for a
value together with its gradient to all parameters. Medians, taken in turn. Writes benchmarks/directions.md and .json.
"""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from machine import machine

import pushforward as pf

HERE = Path(__file__).parent
REPETITIONS = 15
BATCH = 512
FLOWS: dict[str, Callable[[], pf.Flow]] = {
    "planar, D = 2, 32 layers": lambda: pf.planar(2, layers=32),
    "planar, D = 63, 8 layers": lambda: pf.planar(63, layers=8),
    "radial, D = 2, 32 layers": lambda: pf.radial(2, layers=32),
    "sylvester, D = 63, 4 layers": lambda: pf.sylvester(63, layers=4),
    "nice, D = 63": lambda: pf.nice(63, hidden=(256, 256)),
    "realnvp, D = 63": lambda: pf.realnvp(63, hidden=(256, 256)),
    "maf, D = 63": lambda: pf.maf(63, hidden=(512, 512)),
    "iaf, D = 63": lambda: pf.iaf(63, hidden=(512, 512)),
}


def lively(flow: pf.Flow) -> pf.Flow:
    """Move every parameter away from where it started."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1 / max(1, parameter[0].numel()) ** 0.5)
    return flow


def round_trip(flow: pf.Flow, dtype: torch.dtype) -> float:
    """Largest |f⁻¹(f(z)) - z| / (1 + |z|) over 4,096 draws."""
    flow = flow.to(dtype)
    z = torch.randn(4096, flow.features, dtype=dtype, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        back = flow.to_latent(flow.to_data(z))
    return float(((back - z).abs() / (1 + z.abs())).max())


def seconds(*functions: Callable[[], object]) -> list[float]:
    """The median time of each function, taken in turn."""
    times: list[list[float]] = [[] for _ in functions]
    for repetition in range(REPETITIONS + 3):
        for function, seen in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            if repetition >= 3:
                seen.append(time.perf_counter() - start)
    return [statistics.median(seen) for seen in times]


def costs(flow: pf.Flow) -> tuple[list[float], list[float]]:
    """Times of the directions to data and to latents, alone and with gradients."""
    z = torch.randn(BATCH, flow.features)
    with torch.no_grad():
        x = flow.to_data(z)

    def run(direction: Callable, value: torch.Tensor) -> Callable[[], None]:
        @torch.no_grad()
        def alone() -> None:
            direction(value)

        return alone

    def with_gradient(direction: Callable, value: torch.Tensor) -> Callable[[], None]:
        def both() -> None:
            flow.zero_grad()
            out, log_det = direction(value)
            (out.square().sum() + log_det.sum()).backward()

        return both

    forward, inverse = flow.bijection.forward, flow.bijection.inverse
    return (
        seconds(run(forward, z), run(inverse, x)),
        seconds(with_gradient(forward, z), with_gradient(inverse, x)),
    )


def main() -> None:
    """Measure and write."""
    rows = []
    for name, build in FLOWS.items():
        torch.manual_seed(0)
        flow = lively(build())
        alone, trained = costs(flow)
        errors = [round_trip(flow, dtype) for dtype in (torch.float32, torch.float64)]
        rows.append({"flow": name, "alone": alone, "with_gradient": trained, "round_trip": errors})
        print(name, rows[-1], flush=True)
    lines = [
        f"| flow, batch {BATCH} | to data, ms | to latents, ms | ratio | with gradients, ms | ratio "
        "| round trip float32 | float64 |",
        "|---" * 8 + "|",
    ]
    for row in rows:
        (to_data, to_latents), (data_gradient, latent_gradient) = row["alone"], row["with_gradient"]
        lines.append(
            f"| {row['flow']} | {to_data * 1e3:.2f} | {to_latents * 1e3:.2f} "
            f"| {max(row['alone']) / min(row['alone']):.2f} "
            f"| {data_gradient * 1e3:.2f} and {latent_gradient * 1e3:.2f} "
            f"| {max(row['with_gradient']) / min(row['with_gradient']):.2f} "
            f"| {row['round_trip'][0]:.1e} | {row['round_trip'][1]:.1e} |"
        )
    lines += ["", f"{machine()}, torch {torch.__version__}."]
    (HERE / "directions.md").write_text("\n".join(lines) + "\n")
    (HERE / "directions.json").write_text(
        json.dumps({"machine": machine(), "torch": torch.__version__, "rows": rows}, indent=1) + "\n"
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
