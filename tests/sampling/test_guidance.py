"""Guidance: closed forms of its distances, and images that are moved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gan_jax
from gan_jax.features import text_image, towers
from gan_jax.features.text_image import TextImage
from gan_jax.modes import guide as guide_mode
from gan_jax.modes.train import train
from gan_jax.networks.stacked import Generator, Stages
from gan_jax.networks.style import Style
from gan_jax.sampling.guidance import guide
from gan_jax.types import Column, InputError
from tests.helpers import differs, tiny_digits

KEY = jax.random.key(0)


def brightness(images, key):
  """How little an image is white; [B]."""
  del key
  return -images.mean(axis=(1, 2, 3))


# --- Distances ----------------------------------------------------------------


@pytest.mark.parametrize('angle', [0.0, 0.3, 1.5, 3.0])
def test_the_spherical_distance_is_half_the_square_of_the_angle(angle):
  a = jnp.array([1.0, 0.0, 0.0])
  b = jnp.array([np.cos(angle), np.sin(angle), 0.0])
  found = text_image.spherical_distance(a, b)
  np.testing.assert_allclose(found, angle**2 / 2, rtol=1e-4, atol=1e-7)


def flat_model(size=4):
  """Its vector of an image is the mean colour and what is left of 1."""

  def of_images(images):
    mean = images.mean(axis=(1, 2))
    rest = jnp.sqrt(jnp.maximum(1.0 - (mean**2).sum(axis=1), 0.0))
    return jnp.concatenate([mean, rest[:, None]], axis=1)

  return TextImage('flat', size, 1, of_images, lambda texts: None)


@pytest.mark.parametrize('crops', [0, 5])
def test_of_one_colour_every_crop_is_the_image(crops):
  images = jnp.full((3, 8, 8, 1), 0.6)
  text = np.array([0.8, 0.6])
  for spherical, expected in (
    (False, 1 - 0.96),
    (True, np.arccos(0.96) ** 2 / 2),
  ):
    distance = text_image.towards(
      flat_model(), text, crops=crops, spherical=spherical
    )
    found = distance(images, KEY)
    assert found.shape == (3,)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_crops_are_parts_of_their_images():
  """Of a ramp: linear inside, of other places and sides, none upside down."""
  ramp = jnp.broadcast_to(jnp.arange(16.0)[None, :, None, None], (2, 16, 16, 1))
  images = ramp + jnp.array([0.0, 100.0]).reshape(2, 1, 1, 1)
  crops = np.asarray(text_image.cropped(images, KEY, 6, 0.5, 8))
  assert crops.shape == (12, 8, 8, 1)
  inside = crops[:, 1:-1, 1:-1, 0]
  steps = np.diff(inside, axis=1)
  assert (steps > 0.99).all()
  assert (steps < 2.01).all()
  owner = (inside.mean(axis=(1, 2)) > 50).astype(int)
  assert owner.tolist() == [0, 1] * 6
  assert len(np.unique(inside[::2, 0, 0].round(3))) == 6
  gradient = jax.grad(lambda x: text_image.cropped(x, KEY, 2, 0.5, 8).sum())(
    images
  )
  assert (np.abs(gradient).sum(axis=(1, 2, 3)) > 0).all()


# --- Moving -------------------------------------------------------------------


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('guided')
  train(tiny_digits(num_steps=8, codes=(2,)), workdir)
  return gan_jax.load(workdir), workdir


def test_images_are_moved_and_latents_keep_their_lengths(run):
  gan, _ = run
  latents = gan.latents(18)  # more than go at once
  found = guide(gan, brightness, latents, num_steps=30, learning_rate=0.2)
  assert np.array_equal(found.before, gan.generate(latents))
  whiter = found.images.mean(axis=(1, 2, 3)) - found.before.mean(axis=(1, 2, 3))
  assert (whiter > 0).all()
  free = slice(0, gan.latent_dim - 2)
  lengths = [
    np.linalg.norm(x[:, free], axis=1) for x in (latents, found.latents)
  ]
  np.testing.assert_allclose(*lengths, rtol=1e-5)
  assert np.array_equal(found.latents[:, -2:], latents[:, -2:])  # codes
  again = gan.generate(found.latents)
  assert np.abs(again.astype(int) - found.images).max() <= 1
  assert found.styles is None


def test_a_run_without_styles_has_none_to_move(run):
  gan, _ = run
  with pytest.raises(InputError, match=r'space: w\+ is of styles, and this'):
    guide(gan, brightness, gan.latents(2), space='w+')
  with pytest.raises(InputError, match=r"space: unknown name 'styles'"):
    guide(gan, brightness, gan.latents(2), space='styles')


@pytest.mark.slow
def test_styles_are_moved(tmp_path):
  config = tiny_digits(
    network__name='stylegan2',
    network__gen_widths=None,
    network__disc_widths=None,
    network__channel_max=4,
    network__style_dim=6,
    network__mapping_depth=2,
    num_steps=4,
  )
  train(config, tmp_path)
  gan = gan_jax.load(tmp_path)
  latents = gan.latents(3)
  found = guide(gan, brightness, latents, space='w+', num_steps=20)
  assert found.styles.shape == gan.styles(latents).shape
  assert differs(found.styles, gan.styles(latents))
  assert np.array_equal(found.latents, latents)
  assert (found.images.mean((1, 2, 3)) > found.before.mean((1, 2, 3))).all()


@pytest.mark.slow
def test_latents_move_through_both_stages_of_stackgan():
  """In training no gradient goes into the first; afterwards one does."""
  style = Style('relu', 'batch', columns=(('text', Column((3,))),))
  gen = Generator(1, 4, Stages(8, 16, 1), 1, 5, 4, style)
  latents = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
  given = {'text': np.ones((2, 3), np.float32)}
  variables = gen.init(KEY, latents, given, train=False)

  def total(latents):
    return (gen.apply(variables, latents, given, train=False) ** 2).sum()

  assert np.abs(jax.grad(total)(latents)[:, 2:]).max() > 0


# --- The mode -----------------------------------------------------------------


@pytest.fixture(scope='module')
def judge(tmp_path_factory):
  """Towers that tell bright from dark."""
  rng = np.random.default_rng(0)
  texts = np.tile([[2], [3]], (20, 1)).astype(np.int32)
  level = np.tile([220, 30], 20).reshape(-1, 1, 1, 1)
  noise = rng.integers(-30, 30, (40, 8, 8, 1))
  images = (level + noise).astype(np.uint8)
  words = ('bright', 'dark')
  recipe = towers.Recipe(8, 8, num_steps=50, batch_size=8, learning_rate=1e-2)
  params = towers.train(images, texts, words, recipe)
  path = tmp_path_factory.mktemp('judge') / 'towers.npz'
  towers.save(path, params, words, (8, 8, 1), 1, recipe)
  return path


def test_a_prompt_is_followed(run, judge, tmp_path, capsys):
  gan, workdir = run
  keys = dict(guide__weights=str(judge), guide__num=4, guide__steps=50)
  keys |= dict(guide__learning_rate=0.2, guide__crops=0)
  config = tiny_digits(guide__prompt='bright zebra', **keys)
  written = guide_mode.guide(config, workdir, tmp_path)
  assert [path.name for path in written] == ['guide.png', 'guide.npz']
  said = capsys.readouterr().out
  assert 'does not know zebra' in said
  assert 'higher for 100% of 4 images' in said
  arrays = np.load(tmp_path / 'guide.npz')
  assert (arrays['after'] > arrays['before']).all()
  model = towers.load(judge)
  text = model.of_texts(['bright zebra'])[0]
  np.testing.assert_allclose(
    model.see(arrays['images']) @ text, arrays['after'], rtol=1e-5
  )
  np.testing.assert_allclose(
    model.see(gan.sample(4)) @ text, arrays['before'], rtol=1e-5
  )


@pytest.mark.parametrize(
  ('keys', 'says'),
  [
    (dict(guide__prompt=' '), r'guide.prompt: there is none'),
    (dict(guide__weights='none.npz'), r'no file .*two_tower.py trains one'),
    (dict(guide__network='dalle'), r"guide.network: unknown name 'dalle'"),
    (dict(guide__crops=-1), r'guide.crops: -1 is not in'),
    (dict(guide__num=0), r'guide.num: 0 is not in'),
    (dict(guide__learning_rate=0.0), r'guide.learning_rate: 0.0 is not above'),
  ],
)
def test_what_cannot_guide_is_one_line(run, judge, tmp_path, keys, says):
  own = dict(guide__prompt='bright', guide__weights=str(judge))
  with pytest.raises(InputError, match=says):
    guide_mode.guide(tiny_digits(**own | keys), run[1], tmp_path)
