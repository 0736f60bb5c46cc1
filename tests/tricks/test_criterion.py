"""Losses of pairs, exchanged labels and chosen fakes, against NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.losses import accuracies, make_loss, per_example
from gan_jax.tricks import criterion
from gan_jax.tricks.regularisers import lecam
from gan_jax.types import InputError

RNG = np.random.default_rng(0)
REAL, FAKE = (np.float32(RNG.normal(m, 2.0, 12)) for m in (0.5, -0.3))
KEYS = jax.random.split(jax.random.key(3), 12)

# The loss of a real logit and of a fake one, float64.
F = {
  'non_saturating': lambda y: np.log1p(np.exp(-y)),
  'least_squares': lambda y: 0.5 * (y - 1) ** 2,
  'hinge': lambda y: np.maximum(0, 1 - y),
}
G = {
  'non_saturating': lambda y: np.log1p(np.exp(y)),
  'least_squares': lambda y: 0.5 * y**2,
  'hinge': lambda y: np.maximum(0, 1 + y),
}
# What RaGAN makes of the latter. Its differences lie about 0, so least squares
# draws fakes to -1 (arXiv 1807.00734, appendix: RaLSGAN); the others are as
# they were.
AVERAGE_G = G | {'least_squares': lambda y: 0.5 * (y + 1) ** 2}


@pytest.mark.parametrize('name', sorted(F))
def test_pairs_are_judged_by_their_difference(name):
  made = criterion.make_criterion(make_loss(name), relativistic='paired')
  real, fake = np.float64(REAL), np.float64(FAKE)
  parts = made.disc(REAL, FAKE, KEYS)
  np.testing.assert_allclose(sum(parts), F[name](real - fake).mean(), rtol=1e-5)
  np.testing.assert_allclose(
    made.gen(REAL, FAKE, 0), F[name](fake - real).mean(), rtol=1e-5
  )
  assert made.sees_real
  assert made.boundary is None
  # It is of pairs: another order of the fakes is another loss.
  assert abs(float(sum(made.disc(REAL, FAKE[::-1], KEYS)) - sum(parts))) > 1e-3


def test_swapping_real_and_fake_swaps_the_losses_of_ragan():
  """G's loss is D's with the sides exchanged, both parts of it."""
  made = criterion.make_criterion(
    make_loss('non_saturating'), relativistic='average'
  )
  as_disc = sum(made.disc(FAKE, REAL, KEYS))
  np.testing.assert_allclose(made.gen(REAL, FAKE, 0), as_disc, rtol=1e-5)


@pytest.mark.parametrize('name', sorted(F))
def test_averages_are_of_the_other_side(name):
  made = criterion.make_criterion(make_loss(name), relativistic='average')
  real, fake = np.float64(REAL), np.float64(FAKE)
  on_real, on_fake = made.disc(REAL, FAKE, KEYS)
  np.testing.assert_allclose(
    on_real, F[name](real - fake.mean()).mean(), rtol=1e-5
  )
  np.testing.assert_allclose(
    on_fake, AVERAGE_G[name](fake - real.mean()).mean(), rtol=1e-5
  )
  expected = F[name](fake - real.mean()).mean()
  expected += AVERAGE_G[name](real - fake.mean()).mean()
  np.testing.assert_allclose(made.gen(REAL, FAKE, 0), expected, rtol=1e-5)


@pytest.mark.parametrize('kind', ['paired', 'average'])
def test_least_squares_draw_the_gap_to_one(kind):
  """D is best where real lies 1 above fake; G, where it lies 1 below."""
  made = criterion.make_criterion(make_loss('least_squares'), relativistic=kind)
  real, fake = jnp.float32(REAL - REAL.mean()), jnp.float32(FAKE - FAKE.mean())
  slopes = [
    jax.grad(lambda gap: sum(made.disc(real + gap, fake, KEYS))),
    jax.grad(lambda gap: made.gen(real + gap, fake, 0)),
  ]
  for slope, best in zip(slopes, (1.0, -1.0), strict=True):
    np.testing.assert_allclose(slope(best), 0.0, atol=1e-5)
    assert slope(best - 0.1) < -0.05
    assert slope(best + 0.1) > 0.05


@pytest.mark.parametrize('kind', ['paired', 'average'])
def test_a_constant_added_to_all_logits_changes_nothing(kind):
  made = criterion.make_criterion(
    make_loss('non_saturating'), relativistic=kind
  )
  np.testing.assert_allclose(
    sum(made.disc(REAL, FAKE, KEYS)),
    sum(made.disc(REAL + 2, FAKE + 2, KEYS)),
    rtol=1e-5,
  )
  np.testing.assert_allclose(
    made.gen(REAL, FAKE, 0), made.gen(REAL + 2, FAKE + 2, 0), rtol=1e-5
  )


@pytest.mark.parametrize('name', ['non_saturating', 'least_squares', 'hinge'])
def test_flipped_labels_are_those_drawn(name):
  rate = 0.3
  disc = criterion.make_criterion(make_loss(name), label_flip=rate).disc
  flips = np.stack([jax.random.bernoulli(k, rate, (2,)) for k in KEYS])
  assert 0 < flips[:, 0].sum() < 12
  assert 0 < flips[:, 1].sum() < 12
  real, fake = np.float64(REAL), np.float64(FAKE)
  on_real, on_fake = disc(REAL, FAKE, KEYS)
  np.testing.assert_allclose(
    on_real, np.where(flips[:, 0], G[name](real), F[name](real)).mean(), 1e-5
  )
  np.testing.assert_allclose(
    on_fake, np.where(flips[:, 1], F[name](fake), G[name](fake)).mean(), 1e-5
  )


def test_labels_flip_as_often_as_told():
  """Ten thousand draws; the bound is five standard errors."""
  keys = jax.random.split(jax.random.key(0), 10_000)
  huge = jnp.full(10_000, 1e3)  # softplus(-huge) = 0, softplus(huge) = huge
  disc = criterion.flipped(make_loss('non_saturating'), 0.2)
  on_real, on_fake = disc(huge, -huge, keys)
  for share in (on_real / 1e3, on_fake / 1e3):
    assert abs(float(share) - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 10_000)


@pytest.mark.parametrize('share', [0.25, 0.3, 1e-9, 1.0])
def test_g_learns_from_the_best_fakes(share):
  gen = criterion.top_share(make_loss('non_saturating'), lambda step: share)
  kept = max(1, int(np.ceil(share * 12)))
  best = np.sort(np.float64(FAKE))[::-1][:kept]
  np.testing.assert_allclose(
    gen(None, FAKE, 0), F['non_saturating'](best).mean(), rtol=1e-5
  )
  gradient = jax.grad(lambda fake: gen(None, fake, 0))(FAKE)
  assert np.count_nonzero(gradient) == kept
  # Equal logits: as many as wanted, not all that are equal.
  equal = jax.grad(lambda fake: gen(None, fake, 0))(jnp.zeros(12))
  assert np.count_nonzero(equal) == kept


# Two fakes of a patch D; their means are not in the order of their maxima.
MAPS = jnp.array([[[1.0, -3.0], [0.0, 0.0]], [[0.2, 0.2], [0.1, 0.1]]])


def test_maps_of_logits_count_by_their_means():
  """Losses are over all elements; whose fake is best, and D's boundary, not."""
  loss = make_loss('non_saturating')
  each = np.logaddexp(0.0, -np.float64(MAPS))  # softplus(-D)
  np.testing.assert_allclose(loss.gen(MAPS), each.mean(), rtol=1e-6)
  gen = criterion.top_share(loss, lambda step: 0.5)
  np.testing.assert_allclose(gen(None, MAPS, 0), each[1].mean(), rtol=1e-6)
  np.testing.assert_allclose(per_example(MAPS), [-0.5, 0.15], rtol=1e-6)
  found = accuracies(0.0, MAPS, MAPS)
  assert found == {'disc_accuracy_real': 0.5, 'disc_accuracy_fake': 0.5}
  value, _ = lecam(MAPS, MAPS, {'real': 1.0, 'fake': 0.0}, 0.9)
  means = np.array([-0.5, 0.15])
  expected = (means**2).mean() + ((means - 1.0) ** 2).mean()
  np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_the_share_falls_and_stays():
  share = criterion.falling_share(0.5, 100)
  np.testing.assert_allclose(
    [share(t) for t in (0, 50, 100, 1_000)], [1.0, 0.5**0.5, 0.5, 0.5], 1e-6
  )


CASES = {
  'paired': dict(relativistic='paired'),
  'average': dict(relativistic='average'),
  'flip': dict(label_flip=0.2),
  'top': dict(top_k=lambda step: 0.4),
}


@pytest.mark.parametrize('case', CASES)
def test_a_shared_batch_has_the_same_losses_and_gradients(case):
  loss = make_loss('non_saturating')
  one = criterion.make_criterion(loss, **CASES[case])
  shared = criterion.make_criterion(loss, axis_name='batch', **CASES[case])

  def losses(made, real, fake, keys):
    return jnp.stack(
      [sum(made.disc(real, fake, keys)), made.gen(real, fake, 0)]
    )

  def split(x):
    return x.reshape(4, 3, *x.shape[1:])

  arguments = REAL, FAKE, KEYS
  mapped = jax.pmap(functools.partial(losses, shared), 'batch')
  many = mapped(*map(split, arguments)).mean(axis=0)
  np.testing.assert_allclose(many, losses(one, *arguments), rtol=1e-5)

  def slopes(made, real, fake, keys):
    return jax.jacobian(losses, 2)(made, real, fake, keys)

  # The mean over devices of each one's loss: a quarter of the sum.
  by_device = jax.pmap(functools.partial(slopes, shared), 'batch')
  many = np.asarray(by_device(*map(split, arguments)) / 4)
  whole = slopes(one, *arguments)
  np.testing.assert_allclose(
    np.moveaxis(many, 0, 1).reshape(2, 12), whole, rtol=1e-5, atol=1e-7
  )


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    (('hinge', 'foo', 0, 1), ["'foo'", 'paired', 'average']),
    (('hinge', 'none', 0.5, 1), ['label_flip: 0.5', 'learns nothing']),
    (('hinge', 'none', -0.1, 1), ['label_flip: -0.1']),
    (('hinge', 'none', 0, 0.0), ['top_k_share: 0.0', '(0, 1]']),
    (('wasserstein', 'none', 0.1, 1), ['label_flip', 'scales the loss']),
    (('wasserstein', 'paired', 0, 1), ['relativistic', 'hinge']),
    (('minimax', 'average', 0, 1), ['relativistic', 'minimax']),
    (('hinge', 'paired', 0.1, 1), ['label_flip', 'of pairs']),
    (('hinge', 'paired', 0, 0.5), ['top_k_share', 'of pairs']),
    (
      ('non_saturating', 'paired', 0, 1, 0.1),
      ['label_smoothing: 0.1', 'one-sided', 'G', 'relativistic=none'],
    ),
    (
      ('least_squares', 'average', 0, 1, 0.1),
      ['label_smoothing: 0.1', 'one-sided'],
    ),
  ],
)
def test_what_makes_no_sense_is_refused(arguments, words):
  with pytest.raises(InputError) as error:
    criterion.check(*arguments)
  for word in words:
    assert word in str(error.value)
