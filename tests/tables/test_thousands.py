"""Points between thousands are told from decimals where the numbers tell, and are refused where they do not."""

import numpy as np
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.tables import decode, encode, infer_schema
from pushforward.tables.columns.text_format import Conventions

GENERATOR = np.random.default_rng(0)
AMOUNTS = np.exp(GENERATOR.normal(7, 1.5, 300)).astype(int)
LENGTHS = GENERATOR.uniform(1, 900, 300)


def points(number):
    return f"{number:,}".replace(",", ".")


def learned(texts, **conventions):
    return infer_schema(pa.table({"x": texts}), source="t.csv", conventions=Conventions(**conventions))["x"]


def numbers_of(texts, column):
    return encode(pa.table({"x": texts}), {"x": column}, ["x"], source="t.csv")[:, 0]


@pytest.mark.parametrize("dress", ["{}", "€ {}", "{} EUR", "{} kg", "-{}"])
def test_points_beside_numbers_below_1000_stand_between_thousands(dress):
    texts = [dress.format(points(number)) for number in AMOUNTS]
    column = learned(texts)
    assert "points between thousands" in column.describe_all()
    codes = numbers_of(texts, column)
    np.testing.assert_array_equal(codes, -AMOUNTS if dress == "-{}" else AMOUNTS)
    assert decode(codes[:, None], {"x": column}, ["x"])["x"].to_pylist() == texts


@pytest.mark.parametrize("dress", ["{}", "€ {}"])
def test_points_that_nothing_decides_about_are_refused_with_the_option_that_does(dress):
    # Decimals without zeros at the end would be written so, too.
    texts = [dress.format(points(number)) for number in AMOUNTS if number < 1000 or number % 10]
    with pytest.raises(pf.InputError, match=r'numbers such as ".*\..*", whose point may .* --decimal, "\." or ","\.$'):
        learned(texts)
    whole = [number for number in AMOUNTS if number < 1000 or number % 10]
    np.testing.assert_array_equal(numbers_of(texts, learned(texts, decimal=",")), whole)
    as_decimals = [number if number < 1000 else number / 1000 for number in whole]
    np.testing.assert_allclose(numbers_of(texts, learned(texts, decimal=".")), as_decimals, rtol=1e-15)


def test_small_whole_numbers_are_no_sign_of_thousands():
    with pytest.raises(pf.InputError, match="whose point may stand"):
        learned(["1", "1.250", "2", "2.375", "3.500", "12"] * 20)


@pytest.mark.parametrize("dress", ["€{}", "{} €", "USD {}", "CHF {}"])
def test_money_with_three_digits_behind_every_point_is_refused(dress):
    texts = [dress.format(points(number)) for number in AMOUNTS if number > 999]
    with pytest.raises(pf.InputError, match="whose point may stand between thousands or before decimals"):
        learned(texts)


DECIMALS = {
    "three digits": [f"{x:.3f}" for x in LENGTHS],
    "three digits and a unit": [f"{x:.3f} kg" for x in LENGTHS],
    "three digits beside a mark": ["-999" if k % 9 else f"{x:.3f}" for k, x in enumerate(LENGTHS)],
    "zeros left out": [str(round(x, 3)) for x in LENGTHS],
    "below one": [f"{x / 900:.3f}" for x in LENGTHS],
    "below one, with a currency": [f"€{x / 100:.3f}" for x in LENGTHS],
    "whole numbers above 1000": [f"{x:.3f}" if k % 2 else str(round(9 * x)) for k, x in enumerate(LENGTHS)],
    "another number of digits": [*(str(k) for k in range(400, 500)), "1.669", "12.25"],
    "a zero before the point": [*(str(k) for k in range(400, 500)), "0.669", "12.250"],
}


@pytest.mark.parametrize("case", DECIMALS)
def test_decimals_stay_decimals(case):
    texts = DECIMALS[case]
    expected = [float(text.removeprefix("€").removesuffix(" kg")) for text in texts]
    np.testing.assert_array_equal(numbers_of(texts, learned(texts)), expected)


def test_whole_numbers_below_1000_are_whole_numbers():
    assert learned([str(number % 997) for number in AMOUNTS]).format is None


@pytest.mark.parametrize("decided", [True, False])
def test_a_csv_is_read_so(tmp_path, decided):
    texts = [points(number) for number in AMOUNTS if decided or number < 1000 or number % 10]
    other = GENERATOR.normal(size=len(texts))
    lines = "\n".join(f"{text},{x:.3f}" for text, x in zip(texts, other, strict=True))
    (tmp_path / "t.csv").write_text(f"amount,x\n{lines}\n")
    said = []
    options = {"max_steps": 2, "progress": False, "announce": said.append}
    if not decided:
        with pytest.raises(pf.InputError, match=r'column "amount" of .*t.csv holds numbers .* with --decimal'):
            pf.fit_table(tmp_path / "t.csv", **options)
        return
    model = pf.fit_table(tmp_path / "t.csv", **options).model
    assert "numbers with points between thousands" in "\n".join(said)
    model.sample(tmp_path / "drawn.csv", rows=20, seed=0)
    assert "," not in (tmp_path / "drawn.csv").read_text().split("\n")[1].split(",")[0]
