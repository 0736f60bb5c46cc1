"""Directions against closed forms, and images along them."""

import jax
import numpy as np
import pytest

from gan_jax.config.build import build
from gan_jax.sampling import editing
from gan_jax.sampling.editing import Direction
from gan_jax.sampling.sampler import Sampler
from gan_jax.types import InputError
from tests.helpers import fake_info, tiny_digits
from tests.sampling.test_styles import drawn as drawn  # a fixture

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(4_000, 6))
TRUE = editing.unit(RNG.normal(size=6))


def degrees(a, b):
  cosine = np.clip(np.dot(editing.unit(a), editing.unit(b)), -1, 1)
  return np.degrees(np.arccos(cosine))


# --- Closed forms -------------------------------------------------------------


def test_of_a_linear_number_the_direction_is_found_to_the_angle():
  """Whatever the points' scale and mean are."""
  points = POINTS * np.arange(1, 7) + 5.0
  found = editing.of_scores(points, 3.0 * points @ TRUE - 2.0)
  assert degrees(found, TRUE) < 1e-5
  assert np.linalg.norm(found) == pytest.approx(1.0)
  assert degrees(editing.of_scores(points, -points @ TRUE), -TRUE) < 1e-5


def test_of_two_classes_it_is_the_normal_between_them():
  """A plane through 4,000 points; scales that differ by a hundred."""
  found = editing.of_labels(POINTS, POINTS @ TRUE > 0.3)
  assert degrees(found, TRUE) < 2.0
  scale = np.array([1.0, 100.0, 1.0, 0.1, 1.0, 1.0])
  normal = editing.unit(TRUE / scale)
  found = editing.of_labels(POINTS * scale, POINTS @ TRUE > 0.3)
  assert degrees(found * scale, normal * scale) < 2.0


def test_what_is_the_same_of_all_has_no_direction():
  with pytest.raises(InputError, match='the same of all images'):
    editing.of_scores(POINTS, np.ones(4_000))
  with pytest.raises(InputError, match=r'0 of 4000 images drawn are of that'):
    editing.of_labels(POINTS, np.zeros(4_000, bool))


def test_a_direction_is_made_orthogonal_to_others():
  one, two, three = np.linalg.qr(RNG.normal(size=(6, 6)))[0][:3]
  mixed = editing.unit(one + 0.5 * two - 2.0 * three)
  found = editing.orthogonal(mixed, [two])
  exact = mixed - (mixed @ two) * two  # n1 - (n1 . n2) n2
  np.testing.assert_allclose(found, editing.unit(exact), atol=1e-12)
  found = editing.orthogonal(mixed, [two + one * 0, two - three])
  np.testing.assert_allclose(found, one, atol=1e-12)
  np.testing.assert_allclose(editing.orthogonal(3 * mixed, []), mixed)
  with pytest.raises(InputError, match=r'edit.against: nothing'):
    editing.orthogonal(mixed, [one, two, three])


def test_sefa_is_right_singular_vectors():
  weights = RNG.normal(size=(20, 6)) * np.arange(1, 7)
  found = editing.sefa(weights)
  _, values, rows = np.linalg.svd(weights, full_matrices=False)
  np.testing.assert_allclose(np.abs(found @ rows.T), np.eye(6), atol=1e-10)
  np.testing.assert_allclose(found @ found.T, np.eye(6), atol=1e-12)
  moved = np.linalg.norm(weights @ found.T, axis=0)
  np.testing.assert_allclose(moved, values, rtol=1e-10)  # the most first
  others = editing.signed(RNG.normal(size=(1_000, 6)))
  others /= np.linalg.norm(others, axis=1, keepdims=True)
  assert np.linalg.norm(weights @ others.T, axis=0).max() <= moved[0]


def test_components_of_a_gaussian_are_those_of_its_covariance():
  axes = np.linalg.qr(RNG.normal(size=(6, 6)))[0]
  stds = np.array([8.0, 4.0, 2.0, 1.0, 0.5, 0.25])
  points = POINTS * stds @ axes.T + 3.0
  rows, deviations = editing.principal(points)
  np.testing.assert_allclose(deviations, stds, rtol=0.05)
  for row, axis in zip(rows, axes.T, strict=True):
    assert min(degrees(row, axis), degrees(row, -axis)) < 3.0
  np.testing.assert_allclose(rows @ rows.T, np.eye(6), atol=1e-10)
  total = points.var(axis=0).sum()
  assert (deviations**2).sum() == pytest.approx(total)  # shares sum to 1


def test_within_classes_a_class_has_no_direction():
  labels = np.arange(4_000) % 3
  values = POINTS + 10.0 * labels[:, None]
  found = editing.within_classes(values, labels)
  for label in range(3):
    np.testing.assert_allclose(
      found[labels == label].mean(axis=0), 0, atol=1e-9
    )
  np.testing.assert_array_equal(editing.within_classes(values, None), values)


def test_an_edit_is_measured():
  values = np.array([[0.0, 1.0, 2.0], [1.0, 1.0, 1.5], [2.0, 3.0, 4.0]])
  assert editing.monotone(values) == pytest.approx(2 / 3)
  drawn = np.linspace(0, 100, 10_001)
  assert editing.drift(values, drawn) == pytest.approx(2 / 98, rel=1e-3)
  assert editing.drift(values, np.ones(9)) == 0.0


@pytest.mark.parametrize(
  ('text', 'layers'),
  [('', (0, 1, 2, 3)), ('0-2', (0, 1, 2)), ('3, 1', (1, 3)), ('2', (2,))],
)
def test_layers_are_named(text, layers):
  assert editing.parse_layers(text, 4) == layers


@pytest.mark.parametrize('text', ['4', 'a', '1-2-3', '-1', '0-7', '2-1'])
def test_layers_that_there_are_not_are_refused(text):
  with pytest.raises(InputError, match=r'edit.layers: '):
    editing.parse_layers(text, 4)


# --- Of generators ------------------------------------------------------------


@pytest.fixture(scope='module')
def flat():
  """An MLP with labels and codes, not trained."""
  model = build(tiny_digits(conditional=True, codes=(2,)), fake_info())
  return model.sampler(jax.jit(model.init)(jax.random.key(0)), ema=True)


@pytest.fixture
def styled(drawn):
  return Sampler(**drawn[0])


def test_the_first_layer_is_what_noise_enters(flat):
  """Its columns of noise: not those of codes and labels."""
  kernel = flat.variables['params']['Dense_0']['kernel']
  assert kernel.shape[0] == 4 + 2 + 50
  found = editing.layer_weights(flat, 'z')
  np.testing.assert_array_equal(found, kernel[:4].T)


def test_all_maps_from_styles_are_stacked(styled):
  params = styled.variables['params']
  found = editing.layer_weights(styled, 'w')
  names = [n for n in params if n.startswith(('layers', 'to_image'))]
  kernels = [params[n]['Modulated_0']['Dense_0']['kernel'] for n in names]
  assert found.shape == (sum(k.shape[1] for k in kernels), 6)
  step = np.eye(6)[2]
  moved = [np.asarray(step @ k) for k in kernels]
  np.testing.assert_allclose(
    np.sort(found @ step), np.sort(np.concatenate(moved)), rtol=1e-6
  )


def test_in_z_noise_moves_and_nothing_else(flat):
  latents, labels = flat.latents(3), flat.labels(3)
  direction = Direction('some', 'z', np.array([0, 1.0, 0, 0]), 2.0)
  found = editing.edited(flat, direction, (-1.0, 0.0, 0.5), latents, labels)
  assert found.shape == (3, 3, 8, 8, 1)
  np.testing.assert_array_equal(found[1], flat.generate(latents, labels))
  moved = latents.copy()
  moved[:, 1] += 0.5 * 2.0
  np.testing.assert_array_equal(found[2], flat.generate(moved, labels))


def test_in_w_the_layers_that_are_named_move(styled):
  latents, labels = styled.latents(2), styled.labels(2)
  styles = styled.styles(latents, labels)
  direction = Direction('some', 'w', editing.unit(np.ones(6)), 3.0)
  whole = editing.edited(styled, direction, (0.0, 1.0), latents, labels)
  np.testing.assert_array_equal(whole[0], styled.paint(styles, latents))
  step = np.float32(3.0 / np.sqrt(6.0))
  np.testing.assert_array_equal(whole[1], styled.paint(styles + step, latents))
  some = editing.edited(
    styled, direction, (1.0,), latents, labels, layers=(1, 3)
  )
  moved = styles.copy()
  moved[:, [1, 3]] += step
  np.testing.assert_array_equal(some[0], styled.paint(moved, latents))
  given = editing.edited(
    styled,
    direction,
    (1.0,),
    latents,
    styles=styles - step,
    noise=tuple(map(np.asarray, styled.noise(latents))),
  )
  np.testing.assert_array_equal(given[0], whole[0])


def test_maps_of_noise_are_those_of_the_latents(styled):
  latents, labels = styled.latents(2), styled.labels(2)
  styles, maps = styled.styles(latents, labels), styled.noise(latents)
  assert [x.shape for x in maps] == [(2, 4, 4, 1), (2, 8, 8, 1), (2, 8, 8, 1)]
  painted = styled.paint(styles, tuple(map(np.asarray, maps)))
  np.testing.assert_array_equal(painted, styled.paint(styles, latents))
  still = styled.paint(styles, tuple(np.zeros_like(x) for x in maps))
  assert (still != painted).any()


def test_a_direction_of_another_generator_is_refused(flat, styled):
  longer = Direction('some', 'z', np.ones(9), 1.0)
  with pytest.raises(InputError, match=r'some has 9 numbers, and z of this'):
    editing.edited(flat, longer, (1.0,), flat.latents(1), flat.labels(1))
  longer = longer._replace(space='w')
  with pytest.raises(InputError, match=r'9 numbers, and w of this generator 6'):
    editing.edited(styled, longer, (1.0,), styled.latents(1), styled.labels(1))
  own = Direction('some', 'z', np.ones(4), 1.0)
  with pytest.raises(InputError, match=r'edit.layers: a direction in z moves'):
    editing.edited(flat, own, (1.0,), flat.latents(1), layers=(0,))
