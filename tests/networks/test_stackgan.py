"""StackGAN: published sizes, what a stage trains, and what is refused."""

import itertools
import json
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax.config.build import build
from gan_jax.games.passes import next_in_batch
from gan_jax.losses import make_loss
from gan_jax.modes import sample as sample_mode
from gan_jax.modes.train import train
from gan_jax.networks import gaussian, make_networks
from gan_jax.networks.growing import COLLECTION, GROWN, set_grown
from gan_jax.networks.stacked import Conditioning, Drawing, Sketch
from gan_jax.networks.style import Style
from gan_jax.tricks.conditioning import alone_terms
from gan_jax.tricks.terms import Scene, Side
from gan_jax.types import Column, InputError, Verdict
from gan_jax.workdir.trained import restore
from tests.helpers import (
  SGD,
  assert_close,
  assert_same_bits,
  differs,
  fake_batch,
  fake_info,
  slow,
  stack_draws,
  task_of,
  tiny_digits,
)

TEXT = Column((3,), 'int32', 7)
KEY = jax.random.key(0)


def pair_of(size=16, text=TEXT, latent_dim=6, **keys):
  task = task_of((size, size, 3), latent_dim=latent_dim)
  return make_networks('stackgan', task._replace(given={'text': text}), **keys)


def tiny(size=16, **keys):
  small = dict(gen_width=2, disc_width=2, blocks=1, condition_dim=5, text_dim=4)
  return pair_of(size, **small | keys)


def shapes_of(network, *inputs):
  init = jax.eval_shape(lambda: network.init(KEY, *inputs, train=False))
  return init['params']


def count(tree):
  return sum(math.prod(x.shape) for x in jax.tree.leaves(tree))


# --- Sizes --------------------------------------------------------------------


def doublings(first, last, width):
  """3x3 convolutions without biases, and their norms."""
  maps = [width]
  while first < last:
    maps.append(maps[-1] // 2)
    first *= 2
  pairs = itertools.pairwise(maps)
  return sum(9 * i * o + 2 * o for i, o in pairs) + 9 * maps[-1] * 3


def sketch_size(width, size, condition, z):
  dense = (condition + z) * 16 * 8 * width + 2 * 16 * 8 * width
  return dense + doublings(4, size, 8 * width)


def drawing_size(width, first, size, condition, blocks):
  half = 16 * (width * 2 * width + 2 * width * 4 * width) + 2 * 6 * width
  wide = 4 * width
  joint = 9 * (condition + wide) * wide + 2 * wide
  residual = blocks * 2 * (9 * wide * wide + 2 * wide)
  more = doublings(first // 4, size, wide)
  return 9 * 3 * width + half + joint + residual + more


def judge_size(width, size, condition, alone):
  maps = [width * 2**i for i in range(int(math.log2(size // 4)))]
  total = 16 * 3 * width
  total += sum(16 * i * o + 2 * o for i, o in itertools.pairwise(maps))
  last = maps[-1]
  while last > 8 * width:
    total, last = total + 9 * last * last // 2 + last, last // 2
  total += 9 * (last + condition) * last + 2 * last
  return total + (1 + alone) * (16 * last + 1)


def test_sizes_are_the_published_ones():
  """Beside D's own vector of a text, which the PyTorch code has from G."""
  pair = pair_of(256, Column((1024,)), 102, alone=True)
  given = {'text': np.zeros((2, 1024), np.float32)}
  gen = shapes_of(pair.gen, np.zeros((2, 102), np.float32), given)
  disc = shapes_of(pair.disc, np.zeros((2, 256, 256, 3), np.float32), given)
  condition = 1024 * 256 + 256
  first = count(gen['sketch']) + count(gen['conditions_0'])
  second = count(gen['drawing']) + count(gen['conditions_1'])
  assert first == sketch_size(128, 64, 128, 100) + condition == 10_301_248
  assert second == drawing_size(128, 64, 256, 128, 4) + condition == 26_290_080
  own = 1024 * 128 + 128
  judges = [count(disc[f'judges_{number}']) - own for number in range(2)]
  assert judges[0] == judge_size(64, 64, 128, False) == 5_715_713
  assert judges[1] == judge_size(64, 256, 128, True) == 71_269_122


def test_d_makes_vectors_that_can_be_compared():
  """Of images and of texts, at either stage, where they are asked for."""
  task = task_of((16, 16, 3))._replace(given={'text': TEXT}, contrast=7)
  keys = dict(gen_width=2, disc_width=2, blocks=1, condition_dim=5, text_dim=4)
  inputs = np.zeros((2, 16, 16, 3)), {'text': np.zeros((2, 3), np.int32)}
  for size in (8, 16):
    disc = make_networks('stackgan', task, resolution=size, **keys).disc
    verdict, variables = disc.init_with_output(KEY, *inputs, train=False)
    guesses = verdict.guesses
    shapes = jax.tree.map(np.shape, guesses)
    assert shapes == {'seen': (2, 7), 'told': (2, 7)}
    other = inputs[0], {'text': np.ones((2, 3), np.int32)}
    found = disc.apply(variables, *other, train=False).guesses
    np.testing.assert_array_equal(found['seen'], guesses['seen'])
    assert differs(found['told'], guesses['told'])


# --- The vector of a text -----------------------------------------------------


def test_kl_is_the_closed_form():
  def kl(mean, log_var):
    return gaussian.kl_to_prior(
      jnp.full((2, 1), mean), jnp.full((2, 1), log_var)
    )

  assert kl(1.0, 0.0).tolist() == [0.5, 0.5]
  assert kl(0.0, 0.0).tolist() == [0.0, 0.0]
  log_var = 2 * math.log(0.3)
  expected = 0.5 * (0.7**2 + 0.09 - 1) - math.log(0.3)
  np.testing.assert_allclose(kl(0.7, log_var), expected, rtol=1e-5)


def test_means_and_deviations_take_any_value():
  """A ReLU, as in the authors' code, would keep deviations from 1 on."""
  told = (('text', Column((8,))),)
  module = Conditioning(40, 4, Style(columns=told))
  given = {'text': jax.random.normal(KEY, (5, 8))}
  variables = module.init(KEY, given)
  assert count(variables['params']) == 8 * 80 + 80
  mean, log_var = module.apply(variables, given)
  assert mean.shape == log_var.shape == (5, 40)
  assert mean.min() < 0 < mean.max()
  assert log_var.min() < 0 < log_var.max()
  kernel = variables['params']['Dense_0']['kernel']
  np.testing.assert_allclose(log_var, given['text'] @ kernel[:, 40:], rtol=1e-5)


@pytest.mark.slow
def test_one_text_has_many_images_and_a_seed_one():
  gen = tiny().gen
  latents = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
  latents[:, :2] = [[1, 2], [1, 2], [3, 2]]
  latents[:, 2:] = latents[0, 2:]  # the same z
  given = {'text': np.full((3, 3), 2, np.int32)}
  variables = gen.init(KEY, latents, given, train=False)
  first, same, other = gen.apply(variables, latents, given, train=False)
  assert np.array_equal(first, same)
  assert differs(first, other)


def test_conditions_have_the_moments_of_their_text():
  """N(mean, sigma^2) in both stages, each with noise of its own."""
  gen, num = tiny(condition_dim=3).gen, 400
  rng = np.random.default_rng(0)
  latents = rng.normal(size=(num, 6)).astype(np.float32)
  latents[:, :2] = rng.integers(0, 2**20, (num, 2))
  given = {'text': np.full((num, 3), 2, np.int32)}
  few = {'text': given['text'][:2]}
  variables = gen.init(KEY, latents[:2], few, train=False)
  own = {'conditions_0', 'conditions_1'}
  large = {
    k: jax.tree.map(lambda x: 6 * x, p) if k in own else p
    for k, p in variables['params'].items()
  }
  variables = {**variables, 'params': large}

  @jax.jit
  def conditions(variables, latents, given):
    seen = []

    def record(run, args, kwargs, context):
      if isinstance(context.module, (Sketch, Drawing)):
        seen.append(args[1])
      return run(*args, **kwargs)

    with nn.intercept_methods(record):
      gen.apply(variables, latents, given, 1, train=False, method=draw_stage)
    return seen

  noises = []
  for stage, condition in enumerate(conditions(variables, latents, given)):
    own = Conditioning(3, 4, gen.style)
    params = {'params': variables['params'][f'conditions_{stage}']}
    mean, log_var = own.apply(params, given)
    noises.append((condition - mean) / np.exp(0.5 * log_var))
  for noise in noises:
    assert np.abs(noise.mean()) < 0.1
    assert abs(noise.std() - 1) < 0.1
  assert abs(np.corrcoef(*(noise.ravel() for noise in noises))[0, 1]) < 0.15


def draw_stage(gen, latents, given, number, *, train):
  return gen.draw(number, latents, given, train)


# --- Stages -------------------------------------------------------------------


def model_of(resolution, **keys):
  shape = (16, 16, 3)
  config = tiny_digits(
    network__name='stackgan',
    network__gen_widths=None,
    network__disc_widths=None,
    network__gen_width=2,
    network__disc_width=2,
    network__blocks=1,
    network__condition_dim=5,
    network__text_dim=4,
    network__resolution=resolution,
    given=('text',),
    mismatch_weight=0.5,
    conditioning_weight=2.0,
    **keys,
  )
  info = fake_info(shape, 1)._replace(
    columns={'text': (3,)}, vocabulary=('a', 'red', 'cat')
  )
  batch = fake_batch(4, shape, 1)
  text = np.array([[2, 3, 0], [4, 0, 0], [2, 4, 0], [1, 0, 0]], np.int32)
  return build(config, info), batch._replace(given={'text': text})


def changed(before, after):
  return {name for name in before if differs(before[name], after[name])}


@pytest.mark.parametrize(
  ('resolution', 'gen', 'judge'),
  [
    slow(8, {'sketch', 'conditions_0'}, 'judges_0'),
    (16, {'drawing', 'conditions_1'}, 'judges_1'),
  ],
)
@pytest.mark.slow
def test_a_stage_trains_its_own_networks(resolution, gen, judge):
  """The first is frozen in the second: no weight of it moves, no statistic."""
  model, batch = model_of(resolution)
  state = jax.jit(model.init)(KEY)
  step = jax.jit(model.train_step)
  after, metrics = step(state, stack_draws(batch), jax.random.key(1))
  for own in ('params', 'model_state'):
    old, new = (getattr(s, own) for s in (state, after))
    if own == 'model_state':
      old, new = ([p['batch_stats'] for p in s] for s in (old, new))
    kept = gen if own == 'params' else gen - {'conditions_0', 'conditions_1'}
    assert changed(old[0], new[0]) == kept
    assert changed(old[1], new[1]) == {judge}
  assert metrics['conditioning_kl'] > 0
  level = {8: 1, 16: 2}[resolution]
  for player in after.model_state:
    assert player[COLLECTION][GROWN] == level


@pytest.mark.slow
def test_what_has_grown_is_drawn():
  """Images of the first stage are squares of equal pixels."""
  model, batch = model_of(16)
  params, state = model.game.init(KEY)
  latents = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)

  def draw(grown):
    own = {'params': params.gen, **set_grown(state.gen, jnp.float32(grown))}
    return np.asarray(model.game.generate(own, latents, batch.given)[0])

  coarse, fine = draw(1.0), draw(2.0)
  squares = coarse.reshape(4, 8, 2, 8, 2, 3)
  assert (squares == squares[:, :, :1, :, :1]).all()
  assert differs(coarse, fine)
  fine = fine.reshape(4, 8, 2, 8, 2, 3)
  assert not (fine == fine[:, :, :1, :, :1]).all()


@pytest.mark.slow
def test_losses_of_a_d_that_says_nothing():
  """D of zeros: ln 2 (1 + 1/2 + 1/2), and ln 2 + 2 KL of G."""
  model, batch = model_of(8)
  params, state = model.game.init(KEY)
  params = params._replace(disc=jax.tree.map(jnp.zeros_like, params.disc))
  loss, outcome = model.game.objectives.disc(params, state, batch, KEY, 0)
  np.testing.assert_allclose(loss, 2 * math.log(2), rtol=1e-5)
  loss, outcome = model.game.objectives.gen(params, state, batch, KEY, 0)
  kl = outcome.metrics['conditioning_kl']
  np.testing.assert_allclose(loss, math.log(2) + 2 * kl, rtol=1e-5)
  mean, log_var = model.networks.gen.apply(
    {'params': params.gen, **state.gen},
    batch.given,
    train=True,
    method='conditioning',
  )
  per_dimension = 0.5 * (mean**2 + jnp.exp(log_var) - 1 - log_var)
  np.testing.assert_allclose(kl, per_dimension.mean(), rtol=1e-5)


def test_texts_that_are_moved_as_often_as_there_are_come_back():
  given = {'text': np.arange(12, dtype=np.int32).reshape(4, 3)}
  once = next_in_batch(given, None)
  assert not np.any(once['text'] == given['text'])
  twice = given
  for _ in range(4):
    twice = next_in_batch(twice, None)
  assert_same_bits(jax.tree.map(np.asarray, twice), given)


def test_images_are_judged_alone_too():
  disc = tiny(alone=True).disc
  assert disc.judges_alone
  assert not tiny(alone=True, resolution=8).disc.judges_alone
  images = jax.random.uniform(KEY, (2, 16, 16, 3), minval=-1)
  texts = [{'text': np.full((2, 3), n, np.int32)} for n in (2, 3)]
  variables = disc.init(KEY, images, texts[0], train=False)
  one, two = (disc.apply(variables, images, t, train=False) for t in texts)
  assert differs(one.logits, two.logits)
  assert not differs(one.guesses, two.guesses)
  loss = make_loss('non_saturating')
  real, fake = jnp.array([1.0, 2.0]), jnp.array([-0.5, 0.0])
  sides = [Side(None, Verdict(x, {'alone': x})) for x in (real, fake)]
  scene = Scene(*sides, *[None] * 7)
  terms = alone_terms(loss)
  expected = loss.disc_real(real) + loss.disc_fake(fake)
  assert terms.disc[0].value(scene) == expected
  assert terms.gen[0].value(scene) == loss.gen(fake)


# --- Whole runs ---------------------------------------------------------------


@pytest.fixture(scope='module')
def captioned(tmp_path_factory):
  """A folder of 24 squares with captions."""
  root = tmp_path_factory.mktemp('captioned')
  rng, texts = np.random.default_rng(0), {}
  for number in range(24):
    colour = number % 3
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., colour] = rng.integers(128, 256)
    Image.fromarray(image).save(root / f'{number}.png')
    texts[f'{number}.png'] = f'a {"red green blue".split()[colour]} square'
  (root / 'captions.json').write_text(json.dumps(texts))
  return root


def run_of(captioned, **keys):
  both = {'reset_optimizers': True}
  return tiny_digits(
    **SGD
    | dict(
      data__name='folder',
      data__dir=str(captioned),
      network__name='stackgan',
      network__gen_widths=None,
      network__disc_widths=None,
      network__gen_width=6,
      network__disc_width=2,
      network__blocks=1,
      network__condition_dim=5,
      network__text_dim=4,
      network__alone=True,
      given=('text',),
      mismatch_weight=0.5,
      conditioning_weight=2.0,
      gen_optimizer__learning_rate=0.01,
      disc_optimizer__learning_rate=0.01,
      ema_decay=0.5,
      stages=(
        (0, {'network.resolution': 8, **both}),
        (6, {'network.resolution': 16, **both}),
      ),
      num_steps=8,
      log_every=2,
      steps_per_dispatch=2,
      checkpoint_every=2,
      sample_every=8,
    )
    | keys
  )


@pytest.fixture(scope='module')
def whole(captioned, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('stackgan')
  train(run_of(captioned), workdir)
  return workdir


@pytest.mark.slow
def test_a_text_is_drawn(captioned, whole, tmp_path, capsys):
  def ask(**keys):
    sample_mode.sample(run_of(captioned, **keys), whole, tmp_path)
    return capsys.readouterr().out

  said = ask(sample__text='a red zebra', sample__num=4)
  assert 'no caption of this run has zebra' in said
  assert (tmp_path / 'samples.png').exists()
  images = np.load(tmp_path / 'samples.npz')['images']
  run = gan_jax.load(whole)
  same = run.sample(4, given={'text': 'a red lion'})  # lions are not known too
  assert np.array_equal(images, same)
  told = [{'text': np.full((4, 3), n, np.int32)} for n in (2, 3)]
  assert differs(*(run.generator(run.latents(4), given=t) for t in told))
  with pytest.raises(InputError, match=r'sample.text: .*sheet=truncation'):
    ask(sample__text='a cat', sample__sheet='truncation')


@pytest.mark.slow
def test_a_run_without_text_says_so(tmp_path):
  train(tiny_digits(num_steps=4), tmp_path)
  with pytest.raises(
    InputError, match=r'sample.text: this run is told nothing'
  ):
    sample_mode.sample(tiny_digits(sample__text='a cat'), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('stop', [6, 4])
def test_resumed_equals_uninterrupted(captioned, whole, tmp_path, stop):
  """At the boundary, where optimizers begin anew, and before it."""
  for num_steps in (stop, 8):
    train(run_of(captioned, num_steps=num_steps), tmp_path)
  assert_same_bits(restore(whole).state, restore(tmp_path).state)


@pytest.mark.slow
def test_four_devices_are_one(captioned, whole, tmp_path):
  train(run_of(captioned, num_devices=4), tmp_path)
  states = [restore(place).state for place in (whole, tmp_path)]
  assert_close(states[1].params, states[0].params, 2e-3)


# --- What is refused ----------------------------------------------------------


@pytest.mark.parametrize(
  ('size', 'keys', 'says'),
  [
    (20, {}, r'data.image_size: .* nearest size is 16'),
    (8, {}, r'data.image_size: .* 16 pixels or more'),
    (16, dict(first_size=16), r'network.first_size: 16 is not from 8 to 8'),
    (32, dict(first_size=12), r'network.first_size: .* nearest size is 16'),
    (16, dict(resolution=4), r'network.resolution: .* 8 and 16 pixels'),
  ],
)
def test_sizes_that_are_no_stage_are_refused(size, keys, says):
  with pytest.raises(InputError, match=says):
    tiny(size, **keys)


@pytest.mark.parametrize(
  ('keys', 'says'),
  [
    (
      dict(given=(), mismatch_weight=0.0),
      r'given: stackgan draws what it is told',
    ),
    (
      dict(fade_in=(2, 4), network__resolution=16),
      r'fade_in: .* stackgan do not',
    ),
    (
      dict(network__name='dcgan', network__blocks=None),
      r'conditioning_weight: G of dcgan draws no vector',
    ),
    (dict(conditioning_weight=-1.0), r'conditioning_weight: -1.0 is not'),
  ],
)
def test_what_makes_no_sense_is_one_line(captioned, tmp_path, keys, says):
  if keys.get('network__name'):
    keys |= dict.fromkeys(
      ('network__condition_dim', 'network__text_dim', 'network__alone')
    )
    keys['stages'] = ()
  with pytest.raises(InputError, match=says):
    train(run_of(captioned, **keys), tmp_path)
