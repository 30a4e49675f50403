"""Make coads.parquet: a random subset of the COADS ocean-surface climatology that comes with Ferret.

    python make_data.py                         # fetches Debian's package ferret-datasets with apt-get download
    python make_data.py --deb FILE.deb          # the package is here already
    python make_data.py --netcdf FILE.cdf       # so is the netCDF file inside it

Nothing is installed. The same rows in the same order come out every time.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.io import netcdf_file

PACKAGE = "ferret-datasets"
MEMBER = "./usr/share/ferret-vis/data/coads_climatology.cdf"
SHA256 = "b94f55034d13d63f33e2153afddc0c5e00347076c35ab3e34937aec38ce9c4c1"

SEED = 0
ROWS = 40_000  # as many thousands as fit into one megabyte

# column, variable in the source, unit, meaning
PHYSICAL = (
    ("sea_temperature", "SST", "degC", "sea surface temperature"),
    ("air_temperature", "AIRT", "degC", "air temperature"),
    ("specific_humidity", "SPEH", "g/kg", "specific humidity of the air"),
    ("wind_speed", "WSPD", "m/s", "mean wind speed"),
    ("wind_u", "UWND", "m/s", "mean zonal wind (toward the east)"),
    ("wind_v", "VWND", "m/s", "mean meridional wind (toward the north)"),
    ("pressure", "SLP", "hPa", "sea level pressure"),
)


def netcdf_from_package(package: Path) -> bytes:
    """Return the climatology's bytes out of a .deb file."""
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as archive:
        member = archive.extractfile(MEMBER)
        if member is None:
            raise SystemExit(f"{package} holds no file {MEMBER}.")
        return member.read()


def download() -> bytes:
    """Fetch the package into a temporary directory and return the climatology's bytes."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["apt-get", "download", PACKAGE], cwd=directory, check=True)
        (package,) = Path(directory).glob("*.deb")
        return netcdf_from_package(package)


def complete_cells(content: bytes) -> pa.Table:
    """Return every month and grid cell in which all seven variables are known, in the source's order."""
    with netcdf_file(io.BytesIO(content), mmap=False) as source:
        values = np.stack([source.variables[name].data for _, name, _, _ in PHYSICAL], axis=-1).astype(np.float32)
        latitudes = source.variables["COADSY"].data.astype(np.float32)
        # The source counts 21 .. 379 degrees east.
        longitudes = ((source.variables["COADSX"].data + 180.0) % 360.0 - 180.0).astype(np.float32)
    month, row, column = np.nonzero((np.abs(values) < 1e9).all(axis=-1))
    known = values[month, row, column]

    columns = {
        "month": ((month + 1).astype(np.int8), "TIME", "1", "month of the year, 1 = January"),
        "latitude": (latitudes[row], "COADSY", "degrees_north", "center of the grid cell"),
        "longitude": (longitudes[column], "COADSX", "degrees_east", "center of the grid cell, -180 .. 180"),
    }
    for index, (name, variable, unit, meaning) in enumerate(PHYSICAL):
        columns[name] = (np.ascontiguousarray(known[:, index]), variable, unit, meaning)
    fields = [
        pa.field(name, pa.from_numpy_dtype(array.dtype), nullable=False).with_metadata(
            {"unit": unit, "description": meaning, "source_variable": variable}
        )
        for name, (array, variable, unit, meaning) in columns.items()
    ]
    return pa.table([array for array, *_ in columns.values()], schema=pa.schema(fields))


def random_subset(table: pa.Table, rows: int, seed: int) -> pa.Table:
    """Return that many rows without replacement, in random order."""
    # The raw stream of a bit generator never changes between NumPy versions; Generator.permutation may.
    keys = np.random.PCG64(seed).random_raw(table.num_rows)
    return table.take(np.argsort(keys, kind="stable")[:rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--deb", type=Path, help="the package ferret-datasets, downloaded before")
    source.add_argument("--netcdf", type=Path, help="coads_climatology.cdf, unpacked before")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("coads.parquet"), help="file to write")
    arguments = parser.parse_args()

    if arguments.netcdf:
        content = arguments.netcdf.read_bytes()
    elif arguments.deb:
        content = netcdf_from_package(arguments.deb)
    else:
        content = download()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        sys.exit(f"This is not the expected coads_climatology.cdf: its SHA-256 is {digest}, not {SHA256}.")

    cells = complete_cells(content)
    table = random_subset(cells, ROWS, SEED)
    physical = [name for name, *_ in PHYSICAL]
    pq.write_table(
        table,
        arguments.out,
        compression="zstd",
        compression_level=19,
        # Bytes of equal significance side by side: a tenth smaller for the measured columns.
        use_dictionary=["month", "latitude", "longitude"],
        column_encoding=dict.fromkeys(physical, "BYTE_STREAM_SPLIT"),
    )
    written = arguments.out.read_bytes()
    print(f"{arguments.out}: {table.num_rows} of {cells.num_rows} rows, {len(written)} bytes")
    print(f"SHA-256 {hashlib.sha256(written).hexdigest()}")


if __name__ == "__main__":
    main()
