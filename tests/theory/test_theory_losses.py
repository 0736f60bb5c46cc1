"""What each adversarial loss measures at its optimum, and the way to it."""

import chex
import jax
import numpy as np
import pytest
from absl.testing import parameterized
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr

from gan_jax.losses import make_loss
from gan_jax.theory.value import (
  expected_loss,
  optimal_disc_loss,
  optimal_logits,
)
from gan_jax.types import InputError
from tests.densities import SIZE, TIGHT, P, Q, in_float64, many, pairs
from tests.table2 import TABLE_2

LOG2, LOG4 = np.log(2), np.log(4)
F_GANS = ('f_gan', 'f_gan_non_saturating')
# Losses whose best output at each point is known, as (loss, f_divergence).
KNOWN = ('minimax', 'non_saturating', 'least_squares', 'hinge')
GEN_CASES = [
  *[(loss, None) for loss in KNOWN],
  *[(loss, name) for loss in F_GANS for name in TABLE_2],
]
# The discriminators of both f-GANs are the same: of the other one, one is
# enough.
CASES = [case for case in GEN_CASES if case[0] != F_GANS[1] or case[1] == 'kl']
directions = st.lists(st.integers(-9, 9), min_size=SIZE, max_size=SIZE).map(
  lambda tenths: np.array(tenths) / 10
)


def closed_form(loss, f_divergence, p, q):
  """The divergence that a loss bounds, from its definition in float64."""
  p, q = np.float64(p), np.float64(q)
  if loss in F_GANS:
    return -(q * TABLE_2[f_divergence].f(p / q)).sum(-1)
  if loss == 'least_squares':
    # Mao et al.: the Pearson chi^2 between p + q and 2 q.
    return 0.25 - ((2 * q - (p + q)) ** 2 / (p + q)).sum(-1) / 8
  if loss == 'hinge':
    return 2 - np.abs(p - q).sum(-1)
  middle = (p + q) / 2
  return LOG4 - (rel_entr(p, middle) + rel_entr(q, middle)).sum(-1)


def disc_loss(loss, f_divergence, logits, p, q, dx=1.0):
  parts = make_loss(loss, f_divergence=f_divergence)
  real = expected_loss(parts.disc_real, logits, p, dx)
  return real + expected_loss(parts.disc_fake, logits, q, dx)


def both_losses(loss, f_divergence, p, q, dx=1.0):
  best = optimal_logits(loss, p, q, f_divergence=f_divergence)
  closed = optimal_disc_loss(loss, p, q, dx, f_divergence=f_divergence)
  return disc_loss(loss, f_divergence, best, p, q, dx), closed


@jax.jit
def all_losses(p, q, direction):
  """Of all cases: at the optimum, in closed form, and off the optimum."""

  def of(loss, f_divergence):
    best = optimal_logits(loss, p, q, f_divergence=f_divergence)
    off = disc_loss(loss, f_divergence, best + direction, p, q)
    return (*both_losses(loss, f_divergence, p, q), off)

  return [of(*case) for case in CASES]


class InFloat32(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*CASES)
  def test_optimal_loss_in_float32(self, loss, f_divergence):
    p, q = np.float32([P, Q]) / 0.25, np.float32([Q, P[::-1]]) / 0.25
    found, closed = self.variant(
      lambda p, q: both_losses(loss, f_divergence, p, q, 0.25)
    )(p, q)
    assert found.shape == closed.shape == (2,)
    exact = closed_form(loss, f_divergence, p * 0.25, q * 0.25)
    np.testing.assert_allclose(found, exact, rtol=1e-5)
    np.testing.assert_allclose(closed, exact, rtol=1e-5)


@many
@given(pairs(), directions)
@in_float64
def test_each_loss_measures_its_divergence_at_its_optimum(pair, direction):
  p, q = pair
  results = zip(CASES, all_losses(p, q, direction), strict=True)
  for case, (found, closed, off) in results:
    exact = closed_form(*case, p, q)
    # The value is the sum of terms up to 50 in size.
    np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(closed, exact, rtol=1e-9, atol=1e-12)
    assert off >= found - 1e-12, case
    # The hinge's optimum is flat where p = q, and for far off outputs.
    if case[0] != 'hinge' and direction.any():
      assert off > found, case


@many
@given(pairs(zeros=True))
@in_float64
def test_where_a_discriminator_can_be_certain(pair):
  """With infinite outputs; infinite divergences are reached."""
  for found, closed, _ in all_losses(*pair, np.zeros(SIZE)):
    np.testing.assert_allclose(found, closed, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('case', CASES)
def test_where_certainty_has_nothing_to_lose(case):
  """0 times infinity is not a number; supports that do not meet."""
  p, q = np.eye(2, SIZE)
  found, closed = both_losses(*case, p, q)
  np.testing.assert_allclose(found, closed, atol=1e-6)


@many
@given(pairs(zeros=True))
@in_float64
def test_least_squares_with_maos_coding(pair):
  """a = -1, b = 1, c = 0: G's loss at D* is the triangular discrimination."""
  p, q = pair
  disc = 2 * np.asarray(optimal_logits('least_squares', p, q)) - 1
  here = p + q > 0
  exact = ((p - q)[here] ** 2 / (p + q)[here]).sum()
  np.testing.assert_allclose(((p + q) * disc**2).sum(), exact, **TIGHT)


def test_optimal_logits():
  p, q = np.array([0.5, 0.5, 0.0, 0.0]), np.array([0.25, 0.0, 0.75, 0.0])
  inf = np.inf
  for loss, exact in {
    'minimax': [LOG2, inf, -inf, 0],
    'non_saturating': [LOG2, inf, -inf, 0],
    'least_squares': [2 / 3, 1, 0, 0.5],
    'hinge': [1, 1, -1, 0],
  }.items():
    np.testing.assert_allclose(optimal_logits(loss, p, q), exact, rtol=1e-6)


# --- The generator's side ---------------------------------------------------


@pytest.mark.parametrize('through_disc', [False, True])
@in_float64
def test_generator_rests_where_it_has_the_data(through_disc):
  """The slope of E_q gen(D*) at q = p is the same everywhere: mass is kept.

  So the zeros of the saturating and the non-saturating loss agree.
  """

  def gen_loss(q, loss, f_divergence):
    at = q if through_disc else P
    logits = optimal_logits(loss, P, at, f_divergence=f_divergence)
    gen = make_loss(loss, f_divergence=f_divergence).gen
    return expected_loss(gen, logits, q)

  slopes = jax.jit(
    lambda q: [jax.grad(gen_loss)(q, *case) for case in GEN_CASES]
  )(P)
  for case, found in zip(GEN_CASES, slopes, strict=True):
    same = np.full(SIZE, found[0])
    np.testing.assert_allclose(found, same, **TIGHT, err_msg=str(case))


def test_only_the_saturating_gradient_vanishes_with_d_of_fakes():
  """The two slopes in the logit are -D and D - 1; D -> 0 on the way."""
  logits = np.array([-1.0, -5.0, -10.0, -20.0], np.float32)
  disc = 1 / (1 + np.exp(-logits.astype(np.float64)))
  for loss, exact in (('minimax', -disc), ('non_saturating', disc - 1)):
    gen = make_loss(loss).gen
    slopes = jax.vmap(jax.grad(lambda logit, gen=gen: gen(logit[None])))(logits)
    np.testing.assert_allclose(slopes, exact, rtol=1e-5)


# --- Bad input --------------------------------------------------------------


@pytest.mark.parametrize('function', [optimal_logits, optimal_disc_loss])
@pytest.mark.parametrize('loss', ['wasserstein', 'nonsense'])
def test_losses_without_a_pointwise_optimum(function, loss):
  with pytest.raises(InputError, match=f"loss: '{loss}' .*wasserstein"):
    function(loss, P, Q)


@pytest.mark.parametrize('function', [optimal_logits, optimal_disc_loss])
def test_unknown_f_divergence(function):
  with pytest.raises(InputError, match=r"f_divergence: .*'jsd'.*gan, jeff"):
    function('f_gan', P, Q, f_divergence='jsd')
