"""The loop: rows, pictures, resuming bit for bit, devices, data feeds."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax.config import sections
from gan_jax.config.build import build
from gan_jax.config.plan import read
from gan_jax.data import make_feed
from gan_jax.devices import parallel
from gan_jax.modes.evaluate import evaluate
from gan_jax.modes.train import train
from gan_jax.reporting import pictures
from gan_jax.training import dispatch as dispatch_lib
from gan_jax.training import painter
from gan_jax.training.runs import open_run
from gan_jax.types import InputError
from gan_jax.workdir.trained import restore
from tests.helpers import (
  assert_close,
  assert_same_bits,
  differs,
  fake_batch,
  fake_info,
  load_config,
  sampled,
  slow,
  stack_draws,
  tiny_digits,
  tiny_keys,
)


def final_state(config, workdir):
  train(config, workdir)
  return restore(workdir).state


def rows(workdir):
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  return [json.loads(line) for line in lines]


# --- What a run leaves ------------------------------------------------------


def test_a_run_leaves_everything_in_its_workdir(tmp_path, capsys):
  config = tiny_digits(log_every=2, steps_per_dispatch=4)
  train(config, tmp_path / 'run')
  run = tmp_path / 'run'
  assert [row['step'] for row in rows(run)] == [2, 4, 6, 8, 10, 12]
  assert all(np.isfinite(v) for row in rows(run) for v in row.values())
  assert 'images_per_second' in rows(run)[-1]
  pictures = sorted(p.name for p in (run / 'samples').iterdir())
  assert pictures == ['final.png', 'step_00000008.png']
  for name in ('config.json', 'dataset.json', 'environment.json', 'losses.png'):
    assert (run / name).stat().st_size > 0
  assert list(run.glob('events.out.tfevents.*'))
  saved = sorted(int(p.name) for p in (run / 'checkpoints').iterdir())
  assert saved == [8, 12]  # the newest two
  assert [p.name for p in run.rglob('.*') if p.is_file()] == ['.lock']
  out = capsys.readouterr().out
  assert 'training' in out
  assert str(run / 'losses.png') in out
  assert '--mode=sample' in out
  # Once more: nothing to do, nothing lost.
  train(config, run)
  out, err = capsys.readouterr()
  assert f'done already: {run} at step 12 of 12' in out
  assert 'step/s' not in err  # no bar
  assert len(rows(run)) == 6
  # It does not go back either, and stays what it is.
  before = (run / 'config.json').read_bytes()
  shorter = tiny_digits(num_steps=8)
  with pytest.raises(InputError, match=r'num_steps: .* is at step 12 already'):
    train(shorter, run)
  assert (run / 'config.json').read_bytes() == before


@pytest.mark.slow
def test_a_folder_is_told_of_and_known_again(tmp_path, capsys):
  """Also by a run of before contents and `data.skip_broken` were known."""
  images, run = tmp_path / 'images', tmp_path / 'run'
  images.mkdir()
  for i in range(20):
    Image.new('L', (8, 8), 10 * i).save(images / f'{i}.bmp')
  (images / 'notes.txt').write_text('x')
  keys = dict(data__name='folder', log_every=2, checkpoint_every=2)
  keys |= dict(data__dir=str(images))
  train(tiny_digits(num_steps=2, **keys), run)
  out = capsys.readouterr().out
  assert out.count('data: 20 images of') == 1
  assert out.count('data: ignored: 1 .txt') == 1
  for name, of in (('config.json', 'data'), ('dataset.json', '')):
    fields = json.loads((run / name).read_text())
    if of:
      del fields[of]['skip_broken']
    else:
      fields['version'] = fields['version'].split(', contents')[0]
    (run / name).write_text(json.dumps(fields))
  train(tiny_digits(num_steps=4, **keys), run)
  assert [row['step'] for row in rows(run)] == [2, 4]
  Image.new('L', (8, 8), 7).save(images / '3.bmp')
  asked = tiny_digits(num_steps=6, eval__network='random', **keys)
  for mode in (train, evaluate):
    with pytest.raises(InputError, match=r'the data of .* has changed: ver'):
      mode(asked, run)


def test_a_long_gradient_is_warned_of_once(tmp_path, capsys):
  config = tiny_digits(diagnose__grad_norm=1e-9, num_steps=8)
  train(config, tmp_path / 'run')
  out = capsys.readouterr().out
  for player in ('disc', 'gen'):
    assert out.count(f'warning: {player}_grad_norm ') == 1


# --- Real images beside the fakes -------------------------------------------


class Labelled:
  """Images that say which they are, of three classes, the last one rare."""

  image_shape = (1, 1, 1)

  def __len__(self):
    return 100

  def read(self, indices):
    images = np.asarray(indices, np.uint8).reshape(-1, 1, 1, 1)
    return {'images': images, 'labels': np.where(indices == 7, 2, indices % 2)}


def test_real_images_are_chosen_by_the_seed():
  one, again, other = (
    painter.real_images(Labelled(), 16, seed).ravel() for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(one, again)
  assert len(set(one)) == 16
  assert set(one) != set(other)
  assert len(painter.real_images(Labelled(), 150, 0)) == 150


def test_real_images_are_of_the_classes_asked_for():
  labels = np.arange(6) % 3
  found = painter.real_images(Labelled(), 6, 0, labels).ravel()
  assert found[2] == 7
  assert found[5] == pictures.GREY  # there is no second one
  others = found[[0, 1, 3, 4]]
  np.testing.assert_array_equal(others % 2, [0, 1, 0, 1])
  assert len(set(others)) == 4


def test_a_run_of_one_dispatch_has_no_rate(tmp_path, capsys):
  train(tiny_digits(num_steps=4), tmp_path)
  screen = capsys.readouterr().err
  assert 'D 0.' in screen or 'D 1.' in screen
  assert 'images/s' not in screen


@pytest.mark.slow
def test_a_grid_shows_real_images_above_fakes_of_their_class(tmp_path):
  config = tiny_digits(conditional=True, num_steps=4)
  train(config, tmp_path)
  from gan_jax.data import load_dataset

  every = load_dataset('digits').train.whole()
  with Image.open(tmp_path / 'samples' / 'final.png') as image:
    pixels = np.asarray(image)
  assert pixels.shape[1] == 10 * 58 - 2
  height = 6 * 58 - 2
  fakes = restore(tmp_path).sampler().sample(60, seed=config.seed)
  grid = pictures.grid(fakes, 10)
  np.testing.assert_array_equal(pixels[-height:], grid)
  top = 28 + 28  # of real images, below the names of classes and a title
  for row in range(2):
    for label in range(10):
      tile = pixels[top + 58 * row :, 58 * label :][:56:7, :56:7, :1]
      same = (every['images'] == tile).all(axis=(1, 2, 3))
      assert label in every['labels'][same]


@pytest.mark.parametrize(
  ('intervals', 'longest', 'expected'),
  [
    ((100, 500, 1000), 50, 50),
    ((100, 500, 1000), 70, 50),
    ((100, 500, 1000), 1000, 100),
    ((7, 500, 1000), 50, 1),
    ((30, 45, 60), 50, 15),
  ],
)
def test_dispatches_meet_every_event(intervals, longest, expected):
  log, sample, save = intervals
  config = tiny_digits(
    log_every=log,
    sample_every=sample,
    checkpoint_every=save,
    steps_per_dispatch=longest,
  )
  assert sections.schedule(config).dispatch_length == expected


# --- Bit for bit ------------------------------------------------------------

# What the bits must not depend on, and what a resume must carry.
FULL = dict(
  ema_decay=0.9,
  disc_steps=2,
  data__flip=True,
  conditional=True,
  network__gen_norm='batch',
  network__disc_norm='spectral',
)


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
  return final_state(
    tiny_digits(**FULL), tmp_path_factory.mktemp('uninterrupted')
  )


@pytest.mark.slow
def test_state_carries_all_it_should(uninterrupted):
  assert uninterrupted.ema is not None
  assert jax.tree.leaves(uninterrupted.model_state.gen)
  assert jax.tree.leaves(uninterrupted.model_state.disc)


@pytest.mark.parametrize('stop', sampled([7, 8], 8))
def test_resumed_equals_uninterrupted(tmp_path, uninterrupted, stop):
  """Also from a step in the middle of a dispatch, once num_steps is raised."""
  final_state(tiny_digits(**FULL, num_steps=stop), tmp_path)
  assert_same_bits(final_state(tiny_digits(**FULL), tmp_path), uninterrupted)
  steps = [row['step'] for row in rows(tmp_path)]
  assert steps == sorted(set(steps))
  assert set(steps) >= {4, 8, 12}


@pytest.mark.slow
@pytest.mark.parametrize('steps_per_dispatch', [1, 2])
def test_bits_do_not_depend_on_the_dispatch_length(
  tmp_path, uninterrupted, steps_per_dispatch
):
  config = tiny_digits(**FULL, steps_per_dispatch=steps_per_dispatch)
  assert_same_bits(final_state(config, tmp_path), uninterrupted)


@pytest.mark.slow  # tests/data compares the feeds
def test_streamed_equals_device_cached(tmp_path, uninterrupted):
  config = tiny_digits(**FULL, data__cache='stream', num_steps=8)
  final_state(config, tmp_path)
  # ... and the run can be finished from the other feed.
  assert_same_bits(final_state(tiny_digits(**FULL), tmp_path), uninterrupted)


@pytest.mark.slow
def test_another_seed_is_another_run(tmp_path, uninterrupted):
  other = final_state(tiny_digits(**FULL, seed=1), tmp_path)
  assert differs(other.params, uninterrupted.params)


# --- Devices ----------------------------------------------------------------

NETWORK_CASES = {
  'mlp': dict(),
  'spectral': dict(network__disc_norm='spectral', penalty='dragan'),
  'batch norm': dict(
    network__gen_norm='batch', network__disc_norm='batch', loss='wasserstein'
  ),
  'wgan_gp': dict(penalty='wgan_gp', conditional=True),
  # The other solvers differentiate through the mean over devices.
  **{
    solver: dict(
      solver=solver, network__gen_norm='batch', network__disc_norm='batch'
    )
    for solver in ('unrolled', 'extragradient', 'consensus', 'optimistic')
  },
  'unrolled wgan_gp': dict(solver='unrolled', penalty='wgan_gp'),
  # Conditional batch norm, spectral weights, projection.
  'sngan': dict(
    conditional=True,
    loss='hinge',
    network__name='sngan',
    network__gen_widths=None,
    network__disc_widths=None,
    network__gen_width=4,
    network__disc_width=4,
  ),
  'lazy r1, wrong pairs': dict(
    conditional=True, penalty='r1', penalty_every=2, mismatch_weight=0.5
  ),
  'ACGAN with codes': dict(
    conditional=True, network__disc_labels_by='classifier', codes=(3, 1)
  ),
  # Attention, and norms of a shared embedding.
  **{
    name: dict(
      conditional=True,
      loss='hinge',
      data__image_size=16,
      latent_dim=6,
      network__name=name,
      network__disc_activation='leaky_relu',  # or D dies at this rate
      network__gen_widths=None,
      network__disc_widths=None,
      network__attention=(8,),
      **tiny_keys(name),
    )
    for name in ('sagan', 'biggan')
  },
}


def run_dispatch(config, num_devices, dtype=np.float32, steps=3):
  """One dispatch on N devices, through the very functions of the loop."""
  run_devices = parallel.select_devices(num_devices)
  from gan_jax.data import load_dataset

  dataset = load_dataset('digits', image_size=config.data.image_size)
  model = build(config, dataset.info, axis_name=parallel.AXIS)
  feed = make_feed(
    dataset.train, batch_size=8, seed=0, flip=True, labels=config.conditional
  )
  state = jax.tree.map(
    lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x,
    model.init(jax.random.key(0)),
  )
  state = parallel.replicate(state, run_devices)
  constants = parallel.replicate(
    (feed.resident, jax.random.key(1)), run_devices
  )
  inputs = dispatch_lib.take_draws(feed.draws(0), steps, config.disc_steps)
  dispatch = parallel.parallelize(
    dispatch_lib.make_dispatch(model, feed.decode), run_devices
  )
  state, metrics = dispatch(
    state, constants, parallel.shard(inputs, run_devices)
  )
  return jax.device_get((state, metrics))


# Solvers beyond the fast ones differ in their updates, not in what is averaged.
_SLOW = ('optimistic', 'consensus', 'extragradient', 'unrolled wgan_gp')
_SLOW += ('unrolled', 'wgan_gp', 'batch norm', 'spectral', 'sngan')
_SLOW += ('lazy r1, wrong pairs', 'ACGAN with codes', 'sagan', 'biggan')


@pytest.mark.parametrize(
  'case',
  [slow(case) if case in _SLOW else case for case in NETWORK_CASES],
)
def test_four_devices_equal_one(case):
  config = tiny_digits(
    disc_steps=2,
    ema_decay=0.5,
    # Adam's first updates divide by the gradient's own size and so blow the
    # rounding of a near-zero gradient up; SGD shows the gradients themselves.
    gen_optimizer__name='sgd',
    gen_optimizer__b1=None,
    gen_optimizer__b2=None,
    gen_optimizer__learning_rate=0.1,
    disc_optimizer__name='sgd',
    disc_optimizer__b1=None,
    disc_optimizer__b2=None,
    disc_optimizer__learning_rate=0.1,
    **NETWORK_CASES[case],
  )
  # A look-ahead multiplies rounding, by 100 and more: float64 shows that
  # nothing else is behind it.
  wide = 'solver' in NETWORK_CASES[case]
  dtype, tolerance = (np.float64, 1e-9) if wide else (np.float32, 1e-5)
  with jax.enable_x64(wide):
    one, four = (run_dispatch(config, n, dtype) for n in (1, 4))
    size = config.data.image_size or 8
    info = fake_info((size, size, 1), num_classes=10)
    before = build(config, info).init(jax.random.key(0))
  assert differs(one[0].params.gen, before.params.gen)
  assert_close(four, one, tolerance)


@pytest.mark.slow  # the four devices above are the same in earnest
def test_vmapped_devices_equal_one():
  """The same through vmap with a named axis: no device needed."""
  config = tiny_digits(network__gen_norm='batch', network__disc_norm='batch')
  model = build(config, fake_info(), axis_name='batch')
  single = build(config, fake_info())
  state = single.init(jax.random.key(0))
  batch = stack_draws(fake_batch(8))
  shares = jax.tree.map(
    lambda x: np.moveaxis(x.reshape(1, 4, 2, *x.shape[2:]), 1, 0), batch
  )
  key = jax.random.key(2)
  one, _ = single.train_step(state, batch, key)
  four, _ = jax.vmap(
    model.train_step,
    in_axes=(None, 0, None),
    out_axes=None,
    axis_name='batch',
  )(state, shares, key)
  for x, y in zip(
    jax.tree.leaves(one.model_state),
    jax.tree.leaves(four.model_state),
    strict=True,
  ):
    np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def test_batches_must_divide_over_devices(tmp_path):
  config = tiny_digits(num_devices=4, batch_size=6)
  with pytest.raises(InputError, match='batch_size: 6 does not divide over 4'):
    train(config, tmp_path)
  config = tiny_digits(num_devices=9)
  with pytest.raises(InputError, match='num_devices: 9 is not between 0'):
    train(config, tmp_path)


def test_shard_gives_each_device_its_share():
  x = np.arange(2 * 3 * 8).reshape(2, 3, 8)
  shares = parallel.shard({'x': x}, jax.devices()[:4])['x']
  assert shares.shape == (4, 2, 3, 2)
  np.testing.assert_array_equal(np.concatenate(list(shares), axis=2), x)


# --- Bad data in mid-training -----------------------------------------------


@pytest.mark.slow
def test_unreadable_data_loses_no_training(tmp_path, monkeypatch):
  """A stream that fails at its 7th draw leaves a checkpoint at step 6."""
  from gan_jax.data import feeds

  real_draws = feeds.DeviceFeed.draws

  def failing(self, start):
    for number, draw in enumerate(real_draws(self, start), start):
      if number == 6:
        raise InputError('data.dir: cannot read image x.png')
      yield draw

  monkeypatch.setattr(feeds.DeviceFeed, 'draws', failing)
  config = tiny_digits(steps_per_dispatch=2, log_every=2, checkpoint_every=12)
  with pytest.raises(InputError, match=r'x\.png'):
    train(config, tmp_path)
  monkeypatch.undo()
  assert restore(tmp_path).state.step == 6
  resumed = final_state(config, tmp_path)
  whole = final_state(config, tmp_path / 'whole')
  assert_same_bits(resumed, whole)
  assert [row['step'] for row in rows(tmp_path)] == [2, 4, 6, 8, 10, 12]


def test_a_refused_start_leaves_the_workdir_free(tmp_path):
  with pytest.raises(InputError, match='batch_size: 5000'):
    train(tiny_digits(batch_size=5000), tmp_path)
  train(tiny_digits(num_steps=4), tmp_path)
  assert restore(tmp_path).state.step == 4


# --- It learns --------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures('optimised')
def test_the_default_config_learns_digits(tmp_path):
  """After 600 steps the mean image is that of the data, at first it is not."""
  config = load_config(
    'mlp_digits', num_steps=600, num_devices=1, sample_every=600
  )
  train(config, tmp_path)
  from gan_jax.data import load_dataset

  data = load_dataset('digits').train
  real = data.read(np.arange(len(data)))['images'].mean(axis=0)
  trained = restore(tmp_path)
  untrained = trained._replace(state=trained.model.init(jax.random.key(0)))

  def distance(run):
    fake = run.sampler().sample(256).astype(np.float64).mean(axis=0)
    return np.sqrt(np.mean((fake - real) ** 2))

  assert distance(trained) < 0.35 * distance(untrained)


@pytest.mark.parametrize('num', [1, slow(2)])
def test_callbacks_see_every_row(tmp_path, num):
  """One that fails ends the run: it is not taken for a full disk."""
  seen = []

  def callback(step, metrics):
    seen.append({'step': step, **metrics})
    if step == 12:
      raise FileNotFoundError('nowhere')

  with pytest.raises(RuntimeError, match='a callback failed: nowhere'):
    gan_jax.train(tiny_digits(num_seeds=num), tmp_path, [callback])
  assert [row['step'] for row in seen[::num]] == [4, 8, 12]
  assert seen == rows(tmp_path)[: len(seen)]
  assert [row.get('member') for row in seen[:2]] == (
    [0, 1] if num > 1 else [None, None]
  )
  assert restore(tmp_path).state.step == 8


@pytest.mark.parametrize(
  ('keys', 'player'),
  [
    (dict(batch_size=1, network__gen_norm='batch'), 'gen'),
    (dict(micro_batch=1, network__gen_norm='batch'), 'gen'),
    (dict(micro_batch=1, network__disc_norm='batch'), 'disc'),
    (
      dict(batch_size=1, conditional=True, network__gen_norm='conditional'),
      'gen',
    ),
    (
      dict(batch_size=2, tricks__packing=2, network__disc_norm='batch'),
      'disc',
    ),
    (
      dict(num_seeds=2, batch_size=1, num_devices=2, network__gen_norm='batch'),
      'gen',
    ),
  ],
)
def test_batch_norm_over_one_example_is_refused(keys, player, tmp_path):
  words = f'network.{player}_norm: .* has one example .*batch_size=.*layer'
  with pytest.raises(InputError, match=words):
    open_run(read(tiny_digits(**keys)), tmp_path)


@pytest.mark.parametrize(
  'keys',
  [
    dict(batch_size=1, network__gen_norm='layer'),
    dict(batch_size=2, tricks__packing=2, network__gen_norm='batch'),
    dict(batch_size=2, num_devices=2, network__gen_norm='batch'),
  ],
)
def test_one_example_without_batch_norm_or_with_other_devices(keys, tmp_path):
  open_run(read(tiny_digits(**keys)), tmp_path)
