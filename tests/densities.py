"""Random densities on a small grid, and float64 to compare them tightly."""

import functools

import jax
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

# One size, so that each function compiles once.
SIZE = 8
# Uneven, increasing.
POSITIONS = np.array([-2.0, -1.5, -0.25, 0.0, 0.5, 1.75, 2.0, 4.0])
# Positive, equal nowhere, far from each other.
P = np.array([0.20, 0.05, 0.10, 0.15, 0.08, 0.12, 0.18, 0.12])
Q = np.array([0.07, 0.11, 0.16, 0.09, 0.21, 0.06, 0.10, 0.20])

many = settings(max_examples=200, deadline=None, derandomize=True)
# Float64 against float64. No value but an exact 0 that is tested with the
# absolute tolerance is below 1e-10.
TIGHT = dict(rtol=1e-9, atol=1e-14)


def densities(*, zeros: bool = False):
  """Float64 masses `[SIZE]`; a fifth of them exactly 0 where asked."""
  cells = st.integers(-25, 99).map(lambda n: max(n, 0))
  weights = cells if zeros else st.integers(1, 99)
  lists = st.lists(weights, min_size=SIZE, max_size=SIZE).filter(any)
  return lists.map(lambda counts: np.array(counts) / sum(counts))


def pairs(*, zeros: bool = False):
  """Pairs (p, q) of `densities`, p = q now and then."""
  one = densities(zeros=zeros)
  return st.one_of(*[st.tuples(one, one)] * 7, one.map(lambda p: (p, p)))


def cell_numbers(count: int = 16):
  """A sample: `count` cells; `np.bincount` of it over `count` is a density."""
  return st.lists(st.integers(0, SIZE - 1), min_size=count, max_size=count).map(
    np.array
  )


def density_of(cells: np.ndarray) -> np.ndarray:
  return np.bincount(cells, minlength=SIZE) / len(cells)


def in_float64(test):
  """Runs a test with 64 bits in JAX; stands below `given`."""

  @functools.wraps(test)
  def wrapped(*args, **kwargs):
    with jax.enable_x64(True):
      return test(*args, **kwargs)

  return wrapped


def central_differences(function, x, step: float = 1e-6) -> np.ndarray:
  """The gradient of a scalar function of an array `[N]`, numerically."""
  moves = step * np.eye(len(x))
  values = jax.vmap(function)
  return (values(x + moves) - values(x - moves)) / (2 * step)


def assert_slopes(function, x) -> None:
  """Autodiff against central differences; to be called with 64 bits."""
  slopes, numeric = jax.jit(
    lambda x: (jax.grad(function)(x), central_differences(function, x))
  )(x)
  # So that the absolute tolerance is under a tenth of every value but 0.
  size = np.abs(slopes)
  assert np.all((size < 1e-12) | (size > 1e-7))
  np.testing.assert_allclose(slopes, numeric, rtol=1e-6, atol=1e-8)


def gaussian(x, mean: float, std: float) -> np.ndarray:
  return np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
