"""Adversarial losses against float64 formulas and the games they define."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_jax.losses import LOSSES, SMOOTHABLE, WITH_DIVERGENCE, make_loss
from gan_jax.types import InputError
from tests.densities import assert_slopes, in_float64

PARTS = ('disc_real', 'disc_fake', 'gen')
SATURATING = ('minimax', 'non_saturating')
# The rest is f-GAN's, see test_f_gan.py.
PLAIN = sorted(set(LOSSES) - set(WITH_DIVERGENCE))
# Both sides of every kink; no two of them, and no mean, are near 0.
LOGITS = np.array([-8.0, -1.5, -0.75, 0.25, 1.0, 1.25, 3.0, 9.0], np.float32)


def log_sigmoid(x):
  return -np.logaddexp(0.0, -x)


def relu(x):
  return np.maximum(x, 0.0)


def reference(name, smoothing=0.0):
  """(disc_real, disc_fake, gen) of one logit: what each player minimises."""
  target = 1.0 - smoothing

  def cross_entropy(x):
    return -target * log_sigmoid(x) - smoothing * log_sigmoid(-x)

  return {
    'minimax': (
      cross_entropy,
      lambda x: -log_sigmoid(-x),
      lambda x: log_sigmoid(-x),
    ),
    'non_saturating': (
      cross_entropy,
      lambda x: -log_sigmoid(-x),
      lambda x: -log_sigmoid(x),
    ),
    'least_squares': (
      lambda x: (x - target) ** 2 / 2,
      lambda x: x**2 / 2,
      lambda x: (x - 1) ** 2 / 2,
    ),
    'wasserstein': (lambda x: -x, lambda x: x, lambda x: -x),
    'hinge': (lambda x: relu(1 - x), lambda x: relu(1 + x), lambda x: -x),
  }[name]


def each_logit(function):
  """Maps a loss over batches of one."""
  return jax.vmap(lambda logit: function(logit[None]))


def smoothings(name):
  return (0.0, 0.1, 0.5) if name in SMOOTHABLE else (0.0,)


def test_every_loss_has_a_reference():
  for name in PLAIN:
    assert len(reference(name)) == len(PARTS)
  assert {*PLAIN, *WITH_DIVERGENCE} == set(LOSSES)


class AgainstNumPy(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.product(name=PLAIN, part=PARTS)
  def test_formula(self, name, part):
    for smoothing in smoothings(name):
      function = getattr(make_loss(name, smoothing), part)
      expected = reference(name, smoothing)[PARTS.index(part)]
      logits = LOGITS.astype(np.float64)
      values = self.variant(each_logit(function))(LOGITS)
      np.testing.assert_allclose(values, expected(logits), rtol=1e-5)
      mean = self.variant(function)(LOGITS)
      assert mean.shape == ()
      np.testing.assert_allclose(mean, expected(logits).mean(), rtol=1e-5)


@pytest.mark.parametrize('part', PARTS)
@pytest.mark.parametrize('name', PLAIN)
def test_stable_at_huge_logits(name, part):
  logits = np.array([-1e4, 1e4], np.float32)
  for smoothing in smoothings(name):
    function = getattr(make_loss(name, smoothing), part)
    values, slopes = each_logit(jax.value_and_grad(function))(logits)
    expected = reference(name, smoothing)[PARTS.index(part)]
    np.testing.assert_allclose(
      values, expected(logits.astype(np.float64)), rtol=1e-5
    )
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize('part', PARTS)
@pytest.mark.parametrize('name', PLAIN)
@in_float64
def test_gradients(name, part):
  # Away from the kinks.
  function = getattr(make_loss(name), part)
  assert_slopes(function, np.float64(LOGITS) + 0.0625)


@pytest.mark.parametrize('name', SATURATING)
@pytest.mark.parametrize('logit', [-30.0, -5.0, 0.0, 5.0])
def test_generator_gradient(name, logit):
  """-D for the saturating loss, which vanishes with D; -(1 - D) else."""
  slope = jax.grad(make_loss(name).gen)(jnp.array([logit]))
  fooled = {'minimax': logit, 'non_saturating': -logit}[name]
  np.testing.assert_allclose(slope, [-1 / (1 + np.exp(-fooled))], rtol=1e-5)


def test_only_minimax_saturates_where_d_rejects():
  rejected = jnp.array([-20.0])
  slopes = {n: abs(jax.grad(make_loss(n).gen)(rejected)[0]) for n in PLAIN}
  assert slopes.pop('minimax') < 1e-8
  assert min(slopes.values()) > 0.99


@pytest.mark.parametrize('name', PLAIN)
def test_score(name):
  score = make_loss(name).score(jnp.asarray(LOGITS))
  expected = LOGITS.astype(np.float64)
  if name in SATURATING:
    expected = 1 / (1 + np.exp(-expected))
  np.testing.assert_allclose(score, expected, rtol=1e-5)


@pytest.mark.parametrize('name', sorted(set(PLAIN) - {'wasserstein'}))
def test_boundary_is_where_real_and_fake_cost_the_same(name):
  loss = make_loss(name)
  real, fake = (
    each_logit(part)(loss.boundary + jnp.array([-0.25, 0.0, 0.25]))
    for part in (loss.disc_real, loss.disc_fake)
  )
  np.testing.assert_allclose(real[1], fake[1], rtol=1e-6)
  assert real[0] > fake[0]
  assert real[2] < fake[2]


def test_wasserstein_fixes_no_boundary():
  assert make_loss('wasserstein').boundary is None


@pytest.mark.parametrize('name', SMOOTHABLE)
def test_smoothing_is_one_sided(name):
  plain, smooth = make_loss(name), make_loss(name, 0.2)
  assert plain.disc_real(LOGITS) != smooth.disc_real(LOGITS)
  for part in ('disc_fake', 'gen'):
    assert getattr(plain, part)(LOGITS) == getattr(smooth, part)(LOGITS)


@pytest.mark.parametrize('name', sorted(set(LOSSES) - set(SMOOTHABLE)))
def test_smoothing_needs_a_target(name):
  with pytest.raises(InputError, match='label_smoothing.*' + name):
    make_loss(name, 0.1)


@pytest.mark.parametrize('name', PLAIN)
def test_f_divergence_needs_a_loss_that_has_one(name):
  with pytest.raises(InputError, match=f"f_divergence: loss '{name}' has none"):
    make_loss(name, f_divergence='kl')


@pytest.mark.parametrize('smoothing', [-0.1, 1.0, float('nan')])
def test_smoothing_out_of_range(smoothing):
  with pytest.raises(InputError, match=f'label_smoothing: {smoothing} '):
    make_loss('minimax', smoothing)


# Properties, on batches of four logits in eighths: their sums are exact.
batches = st.lists(st.integers(-400, 400), min_size=4, max_size=4).map(
  lambda eighths: np.array(eighths, np.float32) / 8
)
few = settings(max_examples=50, deadline=None, derandomize=True)


@functools.cache
def compiled(name, part, smoothing=0.0):
  return jax.jit(getattr(make_loss(name, smoothing), part))


@few
@given(batches, batches)
def test_hinge_is_not_negative_and_zero_beyond_the_margin(real, fake):
  real_loss = compiled('hinge', 'disc_real')(real)
  fake_loss = compiled('hinge', 'disc_fake')(fake)
  assert real_loss >= 0
  assert fake_loss >= 0
  assert (real_loss == 0) == (real.min() >= 1)
  assert (fake_loss == 0) == (fake.max() <= -1)


@few
@given(batches, batches, st.integers(-64, 64))
def test_wasserstein_critic_is_defined_up_to_a_constant(real, fake, shift):
  def disc_loss(shift):
    return compiled('wasserstein', 'disc_real')(real + shift) + compiled(
      'wasserstein', 'disc_fake'
    )(fake + shift)

  assert disc_loss(np.float32(shift)) == disc_loss(0)


@few
@given(batches)
def test_minimax_generator_minimises_what_d_maximises(fake):
  gain = compiled('minimax', 'gen')(fake)
  np.testing.assert_allclose(
    gain, -compiled('minimax', 'disc_fake')(fake), rtol=1e-6
  )


@few
@given(batches)
def test_losses_are_means(logits):
  for name in LOSSES:
    for part in PARTS:
      function = compiled(name, part)
      twice = function(np.concatenate([logits, logits[::-1]]))
      np.testing.assert_allclose(twice, function(logits), rtol=1e-6)


@few
@given(
  st.sampled_from(SMOOTHABLE),
  st.sampled_from([0.1, 0.3]),
  st.integers(1, 100),
)
def test_real_loss_is_least_at_the_target(name, smoothing, eighths):
  """The optimum of D on real data alone is a score of 1 - smoothing."""
  target = 1.0 - smoothing
  if name != 'least_squares':
    target = np.log(target / smoothing)
  real = each_logit(compiled(name, 'disc_real', smoothing))
  below, best, above = real(target + eighths * np.arange(-1.0, 2.0) / 8)
  assert best < below
  assert best < above


@pytest.mark.parametrize('part', ['disc_fake', 'gen'])
def test_least_squares_targets(part):
  target = {'disc_fake': 0.0, 'gen': 1.0}[part]
  function = getattr(make_loss('least_squares'), part)
  assert function(jnp.full(3, target)) == 0
  assert jax.grad(function)(jnp.full(3, target)).tolist() == [0, 0, 0]
