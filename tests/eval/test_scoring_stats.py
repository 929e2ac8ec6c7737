"""Intervals and the paired test against values worked out by hand or printed in the literature."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.scoring.stats import f1, harmonic_mean, mcnemar, rate, wilson


@pytest.mark.parametrize(("count", "low", "high"), [(245, 95.4, 99.1), (225, 85.7, 93.1)])
def test_wilson_at_250_samples(count, low, high):
    interval = wilson(count, 250)
    assert [round(100 * bound, 1) for bound in interval] == [low, high]


def test_wilson_at_the_edges():
    assert wilson(0, 0) is None
    # with no success the upper bound is z²/(n + z²); z² = 3.8415
    assert wilson(0, 10) == (0.0, pytest.approx(3.8415 / 13.8415, abs=1e-4))
    assert wilson(10, 10) == (pytest.approx(10 / 13.8415, abs=1e-4), 1.0)
    # n = 10, p = 1/2: 1/2 ± z·√(1/40 + z²/400) / (1 + z²/10) = 1/2 ± 0.2634
    assert wilson(5, 10) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))


@given(st.integers(1, 2000), st.data())
def test_wilson_holds_the_estimate_and_mirrors(n, data):
    count = data.draw(st.integers(0, n))
    low, high = wilson(count, n)
    assert 0 <= low <= count / n <= high <= 1
    assert wilson(n - count, n) == (pytest.approx(1 - high), pytest.approx(1 - low))


def test_rate():
    assert rate(0, 0) == {"value": None, "count": 0, "n": 0, "low": None, "high": None}
    assert rate(1, 4) == {"value": 0.25, "count": 1, "n": 4, "low": wilson(1, 4)[0], "high": wilson(1, 4)[1]}


def test_harmonic_mean():
    assert harmonic_mean(rate(1, 2), rate(1, 4)) == {
        "value": pytest.approx(1 / 3), "count": None, "n": 6, "low": None, "high": None
    }  # fmt: skip
    assert harmonic_mean(rate(3, 3), rate(2, 2))["value"] == 1.0
    assert harmonic_mean(rate(0, 2), rate(2, 2))["value"] == harmonic_mean(rate(0, 2), rate(0, 2))["value"] == 0.0
    assert harmonic_mean(rate(0, 0), rate(2, 2))["value"] is None


def test_f1():
    scores = f1(2, 4, 2, 5)
    assert (scores["precision"]["value"], scores["recall"]["value"]) == (0.5, 0.4)
    assert scores["f1"] == pytest.approx(4 / 9)  # 2·2 / (4 + 5)
    assert f1(0, 3, 0, 2)["f1"] == 0.0
    assert f1(0, 0, 0, 2)["f1"] == 0.0
    assert f1(0, 0, 0, 0)["f1"] is None


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [
        (0, 0, 1.0),
        (3, 3, 1.0),
        (0, 1, 1.0),
        (0, 5, 2 / 32),
        (1, 5, 2 * (1 + 6) / 64),
        (5, 1, 2 * (1 + 6) / 64),
        (2, 10, 2 * (1 + 12 + 66) / 4096),
        (0, 10, 2 / 1024),
    ],
)
def test_mcnemar_by_hand(only_a, only_b, p):
    assert mcnemar(only_a, only_b) == pytest.approx(p, rel=1e-12)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_tail(only_a, only_b):
    n = only_a + only_b
    tail = sum(comb(n, k) for k in range(min(only_a, only_b) + 1)) / 2**n
    assert mcnemar(only_a, only_b) == pytest.approx(min(1.0, 2 * tail))


def test_mcnemar_on_large_runs():
    assert mcnemar(0, 5000) == 0.0
    assert 0 < mcnemar(2400, 2600) < 0.01
