"""Games of two numbers in float64 NumPy, with derivatives worked out by hand.

An independent second way to the trajectories that gan_jax's solvers compute;
nothing here uses JAX or gan_jax. Theta is the generator, psi the
discriminator, and t = theta psi is D's output on the fake, less what it says
of the data (1/2 for least squares, 0 else).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


def _sigmoid(t: float) -> float:
  return 1.0 / (1.0 + math.exp(-t))


def _slope_of_sigmoid(t: float) -> float:
  return _sigmoid(t) * _sigmoid(-t)


class Slopes(NamedTuple):
  """First and second derivatives, in t, of what each player minimises."""

  disc: Callable[[float], float]
  disc2: Callable[[float], float]
  gen: Callable[[float], float]
  gen2: Callable[[float], float]


SLOPES = {
  'minimax': Slopes(
    _sigmoid,
    _slope_of_sigmoid,
    lambda t: -_sigmoid(t),
    lambda t: -_slope_of_sigmoid(t),
  ),
  'non_saturating': Slopes(
    _sigmoid,
    _slope_of_sigmoid,
    lambda t: -_sigmoid(-t),
    _slope_of_sigmoid,
  ),
  'least_squares': Slopes(
    lambda t: t + 0.5, lambda t: 1.0, lambda t: t - 0.5, lambda t: 1.0
  ),
  # Both also serve the bilinear game: D minimises t, G minus t.
  'wasserstein': Slopes(
    lambda t: 1.0, lambda t: 0.0, lambda t: -1.0, lambda t: 0.0
  ),
  'hinge': Slopes(
    lambda t: float(t > -1.0), lambda t: 0.0, lambda t: -1.0, lambda t: 0.0
  ),
}


def _zero_centred(psi: float, weight: float) -> tuple[float, float]:
  """Gradient and curvature of weight / 2 psi^2 (r1, r2)."""
  return weight * psi, weight


def _wgan_gp(psi: float, weight: float) -> tuple[float, float]:
  """The same of weight (|psi| - 1)^2."""
  return 2.0 * weight * (psi - np.sign(psi)), 2.0 * weight


PENALTIES = {
  'none': lambda psi, weight: (0.0, 0.0),
  'r1': _zero_centred,
  'r2': _zero_centred,
  'wgan_gp': _wgan_gp,
}


class Setting(NamedTuple):
  """One run: which game, which rates, which solver.

  Attributes:
    loss: a name of `SLOPES`.
    penalty: a name of `PENALTIES`.
    penalty_weight: gamma of r1 and r2, lambda of wgan_gp.
    clip: psi is kept in [-clip, clip].
    rate: h, of both players.
    disc_rate: D's, where it differs.
    unroll_steps: of the unrolled solver.
    consensus_weight: of consensus optimisation.
  """

  loss: str = 'minimax'
  penalty: str = 'none'
  penalty_weight: float = 0.0
  clip: float = math.inf
  rate: float = 0.2
  disc_rate: float | None = None
  unroll_steps: int = 5
  consensus_weight: float = 1.0

  def gradient(self, theta: float, psi: float) -> np.ndarray:
    """What the two players descend: (of theta, of psi)."""
    slopes, t = SLOPES[self.loss], theta * psi
    pull, _ = PENALTIES[self.penalty](psi, self.penalty_weight)
    return np.array([psi * slopes.gen(t), theta * slopes.disc(t) + pull])

  def jacobian(self, theta: float, psi: float) -> np.ndarray:
    """Derivatives of `gradient`: rows of it, columns (theta, psi)."""
    slopes, t = SLOPES[self.loss], theta * psi
    _, curvature = PENALTIES[self.penalty](psi, self.penalty_weight)
    gen, gen2 = slopes.gen(t), slopes.gen2(t)
    disc, disc2 = slopes.disc(t), slopes.disc2(t)
    return np.array(
      [
        [psi**2 * gen2, gen + t * gen2],
        [disc + t * disc2, theta**2 * disc2 + curvature],
      ]
    )

  def move_disc(self, psi: float, gradient: float) -> float:
    """Psi after a descent step."""
    rate = self.rate if self.disc_rate is None else self.disc_rate
    return float(np.clip(psi - rate * gradient, -self.clip, self.clip))

  def move(self, point: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """(theta, psi) after both descend the given gradient."""
    theta = point[0] - self.rate * gradient[0]
    return np.array([theta, self.move_disc(point[1], gradient[1])])

  def unrolled_slope(self, theta: float, psi: float) -> float:
    """D/d theta of G's loss against psi after k updates; without clipping."""
    rate = self.rate if self.disc_rate is None else self.disc_rate
    response = 0.0  # d psi_i / d theta
    for _ in range(self.unroll_steps):
      jacobian = self.jacobian(theta, psi)[1]
      gradient = self.gradient(theta, psi)[1]
      response -= rate * (jacobian[0] + jacobian[1] * response)
      psi -= rate * gradient
    return SLOPES[self.loss].gen(theta * psi) * (psi + theta * response)


def _alternating(setting, point, memory, gen_first):
  def move_gen(point):
    return np.array(
      [point[0] - setting.rate * setting.gradient(*point)[0], point[1]]
    )

  def move_disc(point):
    gradient = setting.gradient(*point)[1]
    return np.array([point[0], setting.move_disc(point[1], gradient)])

  first, second = (move_gen, move_disc) if gen_first else (move_disc, move_gen)
  return second(first(point)), memory


def _simultaneous(setting, point, memory, gen_first):
  return setting.move(point, setting.gradient(*point)), memory


def _extragradient(setting, point, memory, gen_first):
  ahead = setting.move(point, setting.gradient(*point))
  return setting.move(point, setting.gradient(*ahead)), memory


def _optimistic(setting, point, memory, gen_first):
  gradient = setting.gradient(*point)
  before = gradient if memory is None else memory
  return setting.move(point, 2.0 * gradient - before), gradient


def _consensus(setting, point, memory, gen_first):
  gradient = setting.gradient(*point)
  pull = setting.jacobian(*point).T @ gradient
  return setting.move(point, gradient + setting.consensus_weight * pull), memory


def _unrolled(setting, point, memory, gen_first):
  theta, psi = point
  psi = setting.move_disc(psi, setting.gradient(theta, psi)[1])
  slope = setting.unrolled_slope(theta, psi)
  return np.array([theta - setting.rate * slope, psi]), memory


STEPS = {
  'simultaneous': _simultaneous,
  'alternating': _alternating,
  'two_time_scale': _alternating,
  'extragradient': _extragradient,
  'optimistic': _optimistic,
  'consensus': _consensus,
  'unrolled': _unrolled,
}


def trajectory(
  setting: Setting,
  solver: str,
  num_steps: int,
  *,
  theta: float = 1.0,
  psi: float = -1.0,
  gen_first: bool = False,
) -> np.ndarray:
  """(theta, psi) after each step, `[num_steps + 1, 2]`, the start included.

  Args:
    setting: the game and its rates.
    solver: one of `STEPS`.
    num_steps: updates of each player.
    theta: where the generator starts.
    psi: where the discriminator starts.
    gen_first: the order of the alternating solvers; ours is D first.
  """
  point, memory = np.array([theta, psi]), None
  points = [point]
  for _ in range(num_steps):
    point, memory = STEPS[solver](setting, point, memory, gen_first)
    points.append(point)
  return np.array(points)


def local_factor(setting: Setting, solver: str) -> float:
  """By what a step multiplies the distance to (0, 0), in the limit.

  The spectral radius of one step, linearised at the equilibrium.
  """
  jacobian = -setting.jacobian(0.0, 0.0)
  one, h = np.eye(2), setting.rate
  step = {
    'simultaneous': lambda: one + h * jacobian,
    'extragradient': lambda: one + h * jacobian @ (one + h * jacobian),
    'consensus': lambda: (
      one + h * jacobian - h * setting.consensus_weight * jacobian.T @ jacobian
    ),
    'optimistic': lambda: np.block(
      [[one + 2 * h * jacobian, -h * jacobian], [one, 0 * one]]
    ),
  }
  if solver in step:
    matrix = step[solver]()
  else:  # one player after the other: compose the two half-steps
    disc_rate = setting.disc_rate or h
    disc = one + disc_rate * np.diag([0, 1]) @ jacobian
    pull = jacobian
    if solver == 'unrolled':
      pull = jacobian @ _response(setting, jacobian)
    matrix = (one + h * np.diag([1, 0]) @ pull) @ disc
  return float(np.max(np.abs(np.linalg.eigvals(matrix))))


def _response(setting: Setting, jacobian: np.ndarray) -> np.ndarray:
  """What (theta, psi) becomes, to first order, while D looks ahead.

  Also G's slope changes by D's response: both effects are first order.
  """
  look = np.eye(2)
  for _ in range(setting.unroll_steps):
    look = (np.eye(2) + setting.rate * np.diag([0, 1]) @ jacobian) @ look
  # d/d theta [-c theta psi_k] at the origin, psi_k = look (theta, psi):
  # c (psi_k + theta d psi_k / d theta).
  return look + np.array([[0, 0], [look[1, 0], 0]])
