"""The mode-collapse experiments: their protocols, counts and tables."""

import functools
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import common, ring_and_grid, stacked_mnist
from gan_jax import solvers
from gan_jax.data import load_dataset
from gan_jax.metrics.mixture_modes import mixture_modes
from gan_jax.metrics.mode_coverage import mode_coverage
from gan_jax.types import InputError
from tests.helpers import run_experiment, sampled

KEY = jax.random.key(0)
run = functools.partial(run_experiment, timeout=900)


# --- Counting -----------------------------------------------------------------


def test_modes_are_counted_by_hand():
  means = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
  points = np.array(
    [[0.1, 0], [0, 0.29], [0.31, 0], [10, 0.1], [5, 5], [0, 9.8], [10.2, 0]]
  )
  found = mixture_modes(points, means, 0.1)
  # Of high quality: two at the first, two at the second, one at the third.
  assert (found.captured, found.num_modes) == (3, 4)
  np.testing.assert_allclose(found.high_quality, 5 / 7)
  p = np.array([2, 2, 1]) / 5
  np.testing.assert_allclose(found.reverse_kl, (p * np.log(4 * p)).sum())


@pytest.mark.parametrize('name', ['ring', 'grid'])
def test_a_perfect_sampler_meets_the_oracle(name):
  """98.89 % within 3 sigma; bounds are five standard errors."""
  mixture = ring_and_grid.DATA[name]
  points = mixture.sample(KEY, 20_000)
  found = mixture_modes(points, mixture.means, float(mixture.stds[0]))
  assert found.captured == len(mixture.means) == dict(ring=8, grid=25)[name]
  share = 1 - np.exp(-4.5)
  error = np.sqrt(share * (1 - share) / 20_000)
  assert abs(found.high_quality - share) < 5 * error
  assert found.reverse_kl < 5 * (found.num_modes - 1) / (2 * 20_000)


def test_no_mode_is_no_divergence():
  found = mixture_modes(np.full((3, 2), 50.0), np.eye(2), 0.1)
  assert (found.captured, found.high_quality) == (0, 0.0)
  assert np.isnan(found.reverse_kl)


def test_one_mode_is_the_largest_divergence():
  mixture = ring_and_grid.DATA['ring']
  found = mixture_modes(np.tile(mixture.means[:1], (9, 1)), mixture.means, 0.01)
  np.testing.assert_allclose(found.reverse_kl, np.log(8))


# --- Ring and grid ------------------------------------------------------------


def shapes(params):
  return sorted(x.shape for x in jax.tree.leaves(params) if x.ndim > 1)


@pytest.mark.parametrize(
  'name', sampled(ring_and_grid.METHODS, 'GAN', 'PacGAN2', 'unrolled 5')
)
def test_every_method_is_pacgans_game(name):
  """Four layers of 400 in G, three of 200 maxout units of 5 pieces in D."""
  method = ring_and_grid.METHODS[name]
  networks, game, step = ring_and_grid.build(method)
  state = jax.eval_shape(
    functools.partial(solvers.init_state, game, method.optimizers), KEY
  )
  hidden = [(400, 400)] * 3
  assert shapes(state.params.gen) == sorted([(2, 400), *hidden, (400, 2)])
  packing = method.tricks.packing
  last = 200 + method.disc_style.get('minibatch_kernels', 0)
  first = [(2 * packing, 1_000), (200, 1_000), (200, 1_000), (last, 1)]
  kernels = {k: v for k, v in state.params.disc.items() if 'Dense' in k}
  assert shapes(kernels) == sorted(first)
  batch = jax.eval_shape(
    lambda key: ring_and_grid.draw(key, jnp.zeros((50, 2)), method), KEY
  )
  assert batch.images.shape == (method.disc_steps, 100 * packing, 2)
  after, metrics = jax.eval_shape(step, state, batch, KEY)
  assert jax.tree.structure(after) == jax.tree.structure(state)
  assert 'gen_loss' in metrics
  assert networks.gen.style.norm_momentum == 0.95


def test_initial_weights_have_the_papers_deviation():
  method = ring_and_grid.METHODS['GAN']
  _, game, _ = ring_and_grid.build(method)
  params, _ = game.init(KEY)
  for player in params:
    for path, kernel in jax.tree_util.tree_leaves_with_path(player):
      if kernel.ndim > 1:
        error = 5 * 0.02 / np.sqrt(2 * kernel.size)
        assert abs(float(kernel.std()) - 0.02) < error, path


def test_all_methods_get_the_steps_of_the_paper(tmp_path, monkeypatch):
  made = []

  def train(name, data, steps, seeds, seed):
    made.append((name, data, steps))
    scores = np.ones((seeds, 3))
    return ring_and_grid.Outcome(scores, np.zeros((25, 500, 2)), steps, 0.0)

  monkeypatch.setattr(ring_and_grid, 'train', train)
  for saver in ('save_figure', 'save_animation'):
    monkeypatch.setattr(common, saver, lambda *args, **keys: None)
  monkeypatch.setattr(ring_and_grid, 'draw_frame', lambda *args: None)
  ring_and_grid.experiment(tmp_path, budget='full', only='', seeds=1, seed=0)
  names = ring_and_grid.METHODS
  assert made == [(n, d, 400_000) for d in ('ring', 'grid') for n in names]


@pytest.mark.slow  # trains
def test_training_is_by_seed_and_the_table_has_both_figures():
  ring = ring_and_grid.train('PacGAN2', 'ring', 25, 2, 0)
  assert ring.scores.shape == (2, 3)
  assert ring.frames.shape == (25, 500, 2)
  assert ring.steps == 25
  again = ring_and_grid.train('PacGAN2', 'ring', 25, 2, 0)
  np.testing.assert_array_equal(ring.frames, again.frames)
  scores = np.array([[8, 0.9, 0.1], [6, 0.7, 0.3]])
  text = ring_and_grid.table('ring', {'PacGAN2': ring._replace(scores=scores)})
  for cell in ('7.9 +- .1', '7 +- 1', '95.6 +- 2.0', '80 +- 10', '0.2 +- 0.1'):
    assert f'| {cell} |' in text
  scores[1, 2] = np.nan  # no sample near any mode
  text = ring_and_grid.table('ring', {'PacGAN2': ring._replace(scores=scores)})
  assert 'nan' not in text
  assert '| .07 +- .03 |  | ' in text
  figure = ring_and_grid.draw_frame({'ring': {'PacGAN2': ring}}, 1.0)
  assert 'PacGAN2\n25 steps' in figure.axes[0].get_title()


@pytest.mark.slow  # trains; its parts are tested above
def test_one_command_for_ring_and_grid(tmp_path):
  done = run(
    'ring_and_grid',
    f'--out={tmp_path}',
    '--budget=smoke',
    '--only=GAN, spectral norm',
    '--seeds=2',
  )
  assert done.returncode == 0, done.stderr
  text = (tmp_path / 'ring_and_grid.md').read_text()
  assert len(re.findall(r'^\| (GAN|spectral norm) \| 25 \|', text, re.M)) == 4
  for name in ('ring_and_grid.png', 'ring_and_grid.gif'):
    assert (tmp_path / name).stat().st_size > 10_000


@pytest.mark.slow
def test_a_wrong_flag_of_ring_and_grid_is_one_line():
  done = run('ring_and_grid', '--only=foo')
  assert done.returncode == 2
  assert "--only: unknown name 'foo'" in done.stderr
  assert 'PacGAN4' in done.stderr
  done = run('ring_and_grid', '--budget=huge')
  assert done.returncode == 2
  assert 'smoke' in done.stderr


def test_means_have_errors():
  assert common.with_error([8, 6]) == '7 +- 1'
  assert common.with_error([0.5]) == '0.5'
  assert common.with_error([0.5, np.nan]) == ''  # no figure of all runs
  assert common.with_error([np.nan]) == ''


# --- Stacked MNIST ------------------------------------------------------------


@pytest.mark.parametrize(
  ('name', 'size'),
  sampled(
    itertools.product(
      ['DCGAN', 'unrolled 1', 'PacDCGAN2'], stacked_mnist.SIZES
    ),
    *(('DCGAN', size) for size in stacked_mnist.SIZES),
  ),
)
def test_stacked_networks_are_metzs(name, size):
  method = stacked_mnist.METHODS[name]
  _, game, step = stacked_mnist.build(size, method)
  state = jax.eval_shape(
    functools.partial(solvers.init_state, game, stacked_mnist.OPTIMIZERS), KEY
  )
  outputs = [
    state.params.gen[f'ConvTranspose_{i}']['kernel'].shape for i in range(3)
  ]
  assert outputs == [(3, 3, 64, 32), (3, 3, 32, 16), (3, 3, 16, 8)]
  widths = stacked_mnist.SIZES[size]
  channels = [3 * method.packing, *widths]
  for i, width in enumerate(widths):
    kernel = state.params.disc[f'Conv_{i}']['kernel']
    assert kernel.shape == (3, 3, channels[i], width)
  batch = jax.eval_shape(
    lambda key: stacked_mnist.draw(
      key, jnp.zeros((20, 28, 28, 1), jnp.uint8), method.packing
    ),
    KEY,
  )
  assert batch.images.shape == (1, 128 * method.packing, 28, 28, 3)
  fakes = jax.eval_shape(
    game.fakes,
    state.params,
    state.model_state,
    jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), batch),
    KEY,
  )
  assert fakes.shape == (128 * method.packing, 28, 28, 3)
  after, _ = jax.eval_shape(step, state, batch, KEY)
  assert jax.tree.structure(after) == jax.tree.structure(state)


def test_a_stack_is_three_digits_at_random():
  digits = np.repeat(np.arange(10, dtype=np.uint8), 28 * 28)
  digits = 25 * digits.reshape(10, 28, 28, 1)
  batch = stacked_mnist.draw(KEY, jnp.asarray(digits), 2)
  images = np.asarray(batch.images[0])
  values = np.round((images[:, 0, 0] + 1) * 127.5 / 25).astype(int)
  assert np.ptp(images, axis=(1, 2)).max() == 0
  assert len(np.unique(values @ [100, 10, 1])) > 200  # of 256 draws from 1,000


def test_modes_of_stacks_are_three_digits(monkeypatch):
  def extract(network, images, batch_size):
    del network, batch_size
    brightness = images[:, 0, 0, 0] // 25
    yield None, {'logits': np.eye(10)[brightness]}

  monkeypatch.setattr(stacked_mnist, 'extract', extract)
  monkeypatch.setattr(stacked_mnist, 'image_set', lambda images: images)
  stacks = np.array([[1, 2, 3], [1, 2, 3], [0, 0, 9], [9, 9, 9]], np.uint8)
  images = np.broadcast_to(25 * stacks[:, None, None], (4, 28, 28, 3))
  counts = stacked_mnist.count_modes(None, images)
  assert counts.shape == (1_000,)
  assert {m: counts[m] for m in np.flatnonzero(counts)} == {
    123: 2,
    9: 1,
    999: 1,
  }
  covered = mode_coverage(counts)
  assert covered.captured == 3


def test_a_wrong_method_is_refused():
  with pytest.raises(InputError, match="--only: unknown name 'foo'"):
    stacked_mnist.chosen('DCGAN,foo')
  assert stacked_mnist.chosen('') == list(stacked_mnist.METHODS)


@pytest.mark.slow
def test_one_command_for_stacked_mnist(tmp_path):
  try:
    load_dataset('mnist')
  except InputError as error:
    pytest.skip(f'mnist is not prepared: {error}')
  done = run(
    'stacked_mnist',
    f'--out={tmp_path}',
    '--budget=smoke',
    '--only=DCGAN,PacDCGAN2',
  )
  assert done.returncode == 0, done.stderr
  text = (tmp_path / 'stacked_mnist.md').read_text()
  assert text.count('| 8 | ') == 4
  for stem in ('stacked_mnist_G4', 'stacked_mnist_G2'):
    for suffix in ('png', 'gif'):
      assert (tmp_path / f'{stem}.{suffix}').stat().st_size > 10_000
