"""Shares with their intervals of 95 %, by a bootstrap over cases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES, SEED = 10_000, 20_261_126
Numbers = np.ndarray[Any, np.dtype[np.float64]]
# A share of sums: from the sums of each resample (a row) to a number; NaN where there is nothing to share.
type Share = Callable[[Numbers], Numbers]


@dataclass(frozen=True)
class Interval:
    """A figure and its interval of 95 %; all None if there is nothing to reckon it from."""

    value: float | None
    low: float | None
    high: float | None


def ratio(above: Numbers, below: Numbers) -> Numbers:
    """Divide; NaN where there is nothing below."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)


def interval(counts: Sequence[Sequence[float]], share: Share) -> Interval:
    """Reckon a share and its interval.

    Args:
        counts: a row of numbers for each case.
        share: from sums of such rows to the share.
    """
    if not counts:
        return Interval(None, None, None)
    table = np.array(counts, dtype=float)
    return _summary(share(table.sum(axis=0)[None])[0], share(_resampled(table)))


def paired(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], share: Share) -> Interval:
    """Reckon how far the first share is above the second, case by case the same resamples."""
    ours, theirs = np.array(first, dtype=float), np.array(second, dtype=float)
    whole = share(ours.sum(axis=0)[None])[0] - share(theirs.sum(axis=0)[None])[0]
    return _summary(whole, share(_resampled(ours)) - share(_resampled(theirs)))


def _resampled(table: Numbers) -> Numbers:
    """Return the sums of each resample. The seed is fixed, so tables of one length get the same ones."""
    cases = len(table)
    chosen = np.random.default_rng(SEED).integers(0, cases, (RESAMPLES, cases))
    # How often each case was drawn, so that one product makes all sums.
    offsets = np.arange(RESAMPLES)[:, None] * cases
    drawn = np.bincount((chosen + offsets).ravel(), minlength=RESAMPLES * cases).reshape(RESAMPLES, cases)
    sums: Numbers = drawn @ table
    return sums


def _summary(whole: float, resampled: Numbers) -> Interval:
    known = resampled[~np.isnan(resampled)]
    if np.isnan(whole) or not len(known):
        return Interval(None, None, None)
    low, high = np.percentile(known, [2.5, 97.5])
    return Interval(round(float(whole), 4), round(float(low), 4), round(float(high), 4))
