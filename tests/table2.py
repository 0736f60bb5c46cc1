"""Table 2 of f-GAN in float64 NumPy, written from the paper.

Reference:
  Nowozin et al., f-GAN, arXiv 1606.00709, Tables 1, 2, 5 and 6.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import lambertw

LOG2 = np.log(2)


class Row(NamedTuple):
  f: Callable  # u = p / q -> f(u)
  slope: Callable  # u -> f'(u)
  activation: Callable  # v -> T = g_f(v)
  conjugate: Callable  # T -> f*(T)
  composed: Callable  # v -> f*(g_f(v)), simplified by hand
  slope_at_1: float  # f'(1)
  domain_end: float = np.inf  # dom f* is everything below


def _jeffreys(t):
  w = lambertw(np.exp(1 - t)).real
  return w + 1 / w + t - 2


TABLE_2 = {
  'kl': Row(
    lambda u: u * np.log(u),
    lambda u: 1 + np.log(u),
    lambda v: v,
    lambda t: np.exp(t - 1),
    lambda v: np.exp(v - 1),
    1.0,
  ),
  'reverse_kl': Row(
    lambda u: -np.log(u),
    lambda u: -1 / u,
    lambda v: -np.exp(-v),
    lambda t: -1 - np.log(-t),
    lambda v: v - 1,
    -1.0,
    0.0,
  ),
  'jeffreys': Row(
    lambda u: (u - 1) * np.log(u),
    lambda u: np.log(u) + 1 - 1 / u,
    lambda v: v,
    _jeffreys,
    _jeffreys,
    0.0,
  ),
  'pearson': Row(
    lambda u: (u - 1) ** 2,
    lambda u: 2 * (u - 1),
    lambda v: v,
    lambda t: t**2 / 4 + t,
    lambda v: v**2 / 4 + v,
    0.0,
  ),
  'neyman': Row(
    lambda u: (1 - u) ** 2 / u,
    lambda u: 1 - u**-2.0,
    lambda v: 1 - np.exp(-v),
    lambda t: 2 - 2 * np.sqrt(1 - t),
    lambda v: 2 - 2 * np.exp(-v / 2),
    0.0,
    1.0,
  ),
  'squared_hellinger': Row(
    lambda u: (np.sqrt(u) - 1) ** 2,
    lambda u: 1 - u**-0.5,
    lambda v: 1 - np.exp(-v),
    lambda t: t / (1 - t),
    lambda v: np.exp(v) - 1,
    0.0,
    1.0,
  ),
  'js': Row(
    lambda u: u * np.log(u) - (u + 1) * np.log((1 + u) / 2),
    lambda u: np.log(2 * u / (1 + u)),
    lambda v: LOG2 - np.logaddexp(0, -v),
    lambda t: -np.log(2 - np.exp(t)),
    lambda v: np.logaddexp(0, v) - LOG2,
    0.0,
    LOG2,
  ),
  'gan': Row(
    lambda u: u * np.log(u) - (u + 1) * np.log(u + 1),
    lambda u: np.log(u / (1 + u)),
    lambda v: -np.logaddexp(0, -v),
    lambda t: -np.log(1 - np.exp(t)),
    lambda v: np.logaddexp(0, v),
    -LOG2,
    0.0,
  ),
}
