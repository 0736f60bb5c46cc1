"""ACGAN's and InfoGAN's terms: closed forms, who learns what, whole steps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.config.build import build
from gan_jax.sampling.priors import draw_latents
from gan_jax.solvers.moves import Moves
from gan_jax.tricks.guesses import class_terms, code_loss, code_terms
from gan_jax.tricks.terms import Scene, Side
from gan_jax.types import Batch, Players, Verdict
from tests.helpers import SGD, fake_batch, fake_info, stack_draws, tiny_digits

AC = dict(conditional=True, network__disc_labels_by='classifier')
KEY = jax.random.key(3)


def scene(real, fake, labels, latents=None):
  """Of guesses `[B, K]`."""
  sides = [
    Side(None, Verdict(jnp.zeros(len(g)), {'labels': g, 'codes': g}))
    for g in (real, fake)
  ]
  batch = Batch(None, {'labels': labels}, None)
  return Scene(*sides, None, batch, latents, {}, None, jnp.int32(0))


def test_class_losses_are_cross_entropies_in_nats():
  rng = np.random.default_rng(0)
  real, fake = rng.normal(size=(2, 5, 4)).astype(np.float32)
  labels = np.array([0, 3, 1, 1, 2])
  here = scene(real, fake, labels)

  def expected(logits):
    logits = np.float64(logits)
    log = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -log[np.arange(5), labels].mean()

  terms = class_terms(0.3)
  found = {t.metric: float(t.value(here)) for t in (*terms.disc, *terms.gen)}
  np.testing.assert_allclose(
    [found[f'disc_class_loss_{side}'] for side in ('real', 'fake')],
    [expected(real), expected(fake)],
    rtol=1e-5,
  )
  np.testing.assert_allclose(found['gen_class_loss'], expected(fake), rtol=1e-5)
  assert {t.weight for t in (*terms.disc, *terms.gen)} == {0.3}
  only = class_terms(classify_fakes=False)
  assert [t.metric for t in only.disc] == ['disc_class_loss_real']
  assert len(only.gen) == 1


def test_who_knows_nothing_loses_ln_k():
  here = scene(jnp.zeros((3, 7)), jnp.zeros((3, 7)), np.array([6, 0, 2]))
  for term in class_terms().disc:
    np.testing.assert_allclose(term.value(here), np.log(7), rtol=1e-6)


def test_code_loss_is_minus_log_q_of_each_code():
  rng = np.random.default_rng(0)
  codes = (3, 1, 2)
  guesses = rng.normal(size=(4, 6)).astype(np.float32)
  values = np.float32(
    draw_latents(
      jax.random.split(KEY, 4), prior='normal', latent_dim=1, codes=codes
    )
  )[:, 1:]
  logits = np.float64(guesses)
  expected = 0.5 * (logits[:, 3] - values[:, 3]) ** 2
  for part in (slice(0, 3), slice(4, 6)):
    log = logits[:, part]
    log = log - np.log(np.exp(log).sum(-1, keepdims=True))
    expected -= (values[:, part] * log).sum(-1)
  np.testing.assert_allclose(
    code_loss(guesses, values, codes), expected.mean(), rtol=1e-5
  )
  latents = np.concatenate([np.ones((4, 9)), values], axis=1)
  here = scene(guesses, guesses, None, latents)
  for term in (*code_terms(codes, 2.0).gen, *code_terms(codes, 2.0).disc):
    assert term.weight == 2.0
    np.testing.assert_allclose(term.value(here), expected.mean(), rtol=1e-5)


def test_codes_come_after_the_noise_as_often_as_each_other():
  keys = jax.random.split(KEY, 4_000)
  draw = functools.partial(draw_latents, prior='normal', latent_dim=3)
  latents = np.asarray(draw(keys, codes=(4, 1)))
  assert latents.shape == (4_000, 8)
  np.testing.assert_array_equal(latents[:, :3], draw(keys))
  one_hot, number = latents[:, 3:7], latents[:, 7]
  np.testing.assert_array_equal(np.sort(one_hot), [[0, 0, 0, 1]] * 4_000)
  np.testing.assert_allclose(one_hot.mean(0), 0.25, atol=4 * 0.0069)
  assert number.min() >= -1
  assert number.max() <= 1
  np.testing.assert_allclose(number.mean(), 0, atol=4 * 0.0092)
  np.testing.assert_allclose(number.var(), 1 / 3, atol=0.02)
  assert abs(np.corrcoef(one_hot[:, 0], number)[0, 1]) < 0.07


# --- In the game.


def start(**keys):
  model = build(tiny_digits(**SGD | keys), fake_info())
  state = jax.jit(model.init)(jax.random.key(0))
  return model, state


def losses(model, state, batch):
  """Both players' losses and metrics."""
  return [
    getattr(model.game.objectives, player)(
      state.params, state.model_state, batch, KEY, state.step
    )
    for player in Players._fields
  ]


@pytest.mark.parametrize('weight', [None, 0.25])
@pytest.mark.parametrize('fakes', [None, False])
def test_losses_are_the_adversarial_ones_and_the_weighted_terms(weight, fakes):
  model, state = start(**AC, class_weight=weight, classify_fakes=fakes)
  (gen, of_gen), (disc, of_disc) = losses(model, state, fake_batch(8))
  weight = 1.0 if weight is None else weight
  of_gen, of_disc = of_gen.metrics, of_disc.metrics
  assert ('disc_class_loss_fake' in of_disc) == (fakes is None)
  classes = sum(v for k, v in of_disc.items() if 'class_loss' in k)
  adversarial = of_disc['disc_loss_real'] + of_disc['disc_loss_fake']
  np.testing.assert_allclose(disc, adversarial + weight * classes, rtol=1e-5)
  none, state_without = start(**AC, class_weight=0.0)
  (gen_without, _), _ = losses(none, state, fake_batch(8))
  del state_without
  np.testing.assert_allclose(
    gen, gen_without + weight * of_gen['gen_class_loss'], rtol=1e-5
  )


def norm_of_head(grads):
  """Of the gradient of the last dense layer, the head that guesses."""
  last = sorted(name for name in grads if name.startswith('Dense'))[-1]
  return float(jnp.linalg.norm(grads[last]['kernel']))


def test_d_learns_classes_of_fakes_only_if_told():
  """At weight 1, the head's gradient is of real and fake, or of real alone."""
  batch = fake_batch(8)

  def gradient(**keys):
    model, state = start(**AC, **keys)
    moves = Moves(model.game, model.optimizers)
    return moves.gradient('disc', state, batch, KEY).grads

  both, real = gradient(), gradient(classify_fakes=False)
  assert norm_of_head(real) > 0
  last = sorted(name for name in both if name.startswith('Dense'))[-1]
  assert (both[last]['kernel'] != real[last]['kernel']).any()


@pytest.mark.slow  # 120 steps
def test_a_step_of_infogan_moves_both_towards_the_codes():
  """Over some steps the loss of codes falls below that of a blind guess."""
  codes = (3, 1)
  model, state = start(codes=codes, code_weight=1.0, batch_size=32)
  step = jax.jit(model.train_step)
  for t in range(120):
    state, metrics = step(
      state, stack_draws(fake_batch(32, seed=t)), jax.random.key(t)
    )
  blind = np.log(3) + 0.5 / 3
  assert metrics['gen_code_loss'] < 0.85 * blind
  assert metrics['disc_code_loss'] < 0.85 * blind
  sampler = model.sampler(state, ema=False)
  assert sampler.codes == codes
  assert sampler.latents(5).shape == (5, 4 + 4)
  assert sampler.sample(3).shape == (3, 8, 8, 1)
