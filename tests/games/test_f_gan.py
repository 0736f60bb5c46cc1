"""The losses of f-GAN, with every divergence, against the paper's Table 2."""

import chex
import jax
import numpy as np
import pytest
from absl.testing import parameterized

from gan_jax.losses import LOSSES, WITH_DIVERGENCE, make_loss
from gan_jax.types import InputError
from tests.densities import assert_slopes, in_float64
from tests.table2 import TABLE_2

PARTS = ('disc_real', 'disc_fake', 'gen')
# Both losses of f-GAN with every divergence.
F_GANS = [(name, row) for name in WITH_DIVERGENCE for row in sorted(TABLE_2)]
# Of every divergence, D's parts that no logit overflows.
LINEAR = {
  'kl': ['disc_real'],
  'reverse_kl': ['disc_fake'],
  'jeffreys': ['disc_real'],
  'pearson': ['disc_real', 'disc_fake'],
  'js': ['disc_real', 'disc_fake'],
  'gan': ['disc_real', 'disc_fake'],
}
# No mean of a loss is near 0.
LOGITS = np.array([-8.0, -1.5, -0.75, 0.25, 1.0, 1.25, 3.0, 9.0], np.float32)


def reference(name, f_divergence, simplified=False):
  """(disc_real, disc_fake, gen) of one logit v: -T, f*(T), and G's loss.

  Simplified by hand, f* of T rounds well far out too.
  """
  row = TABLE_2[f_divergence]

  def conjugate(v):
    return row.composed(v) if simplified else row.conjugate(row.activation(v))

  def real(v):
    return -row.activation(v)

  saturating = name == 'f_gan'
  return real, conjugate, (lambda v: -conjugate(v)) if saturating else real


def each_logit(function):
  """Maps a loss over batches of one."""
  return jax.vmap(lambda logit: function(logit[None]))


def parts_of(f_divergence):
  """(loss, part) -> function, for both losses."""
  losses = {n: make_loss(n, f_divergence=f_divergence) for n in WITH_DIVERGENCE}
  return {
    (name, part): getattr(loss, part)
    for name, loss in losses.items()
    for part in PARTS
  }


def all_of(f_divergence, transform=lambda function: function):
  """Logits -> the dict of the parts' values, each transformed first."""
  functions = {k: transform(f) for k, f in parts_of(f_divergence).items()}
  return lambda logits: {k: f(logits) for k, f in functions.items()}


class AgainstTable2(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*sorted(TABLE_2))
  def test_formula(self, f_divergence):
    values = self.variant(all_of(f_divergence, each_logit))(LOGITS)
    means = self.variant(all_of(f_divergence))(LOGITS)
    for name, part in values:
      references = reference(name, f_divergence)
      expected = references[PARTS.index(part)](np.float64(LOGITS))
      found, mean = values[name, part], means[name, part]
      np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
      assert mean.shape == ()
      np.testing.assert_allclose(mean, expected.mean(), rtol=1e-5)


@pytest.mark.parametrize('f_divergence', sorted(TABLE_2))
def test_stable_at_large_logits(f_divergence):
  """Divergences with an exponential in them may overflow, but not by 30."""
  function = jax.jit(
    all_of(f_divergence, lambda f: each_logit(jax.value_and_grad(f)))
  )
  for size in (30.0, 1e4):
    logits = np.array([-size, size], np.float32)
    for (name, part), (values, slopes) in function(logits).items():
      references = reference(name, f_divergence, simplified=True)
      g_as = 'disc_fake' if name == 'f_gan' else 'disc_real'
      same_as = g_as if part == 'gen' else part
      if size == 30 or same_as in LINEAR.get(f_divergence, []):
        with np.errstate(over='ignore'):
          expected = references[PARTS.index(part)](np.float64(logits))
        np.testing.assert_allclose(values, expected, rtol=1e-5)
        assert np.isfinite(slopes).all()


@pytest.mark.parametrize('f_divergence', sorted(TABLE_2))
@in_float64
def test_gradients(f_divergence):
  for part in parts_of(f_divergence).values():
    assert_slopes(part, np.float64(LOGITS[1:-1]))


def rejected_slope(name, f_divergence):
  """Of G's loss, where D rejects."""
  gen = make_loss(name, f_divergence=f_divergence).gen
  return abs(jax.jit(jax.grad(gen))(np.float32([-20.0]))[0])


@pytest.mark.parametrize('f_divergence', sorted(TABLE_2))
def test_which_saturate_where_d_rejects(f_divergence):
  slope = rejected_slope('f_gan', f_divergence)
  if f_divergence in ('kl', 'squared_hellinger', 'js', 'gan'):
    assert slope < 1e-8
  else:
    assert slope > 0.05
  assert rejected_slope('f_gan_non_saturating', f_divergence) > 0.99


@pytest.mark.parametrize(('name', 'f_divergence'), F_GANS)
def test_score_is_the_critic(name, f_divergence):
  score = make_loss(name, f_divergence=f_divergence).score(LOGITS)
  expected = TABLE_2[f_divergence].activation(LOGITS.astype(np.float64))
  np.testing.assert_allclose(score, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(('name', 'f_divergence'), F_GANS)
def test_boundary_is_the_verdict_on_equal_densities(name, f_divergence):
  """It costs D the least to say so of x that are as often real as fake."""
  loss = make_loss(name, f_divergence=f_divergence)
  score = TABLE_2[f_divergence].slope_at_1
  np.testing.assert_allclose(loss.score(loss.boundary), score, rtol=1e-6)
  logits = np.float32(loss.boundary + np.array([-0.25, 0.0, 0.25]))
  parts = (loss.disc_real, loss.disc_fake)
  real, fake = jax.jit(lambda v: [each_logit(f)(v) for f in parts])(logits)
  assert np.argmin(real + fake) == 1
  assert real[0] > real[2]
  assert fake[0] < fake[2]


@pytest.mark.parametrize('name', WITH_DIVERGENCE)
def test_js_is_taken_by_default(name):
  default, js = make_loss(name), make_loss(name, f_divergence='js')
  for part in PARTS:
    assert getattr(default, part)(LOGITS) == getattr(js, part)(LOGITS)


@pytest.mark.parametrize('name', LOSSES)
def test_unknown_f_divergence(name):
  valid = ', '.join(sorted(TABLE_2))
  with pytest.raises(InputError, match=f"f_divergence: .*'jsd'.*: {valid}"):
    make_loss(name, f_divergence='jsd')
