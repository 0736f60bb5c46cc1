"""Diffusion's schedules and samplers against their closed forms.

Of data N(0, s^2) the best guess of the noise is linear,
    eps*(x) = sqrt(1 - abar) x / (abar s^2 + 1 - abar),
so that what a whole sampler makes is known (Ho et al. 2020; Song et al. 2020).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.sampling import denoising, noising
from gan_jax.sampling.denoising import Denoising
from gan_jax.types import InputError

KEY = jax.random.key(0)
LINEAR = noising.make_noising('linear', 1_000)
STD = 0.4  # of the data


def linear_predict(schedule, std=STD):
  """The best network for N(0, std^2)."""

  def predict(x, times):
    alpha_bar = jnp.asarray(schedule.alpha_bars, x.dtype)[times]
    alpha_bar = alpha_bar.reshape(-1, *[1] * (x.ndim - 1))
    return jnp.sqrt(1 - alpha_bar) * x / (alpha_bar * std**2 + 1 - alpha_bar)

  return predict


def noise_of(num, size=4):
  return jax.random.normal(KEY, (num, size, size, 1))


def drawn(how, num=4, std=STD, schedule=LINEAR):
  keys = jax.random.split(jax.random.key(1), num)
  predict = linear_predict(schedule, std)
  return denoising.denoise(predict, noise_of(num), keys, schedule, how)


# --- Schedules ----------------------------------------------------------------


def test_the_linear_schedule_has_the_published_numbers():
  times = [1, 250, 500, 750, 1_000]
  expected = [0.9999, 0.524085, 0.0785872, 0.00335055, 4.03583e-5]
  found = LINEAR.alpha_bars[times]
  np.testing.assert_allclose(found, expected, rtol=2e-6)
  assert np.sqrt(found[-1]) == pytest.approx(0.00635, abs=5e-6)
  assert LINEAR.alpha_bars[0] == 1.0
  kl = 0.5 * (found[-1] * 1.0 - np.log1p(-found[-1]) - found[-1])
  assert kl == pytest.approx(2.02e-5, rel=2e-3)  # of |x| = 1, nats a dimension


def test_the_cosine_schedule_is_its_formula_until_it_is_cut():
  found = noising.make_noising('cosine', 1_000).alpha_bars
  t = np.arange(1_001) / 1_000
  f = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
  np.testing.assert_allclose(found[:-1], (f / f[0])[:-1], rtol=1e-9)
  assert found[-1] == pytest.approx(found[-2] * 1e-3)  # beta <= .999


@pytest.mark.parametrize('num', [50, 200])
def test_a_linear_schedule_of_fewer_steps_ends_in_noise_too(num):
  found = noising.make_noising('linear', num).alpha_bars
  assert len(found) == num + 1
  assert 0 < found[-1] < 1e-4
  assert (np.diff(found) < 0).all()


def test_single_steps_compose_to_the_closed_form():
  betas = 1 - LINEAR.alpha_bars[1:] / LINEAR.alpha_bars[:-1]
  kept, variance = 1.0, 0.0
  for t, beta in enumerate(betas, 1):
    kept, variance = kept * np.sqrt(1 - beta), (1 - beta) * variance + beta
    if t in (1, 400, 1_000):
      image, noise = jnp.full((1, 1), 2.0), jnp.full((1, 1), 3.0)
      found = LINEAR.noisy(image, noise, jnp.array([t]))
      expected = 2 * kept + 3 * np.sqrt(variance)
      np.testing.assert_allclose(found, [[expected]], rtol=1e-6)


def test_the_posterior_is_bayes_rule():
  abar = LINEAR.alpha_bars
  t = np.arange(2, 1_001)
  now, before = abar[t], abar[t - 1]
  alpha = now / before
  precision = alpha / (1 - alpha) + 1 / (1 - before)
  found = noising.posterior(now, before)
  np.testing.assert_allclose(found.variance, 1 / precision, rtol=1e-9)
  assert found.variance[501 - 2] == pytest.approx(0.0100513358, rel=1e-8)
  of_noisy = np.sqrt(alpha) / (1 - alpha) / precision
  of_clean = np.sqrt(before) / (1 - before) / precision
  np.testing.assert_allclose(found.of_noisy, of_noisy, rtol=1e-9)
  np.testing.assert_allclose(found.of_clean, of_clean, rtol=1e-9)
  first = noising.posterior(abar[1], abar[0])
  assert (first.variance, first.of_noisy) == (0.0, 0.0)
  assert first.of_clean == pytest.approx(1.0)
  assert found.variance[0] == pytest.approx(5.4532e-5, rel=1e-5)
  assert found.variance[-1] == pytest.approx(0.0199999835, rel=3e-9)


def test_both_forms_of_the_mean_agree():
  """By x_0, and by the noise: Ho et al., eq. 7 and 11."""
  abar, t = LINEAR.alpha_bars, np.arange(1, 1_001)
  now, before = abar[t], abar[t - 1]
  alpha, x, noise = now / before, 0.7, -1.3
  clean = (x - np.sqrt(1 - now) * noise) / np.sqrt(now)
  by_clean = noising.posterior(now, before)
  by_clean = by_clean.of_clean * clean + by_clean.of_noisy * x
  by_noise = (x - (1 - alpha) / np.sqrt(1 - now) * noise) / np.sqrt(alpha)
  np.testing.assert_allclose(by_clean, by_noise, rtol=1e-9)


# --- Samplers -----------------------------------------------------------------


def test_ddim_of_eta_1_is_the_posterior():
  for num in (1_000, 50):
    how = Denoising('ddim', num, eta=1.0)
    steps = denoising.moves(LINEAR, how)
    before = np.append(steps.alpha_bars[1:], 1.0)
    exact = noising.posterior(steps.alpha_bars, before)
    error = np.abs(steps.deviations**2 - exact.variance)
    assert error.max() < 1e-15
    np.testing.assert_allclose(steps.of_clean, exact.of_clean, atol=1e-12)
    np.testing.assert_allclose(steps.of_noisy, exact.of_noisy, atol=1e-12)


def test_ddpm_adds_beta_also_of_the_steps_between():
  for num in (1_000, 25):
    steps = denoising.moves(LINEAR, Denoising('ddpm', num))
    before = np.append(steps.alpha_bars[1:], 1.0)
    beta = 1 - steps.alpha_bars / before
    np.testing.assert_allclose(steps.deviations[:-1] ** 2, beta[:-1], rtol=1e-9)
    assert steps.deviations[-1] == 0.0  # t = 0 adds no noise
    assert (steps.times[0], steps.times[-1]) == (1_000, 1)
    assert len(set(steps.times.tolist())) == num
  assert denoising.moves(LINEAR, Denoising(steps=1)).times.tolist() == [1_000]


def variance_by_recursion(how, std=STD):
  """Of what the linear network's sampler makes, step by step on the host."""
  variance = 1.0
  for _, abar, clean, noisy, deviation in zip(
    *denoising.moves(LINEAR, how), strict=True
  ):
    guess = np.sqrt(abar) * std**2 / (abar * std**2 + 1 - abar)
    variance = (clean * guess + noisy) ** 2 * variance + deviation**2
  return variance


@pytest.mark.parametrize(
  'how',
  [
    Denoising('ddpm', 1_000, clip=False),
    Denoising('ddpm', 100, clip=False),
    Denoising('ddim', 100, 0.5, clip=False),
  ],
)
def test_the_whole_sampler_has_the_known_variance(how):
  """16,000 numbers: a relative standard error of .011."""
  images = np.asarray(drawn(how, num=1_000))
  assert images.var() == pytest.approx(variance_by_recursion(how), rel=0.04)
  assert abs(images.mean()) < 0.02
  if how.steps == 1_000:
    assert variance_by_recursion(how) == pytest.approx(STD**2, rel=0.02)


def test_ddim_of_eta_0_follows_the_flow_of_gaussians():
  """x_T -> x_0 along quantiles: s / sqrt(abar_T s^2 + 1 - abar_T) x_T."""
  end = LINEAR.alpha_bars[-1]
  exact = STD / np.sqrt(end * STD**2 + 1 - end) * np.asarray(noise_of(4))
  errors = []
  for num in (50, 200, 1_000):
    found = drawn(Denoising('ddim', num, clip=False))
    errors.append(np.abs(found - exact).max() / np.abs(exact).max())
  assert errors[0] < 0.1
  assert errors[2] < 0.005
  assert errors == sorted(errors, reverse=True)


def test_ddim_is_undone():
  """To the noise and back; the first guess alone is 30 times as far off."""
  predict = linear_predict(LINEAR)
  images = drawn(Denoising('ddim', 50, clip=False))
  found = denoising.encode(predict, images, LINEAR, 50)
  np.testing.assert_allclose(found, noise_of(4), atol=2e-3)


def test_images_are_clipped_before_the_step_is_made():
  """And the noise that ddim keeps is what is then left of x."""
  x, wrong = jnp.full((1, 2, 2, 1), 2.0), -1.0
  how = Denoising('ddim', 2)
  abar = LINEAR.alpha_bars[[1_000, 1]]
  keys = jax.random.split(KEY, 1)
  seen = []

  def predict(x, times):
    jax.debug.callback(lambda x: seen.append(float(x[0, 0, 0, 0])), x)
    return jnp.full_like(x, wrong)

  found = denoising.denoise(predict, x, keys, LINEAR, how)
  jax.effects_barrier()
  left = (2.0 - np.sqrt(abar[0])) / np.sqrt(1 - abar[0])  # of x_0 = 1
  between = np.sqrt(abar[1]) + np.sqrt(1 - abar[1]) * left
  np.testing.assert_allclose(seen, [2.0, between], rtol=1e-5)
  np.testing.assert_allclose(found, 1.0)


def test_noise_of_an_image_is_its_own():
  how = Denoising('ddpm', 10, clip=False)
  four = drawn(how, 4)
  keys = jax.random.split(jax.random.key(1), 4)
  predict = linear_predict(LINEAR)
  two = denoising.denoise(predict, noise_of(4)[:2], keys[:2], LINEAR, how)
  np.testing.assert_array_equal(four[:2], two)
  other = denoising.denoise(predict, noise_of(4)[:2], keys[2:], LINEAR, how)
  assert np.abs(other - two).max() > 0.01


@pytest.mark.parametrize(
  ('how', 'message'),
  [
    (Denoising('euler'), "denoise.sampler: unknown name 'euler'; valid: ddim"),
    (Denoising(steps=1_001), 'denoise.steps: 1001 is not in 1 to 1,000, the'),
    (Denoising(steps=0), 'denoise.steps: 0 is not'),
    (Denoising(eta=1.5), r'denoise.eta: 1.5 is not in \[0, 1\]'),
    (Denoising('ddpm', eta=0.5), 'denoise.eta: 0.5 is of denoise.sampler=ddim'),
  ],
)
def test_what_a_schedule_does_not_allow_is_named(how, message):
  with pytest.raises(InputError, match=message):
    denoising.check(how, 1_000)


@pytest.mark.parametrize('num', [1, 100_001, 10.0])
def test_steps_of_noise_are_a_number_that_can_be(num):
  with pytest.raises(InputError, match=r'diffusion.noise_steps'):
    noising.make_noising('linear', num)
