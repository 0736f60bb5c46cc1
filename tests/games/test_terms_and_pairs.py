"""What players add to their losses, and what D judges."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.config.build import build
from gan_jax.config.history import ADDED, completed
from gan_jax.config.overrides import dotted
from gan_jax.config.parts import loss_of
from gan_jax.games.image import image_gan
from gan_jax.games.pairs import pairs_of
from gan_jax.games.passes import next_in_batch
from gan_jax.penalties import PENALTIES
from gan_jax.tricks import Tricks
from gan_jax.tricks.terms import (
  Scene,
  Term,
  add_up,
  first_memory,
  gradient_penalty,
  l1,
  mse,
  perceptual,
)
from gan_jax.types import InputError, Players
from tests.helpers import (
  SGD,
  assert_close,
  fake_batch,
  fake_info,
  task_of,
  tiny_digits,
)

KEY = jax.random.key(0)
EVERY = 4
R1 = dict(penalty='r1', penalty_weight=3.0)


@functools.cache
def model_of(**keys):
  model = build(tiny_digits(**(SGD | keys)), fake_info())
  return model, jax.jit(model.init)(KEY)


def disc_loss(step, **keys):
  """D's loss, its metrics and what it remembers, in a step."""
  model, state = model_of(**keys)
  loss, outcome = model.game.objectives.disc(
    state.params, state.model_state, fake_batch(8), KEY, step
  )
  return float(loss), outcome.metrics, outcome.model_state


# --- Terms --------------------------------------------------------------------


def threefold(images, keys, memory):
  return 3 * images


@pytest.mark.parametrize('name', ['r1', 'r2', 'r1_r2'])
def test_gradients_at_examples_go_through_the_augmentation(name):
  """Of threefold images: D(3 x) has three times the gradient of D at 3 x."""
  model, state = model_of()
  terms, found = Players((), gradient_penalty(PENALTIES[name], 1.0)), {}
  batch = fake_batch(8)
  for tricks in (Tricks(augment=threefold), Tricks()):
    game = image_gan(
      model.networks,
      loss_of(tiny_digits()),
      task=task_of(latent_dim=4),
      terms=terms,
      tricks=tricks,
    )
    critic = model.networks.disc
    _, outcome = game.objectives.disc(
      state.params, state.model_state, batch, KEY, 0
    )
    found[tricks.augment] = float(outcome.metrics['penalty'])
  fake = game.fakes(state.params, state.model_state, batch, KEY)
  variables = {'params': state.params.disc, **state.model_state.disc}

  def squares(images):
    slopes = jax.grad(
      lambda x: critic.apply(variables, x, {}, train=True).logits.sum()
    )(images)
    return float((np.float64(slopes) ** 2).sum() / len(images))

  sides = {'real': batch.images, 'fake': fake}
  at = PENALTIES[name].at
  through = sum(9 * squares(3 * sides[side]) for side in at)
  plain = sum(squares(sides[side]) for side in at)
  np.testing.assert_allclose(found[threefold], through, rtol=1e-4)
  np.testing.assert_allclose(found[None], plain, rtol=1e-4)


def test_a_lazy_penalty_counts_k_times_in_each_kth_step():
  plain, _, _ = disc_loss(0)
  always, metrics, _ = disc_loss(0, **R1)
  penalty = always - plain
  np.testing.assert_allclose(penalty, 1.5 * metrics['penalty'], rtol=1e-4)
  for step in range(2 * EVERY):
    lazy, metrics, state = disc_loss(step, **R1, penalty_every=EVERY)
    counts = EVERY if step % EVERY == 0 else 0
    np.testing.assert_allclose(
      lazy, plain + counts * penalty, rtol=1e-5, err_msg=step
    )
    # The row has the bare value of the last time: at first none.
    expected = penalty / 1.5 if counts else 0.0
    np.testing.assert_allclose(metrics['penalty'], expected, rtol=1e-4)
    np.testing.assert_array_equal(
      state['memory']['lazy']['penalty'], metrics['penalty']
    )


def test_the_last_value_of_a_lazy_term_stays():
  model, state = model_of(**R1, penalty_every=EVERY)
  step = jax.jit(model.train_step)
  shown = []
  for t in range(EVERY + 1):
    batches = jax.tree.map(lambda x: x[None], fake_batch(8, seed=t))
    state, metrics = step(state, batches, KEY)
    shown.append(float(metrics['penalty']))
  assert len(set(shown[:EVERY])) == 1
  assert shown[EVERY] != shown[0] > 0


def test_a_lazy_term_is_not_computed_for_any_member():
  """Under vmap over members the step has no axis: the cond stays one."""
  model, state = model_of(**R1, penalty_every=EVERY)
  many = jax.tree.map(lambda x: jnp.stack([x, x]), (state.params, KEY))

  def loss(players, key, step):
    return model.game.objectives.disc(
      players, state.model_state, fake_batch(8), key, step
    )[0]

  jaxpr = jax.make_jaxpr(jax.vmap(loss, in_axes=(0, 0, None)))(*many, 1)
  names = [str(equation.primitive) for equation in jaxpr.eqns]
  assert names.count('cond') == 1


def scene(memory, step=0, value=2.0):
  return Scene(
    None, None, None, fake_batch(2), None, memory, None, jnp.int32(step), None
  ), lambda scene: jnp.float32(value)


def test_terms_add_up():
  """Named ones by themselves; the others are logged as one, weighted."""
  here, two = scene({})
  terms = (
    Term('a', 3.0, two),
    Term('', 5.0, two),
    Term('', 7.0, lambda scene: jnp.float32(1.0)),
  )
  summands, metrics, memory = add_up(terms, here)
  assert [float(x) for x in summands] == [6.0, 17.0]
  assert {k: float(x) for k, x in metrics.items()} == {
    'a': 2.0,
    'regulariser': 17.0,
  }
  assert memory == {}
  assert first_memory(terms) == {}


@pytest.mark.parametrize('metric', ['late', ''])
def test_a_lazy_term_without_a_name_remembers_nothing(metric):
  terms = (Term(metric, 1.0, scene({})[1], every=3),)
  memory = first_memory(terms)
  assert bool(memory) == bool(metric)
  for step in range(4):
    summands, metrics, memory = add_up(terms, scene(memory, step)[0])
    assert float(sum(summands)) == (6.0 if step % 3 == 0 else 0.0)
    if metric:
      assert float(metrics['late']) == 2.0


def test_l1_is_to_the_image_as_g_makes_it():
  """Whatever D sees; added with its weight."""
  model, state = model_of()
  batch, found = fake_batch(8), {}
  for augment in (None, threefold):
    for terms in ((), l1(10.0)):
      game = image_gan(
        model.networks,
        loss_of(tiny_digits()),
        task=task_of(latent_dim=4),
        terms=Players(gen=terms, disc=()),
        tricks=Tricks(augment=augment),
      )
      loss, outcome = game.objectives.gen(
        state.params, state.model_state, batch, KEY, 0
      )
      found[bool(terms)] = float(loss)
    fakes = game.fakes(state.params, state.model_state, batch, KEY)
    expected = np.abs(np.float64(fakes) - batch.images).mean()
    np.testing.assert_allclose(outcome.metrics['l1'], expected, rtol=1e-5)
    np.testing.assert_allclose(
      found[True] - found[False], 10 * expected, rtol=1e-4
    )


def test_the_squared_error_is_to_the_image_too():
  """Its optimum is the mean of what belongs to one source."""
  images = np.float32([0.0, 0.1, 0.9])[:, None, None, None]
  batch = fake_batch(3, (1, 1, 1))._replace(images=images)
  (term,) = mse(2.0)
  at = jnp.float32(0.25)
  here = scene({})[0]._replace(batch=batch)

  def value(c):
    return term.value(here._replace(made=0 * images + c))

  np.testing.assert_allclose(value(at), ((images - at) ** 2).mean(), rtol=1e-6)
  assert abs(float(jax.grad(value)(images.mean()))) < 1e-6
  assert (term.metric, term.weight, mse(0.0)) == ('mse', 2.0, ())


def test_a_perceptual_distance_is_of_the_fake_and_its_image():
  batch, made = fake_batch(3), 0.5 * fake_batch(3, seed=1).images
  here = scene({})[0]._replace(batch=batch, made=made)

  def distance(x, y):
    return jnp.mean(x) - 2 * jnp.mean(y)

  (term,) = perceptual(0.5, distance)
  expected = made.mean() - 2 * batch.images.mean()
  np.testing.assert_allclose(term.value(here), expected, rtol=1e-5)
  assert perceptual(0.0, None) == ()


@pytest.mark.parametrize('weight', [0.0, 0.3, 1.0])
def test_the_adversarial_loss_has_its_weight(weight):
  model, state = model_of()
  batch = fake_batch(8)

  def game(weight, terms):
    return image_gan(
      model.networks,
      loss_of(tiny_digits()),
      task=task_of(latent_dim=4),
      terms=Players(gen=terms, disc=()),
      adversarial_weight=weight,
    )

  def of(game):
    return jax.grad(
      lambda gen: game.objectives.gen(
        state.params._replace(gen=gen), state.model_state, batch, KEY, 0
      ),
      has_aux=True,
    )(state.params.gen)

  both, outcome = of(game(weight, l1(1.0)))
  whole, term = of(game(1.0, ()))[0], of(game(0.0, l1(1.0)))[0]
  expected = jax.tree.map(lambda a, b: weight * a + b, whole, term)
  assert_close(both, expected, 1e-5)
  assert ('disc_fake' in outcome.metrics) == bool(weight)


def test_d_is_left_out_of_a_loss_that_does_not_ask_it():
  model, state = model_of()
  game = image_gan(
    model.networks,
    loss_of(tiny_digits()),
    task=task_of(latent_dim=4),
    terms=Players(gen=l1(1.0), disc=()),
    adversarial_weight=0.0,
  )
  broken = jax.tree.map(lambda x: jnp.nan * x, state.params.disc)
  grads = jax.grad(
    lambda gen: game.objectives.gen(
      state.params._replace(gen=gen, disc=broken),
      state.model_state,
      fake_batch(8),
      KEY,
      0,
    )[0]
  )(state.params.gen)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(grads))


def test_the_best_image_by_l1_is_the_median():
  """Of what belongs to one source: not the mean, which would be a blur."""
  images = np.float32([0.0, 0.1, 0.9])[:, None, None, None]
  batch = fake_batch(3, (1, 1, 1))._replace(images=images)
  (term,) = l1(1.0)
  values = [
    float(term.value(scene({})[0]._replace(batch=batch, made=images * 0 + c)))
    for c in np.linspace(-1, 1, 21)
  ]
  np.testing.assert_allclose(np.linspace(-1, 1, 21)[np.argmin(values)], 0.1)


def test_terms_of_g():
  """They see the fakes and, if they ask, real examples and D's layers."""
  model, state = model_of()
  seen = []

  def value(scene):
    seen.append(scene)
    return jnp.mean(scene.fake.layers[0]) - jnp.mean(scene.real.images)

  def game(*terms):
    return image_gan(
      model.networks,
      loss_of(tiny_digits()),
      task=task_of(),
      terms=Players(gen=terms, disc=()),
    )

  players = state.params, state.model_state, fake_batch(8), KEY, 0
  plain, _ = game().objectives.gen(*players)
  term = Term('mine', 0.5, value, layer=0, sees_real=True)
  loss, outcome = game(term).objectives.gen(*players)
  np.testing.assert_allclose(
    loss, plain + 0.5 * outcome.metrics['mine'], rtol=1e-5
  )
  np.testing.assert_array_equal(seen[0].real.images, fake_batch(8).images)
  np.testing.assert_allclose(
    seen[0].critic(seen[0].fake.images), seen[0].fake.logits, rtol=1e-5
  )


# --- Pairs --------------------------------------------------------------------


PAIRED = dict(conditional=True, loss='hinge')


def test_a_wrong_pair_takes_its_share_of_the_fakes():
  """GAN-CLS: L = real + (1 - m) fake + m (real images, another's labels)."""
  model, state = model_of(**PAIRED)
  batch = fake_batch(8)
  _, plain, _ = disc_loss(0, **PAIRED)
  loss, metrics, _ = disc_loss(0, **PAIRED, mismatch_weight=0.25)
  others = {'labels': np.roll(batch.given['labels'], -1)}
  logits, _ = model.networks.disc.apply(
    {'params': state.params.disc}, batch.images, others, train=True
  )
  wrong = np.maximum(0.0, 1.0 + np.float64(logits)).mean()
  expected = (
    plain['disc_loss_real'] + 0.75 * plain['disc_loss_fake'] + 0.25 * wrong
  )
  np.testing.assert_allclose(loss, expected, rtol=1e-5)
  for name in ('disc_loss_real', 'disc_loss_fake'):
    np.testing.assert_array_equal(metrics[name], plain[name])


def test_without_one_the_pairs_are_the_plain_two():
  assert [pair[1:] for pair in pairs_of()] == [(True, 1.0), (False, 1.0)]


@pytest.mark.parametrize('num', [1, 2, 4])
def test_the_next_example_is_of_the_global_batch(num):
  labels = {'labels': jnp.arange(8)}
  if num == 1:
    moved = next_in_batch(labels, None)['labels']
  else:
    shares = {'labels': labels['labels'].reshape(num, -1)}
    move = functools.partial(next_in_batch, axis_name='batch')
    moved = jax.vmap(move, axis_name='batch')(shares)['labels'].ravel()
  np.testing.assert_array_equal(moved, np.roll(np.arange(8), -1))


def test_two_devices_judge_the_same_wrong_pairs():
  keys = PAIRED | dict(mismatch_weight=0.5)
  model, state = model_of(**keys)
  shared = build(tiny_digits(**(SGD | keys)), fake_info(), axis_name='batch')
  batch = fake_batch(8)
  shares = jax.tree.map(lambda x: x.reshape(2, 4, *x.shape[1:]), batch)

  def loss(model, batch):
    return model.game.objectives.disc(
      state.params, state.model_state, batch, KEY, 0
    )[0]

  of_two = jax.vmap(functools.partial(loss, shared), axis_name='batch')(shares)
  assert_close(of_two.mean(), loss(model, batch), 1e-5)


# --- Bad input ----------------------------------------------------------------


@pytest.mark.parametrize(
  ('keys', 'words'),
  [
    (dict(penalty_every=0), ['penalty_every: 0 is not at least 1']),
    (dict(penalty_every=2), ['penalty_every: 2', 'there is none']),
    (dict(l1_weight=1.0), ['l1_weight: 1.0 is on', 'set given=source']),
    (dict(mse_weight=1.0), ['mse_weight: 1.0 is on', 'set given=source']),
    (dict(l1_weight=-1.0), ['l1_weight: -1.0 is not a finite number']),
    (dict(perceptual__weight=1.0), ['perceptual.weight: 1.0 is on']),
    (dict(adversarial_weight=-1.0), ['adversarial_weight: -1.0 is not']),
    (dict(adversarial_weight=0.0), ['adversarial_weight: 0 leaves G nothing']),
    (
      dict(adversarial_weight=0.5, tricks__feature_matching=1.0),
      ['adversarial_weight: 0.5', 'feature_matching_alone=False'],
    ),
    (dict(mismatch_weight=1.0), ['mismatch_weight: 1.0 is not in [0, 1)']),
    (dict(mismatch_weight=0.5), ['mismatch_weight', 'conditional=True']),
    (
      dict(
        conditional=True, mismatch_weight=0.5, tricks__relativistic='paired'
      ),
      ['mismatch_weight', 'relativistic=paired'],
    ),
    (
      dict(conditional=True, mismatch_weight=0.5, micro_batch=4),
      ['mismatch_weight', 'micro_batch=4'],
    ),
  ],
)
def test_what_cannot_be_is_refused(keys, words):
  with pytest.raises(InputError) as error:
    build(tiny_digits(**keys), fake_info())
  assert all(word in str(error.value) for word in words)


def test_an_old_config_lacks_what_came_later():
  """Runs of before go on: what they lack is what they did."""
  fields = tiny_digits().to_dict()
  assert dotted(completed(_without_later(fields))) == dotted(fields)


def _without_later(fields, prefix=''):
  """A nested config as versions before the keys of `ADDED` wrote it."""
  return {
    key: _without_later(value, f'{prefix}{key}.')
    if isinstance(value, dict)
    else value
    for key, value in fields.items()
    if f'{prefix}{key}' not in ADDED
  }
