"""Kernel inception distance: an unbiased squared MMD with a cubic kernel.

Reference:
  Binkowski et al., Demystifying MMD GANs, arXiv 1801.01401, section 4:
  k(x, y) = (x.y / D + 1)^3, unbiased estimator averaged over subsets.
"""

from typing import NamedTuple

import numpy as np

from gan_jax.types import InputError


class KernelDistance(NamedTuple):
  """KID over subsets.

  Attributes:
    value: mean over subsets; unbiased, so it may be negative.
    standard_deviation: over subsets, what torch-fidelity prints after +-.
      It is not the error of the mean: subsets overlap.
    standard_error: of `value` as an estimate for the distributions.
    num_subsets: how many.
    subset_size: vectors from each set in one.
  """

  value: float
  standard_deviation: float
  standard_error: float
  num_subsets: int
  subset_size: int


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """k(x, y) = (x.y / D + 1)^3 of `[N, D]` and `[M, D]`: `[N, M]`."""
  return (x @ y.T / x.shape[1] + 1.0) ** 3


def kernel_distance(
  real: np.ndarray,
  fake: np.ndarray,
  *,
  num_subsets: int = 100,
  subset_size: int = 1_000,
  seed: int = 2020,
) -> KernelDistance:
  """KID of two sets of features, float64.

  Subsets are drawn without replacement, as torch-fidelity draws them, so that
  both give the same digits.

  The standard error adds two parts: the first-order variance of a two-sample
  U-statistic, 4 Var(h(x)) / N + 4 Var(h(y)) / M with h the row means of the
  witness function, for the finite sets; and the spread over subsets divided
  by their number, for taking subsets. Where the distributions are equal the
  first-order variance vanishes and what is estimated of it is sampling noise:
  the error is then on the safe side.

  Args:
    real: `[N, D]`.
    fake: `[M, D]`.
    num_subsets: how many.
    subset_size: vectors of each set in a subset, at least 2.
    seed: of the subsets.

  Raises:
    InputError: a subset is larger than a set.

  Reference:
    Bounliphone et al., A Test of Relative Similarity for Model Selection in
    Generative Models, arXiv 1511.04581, section 2, for the variance.
  """
  for name, features in (('real', real), ('generated', fake)):
    if not 2 <= subset_size <= len(features):
      raise InputError(
        f'eval.kid_subset_size: {subset_size} is not between 2 and the '
        f'{len(features)} {name} images'
      )
  # The legacy generator, because torch-fidelity's subsets come from it.
  generator = np.random.RandomState(seed)
  m = subset_size
  distances, variances = [], []
  for _ in range(num_subsets):
    # In torch-fidelity's order: its first input is the generated set.
    y = fake[generator.choice(len(fake), m, replace=False)].astype(np.float64)
    x = real[generator.choice(len(real), m, replace=False)].astype(np.float64)
    kernels = polynomial_kernel(x, x), polynomial_kernel(y, y)
    cross = polynomial_kernel(x, y)
    within = [
      (k.sum(axis=1) - np.diagonal(k)) / (m - 1) for k in kernels
    ]  # [m] each: mean kernel to the others of one's own set
    distances.append(sum(w.mean() for w in within) - 2.0 * cross.mean())
    witness = within[0] - cross.mean(axis=1), within[1] - cross.mean(axis=0)
    variances.append([4.0 * np.var(h, ddof=1) for h in witness])
  of_real, of_fake = np.mean(variances, axis=0)
  spread = float(np.std(distances))
  error = of_real / len(real) + of_fake / len(fake) + spread**2 / num_subsets
  return KernelDistance(
    float(np.mean(distances)),
    spread,
    float(np.sqrt(error)),
    num_subsets,
    subset_size,
  )
