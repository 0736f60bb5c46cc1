"""Steps along the way from one latent to another, as a network sees them.

Images a small step apart are compared over the squared step: by LPIPS, or by
the squared distance of another network's features, each of unit length. The
images stay floats: in whole grey levels such steps would vanish.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.features import FeatureNetwork
from gan_jax.sampling.batches import batched
from gan_jax.sampling.sampler import Sampler
from gan_jax.sampling.walks import slerp

EPSILON = 1e-4  # of the way
SAMPLINGS = ('end', 'full')  # where steps are: at its start, or anywhere


def squared_distances(
  network: FeatureNetwork,
  sampler: Sampler,
  num: int,
  *,
  sampling: str = 'end',
  seed: int = 0,
  labels: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
  """Squared distances over squared steps, by the space of the way.

  In z the way is an arc of a great circle, in w, of a style-based generator, a
  straight line. Both images have one label, and one noise of their own.

  Args:
    network: of features.
    sampler: of the generator.
    num: ways N.
    sampling: one of `SAMPLINGS`.
    seed: of the latents at both ends, and of the places of steps.
    labels: int32 `[N]` of a conditional generator.

  Returns:
    `z`, and `w` where there is such a space, float32 `[N]`.
  """
  latents = sampler.latents(2 * num, seed=seed)
  starts, ends = latents[:num], latents[num:]
  places = np.zeros(num, np.float32)
  if sampling == 'full':
    rng = np.random.default_rng(seed)
    places = rng.uniform(size=num).astype(np.float32)
  told = {} if labels is None else {'labels': np.asarray(labels)}
  compare = _comparison(network)

  @jax.jit
  def in_z(starts, ends, places, told):
    def images(t):
      between = _latents_between(sampler, starts, ends, t)
      return sampler.generator(between, told.get('labels'))

    return compare(images(places), images(places + EPSILON))

  found = {'z': batched(in_z, starts, ends, places, told)}
  if not sampler.has_styles:
    return found

  @jax.jit
  def in_w(starts, ends, latents, places):
    def images(t):
      t = t[:, None, None]
      return sampler.painter((1 - t) * starts + t * ends, latents)

    return compare(images(places), images(places + EPSILON))

  styles = [sampler.styles(z, labels) for z in (starts, ends)]
  return {'w': batched(in_w, *styles, starts, places), **found}


def _comparison(network: FeatureNetwork) -> Callable[..., jax.Array]:
  """(images, images), float `[B, H, W, C]` in [-1, 1] -> `[B]`."""

  def unit(variables, pixels):
    features = network.apply(variables, pixels)['features']
    length = jnp.linalg.norm(features, axis=1, keepdims=True)
    return features / jnp.maximum(length, 1e-10)

  embed = network.embed or unit

  def compare(first: jax.Array, second: jax.Array) -> jax.Array:
    pixels = (jnp.concatenate([first, second]) + 1.0) * 127.5
    one, other = jnp.split(embed(network.variables, pixels), 2)
    return jnp.sum((one - other) ** 2, axis=1) / EPSILON**2

  return compare


def _latents_between(
  sampler: Any, starts: jax.Array, ends: jax.Array, t: jax.Array
) -> jax.Array:
  """Latents `[B, Z]` on arcs of the noise; seeds and codes of the starts."""
  first = sampler.num_seeds
  last = starts.shape[1] - sum(sampler.codes)

  def one(start, end, t):
    return slerp(start, end, t[None])[0]

  noise = jax.vmap(one)(starts[:, first:last], ends[:, first:last], t)
  parts = [starts[:, :first], noise, starts[:, last:]]
  return jnp.concatenate(parts, axis=1)
