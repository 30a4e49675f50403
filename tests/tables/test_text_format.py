"""Numbers and dates in dress are read as what they are, the same way ever after; ambiguous ones are refused."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.tables import as_json, decode, encode, infer_schema, parse_schema
from pushforward.tables.columns.text_format import Conventions

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(50, 12, 300).round(1)
WHOLE = np.exp(GENERATOR.normal(7, 1, 300)).round().astype(int)
SIGNED = GENERATOR.integers(-500, 500, 300)
DAYS = [dt.date(2022, 1, 1) + dt.timedelta(days=int(k)) for k in GENERATOR.integers(0, 700, 300)]
MINUTES = GENERATOR.integers(0, 1440, 300)


def grouped(number, mark):
    return f"{number:,}".replace(",", mark)


def euros(number):
    return f"€ {number:,.2f}".translate(str.maketrans(",.", ".,"))


# The texts, their numbers, and what the line says.
NUMBERS = {
    "percent": ([f"{x}%" for x in X], X, 'numbers with "%" after them'),
    "percent with a space": ([f"{x} %" for x in X], X, 'numbers with "%" after them'),
    "dollars": (
        [f"${n:,}" for n in WHOLE],
        WHOLE,
        'numbers with "$" before them and commas between thousands',
    ),
    "negative dollars": ([f"-${-n}" if n < 0 else f"${n}" for n in SIGNED], SIGNED, 'numbers with "$" before them'),
    "euros": (
        [euros(n / 4) for n in WHOLE],
        WHOLE / 4,
        'numbers with "€" before them, points between thousands and a decimal comma',
    ),
    "codes of currency": ([f"{n} CHF" for n in WHOLE], WHOLE, 'numbers with "CHF" after them'),
    "unit": ([f"{x} kg" for x in X], X, 'numbers with "kg" after them'),
    "unit with a power": ([f"{x} m/s²" for x in X], X, 'numbers with "m/s²" after them'),
    "degrees": ([f"{n} °C" for n in SIGNED], SIGNED, 'numbers with "°C" after them'),
    "a true minus sign": ([f"{n}%".replace("-", "\u2212") for n in SIGNED], SIGNED, 'numbers with "%" after them'),
    "commas between thousands": ([f"{n:,.1f}" for n in 5 * WHOLE], 5 * WHOLE, "numbers with commas between thousands"),
    "spaces": ([grouped(n, " ") for n in WHOLE], WHOLE, "numbers with spaces between thousands"),
    "thin spaces": ([grouped(n, "\u202f") for n in WHOLE], WHOLE, "numbers with spaces between thousands"),
    "apostrophes": ([grouped(n, "'") for n in WHOLE], WHOLE, "numbers with apostrophes between thousands"),
    "decimal commas": ([str(x).replace(".", ",") for x in X], X, "numbers with a decimal comma"),
    "accounts": (
        [f"({-n})" if n < 0 else str(n) for n in SIGNED],
        SIGNED,
        "numbers with parentheses around negative ones",
    ),
    "gaps": ([f"{x}%" if k % 5 else None for k, x in enumerate(X)], np.where(np.arange(300) % 5, X, np.nan), "%"),
}


def table_of(texts):
    return pa.table({"x": pa.array(texts)})


def learned(texts, **conventions):
    return infer_schema(table_of(texts), source="t", conventions=Conventions(**conventions))


def assert_round_trip(texts, schema, codes):
    """Draws are written in the dress, in which they are read again; and the schema is plain JSON."""
    drawn = decode(codes, schema, ["x"])
    assert drawn.schema.field(0).type == schema["x"].written_type
    np.testing.assert_array_equal(encode(drawn, schema, ["x"], source="t"), codes)
    assert parse_schema(json.loads(json.dumps(as_json(schema)))) == schema


@pytest.mark.parametrize("case", NUMBERS)
def test_dressed_numbers(case):
    texts, numbers, words = NUMBERS[case]
    schema = learned(texts)
    assert schema["x"].numeric and words in schema["x"].describe_all()
    codes = encode(table_of(texts), schema, ["x"], source="t")
    np.testing.assert_array_equal(codes[:, 0], numbers)
    assert_round_trip(texts, schema, codes)
    # Numbers that are typed stay as they are.
    np.testing.assert_array_equal(encode(pa.table({"x": numbers}), schema, ["x"], source="t")[:, 0], numbers)
    with pytest.raises(pf.InputError, match='holds the text "12 stones" in row 2, where numbers with'):
        encode(table_of([texts[1], "12 stones"]), schema, ["x"], source="t")


# The texts of days, or of minutes after midnight.
DATES = {
    "day first": "%d/%m/%Y", "month first": "%m/%d/%Y", "points": "%d.%m.%Y", "month names": "%b %d, %Y",
    "long names": "%d %B %Y", "short years": "%d-%b-%y", "year first": "%Y/%m/%d", "compact": "%Y%m%d",
    "with a time": "%d/%m/%Y %H:%M",
}  # fmt: skip


@pytest.mark.parametrize("case", DATES)
def test_dates(case):
    form = DATES[case]
    texts = [day.strftime(form) for day in DAYS]
    schema = learned(texts)
    assert schema["x"].kind == "date-time" and schema["x"].format == form and schema["x"].step == "day"
    assert f'dates written "{form}"' in schema["x"].describe_all()
    codes = encode(table_of(texts), schema, ["x"], source="t")
    assert [schema["x"].origin + code for code in codes[:, 0]] == [day.toordinal() - 719163 for day in DAYS]
    assert_round_trip(texts, schema, codes)
    drawn = decode(codes, schema, ["x"]).column(0).to_pylist()
    assert drawn == ([int(text) for text in texts] if form == "%Y%m%d" else texts)
    np.testing.assert_array_equal(encode(pa.table({"x": DAYS}), schema, ["x"], source="t"), codes)


def test_compact_dates_as_whole_numbers():
    numbers = [int(day.strftime("%Y%m%d")) for day in DAYS]
    schema = learned(numbers)
    assert schema["x"].format == "%Y%m%d" and schema["x"].date
    codes = encode(table_of(numbers), schema, ["x"], source="t")
    assert decode(codes, schema, ["x"]).column(0).to_pylist() == numbers


@pytest.mark.parametrize("numbers", [[20220101, 20220132], [20220101, 20221301], [17760704, 18121225], [1, 20220101]])
def test_other_numbers_of_eight_digits_are_numbers(numbers):
    assert learned(numbers * 50)["x"].kind == "integer"
    assert learned([str(number) for number in numbers] * 50)["x"].kind == "integer"


@pytest.mark.parametrize("form", ["%H:%M", "%I:%M %p", "%H:%M:%S"])
def test_times_of_day(form):
    texts = [dt.time(*divmod(int(minute), 60)).strftime(form) for minute in MINUTES]
    schema = learned(texts)
    assert schema["x"].describe().startswith("periodic, 86400 from 0")
    assert "times of day, in seconds after midnight" in schema["x"].describe_all()
    codes = encode(table_of(texts), schema, ["x"], source="t")
    np.testing.assert_array_equal(codes[:, 0], 60 * MINUTES)
    assert_round_trip(texts, schema, codes)


def test_no_dates_of_the_calendar_are_no_dates():
    assert learned(["30/02/2022", "31/01/2022"] * 50)["x"].kind == "category"


def test_a_comma_that_may_be_either_is_refused_with_the_option_that_decides():
    texts = [f"{k // 1000},{k % 1000}" for k in range(1111, 9000, 111) if k % 1000 > 99]
    with pytest.raises(pf.InputError, match=r'of t holds numbers such as "1,111".* with --decimal, "\." or ","\.$'):
        learned(texts)
    with pytest.raises(pf.InputError, match=r'with decimal=, "\." or ","\.$'):
        infer_schema(table_of(texts), source="the table")
    for decimal, unit in ((".", 1000), (",", 1)):
        codes = encode(table_of(texts), learned(texts, decimal=decimal), ["x"], source="t")[:, 0]
        np.testing.assert_allclose(codes, [unit * float(text.replace(",", ".")) for text in texts], rtol=1e-15)


def test_days_that_may_be_months_are_refused_with_the_option_that_decides():
    texts = ["02/03/2022", "05/11/2022"]
    with pytest.raises(pf.InputError, match='--date-format "%d/%m/%Y" or "%m/%d/%Y"'):
        learned(texts * 100)
    with pytest.raises(pf.InputError, match="date_format="):
        infer_schema(table_of(texts * 100), source="the table")
    for form, days in (
        ("%d/%m/%Y", [dt.date(2022, 3, 2), dt.date(2022, 11, 5)]),
        ("%m/%d/%Y", [dt.date(2022, 2, 3), dt.date(2022, 5, 11)]),
    ):
        codes = encode(table_of(texts), learned(texts * 100, date_format=form), ["x"], source="t")[:, 0]
        assert np.diff(codes) == (days[1] - days[0]).days


def test_what_decides_a_comma():
    assert learned(["1,230", "612", "45,118"] * 50)["x"].format.thousands == ","
    assert learned(["1,234", "1,234,567"] * 50)["x"].format.thousands == ","
    assert learned(["0,123", "5,678"] * 50)["x"].format.decimal == ","
    assert learned(["1.234", "5.678"] * 50)["x"].format is None
    assert learned(["1.234", "5.678"] * 50, decimal=",")["x"].format.thousands == "."


@pytest.mark.parametrize("conventions", [{"decimal": ";"}, {"date_format": "%Q"}, {"date_format": "day"}])
def test_unknown_conventions_are_refused(conventions):
    with pytest.raises(pf.InputError, match=r"decimal mark must be|is not known"):
        Conventions(**conventions)


@pytest.mark.parametrize("texts", [[f"{x}" for x in X], [f"{x} kg" for x in X], [f"{d:%d.%m.%Y}" for d in DAYS]])
@pytest.mark.parametrize("share", [0.05, 0.6])
def test_marks_of_missing_values_are_named(texts, share):
    marked = ["?" if GENERATOR.random() < share else text for text in texts]
    with pytest.raises(pf.InputError, match=r'the text "\?" in row .* --missing "\?"'):
        learned(marked)


def test_hundreds_of_levels_that_look_like_numbers_never_pass():
    texts = [f"{x} kg" if k % 2 else f"{x}".replace(".", ",") for k, x in enumerate(np.tile(X[:100], 6))]
    with pytest.raises(pf.InputError, match="look like numbers or dates"):
        learned(texts)
    assert infer_schema(table_of(texts), parse_schema({"x": "category"}), source="t")["x"].kind == "category"
    assert learned([f"E{k:02d}.{k % 10}" for k in range(90)] * 5)["x"].kind == "category"


IN_DRESS = {
    "ranges": [f"{k}-{k + 9}" for k in range(0, 3000, 10)],
    "ranges with dashes": [f"{k} – {k + 4}" for k in range(0, 1500, 5)],
    "sums": [f"{a}+{b}" for a in range(20) for b in range(15)],
    "about": [f"ca. {k}" for k in range(300)],
    "about, in words": [f"about {k}" for k in range(300)],
    "currencies on both sides": [f"EUR {k}" if k % 2 else f"{k} EUR" for k in range(300)],
    "errors": [f"{k / 10}±{k % 7 / 10}" for k in range(300)],
    "exponents with commas": [f"{1 + k / 100:.2f}e+0{k % 3}".replace(".", ",") for k in range(300)],
    "sizes": [f"{a}x{b}" for a in range(10, 30) for b in range(10, 25)],
    "feet and inches": [f"{4 + k // 12}'{k % 12}\"" for k in range(235)],
    "hours": [f"{k // 60}h{k % 60:02d}" for k in range(400)],
}
STREETS = ["Main Street", "Oak Avenue", "Elm", "Church Road", "Mill Lane", "Park", "Hill Street", "Lake Drive"]
NAMES = {
    "house numbers": [f"{k} {street}" for k in range(1, 41) for street in STREETS],
    "house numbers behind": [f"{street} {k}" for k in range(1, 41) for street in STREETS],
    "aircraft": [f"Boeing {k}" for k in range(700, 1000)],
    "stars": [f"HD {k}" for k in range(1000, 1300)],
    "diagnoses": [f"E{k:02d}.{k % 10}" for k in range(90)],
    "rooms": [f"R{k}" for k in range(100, 400)],
    "site codes": [f"{GENERATOR.integers(1000, 9999)}-{k:04d}" for k in range(300)],
    "digests": [f"{GENERATOR.integers(0, 2**48):012x}" for _ in range(300)],
    "codes of digits": [f"{k:05d}" for k in range(300)],
}


@pytest.mark.parametrize("case", IN_DRESS)
def test_hundreds_of_levels_that_are_numbers_in_an_unknown_dress_never_pass(case):
    with pytest.raises(pf.InputError, match="look like numbers or dates"):
        learned(IN_DRESS[case] * 5)
    declared = parse_schema({"x": "category"})
    assert infer_schema(table_of(IN_DRESS[case] * 5), declared, source="t")["x"].kind == "category"


@pytest.mark.parametrize("case", NAMES)
def test_hundreds_of_names_with_numbers_are_levels(case):
    assert learned(NAMES[case] * 5)["x"].kind == "category"


def test_levels_that_only_begin_alike_stay_levels():
    for levels in (["site1", "site2"], ["Q1", "Q2"], ["A-12", "A-13"], ["1st", "2nd", "3rd"], ["4021-03", "1177-12"]):
        assert learned(levels * 50)["x"].kind == "category"


def test_a_declared_format_is_used():
    declared = parse_schema(
        {
            "x": {"kind": "continuous", "format": {"decimal": ",", "suffix": " kg"}},
            "y": {"kind": "date-time", "format": "%d/%m/%Y"},
        }
    )
    table = pa.table({"x": ["1,5 kg", "2,250 kg"] * 20, "y": ["02/03/2022", "05/11/2022"] * 20})
    schema = infer_schema(table, declared, source="t")
    codes = encode(table, schema, ["x", "y"], source="t")
    assert codes[:2].tolist() == [[1.5, 0], [2.25, 248]]
    with pytest.raises(pf.InputError, match="date format"):
        parse_schema({"x": {"kind": "date-time", "format": "%Q"}})


@pytest.mark.slow
def test_files_are_fitted_scored_sampled_and_imputed_in_their_dress(tmp_path):
    noise = GENERATOR.normal(size=300)
    price = [f"${n:,}" if k % 9 else "" for k, n in enumerate(WHOLE)]
    frame = pd.DataFrame({"price": price, "day": [f"{d:%d.%m.%Y}" for d in DAYS], "x": noise})
    frame.to_csv(tmp_path / "t.csv", index=False)
    said = []
    model = pf.fit_table(tmp_path / "t.csv", max_steps=2, progress=False, announce=said.append).model
    assert 'numbers with "$" before them and commas between thousands' in "\n".join(said)
    model.save(tmp_path / "m.safetensors")
    model = pf.TableModel.load(tmp_path / "m.safetensors")
    model.score(tmp_path / "t.csv", tmp_path / "scored.csv")
    assert pd.read_csv(tmp_path / "scored.csv", keep_default_na=False)["price"].tolist() == price
    model.sample(tmp_path / "drawn.csv", rows=30, seed=0)
    drawn = pd.read_csv(tmp_path / "drawn.csv")
    assert drawn["price"].str.startswith("$").all() and drawn["day"].str.fullmatch(r"\d\d\.\d\d\.\d{4}").all()
    model.score(tmp_path / "drawn.csv", tmp_path / "again.csv")
    from pushforward.table_models.imputation import impute

    impute(model, tmp_path / "t.csv", tmp_path / "whole.csv")
    whole = pd.read_csv(tmp_path / "whole.csv")["price"]
    assert whole.str.fullmatch(r"-?\$[0-9,.]+").all()
    assert [text for text, before in zip(whole, price, strict=True) if before] == [text for text in price if text]
