"""What is drawn or filled is written as the table wrote it: decimals, signs, zeros before days, capitals, ISO 8601."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from small_fits import small_flows

import pushforward as pf
from pushforward.table_models.imputation import impute
from pushforward.tables import as_json, decode, encode, infer_schema, parse_schema
from pushforward.tables.columns.text_format import Conventions
from pushforward.tables.missing import WRITTEN
from pushforward.tables.number_format import NumberFormat, write_numbers
from pushforward.tables.schema.identifiers import identifiers

GENERATOR = np.random.default_rng(0)
ROWS = 300
SIGNED = GENERATOR.normal(0, 900, ROWS).round(2)
ABOVE = np.abs(SIGNED) + 0.5
MOMENTS = [dt.datetime(2000, 1, 1) + dt.timedelta(minutes=int(k)) for k in GENERATOR.integers(0, 5_000_000, ROWS)]


def around(number, before="", after="", form=",.2f"):
    return f"{'-' if number < 0 else ''}{before}{abs(number):{form}}{after}"


NUMBERS = {
    "cents": [f"{x:.2f}" for x in SIGNED],
    "whole numbers with a zero": [f"{x:.0f}.0" for x in ABOVE],
    "a level with a zero": ["0.50", "1.50", "2.00"] * 100,
    "one value": ["7.50"] * ROWS,
    "dollars": [around(x, "$") for x in SIGNED],
    "dollars before the sign": [f"${x:.2f}" for x in SIGNED],
    "accounts": [f"(${-x:,.2f})" if x < 0 else f"${x:,.2f}" for x in SIGNED],
    "accounts with the dollar outside": [f"$({-x:,.2f})" if x < 0 else f"${x:,.2f}" for x in SIGNED],
    "percent": [f"{x:.1f}%" for x in SIGNED],
    "changes": [f"{x:+.2f}%" for x in SIGNED],
    "plain changes": [f"{x:+.2f}" for x in SIGNED],
    "units": [f"{x:.2f} kg" for x in ABOVE],
    "euros": [f"{x:,.2f} €".translate(str.maketrans(",.", ".,")) for x in ABOVE],
    "decimal commas": [f"{x:.2f}".replace(".", ",") for x in SIGNED],
    "apostrophes": [f"{x:,.2f}".replace(",", "'") for x in 10 * ABOVE],
    "true minus signs": [f"{x:.2f}".replace("-", "\u2212") for x in SIGNED],
    "true minus signs before dollars": [around(x, "$").replace("-", "\u2212") for x in SIGNED],
    "large": [f"${x:,.2f}" for x in 1e9 * np.round(ABOVE)],
    "as short as can be": [f"{float(x):g}" for x in SIGNED.round(1)],
    "cents only where there are some": [f"${x:g}" for x in SIGNED.round(1)],
}
DATES = [
    "%m/%Y", "%-m/%Y", "%-d/%-m/%Y", "%-m/%-d/%Y", "%d.%m.%Y", "%-d.%-m.%Y", "%d-%^b-%Y", "%d-%b-%Y", "%-d %B %Y",
    "%b %-d, %Y", "%-d/%-m/%Y %-H:%M", "%d/%m/%Y %H:%M", "%-I:%M %p", "%-I:%M %P", "%I:%M %P", "%H:%M", "%-H:%M",
    "%Y-%-m", "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%dT%H:%M:%S.250",
]  # fmt: skip


def in_form(moment, form):
    """As the C library writes it, whose flags Python has on some systems only."""
    for directive, value in (("%-d", moment.day), ("%-m", moment.month), ("%-H", moment.hour),
                             ("%-I", (moment.hour + 11) % 12 + 1), ("%^b", f"{moment:%b}".upper()),
                             ("%P", f"{moment:%p}".lower())):  # fmt: skip
        form = form.replace(directive, str(value))
    return moment.strftime(form)


def assert_written_back(texts, **conventions):
    table = pa.table({"x": texts})
    schema = infer_schema(table, source="t.csv", marks=WRITTEN, conventions=Conventions(**conventions))
    codes = encode(table, schema, ["x"], source="t.csv", written=True)
    again = parse_schema(as_json(schema))
    assert again == schema
    written = decode(codes, again, ["x"], as_text=True).column(0)
    assert written.cast(pa.string()).to_pylist() == texts
    return schema["x"]


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers(case):
    assert_written_back(NUMBERS[case])


@pytest.mark.parametrize("form", DATES)
def test_dates_and_times(form):
    assert_written_back([in_form(moment, form) for moment in MOMENTS])


def test_zeros_are_added_and_no_digit_is_lost():
    form = NumberFormat(decimals=2, prefix="$", thousands=",")
    written = write_numbers(pa.array([2408.6, 3.0, 1.125, -0.5, None, 1e15, 1e300]), form).to_pylist()
    assert written == ["$2,408.60", "$3.00", "$1.125", "-$0.50", None, "$1,000,000,000,000,000.00", "$1e+300"]


def test_zeros_that_some_texts_lack_are_not_added():
    for texts in (["2.50", "3.125"], ["1.5", "2.25"], ["2.5", "1.5"]):
        assert infer_schema(pa.table({"x": texts * 50}), source="t")["x"].style is None
    mixed = infer_schema(pa.table({"x": ["3/2006", "03/2007", "11/2008"] * 50}), source="t")["x"]
    assert mixed.format == "%m/%Y"


@pytest.mark.parametrize("form", ["{q}/{y}", "{y}-{q}", "{y}/{q}", "{y}:{q}"])
def test_quarters_that_may_be_months_are_refused_with_the_option_that_decides(form):
    texts = [form.format(q=k % 4 + 1, y=2000 + k // 4) for k in range(40)]
    months, quarters = (form.format(q=part, y="%Y") for part in ("%m", "%q"))
    with pytest.raises(pf.InputError, match="which may be months or quarters; say which with --date-format ") as error:
        infer_schema(pa.table({"x": texts}), source="t")
    assert str(error.value).endswith(f'"{months}" or "{quarters}".')
    by_month = assert_written_back(texts, date_format=months)
    by_quarter = assert_written_back(texts, date_format=quarters)
    assert (by_month.every, by_quarter.every) == (1, 3)


def test_months_are_months_where_a_number_or_a_zero_or_a_single_year_says_so():
    for texts in (["1/2000", "2/2001", "12/2001"], ["01/2000", "04/2001", "02/2002"], ["1/2000", "2/2000", "4/2000"]):
        assert assert_written_back(texts * 40).format in ("%-m/%Y", "%m/%Y")


def test_times_with_a_zone_do_not_name_the_rows():
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%SZ"):
        texts = sorted({moment.strftime(form) for moment in MOMENTS})
        shuffled = GENERATOR.permutation(texts)
        assert identifiers(pa.table({"x": shuffled}), np.arange(len(texts)), len(texts), source="t") == {}
        in_order = identifiers(pa.table({"x": texts}), np.arange(len(texts)), len(texts), source="t")
        assert in_order == {"x": "it is a clock: its times are in the order of the rows"}


def read(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False)


@pytest.mark.slow
@pytest.mark.parametrize("memory", [2**27, 100])
def test_files_are_answered_as_they_are_written(tmp_path, monkeypatch, memory):
    small_flows(monkeypatch)
    monkeypatch.setattr("pushforward.table_models.streamed.LARGEST_IN_MEMORY", memory)
    frame = pd.DataFrame({"plain": GENERATOR.permutation(NUMBERS["cents"]), "price": NUMBERS["dollars"]})
    frame["month"] = [in_form(moment, "%-m/%Y") for moment in MOMENTS]
    frame = frame[:150]
    gaps = frame.mask(GENERATOR.random(frame.shape) < 0.1, "")
    gaps.to_csv(tmp_path / "t.csv", index=False)
    model = pf.fit_table(tmp_path / "t.csv", max_steps=2, progress=False).model
    patterns = {"plain": r"-?\d+\.\d\d", "price": r"-?\$[\d,]+\.\d\d", "month": r"[1-9]\d?/\d{4}"}
    model.sample(tmp_path / "drawn.csv", rows=50, seed=0)
    impute(model, tmp_path / "t.csv", tmp_path / "filled.csv")
    for output in ("drawn", "filled"):
        for name, pattern in patterns.items():
            assert read(tmp_path / f"{output}.csv")[name].str.fullmatch(pattern).all(), (output, name)
    filled = read(tmp_path / "filled.csv")
    assert filled[gaps != ""].equals(gaps[gaps != ""])
    model.score(tmp_path / "t.csv", tmp_path / "scored.csv")
    assert read(tmp_path / "scored.csv")[list(frame)].equals(gaps)
    model.sample(tmp_path / "drawn.parquet", rows=5, seed=0)
    assert pa.parquet.read_schema(tmp_path / "drawn.parquet").field("plain").type == pa.float64()


def test_given_values_stay_the_text_that_they_are(tmp_path, monkeypatch):
    small_flows(monkeypatch)
    given = pd.DataFrame({"a": [f"{x:.3f}" for x in SIGNED], "m": ["3/2006", "03/2007", "11/2008"] * 100})
    (given.assign(y=SIGNED + GENERATOR.normal(size=ROWS))).to_csv(tmp_path / "t.csv", index=False)
    model = pf.fit_table(tmp_path / "t.csv", given=["a", "m"], max_steps=2, progress=False).model
    model.sample(tmp_path / "drawn.csv", given=tmp_path / "t.csv", seed=0)
    assert read(tmp_path / "drawn.csv")[["a", "m"]].equals(given)
