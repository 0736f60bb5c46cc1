"""Generators with poses: turning, sizes, and what a run of them does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax.modes import orbit as orbit_mode
from gan_jax.modes.train import train
from gan_jax.networks import make_networks, posing, volumes
from gan_jax.networks.pigan import Field, Mapping
from gan_jax.sampling.orbits import half_turns
from gan_jax.types import Column, InputError
from gan_jax.workdir.trained import restore
from tests.helpers import (
  SGD,
  assert_close,
  assert_same_bits,
  differs,
  task_of,
  tiny_digits,
)

KEY = jax.random.key(0)


def count(tree):
  return sum(x.size for x in jax.tree.leaves(tree))


def pair_of(name, size=32, told=False, **keys):
  small = dict(gen_width=2, disc_width=2)
  small |= dict(field_depth=2, samples=3) if name == 'pigan' else {}
  task = task_of((size, size, 1), latent_dim=6)
  if told:
    task = task._replace(given={'pose': Column((2,))})
  return make_networks(name, task, **small | keys)


# --- Volumes ------------------------------------------------------------------


def turned(volume, azimuth=0.0, elevation=0.0):
  pose = jnp.full((len(volume), 2), jnp.array([azimuth, elevation]) / 180)
  return np.asarray(volumes.rotated(volume, pose))


def volume_of(size=4, seed=0):
  shape = (2, size, size, size, 3)
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_right_angles_move_voxels():
  """From the right, what was there is in front; from above, the top is."""
  volume = volume_of()
  assert np.array_equal(turned(volume), volume)
  right = volume.swapaxes(1, 3)[:, :, :, ::-1]
  np.testing.assert_allclose(turned(volume, 90), right, atol=1e-5)
  above = volume.swapaxes(1, 2)[:, ::-1]
  np.testing.assert_allclose(turned(volume, 0, 90), above, atol=1e-5)
  back = volume[:, ::-1, :, ::-1]
  np.testing.assert_allclose(turned(volume, 180), back, atol=1e-5)
  both = turned(turned(volume, 90), 0, 90)
  np.testing.assert_allclose(turned(volume, 90, 90), both, atol=1e-5)


def test_a_turn_is_made_up_of_its_parts():
  """Inside the sphere that no turn leaves; of what changes slowly."""
  place = np.linspace(-1, 1, 16, dtype=np.float32)
  z, y, x = np.meshgrid(place, place, place, indexing='ij')
  volume = np.stack([x, y, z], axis=-1)[None]
  inside = (x**2 + y**2 + z**2) < 0.8
  angle = np.radians(30)
  found = turned(volume, 30)[0][inside]
  expected = np.stack(
    [
      np.cos(angle) * x + np.sin(angle) * z,
      y,
      np.cos(angle) * z - np.sin(angle) * x,
    ],
    axis=-1,
  )[inside]
  np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_convolution_of_planes_is_one_of_the_volume():
  volume = volume_of()
  for doubled in (False, True):
    layer = volumes.Conv3D(5, doubled=doubled)
    variables = layer.init(KEY, volume)
    kernel = variables['params']['Conv_0']['kernel'].reshape(3, 3, 3, 3, 5)
    kernel = jnp.moveaxis(kernel, 2, 0)  # depth, height, width
    whole = volume
    for axis in (1, 2, 3) if doubled else ():
      whole = whole.repeat(2, axis=axis)
    expected = jax.lax.conv_general_dilated(
      whole,
      kernel,
      (1, 1, 1),
      'SAME',
      dimension_numbers=('NDHWC', 'DHWIO', 'NDHWC'),
    )
    np.testing.assert_allclose(
      layer.apply(variables, volume), expected, atol=1e-4
    )


def test_depths_become_channels():
  volume = volume_of()
  flat = volumes.folded(volume)
  assert flat.shape == (2, 4, 4, 12)
  assert np.array_equal(flat[1, 2, 3, 3:6], volume[1, 1, 2, 3])


# --- Poses --------------------------------------------------------------------


def test_poses_are_drawn_within_their_ranges():
  keys = jax.random.split(KEY, 500)
  ranges = posing.ranges_of((-90, 45), (10, 20))
  pose = 180 * np.asarray(posing.pose_of(keys, {}, ranges))
  assert (pose.min(0) >= [-90, 10]).all()
  assert (pose.max(0) <= [45, 20]).all()
  assert (np.ptp(pose, axis=0) > [125, 9]).all()
  given = {'pose': jnp.ones((500, 2))}
  assert (posing.pose_of(keys, given, ranges) == 1).all()


def test_a_whole_turn_is_none():
  for degrees in (0.0, 37.0, -180.0, 179.9):
    pose = np.array([[degrees, 5.0], [degrees + 360, 5.0]])
    first, second = half_turns(pose)
    assert np.array_equal(first, second)
  assert half_turns(np.array([180.0, 0.0]))[0] == -1


@pytest.mark.parametrize(
  ('keys', 'says'),
  [
    (dict(azimuth=(90.0, -90.0)), r'network.azimuth: .*smaller first'),
    (dict(elevation=(0.0, 95.0)), r'network.elevation: .* -90 to 90'),
    (dict(azimuth=(1.0,)), r'network.azimuth: .* no pair'),
  ],
)
def test_ranges_that_are_none_are_refused(keys, says):
  for name in ('hologan', 'pigan'):
    with pytest.raises(InputError, match=says):
      pair_of(name, **keys)


# --- Networks -----------------------------------------------------------------


def test_the_field_of_pi_gan_has_its_published_size():
  """Linear layers of 3 -> 256, seven of 256, the density, colour of 259."""
  mapping, field = Mapping(256, 9), Field(256, 8, 3)
  points = jnp.zeros((1, 2, 3, 3))
  own = jax.eval_shape(mapping.init, KEY, jnp.zeros((1, 256)))
  modulation = jnp.zeros((1, 9, 2, 256))
  inside = jax.eval_shape(field.init, KEY, points, points, modulation)
  mapped = 3 * (256 * 256 + 256) + 256 * 9 * 512 + 9 * 512
  siren = 4 * 256 + 7 * (256 * 256 + 256) + 257 + 260 * 256 + 257 * 3
  assert count(own) == mapped == 1_381_632
  assert count(inside) == siren == 529_156
  assert count(own) + count(inside) == 1_910_788


@pytest.mark.parametrize(
  ('size', 'width', 'published'), [(32, 128, 2_635_776), (64, 64, 2_763_776)]
)
def test_d_has_the_size_of_grafs(size, width, published):
  task = task_of((size, size, 3), latent_dim=6)
  disc = make_networks('pigan', task, disc_width=width).disc
  images = jnp.zeros((1, size, size, 3))
  variables = jax.eval_shape(lambda: disc.init(KEY, images, {}, train=False))
  assert count(variables['params']) == published


def test_the_first_layers_are_drawn_as_the_authors_have_them():
  points = jnp.zeros((1, 2, 3, 3))
  field = Field(64, 2, 3)
  params = field.init(KEY, points, points, jnp.zeros((1, 3, 2, 64)))['params']
  first, second = (params[f'Dense_{n}']['kernel'] for n in range(2))
  assert 0.3 < np.abs(first).max() <= 1 / 3
  most = np.sqrt(6 / 64) / 25
  assert 0.9 * most < np.abs(second).max() <= most


@pytest.mark.slow
@pytest.mark.parametrize('name', ['hologan', 'pigan'])
def test_pose_and_latents_both_tell(name):
  gen = pair_of(name, told=True).gen
  rng = np.random.default_rng(0)
  latents = rng.normal(size=(3, 8)).astype(np.float32)
  latents[:, :2] = 7
  latents[1] = latents[0]
  pose = np.array([[0.1, 0], [0.4, 0], [0.1, 0]], np.float32)
  variables = gen.init(KEY, latents, {'pose': pose}, train=False)
  one, moved, other = gen.apply(variables, latents, {'pose': pose}, train=False)
  assert one.shape == (32, 32, 1)
  assert differs(one, moved)
  assert differs(one, other)
  own = pair_of(name).gen  # without, the seed draws it
  both = np.stack([latents[0]] * 2)
  both[1, 1] = 8
  first, second = own.apply(variables, both, {}, train=False)
  assert differs(first, second)
  told = own.apply(variables, both, {'pose': pose[:2] * 0}, train=False)
  assert not differs(*told)


def test_samples_move_in_training_alone():
  gen = pair_of('pigan').gen
  latents = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
  latents[:, :2] = [[1, 2], [3, 4]]
  latents[1, 2:] = latents[0, 2:]
  given = {'pose': np.zeros((2, 2), np.float32)}
  variables = gen.init(KEY, latents, given, train=False)
  still = gen.apply(variables, latents, given, train=False)
  moved = gen.apply(variables, latents, given, train=True)
  assert not differs(*still)
  assert differs(*moved)


# --- Runs ---------------------------------------------------------------------


@pytest.fixture(scope='module')
def turntable(tmp_path_factory):
  """Two things of eight views, a stripe that goes round."""
  root = tmp_path_factory.mktemp('turntable')
  rows = ['image,azimuth,elevation']
  for thing in range(2):
    (root / f'thing_{thing}').mkdir()
    for view in range(8):
      image = np.zeros((32, 32), np.uint8)
      image[:, 4 * view : 4 * view + 3] = 100 + 100 * thing
      name = f'thing_{thing}/{view}.png'
      Image.fromarray(image).save(root / name)
      rows.append(f'{name},{45 * view},0')
  (root / 'poses.csv').write_text('\n'.join(rows))
  return root


def run_of(turntable, name='hologan', **keys):
  own = dict(network__field_depth=2, network__samples=3)
  return tiny_digits(
    **SGD
    | dict(
      data__name='folder',
      data__dir=str(turntable),
      network__name=name,
      network__gen_widths=None,
      network__disc_widths=None,
      network__gen_width=2,
      network__disc_width=2,
      conditional=True,
      given=('pose',),
      num_steps=4,
      ema_decay=0.5,
      sample_every=4,
    )
    | (own if name == 'pigan' else {})
    | keys
  )


@pytest.fixture(scope='module')
def whole(turntable, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('hologan')
  train(run_of(turntable), workdir)
  return workdir


@pytest.mark.slow
def test_an_orbit_closes(turntable, whole, tmp_path, capsys):
  run = gan_jax.load(whole)
  frames = run.orbit(2, 6, seed=3)
  assert frames.shape == (6, 2, 32, 32, 1)
  latents, labels = run.latents(2, seed=3), run.labels(2)
  for degrees in (180.0, -180.0, 540.0):
    again = run.at_pose(latents, np.array([degrees, 0.0]), labels)
    assert np.array_equal(frames[0], again)
  part = run.orbit(2, 3, azimuth=(-30, 30), seed=3)
  middle = run.at_pose(latents, np.array([0.0, 0.0]), labels)
  assert np.array_equal(part[1], middle)
  keys = dict(orbit__num=2, orbit__frames=4)
  written = orbit_mode.orbit(run_of(turntable, **keys), whole, tmp_path)
  assert [path.name for path in written] == ['orbit.png', 'orbit.gif']
  with Image.open(written[0]) as strip, Image.open(written[1]) as moving:
    assert strip.width > 2 * strip.height * 0.9
    assert moving.n_frames == 4
  assert '2 things, 4 frames' in capsys.readouterr().out


@pytest.mark.slow
def test_poses_of_the_data_reach_both_players(whole):
  trained = restore(whole)
  assert trained.info.columns == {'pose': (2,)}
  run = gan_jax.load(whole)
  told = [{'pose': np.full((2, 2), x, np.float32)} for x in (0.0, 0.5)]
  images = [run.generator(run.latents(2), given=given) for given in told]
  assert differs(*images)
  pictures = np.full((2, 32, 32, 1), 90, np.uint8)
  labels = np.zeros(2, np.int32)
  logits = [run.discriminate(pictures, labels, given) for given in told]
  assert differs(*logits)


@pytest.mark.slow
@pytest.mark.parametrize(
  ('ask', 'says'),
  [
    (dict(elevation=100.0), r'elevation: 100 degrees is outside .* -90 to 90'),
    (dict(azimuth=(0.0,)), r'orbit.azimuth: \(0.0,\) is no pair'),
    (dict(elevation=np.nan), r'pose: .* give azimuth and elevation'),
  ],
)
def test_poses_that_are_none_are_one_line(whole, ask, says):
  with pytest.raises(InputError, match=says):
    gan_jax.load(whole).orbit(2, 4, **ask)


@pytest.mark.slow
def test_a_run_without_poses_says_so(tmp_path):
  train(tiny_digits(num_steps=4), tmp_path)
  with pytest.raises(InputError, match=r'orbit: this run has no poses'):
    orbit_mode.orbit(tiny_digits(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['hologan', 'pigan'])
def test_resumed_and_on_four_devices_it_is_the_same(turntable, tmp_path, name):
  keys = dict(name=name, num_steps=8)
  train(run_of(turntable, **keys), tmp_path / 'whole')
  train(run_of(turntable, **keys | dict(num_steps=4)), tmp_path / 'resumed')
  train(run_of(turntable, **keys), tmp_path / 'resumed')
  states = [restore(tmp_path / n).state for n in ('whole', 'resumed')]
  assert_same_bits(*states)
  train(run_of(turntable, **keys, num_devices=4), tmp_path / 'four')
  four = restore(tmp_path / 'four').state
  assert_close(four.params, states[0].params, 2e-3)


@pytest.mark.slow
def test_poses_of_a_run_that_draws_them(turntable, tmp_path):
  config = run_of(
    turntable,
    given=(),
    conditional=False,
    network__azimuth=(-50.0, 50.0),
    network__elevation=(-10.0, 20.0),
    codes=(1, 1),
  )
  train(config, tmp_path)
  run = gan_jax.load(tmp_path)
  assert run.orbit(1, 3, elevation=15.0).shape[:2] == (3, 1)
  with pytest.raises(InputError, match=r'outside .* -10 to 20'):
    run.orbit(1, 3, elevation=25.0)
