"""Plants faults in the code, one at a time, and sees the tests fail.

  python tests/mutants.py            # all of them; half an hour
  python tests/mutants.py r1 kid     # those whose names begin so

Each fault is one text that stands once in gan_jax/, what takes its place, and
the test files that have to notice: a sign, a factor, a missing stop_gradient,
what is off by one. It is planted in a copy of the project, never in place. A
fault that no test notices is listed, and the exit code is 1.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Fault(NamedTuple):
  """One planted fault."""

  name: str
  old: str
  new: str
  tests: str  # names of files, without test_ and .py


FAULTS = [
  # --- keys, memory, numbers of a config
  Fault(
    'fold_one_key_for_all_purposes',
    'return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)',
    'return jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys)',
    'views maxout',
  ),
  Fault(
    'latents_without_codes',
    'least = int(not config.codes)',
    'least = 0',
    'configs',
  ),
  Fault(
    'maxout_begins_in_another_range',
    'share = jnp.clip(0.5 * (mean.reshape(-1) + 1), NEVER, 1 - NEVER)',
    'share = jnp.clip(mean.reshape(-1), NEVER, 1 - NEVER)',
    'maxout',
  ),
  Fault(
    'maxout_begins_at_the_mean_of_a_few',
    'for batch in _first(num_train, feed, plan.seed)',
    'for batch in _first(8, feed, plan.seed)',
    'maxout',
  ),
  Fault(
    'what_runs_once_is_kept',
    'wrap(lambda *given: function(*given)).lower',
    'wrap(function).lower',
    'compiling',
  ),
  Fault(
    'dense_programs_wait_for_each_other',
    'if options and _has_convolutions(lowered):',
    'if options:',
    'compiling',
  ),
  Fault(
    'pages_are_given_and_taken_again',
    'if _libc() and peak() > before:',
    'if _libc():',
    'heap',
  ),
  Fault(
    'a_run_goes_back',
    'if reached > wanted:',
    'if reached < 0:',
    'training',
  ),
  # --- search, report, export, explore
  Fault(
    'search_lost_trials_stay_lost',
    '      optuna.storages.fail_stale_trials(self.optuna)\n',
    '',
    'study',
  ),
  Fault(
    'search_more_than_asked',
    'counted = sum(map(_counts, trials)) - waiting',
    'counted = 0',
    'study',
  ),
  Fault(
    'search_failed_ones_do_not_count',
    'return trial.state != TrialState.FAIL or PROBLEM in trial.user_attrs',
    'return trial.state != TrialState.FAIL',
    'study',
  ),
  Fault(
    'search_no_heartbeats',
    '            self._storage.record_heartbeat(number)',
    '            del number',
    'study',
  ),
  Fault(
    'search_interval_of_normal',
    'stats.t.ppf(0.975, num - 1)',
    'stats.norm.ppf(0.975)',
    'study',
  ),
  Fault(
    'search_luck_the_wrong_way',
    "luck = luck if better == 'lower' else -luck",
    "luck = -luck if better == 'lower' else luck",
    'study',
  ),
  Fault(
    'search_ends_the_wrong_way', 'if not low < high:', 'if False:', 'space'
  ),
  Fault(
    'search_any_study_will_do',
    '    if differing:\n      listed = ',
    '    if False:\n      listed = ',
    'study',
  ),
  Fault(
    'sweep_pairs_all_with_all',
    'combine = zip if config.sweep.paired else itertools.product',
    'combine = itertools.product',
    'ensemble',
  ),
  Fault(
    'report_not_escaped',
    '  return html.escape(str(words))',
    '  return str(words)',
    'run_page',
  ),
  Fault(
    'report_thinned_without_the_end',
    'kept = list(range(len(steps) - 1, -1, -every))[::-1]',
    'kept = list(range(0, len(steps), every))',
    'run_page',
  ),
  Fault(
    'report_of_an_old_diagnosis',
    '      if found.step == self.step:\n',
    '      if True:\n',
    'run_page',
  ),
  Fault(
    'export_of_signed_pictures',
    'return to_uint8(gan.generator(latents, labels, as_told(told)))',
    'return to_uint8(0.5 * gan.generator(latents, labels, as_told(told)))',
    'export',
  ),
  Fault(
    'export_other_latents',
    'keys = example_keys(jax.random.key(seed), positions)\n    return gan',
    'keys = example_keys(jax.random.key(seed + 1), positions)\n    return gan',
    'export',
  ),
  Fault(
    'export_any_weights',
    'if now is None or then is None or now.shape != then.shape:',
    'if False:',
    'export',
  ),
  Fault(
    'explore_slider_of_raw_length',
    'noise = noise + amount * direction.spread * direction.vector',
    'noise = noise + amount * direction.vector',
    'explore',
  ),
  Fault(
    'explore_walk_through_the_middle',
    'mixed /= np.sqrt((1 - share) ** 2 + share**2)',
    'mixed *= 1.0',
    'explore',
  ),
  Fault(
    'ratio_of_the_old_update',
    'return share * update_ratio(update()[0], own_params)',
    'return share * update_ratio(gradient.grads, own_params)',
    'tricks',
  ),
  Fault(
    'frechet_spectrum_of_another',
    '      if known is matrix:\n',
    '      if known.shape == matrix.shape:\n',
    'frechet metrics',
  ),
  # --- diffusion, editing, inversion
  Fault(
    'diffusion_not_clipped',
    '    if denoising.clip:\n      clean',
    '    if False:\n      clean',
    'denoising',
  ),
  Fault(
    'diffusion_small_variance',
    '  deviation = np.sqrt(1.0 - now / before)\n',
    '  deviation = np.sqrt(posterior(now, before).variance)\n',
    'denoising',
  ),
  Fault(
    'diffusion_noise_at_the_end',
    'np.where(before == 1.0, 0.0, deviation)',
    'deviation',
    'denoising',
  ),
  Fault(
    'diffusion_ddim_keeps_all',
    '(1.0 - before - deviation**2)',
    '(1.0 - before)',
    'denoising',
  ),
  Fault(
    'diffusion_beta_of_one_step',
    'noising.alpha_bars[np.append(times[1:], 0)]',
    'noising.alpha_bars[times - 1]',
    'denoising',
  ),
  Fault(
    'diffusion_one_guess',
    'jax.lax.fori_loop(0, ROUNDS, closer, x)',
    'jax.lax.fori_loop(0, 1, closer, x)',
    'denoising',
  ),
  Fault(
    'diffusion_predicts_the_noisy',
    'jnp.mean((found - noise) ** 2)',
    'jnp.mean((found - noisy) ** 2)',
    'diffusion',
  ),
  Fault(
    'diffusion_unscaled_attention',
    'nn.softmax(scores / math.sqrt(channels), axis=-1)',
    'nn.softmax(scores, axis=-1)',
    'unet',
  ),
  Fault(
    'diffusion_dropout_of_drawing',
    '    if train and keys is not None:',
    '    if keys is not None:',
    'unet',
  ),
  Fault(
    'diffusion_cosine_unshifted',
    '(t + 0.008) / 1.008',
    't',
    'denoising',
  ),
  Fault(
    'edit_half_orthogonal',
    'vector - basis @ (basis.T @ vector)',
    'vector - 0.5 * basis @ (basis.T @ vector)',
    'editing',
  ),
  Fault(
    'edit_sefa_least_first',
    'np.linalg.eigh(weights.T @ weights)',
    'np.linalg.eigh(-weights.T @ weights)',
    'editing',
  ),
  Fault(
    'edit_all_layers',
    '  step[list(layers or range(len(step)))] =',
    '  step[:] =',
    'editing',
  ),
  Fault(
    'edit_classes_apart',
    '    values[labels == label] -= values',
    '    values[labels == label] += values',
    'editing',
  ),
  Fault(
    'edit_mean_stays',
    '  centred = points - points.mean(axis=0)\n  scores = scores',
    '  centred = points\n  scores = scores',
    'editing',
  ),
  Fault(
    'edit_leans_left',
    '  shear = -found.xy',
    '  shear = found.xy',
    'attributes',
  ),
  Fault(
    'edit_half_as_thick',
    '  return 2.0 * drawn.sum',
    '  return drawn.sum',
    'attributes',
  ),
  Fault(
    'invert_one_axis',
    'jnp.roll(x, 1, axis), axis=(1, 2, 3)',
    'jnp.roll(x, 1, 1), axis=(1, 2, 3)',
    'inversion',
  ),
  Fault(
    'invert_jitter_falls_slowly',
    '1.0 - step / num_steps / _STILL) ** 2',
    '1.0 - step / num_steps / _STILL)',
    'inversion',
  ),
  Fault(
    'invert_rate_falls_straight',
    '    fall = 0.5 - 0.5 * jnp.cos(jnp.pi * fall)\n',
    '',
    'inversion',
  ),
  Fault(
    'invert_best_of_all',
    '    better = value < lowest\n',
    '    better = (value < lowest).all()\n',
    'inversion',
  ),
  Fault(
    'invert_labels_ignored',
    '    squares[labels[:, None] != classes] = np.inf\n',
    '    pass\n',
    'inversion',
  ),
  Fault(
    'text_vectors_swapped',
    "'told': _linear(style, told, size",
    "'told': _linear(style, features, size",
    'heads stackgan contrastive',
  ),
  # --- texts, conditions that may be missing, poses
  Fault(
    'text_relu_on_moments',
    '    return tuple(jnp.split(both, 2, axis=-1))',
    '    return tuple(jnp.split(jax.nn.relu(both), 2, axis=-1))',
    'stackgan',
  ),
  Fault(
    'text_sketch_not_frozen',
    '      sketch = jax.lax.stop_gradient(sketch)\n',
    '      pass\n',
    'stackgan',
  ),
  Fault(
    'text_sketch_statistics_move',
    'train=train and number == 0)',
    'train=train)',
    'stackgan',
  ),
  Fault(
    'text_log_var_is_mean',
    '      return gaussian.reparameterise(*moments, seeds',
    '      return gaussian.reparameterise(moments[0], moments[0], seeds',
    'stackgan guidance',
  ),
  Fault(
    'text_kl_summed',
    "/ mean.shape[-1]\n\n  return Term('conditioning_kl'",
    "\n\n  return Term('conditioning_kl'",
    'stackgan',
  ),
  Fault(
    'text_one_noise_for_both',
    'fold_each(keys, stage))',
    'keys)',
    'stackgan',
  ),
  Fault(
    'text_reals_not_alone',
    '    return loss.disc_real(of(scene.re'
    'al)) + loss.disc_fake(of(scene.fake))',
    '    return loss.disc_fake(of(scene.fake))',
    'stackgan',
  ),
  Fault(
    'contrast_one_way',
    '  return 0.5 * (of_images.mean() + of_texts.mean())',
    '  return of_images.mean()',
    'contrastive',
  ),
  Fault(
    'contrast_no_lengths',
    '  images, texts = unit(images), unit(texts)\n',
    '',
    'contrastive',
  ),
  Fault(
    'contrast_own_device',
    '    texts = jax.lax.all_gather(texts, axis_name, tiled=True)\n'
    '  return info_nce',
    '    pass\n  return info_nce',
    'contrastive',
  ),
  Fault(
    'drop_both_at_once',
    '      own = fold_each(keys, number)\n',
    '      own = fold_each(keys, 0)\n',
    'dropping',
  ),
  Fault(
    'drop_by_place_on_a_device',
    'batch.positions)\n      batch = batch._replace(given=dropped',
    'jnp.arange(len(batch.positions)))\n'
    '      batch = batch._replace(given=dropped',
    'dropping',
  ),
  Fault(
    'sentence_counts_padding',
    '  weights = mask.astype(h.dtype)[..., None]',
    '  weights = jnp.ones_like(h[..., :1])',
    'sentences',
  ),
  Fault(
    'sentence_sees_padding',
    '      seen,\n    )\n',
    '    )\n',
    'sentences',
  ),
  Fault(
    'clip_sees_ahead',
    'jnp.tri(length, dtype=bool))',
    'None)',
    'clip',
  ),
  Fault(
    'towers_rank_ties',
    'others @ images[index] >= texts',
    'others @ images[index] > texts',
    'towers',
  ),
  Fault(
    'guide_no_half',
    '  return 2.0 * jnp.arcsin(jnp.clip(chord / 2.0, 0.0, 1.0)) ** 2',
    '  return 2.0 * jnp.arcsin(jnp.clip(chord, 0.0, 1.0)) ** 2',
    'guidance',
  ),
  Fault(
    'guide_lengths_free',
    '      project = spaces.on_its_shell(start)\n',
    '      pass\n',
    'guidance',
  ),
  Fault(
    'guide_codes_move',
    '  return slice(gan.num_seeds, gan.latent_dim - sum(gan.codes))',
    '  return slice(gan.num_seeds, gan.latent_dim)',
    'guidance',
  ),
  Fault(
    'render_last_is_a_wall',
    '  before = jnp.cumsum(absorbed, axis=-1) - absorbed\n',
    '  absorbed = absorbed.at[..., -1].mul(1e10)\n'
    '  before = jnp.cumsum(absorbed, axis=-1) - absorbed\n',
    'rendering',
  ),
  Fault(
    'render_own_absorbs',
    '  before = jnp.cumsum(absorbed, axis=-1) - absorbed\n',
    '  before = jnp.cumsum(absorbed, axis=-1)\n',
    'rendering',
  ),
  Fault(
    'render_no_background',
    '  colour += (1.0 - opacity)[..., None] * background\n',
    '',
    'rendering',
  ),
  Fault(
    'render_corners_of_pixels',
    '(jnp.arange(size) + 0.5 - size / 2)',
    '(jnp.arange(size) - size / 2)',
    'rendering',
  ),
  Fault(
    'pose_other_way',
    '  turned = _in_plane(volume, pose[:, 0], 2)',
    '  turned = _in_plane(volume, -pose[:, 0], 2)',
    'posed',
  ),
  Fault(
    'pose_upside_down',
    '  return _in_plane(turned, -pose[:, 1], 3)',
    '  return _in_plane(turned, pose[:, 1], 3)',
    'posed',
  ),
  Fault(
    'pose_never_closes',
    '  azimuth = (turns[..., 0] + 1.0) % 2.0 - 1.0',
    '  azimuth = turns[..., 0]',
    'posed',
  ),
  Fault(
    'pigan_first_layer_init',
    '    h = film(points, 0, _uniform(1 / 3))',
    '    h = film(points, 0, inside)',
    'posed',
  ),
  Fault(
    'pigan_same_jitter',
    '      own = fold_each(keys, _JITTER)',
    '      own = fold_each(keys[:1].repeat(len(z)), _JITTER)',
    'posed',
  ),
  # --- two domains
  Fault(
    'cycle_pool_always_swaps',
    'swaps = full & jax.random.bernoulli(coin)',
    'swaps = full',
    'translation',
  ),
  Fault(
    'cycle_pool_keeps_all',
    'new = jnp.where(swaps | ~full,',
    'new = jnp.where(swaps | True,',
    'translation',
  ),
  Fault(
    'cycle_pool_one_coin',
    'jax.lax.scan(one, pool, (images, keys))',
    'jax.lax.scan(one, pool, (images, keys[:1].repeat(len(keys))))',
    'translation',
  ),
  Fault(
    'cycle_pool_of_a_device',
    '    if axis is not None:\n      fake, keys = (',
    '    if False:\n      fake, keys = (',
    'translation',
  ),
  Fault(
    'cycle_pools_alike',
    'own = jax.random.fold_in(key, number)',
    'own = key',
    'translation',
  ),
  Fault(
    'cycle_one_way',
    'again, _ = self.translate(params, model_state, _RETURN[way], fake)',
    'again, _ = self.translate(params, model_state, way, fake)',
    'translation',
  ),
  Fault(
    'cycle_identity_of_the_source',
    'same, _ = self.translate(params, model_state, way, real[target])',
    'same, _ = self.translate(params, model_state, way, real[source])',
    'translation',
  ),
  Fault(
    'cycle_d_not_halved',
    'total = 0.5 * total',
    'total = 1.0 * total',
    'translation',
  ),
  Fault(
    'cycle_squared',
    'return jnp.mean(jnp.abs(x - y))',
    'return jnp.mean((x - y) ** 2)',
    'translation',
  ),
  Fault(
    'cycle_doubling_shifted',
    'h = activated(h[:, 1:, 1:])',
    'h = activated(h[:, :-1, :-1])',
    'cyclegan',
  ),
  Fault(
    'cycle_norm_of_a_reference',
    'gen_norms=_MAPS_ALONE,',
    'gen_norms=OF_MAPS,',
    'cyclegan',
  ),
  # --- pairs of images
  Fault(
    'dropout_unscaled',
    'x / (1 - rate), jnp.zeros',
    'x, jnp.zeros',
    'pix2pix',
  ),
  Fault(
    'dropout_of_the_batch',
    'return jnp.where(kept(keys), x',
    'return jnp.where(kept(keys)[:1], x',
    'pix2pix',
  ),
  Fault(
    'innermost_normed',
    'inside = 0 < number < self.depth - 1',
    'inside = 0 < number',
    'pix2pix',
  ),
  Fault(
    'skips_left_out',
    'h = jnp.concatenate([maps[-2 - number], h], axis=-1)',
    'h = jnp.concatenate([h, h], axis=-1)',
    'pix2pix',
  ),
  Fault(
    'patches_halved_once_more',
    'stride = 2 if number < num else 1',
    'stride = 2 if number <= num else 1',
    'pix2pix',
  ),
  Fault(
    'l1_of_what_d_sees',
    'lambda s: distance(s.made, s.batch.images)',
    'lambda s: distance(s.fake.images, s.batch.images)',
    'terms_and_pairs',
  ),
  Fault(
    'l1_squared',
    "_to_target('l1', weight, lambda x, y: jnp.mean(jnp.abs(x - y)))",
    "_to_target('l1', weight, lambda x, y: jnp.mean((x - y) ** 2))",
    'terms_and_pairs',
  ),
  # --- convolutions
  Fault(
    'whole_though_padded',
    'return self.kernel_size == self.in_size and not any(map(any, self.pads))',
    'return self.kernel_size == self.in_size',
    'convolution',
  ),
  Fault(
    'squares_shifted_the_other_way',
    'shifted = ((i, th - 1 - i, 0), (j, tw - 1 - j, 0))',
    'shifted = ((th - 1 - i, i, 0), (tw - 1 - j, j, 0))',
    'convolution',
  ),
  # --- convolutions around a change of size
  Fault(
    'halved_sum',
    'return plain(x, 0.25 * _twice_summed(kernel), (2, 2), pads)',
    'return plain(x, _twice_summed(kernel), (2, 2), pads)',
    'convolution',
  ),
  Fault(
    'doubled_shifted',
    'before[axis], after[axis] = (1, 0), (0, 1)',
    'before[axis], after[axis] = (1, 1), (0, 2)',
    'convolution',
  ),
  Fault(
    'patches_not_turned',
    'return jnp.flip(w, (1, 2)).transpose(1, 2, 3, 0)',
    'return w.transpose(1, 2, 3, 0)',
    'convolution',
  ),
  # --- growing and styles
  Fault(
    'fade_by_whole_steps',
    '(step - first) / (last - first)',
    '(step - first) // (last - first)',
    'growth',
  ),
  Fault(
    'reals_do_not_fade',
    'new = growing.faded(upsample(mean_pool(new)), new, self.share(step))',
    'pass',
    'growth',
  ),
  Fault(
    'fade_turned_round',
    'return old + share.astype(old.dtype) * (new - old)',
    'return new + share.astype(old.dtype) * (old - new)',
    'growth progressive',
  ),
  Fault(
    'grown_by_a_level_more',
    'grown - (k - 1), *inputs)',
    'grown - k, *inputs)',
    'growth progressive',
  ),
  Fault(
    'first_dense_gain',
    'gain=math.sqrt(2.0) / 4',
    'gain=math.sqrt(2.0)',
    'progressive',
  ),
  Fault(
    'mixing_without_first_layer',
    'cut = jax.random.randint(cut_key, (), 1, num)',
    'cut = jax.random.randint(cut_key, (), 0, num)',
    'stylegan',
  ),
  Fault(
    'mean_style_of_latest',
    'self.mean_style.value = mean + _AVERAGE_DECAY * (old - mean)',
    'self.mean_style.value = old + _AVERAGE_DECAY * (mean - old)',
    'stylegan',
  ),
  Fault(
    'latents_normed_with_labels',
    'h = jnp.concatenate([norms.pixel_norm(x) for x in parts], axis=-1)',
    'h = norms.pixel_norm(jnp.concatenate(parts, axis=-1))',
    'stylegan stylegan2',
  ),
  Fault(
    'mapping_learns_as_fast',
    'gain=gain, rate=MAPPING_RATE)',
    'gain=gain)',
    'stylegan stylegan2',
  ),
  Fault(
    'modulation_from_nought',
    'channels, bias_init=nn.initializers.ones, dtype=style.dtype',
    'channels, dtype=style.dtype',
    'stylegan2',
  ),
  Fault(
    'demodulated_by_mean',
    'squares = (weights**2).sum(axis=(0, 1))',
    'squares = (weights**2).mean(axis=(0, 1))',
    'stylegan2',
  ),
  Fault(
    'image_demodulated',
    'conv = Modulated(self.channels, 1, self.style, demodulate=False)',
    'conv = Modulated(self.channels, 1, self.style)',
    'stylegan2',
  ),
  Fault(
    'up_without_gain',
    'return 4.0 * resampling.filtered(y, CUBIC, (1, 1))',
    'return resampling.filtered(y, CUBIC, (1, 1))',
    'stylegan2',
  ),
  Fault(
    'image_of_own_style',
    'to_image(h, styles[:, number + 1], train=train)',
    'to_image(h, styles[:, number], train=train)',
    'stylegan stylegan2',
  ),
  Fault(
    'residual_doubles',
    'return (h + shortcut) / _ROOT2',
    'return h + shortcut',
    'stylegan2',
  ),
  Fault(
    'path_mean_detached',
    'mean = mean + _RATE * (newest - mean)',
    'mean = mean + _RATE * (jax.lax.stop_gradient(newest) - mean)',
    'path_length',
  ),
  Fault(
    'path_length_of_sums',
    'squares.sum(axis=2).mean(axis=1)',
    'squares.sum(axis=2).sum(axis=1)',
    'path_length',
  ),
  Fault(
    'psi_turned_round',
    'moved = mean + psi * (styles - mean)',
    'moved = styles + psi * (mean - styles)',
    'styles',
  ),
  Fault(
    'r3gan_block_starts_at_work',
    "activate(h, 'bias_1'), self.width, 1, 0.0)",
    "activate(h, 'bias_1'), self.width, 1, self.gain)",
    'r3gan',
  ),
  Fault(
    'r3gan_gain_of_eight',
    'return _GAIN * num_blocks**-0.25',
    'return _GAIN * num_blocks**-0.5',
    'r3gan',
  ),
  Fault(
    'deviation_transposed',
    'y = y.reshape(size, len(y) // size, -1)',
    'y = y.reshape(len(y) // size, size, -1).swapaxes(0, 1)',
    'minibatch_layers',
  ),
  Fault(
    'pixels_from_minus_one',
    'images = 0.5 * (images + 1.0)',
    'images = 0.5 * images',
    'maxout',
  ),
  Fault(
    'sigmoid_twice_as_steep',
    'return jnp.tanh(0.5 * x)',
    'return jnp.tanh(x)',
    'maxout',
  ),
  Fault(
    'dropout_keys_of_real_for_fake',
    'self.told(given, keys.real if pair.real else keys.fake)',
    'self.told(given, keys.real)',
    'maxout',
  ),
  Fault(
    'momentum_stays',
    "return {'b2': config.b2_end, 'momentum': config.momentum_end}",
    "return {'b2': config.b2_end}",
    'annealing',
  ),
  Fault(
    'validation_trained_on',
    'kept = Part(splits.train, 0, size - num)',
    'kept = Part(splits.train, 0, size)',
    'dataset',
  ),
  Fault(
    'sigma_on_training_images',
    'held_back = inputs.validation is not None',
    'held_back = False',
    'evaluation',
  ),
  Fault(
    'half_cosine',
    '(1.0 + jnp.cos(jnp.pi * share))',
    '(1.0 + jnp.cos(2.0 * jnp.pi * share))',
    'annealing',
  ),
  Fault(
    'lpips_head_not_rooted',
    'weighted.append(layer / length * jnp.sqrt(head))',
    'weighted.append(layer / length * head)',
    'lpips',
  ),
  Fault(
    'lpips_pool_before_third',
    'pooled=(1, 2),',
    'pooled=(1, 3),',
    'lpips',
  ),
  # --- networks
  Fault(
    'sngan_mean_pooling',
    'h = h.sum(axis=(1, 2))',
    'h = h.mean(axis=(1, 2))',
    'sngan',
  ),
  Fault(
    'pixel_norm_by_variance',
    'square = (y**2).mean(axis=-1, keepdims=True)',
    'square = y.var(axis=-1, keepdims=True)',
    'norms',
  ),
  Fault(
    'adain_without_one',
    '(1.0 + scale) * instance_norm(x, epsilon)',
    'scale * instance_norm(x, epsilon)',
    'norms',
  ),
  Fault(
    'equalised_biases',
    'if leaf.ndim == 1:',
    'if leaf.ndim == 0:',
    'weights',
  ),
  Fault(
    'biggan_norms_without_one',
    'scale = 1.0 + scale.astype(',
    'scale = scale.astype(',
    'biggan',
  ),
  Fault(
    'biggan_thin_discriminator',
    'hidden = width if i == 0 or self.wide else',
    'hidden = width if i == 0 else',
    'biggan',
  ),
  Fault(
    'attention_over_queries',
    'weights = nn.softmax(scores, axis=-1)',
    'weights = nn.softmax(scores, axis=-2)',
    'attention',
  ),
  Fault(
    'projection_on_the_mean',
    'h = features.sum(axis=tuple(',
    'h = features.mean(axis=tuple(',
    'heads',
  ),
  Fault(
    'truncation_by_clipping',
    """    lambda key: jax.random.truncated_normal(
      key, -truncation, truncation, (latent_dim,)
    )
""",
    """    lambda key: jnp.clip(
      normal(key, latent_dim), -truncation, truncation
    )
""",
    'sheets',
  ),
  Fault(
    'orthogonal_tables',
    """if jax.tree_util.keystr(path[-1:]) != "['kernel']":""",
    'if param.ndim < 2:',
    'gradients',
  ),
  Fault(
    'ema_start_late',
    'jnp.where(state.step < ema_start, 0.0, decay)',
    'jnp.where(state.step <= ema_start, 0.0, decay)',
    'solvers',
  ),
  Fault(
    'class_weight_of_g',
    "Term('gen_class_loss', weight,",
    "Term('gen_class_loss', 1.0,",
    'guesses',
  ),
  Fault(
    'code_loss_doubled',
    'jnp.mean(0.5 * (guess - value) ** 2)',
    'jnp.mean((guess - value) ** 2)',
    'guesses',
  ),
  # --- terms, pairs, stages, games of one player
  Fault(
    'lazy_factor',
    'return term.every * value, jax.lax.stop_gradient(value)',
    'return value, jax.lax.stop_gradient(value)',
    'terms_and_pairs',
  ),
  Fault(
    'wrong_pair_direction',
    'way = [((i + 1) % num, i) for i in range(num)]',
    'way = [(i, (i + 1) % num) for i in range(num)]',
    'terms_and_pairs',
  ),
  Fault(
    'stage_repeats_images',
    'start = images + (number - draws) * size',
    'start = number * size',
    'stages',
  ),
  Fault(
    'stage_never_resets',
    'if not stage.reset or int(state.step) != stage.start:',
    'if not stage.reset or int(state.step) == stage.start:',
    'stages',
  ),
  Fault(
    'buffers_averaged',
    'model_state={**averaged.model_state, **buffers}',
    'model_state={**buffers, **averaged.model_state}',
    'buffers',
  ),
  Fault(
    'kl_sign',
    'loss = kl_weight * kl - reconstruction',
    'loss = -kl_weight * kl - reconstruction',
    'autoencoder',
  ),
  # --- losses
  Fault(
    'minimax_sign',
    'gen=lambda fake: -jnp.mean(jax.nn.softplus(fake)),',
    'gen=lambda fake: jnp.mean(jax.nn.softplus(fake)),',
    'losses',
  ),
  Fault(
    'non_saturating_sign',
    'gen=lambda fake: jnp.mean(jax.nn.softplus(-fake))',
    'gen=lambda fake: jnp.mean(jax.nn.softplus(fake))',
    'losses',
  ),
  Fault(
    'smoothing_two_sided',
    'loss = (1.0 - smoothing) * jax.nn.softplus(-logits)',
    'loss = jax.nn.softplus(-logits)',
    'losses',
  ),
  Fault(
    'least_squares_factor',
    'disc_fake=lambda fake: 0.5 * jnp.mean(fake**2),',
    'disc_fake=lambda fake: jnp.mean(fake**2),',
    'losses',
  ),
  Fault(
    'hinge_margin',
    'jnp.mean(jax.nn.relu(1.0 + fake))',
    'jnp.mean(jax.nn.relu(fake))',
    'losses',
  ),
  Fault(
    'wasserstein_sign',
    'disc_real=lambda real: -jnp.mean(real),',
    'disc_real=lambda real: jnp.mean(real),',
    'losses',
  ),
  Fault(
    'f_gan_generator',
    'return loss._replace(gen=loss.disc_real)',
    'return loss._replace(gen=loss.disc_fake)',
    'losses f_gan',
  ),
  Fault(
    'accuracy_boundary',
    'jnp.mean(real_logits > boundary)',
    'jnp.mean(real_logits > 0.0)',
    'metrics',
  ),
  # --- penalties
  Fault(
    'wgan_gp_target',
    '(_safe_norms(critic, interpolated) - 1.0) ** 2',
    '(_safe_norms(critic, interpolated)) ** 2',
    'penalties',
  ),
  Fault(
    'wgan_gp_one_point',
    'epsilon = _uniform(keys, (1,) * (real.ndim - 1))',
    'epsilon = _uniform(keys, real.shape[1:])',
    'penalties',
  ),
  Fault(
    'safe_norms_slope',
    'jnp.sqrt(jnp.where(positive, squares, 1.0))',
    'jnp.sqrt(squares)',
    'penalties',
  ),
  Fault(
    'r1_on_fakes',
    'return jnp.mean(_squared_norms(critic, real))',
    'return jnp.mean(_squared_norms(critic, fake))',
    'penalties',
  ),
  Fault(
    'r1_factor',
    "'r1': Penalty(r1, 0.5, ('real',)),",
    "'r1': Penalty(r1, 1.0, ('real',)),",
    'penalties',
  ),
  Fault(
    'dragan_deviation',
    'real + 0.5 * std * _uniform',
    'real + std * _uniform',
    'penalties',
  ),
  Fault(
    'penalty_norm_of_batch',
    'gradients.reshape(len(images), -1)',
    'gradients.reshape(1, -1)',
    'penalties',
  ),
  # --- super-resolution and style
  Fault(
    'shuffle_of_rows_and_columns',
    'x.transpose(0, 1, 4, 2, 5, 3).reshape(b, h * factor, w * factor, -1)',
    'x.transpose(0, 1, 5, 2, 4, 3).reshape(b, h * factor, w * factor, -1)',
    'srgan',
  ),
  Fault(
    'dense_residual_whole',
    'return h + _RESIDUAL * maps[-1]',
    'return h + maps[-1]',
    'srgan',
  ),
  Fault(
    'block_residual_whole',
    'h += _RESIDUAL * dense(dense(dense(h)))',
    'h = dense(dense(dense(h)))',
    'srgan',
  ),
  Fault('long_skip_lost', 'h = first + normed(h)', 'h = normed(h)', 'srgan'),
  Fault(
    'source_in_minus_one_to_one',
    'prelu(conv((small + 1.0) / 2.0, self.width, _FIRST))',
    'prelu(conv(small, self.width, _FIRST))',
    'srgan',
  ),
  Fault(
    'icnr_by_tiles',
    'return kernel.repeat(factor**2, axis=-1)',
    'return jnp.tile(kernel, factor**2)',
    'srgan',
  ),
  Fault(
    'crop_of_one_corner',
    'top, left = jax.random.randint(key, (2,), 0, most)',
    'top = left = jax.random.randint(key, (), 0, most[0])',
    'crops',
  ),
  Fault(
    'last_place_never_cut',
    'most = jnp.array([side - size + 1 for side in images.shape[1:3]])',
    'most = jnp.array([side - size for side in images.shape[1:3]])',
    'crops',
  ),
  Fault(
    'tile_without_margin',
    'seen = slice(max(0, start - MARGIN), min(size, stop + MARGIN))',
    'seen = slice(start, stop)',
    'upscale',
  ),
  Fault(
    'mixed_the_other_way',
    '(1.0 - share) * a + share * b, own, other)',
    'share * a + (1.0 - share) * b, own, other)',
    'upscale',
  ),
  Fault(
    'adversarial_unweighted',
    'loss if self.weight == 1.0 else self.weight * loss',
    'loss',
    'terms_and_pairs',
  ),
  Fault(
    'gram_without_places',
    'gram(x) / (x.shape[1] * x.shape[2] * x.shape[3])',
    'gram(x) / x.shape[3]',
    'style',
  ),
  Fault(
    'content_to_the_content',
    'jnp.mean((own[-1] - target) ** 2),',
    'jnp.mean((own[-1] - maps.apply(content, [layers.encoder])[0]) ** 2),',
    'style',
  ),
  Fault(
    'adain_keeps_deviation',
    'return to_deviation * (content - mean) / deviation + to_mean',
    'return content - mean + to_mean',
    'style',
  ),
  Fault(
    'one_mean_for_all_classes',
    'mean = centres(styled, variables, given, anchors)',
    'mean = styled.mean(variables)',
    'styles',
  ),
  # --- tricks
  Fault(
    'relativistic_swap',
    'loss.disc_real(mean(real) - fake),',
    'loss.disc_real(fake - mean(real)),',
    'criterion',
  ),
  Fault(
    'paired_generator',
    'gen=lambda real, fake, step: loss.disc_real(fake - real),',
    'gen=lambda real, fake, step: loss.disc_real(real - fake),',
    'criterion',
  ),
  Fault(
    'flips_shared',
    'jnp.mean(jnp.where(flips[:, 1], as_real(fake)',
    'jnp.mean(jnp.where(flips[:, 0], as_real(fake)',
    'criterion',
  ),
  Fault(
    'top_k_lowest',
    'order = jnp.argsort(-every, stable=True)',
    'order = jnp.argsort(every, stable=True)',
    'criterion',
  ),
  Fault(
    'top_k_schedule',
    'return lambda step: jnp.maximum(final, final ** (step / steps))',
    'return lambda step: jnp.maximum(final, final * (step / steps))',
    'criterion',
  ),
  Fault(
    'ada_sign',
    'signs / updates - adaptive.target',
    'adaptive.target - signs / updates',
    'adaptive',
  ),
  Fault('ada_saturation', 'jnp.clip(moved, 0.0, 1.0)', 'moved', 'adaptive'),
  Fault(
    'ada_mirror',
    "channel, [rows, columns], order=1, mode='mirror'",
    "channel, [rows, columns], order=1, mode='nearest'",
    'adaptive',
  ),
  Fault(
    'contrast_mean',
    'return mean + factor * (image - mean)',
    'return factor * (image - mean)',
    'views',
  ),
  Fault(
    'cutout_size',
    'length = int(size / 2 + 0.5)',
    'length = int(size / 4 + 0.5)',
    'views',
  ),
  Fault(
    'pack_order',
    'groups = jnp.moveaxis(groups, 1, -2)',
    'groups = jnp.moveaxis(groups, 1, -1)',
    'views',
  ),
  Fault(
    'noise_scale',
    'jnp.asarray(std, images.dtype) * noise',
    'jnp.asarray(std, images.dtype) ** 2 * noise',
    'views tricks',
  ),
  Fault(
    'lecam_cross',
    "value = jnp.mean((real_logits - memory['fake']) ** 2)",
    "value = jnp.mean((real_logits - memory['real']) ** 2)",
    'regularisers',
  ),
  Fault(
    'lecam_gradient',
    'means = jax.lax.stop_gradient(means)\n',
    'pass\n',
    'regularisers',
  ),
  Fault(
    'feature_mean',
    'jnp.sum((means[0] - means[1]) ** 2)',
    'jnp.mean((means[0] - means[1]) ** 2)',
    'regularisers',
  ),
  Fault(
    'mixing_sign',
    'jax.nn.softmax(weight * losses)',
    'jax.nn.softmax(-weight * losses)',
    'regularisers',
  ),
  Fault(
    'historical_factor',
    'u + 2.0 * weight * (p - m)',
    'u + weight * (p - m)',
    'gradients',
  ),
  Fault(
    'orthogonal_diagonal',
    '(products - jnp.diag(jnp.diag(products))) ** 2',
    '(products - jnp.eye(len(products))) ** 2',
    'gradients',
  ),
  # --- solvers
  Fault(
    'simultaneous_order',
    "state, disc_metrics = self.update('disc', state, gradients.disc)\n"
    "    state, gen_metrics = self.update('gen', state, gradients.gen)",
    "state, disc_metrics = self.update('disc', state, gradients.disc)\n"
    "    state, gen_metrics = self.update('gen', state, gradients.disc)",
    'solvers solver_algorithms',
  ),
  Fault(
    'last_batch',
    'return jax.tree.map(lambda x: x[-1], batches)',
    'return jax.tree.map(lambda x: x[0], batches)',
    'solvers solver_algorithms',
  ),
  Fault(
    'unrolled_key',
    "moves.move('disc', ahead, batch, key)",
    "moves.move('disc', ahead, batch, jax.random.fold_in(key, 7))",
    'solver_algorithms',
  ),
  Fault(
    'extragradient_start',
    'moves.update_both(state._replace(opt_state=ahead.opt_state), gradients)',
    'moves.update_both(ahead, gradients)',
    'solver_algorithms',
  ),
  Fault(
    'consensus_factor',
    'return 0.5 * optax.tree.norm(field, squared=True), gradients',
    'return optax.tree.norm(field, squared=True), gradients',
    'solver_algorithms',
  ),
  Fault(
    'two_time_scale_player',
    'disc=optax.chain(optimizers.disc, optax.scale(time_scale_ratio))',
    'gen=optax.chain(optimizers.gen, optax.scale(time_scale_ratio))',
    'solver_algorithms',
  ),
  Fault(
    'moment_at_zero',
    'jnp.where(zero & ~jnp.isfinite(g), 0.0, g)',
    'g',
    'solver_algorithms',
  ),
  Fault(
    'lookahead_early',
    '(state.step + 1) % lookahead.steps == 0',
    'state.step % lookahead.steps == 0',
    'tricks',
  ),
  Fault('ema_decay', 'now, ema, 1.0 - decay', 'now, ema, decay', 'solvers'),
  Fault(
    'reused_latents',
    'gen=keys[-1] if fresh_latents else keys[-2]',
    'gen=keys[-1]',
    'solvers',
  ),
  Fault(
    'weight_clip',
    'inside = jnp.clip(param + update, -limit, limit) - param',
    'inside = jnp.clip(update, -limit, limit)',
    'optimizers',
  ),
  Fault(
    'labels_of_fakes',
    'latents_key = Keys.of(key).latents',
    'latents_key = Keys.of(key).penalty',
    'shared_fakes',
  ),
  # --- metrics
  Fault(
    'frechet_factor', 'traces - 2.0 * overlap', 'traces - overlap', 'frechet'
  ),
  Fault(
    'frechet_biased',
    'scatter / (self._num - 1)',
    'scatter / self._num',
    'frechet',
  ),
  Fault(
    'kid_diagonal',
    '(k.sum(axis=1) - np.diagonal(k)) / (m - 1)',
    'k.sum(axis=1) / m',
    'kernel_distance',
  ),
  Fault(
    'kid_kernel',
    '(x @ y.T / x.shape[1] + 1.0) ** 3',
    '(x @ y.T + 1.0) ** 3',
    'kernel_distance',
  ),
  Fault(
    'precision_swapped',
    'float(neighbourhoods.fake_in_real.mean()),',
    'float(neighbourhoods.real_in_fake.mean()),',
    'neighbours',
  ),
  Fault(
    'density_over_k',
    'neighbourhoods.real_balls.mean() / neighbourhoods.k',
    'neighbourhoods.real_balls.mean()',
    'neighbours',
  ),
  Fault(
    'own_neighbour',
    'distances = distances.at[jnp.arange(len(rows)), own].set(jnp.inf)\n',
    'pass\n',
    'neighbours',
  ),
  Fault(
    'inception_marginal',
    'marginals = predictions.probabilities / nums[:, None]',
    'marginals = np.tile(predictions.marginal, (len(nums), 1))',
    'predictions',
  ),
  Fault(
    'label_accuracy_by_what_is_seen',
    'nums = np.bincount(asked, minlength=num_classes)',
    'nums = np.bincount(seen, minlength=num_classes)',
    'label_accuracy',
  ),
  Fault(
    'mode_score_sign',
    'gain - kl(p_bar, reference)',
    'gain + kl(p_bar, reference)',
    'predictions metrics',
  ),
  Fault(
    'ms_ssim_scales', 'whole if coarsest else structure', 'whole', 'ms_ssim'
  ),
  Fault(
    'diversity_own',
    'jnp.sqrt(jnp.sum(squares) / (num * max(1, num - 1)))',
    'jnp.sqrt(jnp.sum(squares) / (num * num))',
    'diagnosis',
  ),
  # --- feeds, checkpoints, the loop
  Fault(
    'order_of_epochs',
    'np.random.default_rng((seed, epoch, *salt)).permutation(',
    'np.random.default_rng((seed, 0)).permutation(',
    'feeds',
  ),
  Fault(
    'stream_offset',
    'offset = start - epochs[0] * self._num_examples',
    'offset = 0',
    'feeds',
  ),
  Fault(
    'flip_all',
    'jnp.where(coins[:, None, None, None], mirrored, images)',
    'mirrored',
    'feeds',
  ),
  Fault(
    'flip_axis',
    'mirrored = jnp.flip(images, axis=2)',
    'mirrored = jnp.flip(images, axis=1)',
    'feeds',
  ),
  Fault(
    'noise_of_device',
    'jax.random.fold_in(key, position))(positions)',
    'jax.random.fold_in(key, position))(jnp.arange(len(positions)))',
    'rng parallel feeds',
  ),
  Fault(
    'digests_unread',
    'if not inside or _digest(path) != digest:',
    'if not inside:',
    'checkpoint',
  ),
  Fault(
    'oldest_checkpoint',
    '(self._manager.all_steps(), reverse=True)\n    if not steps:',
    '(self._manager.all_steps())\n    if not steps:',
    'checkpoint',
  ),
  Fault(
    'bad_step_number',
    'number = state.step - num + 1 + first',
    'number = state.step - num + first',
    'failures',
  ),
  Fault(
    'rows_kept',
    "rows = [row for row in read_rows(self._path) if row['step'] <= step]",
    'rows = read_rows(self._path)',
    'logs training',
  ),
]


def place_of(fault: Fault, package: pathlib.Path) -> pathlib.Path:
  """The one file that a fault's text stands in."""
  found = [p for p in package.rglob('*.py') if fault.old in p.read_text()]
  if len(found) != 1 or found[0].read_text().count(fault.old) != 1:
    raise SystemExit(f'{fault.name}: its text does not stand once: {found}')
  return found[0]


def noticed(fault: Fault, copy: pathlib.Path, python: str) -> bool:
  """Whether a test fails while the fault is there."""
  path = place_of(fault, copy / 'gan_jax')
  text = path.read_text()
  names = {f'test_{name}.py' for name in fault.tests.split()}
  tests = [str(p) for p in (copy / 'tests').rglob('*.py') if p.name in names]
  path.write_text(text.replace(fault.old, fault.new))
  try:
    done = subprocess.run(
      [python, '-m', 'pytest', '-x', '-q', '-p', 'no:cacheprovider', *tests],
      cwd=copy,
      capture_output=True,
      text=True,
      check=False,
    )
  finally:
    path.write_text(text)
  if done.returncode not in (0, 1, 2):  # 2: it cannot even be imported
    raise SystemExit(f'{fault.name}: pytest failed: {done.stdout[-2000:]}')
  return done.returncode != 0


def main() -> None:
  """Plants every fault that is asked for."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('names', nargs='*', help='how the names begin')
  parser.add_argument('--root', default=ROOT, type=pathlib.Path)
  asked = parser.parse_args()
  faults = [
    f for f in FAULTS if not asked.names or f.name.startswith((*asked.names,))
  ]
  for fault in faults:
    place_of(fault, asked.root / 'gan_jax')
  slipped, started = [], time.monotonic()
  with tempfile.TemporaryDirectory() as folder:
    copy = pathlib.Path(folder) / 'copy'
    shutil.copytree(
      asked.root,
      copy,
      ignore=shutil.ignore_patterns('.venv', 'runs', '.git', '__pycache__'),
    )
    python = os.fspath(pathlib.Path(sys.executable).absolute())
    for number, fault in enumerate(faults, 1):
      found = noticed(fault, copy, python)
      slipped += [] if found else [fault.name]
      verdict = 'caught' if found else 'SLIPPED THROUGH'
      print(f'{number:3} {fault.name}: {verdict}', flush=True)
  minutes = (time.monotonic() - started) / 60
  caught = len(faults) - len(slipped)
  print(f'{caught} of {len(faults)} caught, {minutes:.0f} min', *slipped)
  sys.exit(bool(slipped))


if __name__ == '__main__':
  main()
