"""A style-based run drawn: styles, painting, mixing, truncation by psi."""

import jax
import numpy as np
import pytest

from gan_jax.config.build import build
from gan_jax.config.plan import read
from gan_jax.sampling import sheets
from gan_jax.sampling.sampler import Sampler
from gan_jax.sampling.styles import NUM_ANCHORS, Truncation
from gan_jax.types import InputError
from tests.helpers import fake_info, tiny_digits, tiny_keys


@pytest.fixture(scope='module')
def drawn():
  """What a sampler of StyleGAN2 with noise and labels is made of."""
  config = tiny_digits(
    conditional=True,
    network__name='stylegan2',
    network__gen_widths=None,
    network__disc_widths=None,
    ema_decay=0.5,
    **tiny_keys('stylegan2'),
  )
  model = build(config, fake_info((8, 8, 1)))
  state = jax.jit(model.init)(jax.random.key(0))
  rng = np.random.default_rng(0)
  params = jax.tree.map(
    lambda x: x + 0.3 * rng.normal(size=x.shape).astype(np.float32),
    state.ema['params'],
  )
  mean = rng.normal(size=6).astype(np.float32)
  ema = {'params': params, 'model_state': {'buffers': {'mean_style': mean}}}
  return model.drawn_from(state._replace(ema=ema), ema=True), mean


@pytest.fixture(scope='module')
def sampler(drawn):
  return Sampler(**drawn[0])


def test_latents_begin_with_whole_numbers(sampler):
  latents = sampler.latents(5, seed=3)
  assert latents.shape == (5, 2 + 4)
  seeds = latents[:, :2]
  np.testing.assert_array_equal(seeds, np.round(seeds))
  assert (seeds >= 0).all()
  assert (seeds < 2**24).all()
  assert len(np.unique(seeds)) == 10
  np.testing.assert_array_equal(sampler.latents(2, seed=3), latents[:2])
  truncated = sampler.latents(5, seed=3, truncation=0.5)
  np.testing.assert_array_equal(truncated[:, :2], seeds)
  assert np.abs(truncated[:, 2:]).max() <= 0.5


def test_painted_styles_are_the_samples(sampler):
  latents, labels = sampler.latents(3), sampler.labels(3)
  styles = sampler.styles(latents, labels)
  assert styles.shape == (3, 4, 6)
  np.testing.assert_array_equal(
    sampler.paint(styles, latents), sampler.sample(3)
  )


def test_mixing_takes_layers_of_both(sampler):
  styles = sampler.styles(sampler.latents(2), np.array([0, 1]))
  mixed = sampler.mixed(styles[:1], styles[1:], 1)
  np.testing.assert_array_equal(mixed[0, :1], styles[0, :1])
  np.testing.assert_array_equal(mixed[0, 1:], styles[1, 1:])
  for layer in (0, 4):
    with pytest.raises(InputError, match=rf'layer: {layer} .* from 1 to 3'):
      sampler.mixed(styles[:1], styles[1:], layer)


@pytest.mark.slow
def test_psi_is_of_styles(drawn, sampler):
  keys, mean = drawn
  np.testing.assert_array_equal(sampler.mean_style(), mean)
  latents, labels = sampler.latents(4), sampler.labels(4)
  styles, mean = sampler.styles(latents, labels), sampler.mean_style(labels)
  for psi, cutoff in ((0.5, 0), (0.5, 2), (0.0, 0)):
    one = Sampler(**keys, truncation=Truncation(psi, cutoff))
    expected = styles.copy()
    expected[:, : cutoff or 4] = mean + psi * (styles - mean)[:, : cutoff or 4]
    found = one.sample(4).astype(int)
    painted = sampler.paint(expected, latents).astype(int)
    assert np.abs(found - painted).max() <= 1
    assert np.abs(found - sampler.sample(4)).max() > 1


def test_the_mean_of_a_class_is_that_of_its_styles(sampler):
  labels = np.array([0, 2, 0])
  means = sampler.mean_style(labels)
  assert means.shape == (3, 1, 6)
  np.testing.assert_array_equal(means[0], means[2])
  latents = sampler.latents(4_000)
  for i, label in ((0, 0), (1, 2)):
    styles = sampler.styles(latents, np.full(4_000, label))[:, 0]
    error = 4 * styles.std(axis=0) / np.sqrt(NUM_ANCHORS)
    assert (np.abs(means[i, 0] - styles.mean(axis=0)) < error).all()
  assert np.abs(means[0] - means[1]).max() > 1e-2


def test_a_walk_keeps_its_noise(sampler):
  images = sampler.interpolate(2, 3)
  assert images.shape == (6, 8, 8, 1)
  np.testing.assert_array_equal(images[0], sampler.sample(1, label=0)[0])


def test_a_sheet_of_mixed_styles(sampler):
  sheet = sheets.mixing(sampler, [3, 5], None, 0.0)
  assert sheet.images.shape == (9, 8, 8, 1)
  assert (len(sheet.sides), len(sheet.heads)) == (3, 3)
  latents = sampler.latents_of([3, 5])
  styles = sampler.styles(latents, sampler.labels(2))
  noise = latents[:1].repeat(2, axis=0)
  own = sampler.paint(styles, noise)
  grid = sheet.images.reshape(3, 3, 8, 8, 1)
  np.testing.assert_array_equal(grid[0, 1:], own)
  np.testing.assert_array_equal(grid[1:, 0], own)
  np.testing.assert_array_equal(grid[[1, 2], [1, 2]], own)
  mixed = sampler.mixed(styles[:1], styles[1:], 2)
  np.testing.assert_array_equal(grid[1, 2], sampler.paint(mixed, noise[:1])[0])
  assert (grid[0, 0] == 255).all()


def test_a_sheet_of_psi(sampler):
  sheet = sheets.psis(sampler, [3, 5], None, 0.0)
  rows = sheet.images.reshape(6, 2, 8, 8, 1)
  latents = sampler.latents_of([3, 5])
  np.testing.assert_array_equal(
    rows[-1], sampler.generate(latents, sampler.labels(2))
  )
  assert sheet.sides[0] == '0'


def test_what_others_cannot(drawn):
  keys, _ = drawn
  plain = Sampler(**{**keys, 'styled': None})
  with pytest.raises(InputError, match='styles: this generator has none'):
    plain.styles(plain.latents(1))
  with pytest.raises(InputError, match=r'psi: 0.7, in .* has none'):
    Sampler(**{**keys, 'styled': None}, truncation=Truncation(0.7))
  with pytest.raises(InputError, match=r'psi: -1.0 is not between 0 and 2'):
    Sampler(**keys, truncation=Truncation(-1.0))
  with pytest.raises(InputError, match=r'psi_cutoff: 9 .* the 4 layers'):
    Sampler(**keys, truncation=Truncation(0.7, 9))
  short = Sampler(**keys, truncation=Truncation(0.7))
  for sheet in (sheets.mixing, sheets.psis):
    with pytest.raises(InputError, match=r'sample\.psi: 0.7 would act on a sh'):
      sheet(short, [3, 5], None, 0.0)


def test_sections_ask_for_psi():
  config = tiny_digits(sample__psi=0.7, sample__psi_cutoff=8)
  assert read(config).sample.psi == 0.7
  assert read(config).sample.psi_cutoff == 8
  for section in ('sample', 'interpolate', 'eval'):
    with pytest.raises(InputError, match=rf'{section}\.psi: 3.0 is not betw'):
      read(tiny_digits(**{f'{section}__psi': 3.0}))
    with pytest.raises(InputError, match=rf'{section}\.psi_cutoff: -1 is neg'):
      read(tiny_digits(**{f'{section}__psi_cutoff': -1}))
