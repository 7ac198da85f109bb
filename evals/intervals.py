"""Shares with their 95 % intervals, by a bootstrap over cases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES, SEED = 10_000, 20_261_126
Numbers = np.ndarray[Any, np.dtype[np.float64]]
# Maps sums (one row for each resample) to a share for each row; NaN if its denominator is 0.
type Share = Callable[[Numbers], Numbers]


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval. All are None if the denominator is 0."""

    value: float | None
    low: float | None
    high: float | None


def ratio(above: Numbers, below: Numbers) -> Numbers:
    """Divide. The result is NaN where the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)


def interval(counts: Sequence[Sequence[float]], share: Share) -> Interval:
    """Compute a share and its interval.

    Args:
        counts: one row of numbers for each case.
        share: computes the share from sums of such rows.
    """
    if not counts:
        return Interval(None, None, None)
    table = np.array(counts, dtype=float)
    return _summary(share(table.sum(axis=0)[None])[0], share(_resampled(table)))


def paired(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], share: Share) -> Interval:
    """Compute how far the first share is above the second, with the same resamples for both."""
    ours, theirs = np.array(first, dtype=float), np.array(second, dtype=float)
    whole = share(ours.sum(axis=0)[None])[0] - share(theirs.sum(axis=0)[None])[0]
    return _summary(whole, share(_resampled(ours)) - share(_resampled(theirs)))


def _resampled(table: Numbers) -> Numbers:
    """Return the sums of each resample. The fixed seed gives tables of equal length the same resamples."""
    cases = len(table)
    chosen = np.random.default_rng(SEED).integers(0, cases, (RESAMPLES, cases))
    # The number of times each case was drawn, so that one matrix product makes all sums.
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
