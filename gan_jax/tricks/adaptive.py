"""Adaptive discriminator augmentation: as much of it as D needs.

Every transform is applied to an image with probability p, and p follows a sign
of overfitting: r = E sign(D(x)) on the training images, which is to stay at
`target`.

Deviations from the paper: its filtering and corruption groups are left out (so
are they in its own main results), and images are resampled bilinearly without
its wavelet low-pass filters. Images of one channel take brightness and contrast
alone. p stays in [0, 1]; the authors' PyTorch code bounds it from below only.

Reference:
  Karras et al., Training Generative Adversarial Networks with Limited Data,
  arXiv 2006.06676, sections 2 and 3, appendix B (groups b, g, c).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

INTERVAL = 4  # updates of D from one correction of p to the next


class Adaptive(NamedTuple):
  """How p is steered.

  Attributes:
    target: of r; .6 in the paper.
    num_images: images in which p can go from 0 to 1; 500,000 in the paper.
    boundary: logit whose other sides are real and fake, see `AdversarialLoss`.
  """

  target: float = 0.6
  num_images: int = 500_000
  boundary: float = 0.0

  def correct(
    self,
    memory: dict[str, jax.Array],
    step: jax.Array,
    real_logits: jax.Array,
    packing: int,
    axis_name: str | None = None,
  ) -> dict[str, jax.Array]:
    """See the function of this name."""
    del step
    return correct(memory, real_logits, packing, self, axis_name)


def first_memory() -> dict[str, jax.Array]:
  """What D remembers: p, and signs and updates since its last correction."""
  return {name: jnp.zeros(()) for name in ('probability', 'signs', 'updates')}


def correct(
  memory: dict[str, jax.Array],
  real_logits: jax.Array,
  packing: int,
  adaptive: Adaptive,
  axis_name: str | None = None,
) -> dict[str, jax.Array]:
  """Counts an update of D; every fourth moves p by a fixed amount.

  Args:
    memory: see `first_memory`.
    real_logits: `[B]`, of the real images as D saw them.
    packing: images behind every logit.
    adaptive: see there.
    axis_name: mapped device axis that shares the batch, or None.

  Returns:
    The next memory; p rises where the mean sign is above the target, and stays
    in [0, 1].
  """
  sign = jax.lax.stop_gradient(
    jnp.mean(jnp.sign(real_logits - adaptive.boundary))
  )
  num_images = packing * len(real_logits)
  if axis_name is not None:
    sign = jax.lax.pmean(sign, axis_name)
    num_images *= jax.lax.axis_size(axis_name)
  signs, updates = memory['signs'] + sign, memory['updates'] + 1.0
  due = updates >= INTERVAL
  amount = INTERVAL * num_images / adaptive.num_images
  moved = memory['probability'] + amount * jnp.sign(
    signs / updates - adaptive.target
  )
  return {
    'probability': jnp.where(
      due, jnp.clip(moved, 0.0, 1.0), memory['probability']
    ),
    'signs': jnp.where(due, 0.0, signs),
    'updates': jnp.where(due, 0.0, updates),
  }


class Annealed(NamedTuple):
  """A probability that D does not steer: a function of the step.

  Attributes:
    course: steps made -> p.
  """

  course: Callable[[jax.Array], jax.Array]

  def correct(
    self, memory: dict[str, jax.Array], step: jax.Array, *signs: Any
  ) -> dict[str, jax.Array]:
    """The memory with which the next step begins."""
    del signs
    return memory | {'probability': self.course(step + 1)}


class _Draws:
  """Random numbers of one image, each transform by a key of its own."""

  def __init__(self, key: jax.Array, probability: jax.Array):
    self._key, self._probability, self._count = key, probability, 0

  def key(self) -> jax.Array:
    self._count += 1
    return jax.random.fold_in(self._key, self._count)

  def maybe(self, value, otherwise, probability=None):
    """The value with probability p, else what changes nothing."""
    probability = self._probability if probability is None else probability
    apply = jax.random.bernoulli(self.key(), probability)
    return jnp.where(apply, value, otherwise)

  def normal(self, std: float, shape=()) -> jax.Array:
    return std * jax.random.normal(self.key(), shape)

  def uniform(self, most: float, shape=()) -> jax.Array:
    return jax.random.uniform(self.key(), shape, minval=-most, maxval=most)

  def below(self, number: int) -> jax.Array:
    return jax.random.randint(self.key(), (), 0, number)


def _affine(rows) -> jax.Array:
  """A matrix from rows of scalars."""
  return jnp.stack(
    [jnp.stack([jnp.asarray(x, float) for x in r]) for r in rows]
  )


def _scale(x, y) -> jax.Array:
  return _affine([[x, 0, 0], [0, y, 0], [0, 0, 1]])


def _rotate(angle) -> jax.Array:
  c, s = jnp.cos(angle), jnp.sin(angle)
  return _affine([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _translate(x, y) -> jax.Array:
  return _affine([[1, 0, x], [0, 1, y], [0, 0, 1]])


def placement(
  key: jax.Array, probability: jax.Array, size: tuple[int, int]
) -> jax.Array:
  """Where each pixel of the result comes from: `[3, 3]`, about the centre.

  Groups b and g of appendix B in its order, composed: flip, quarter turns,
  whole-pixel shift; isotropic scale, rotation, anisotropic scale, rotation,
  shift. All are inverted, for a pixel looks its origin up.
  """
  draws = _Draws(key, probability)
  height, width = size
  origin = _scale(1.0 - 2.0 * draws.maybe(draws.below(2), 0), 1.0)
  origin @= _rotate(jnp.pi / 2 * draws.maybe(draws.below(4), 0))
  shift = jnp.round(draws.uniform(0.125, (2,)) * jnp.array([width, height]))
  origin @= _translate(*draws.maybe(shift, 0.0))
  scale = draws.maybe(2.0 ** draws.normal(0.2), 1.0)
  origin @= _scale(1 / scale, 1 / scale)
  # Two rotations, so that either happens with probability p.
  turn = 1.0 - jnp.sqrt(1.0 - probability)
  origin @= _rotate(draws.maybe(draws.uniform(jnp.pi), 0.0, turn))
  scale = draws.maybe(2.0 ** draws.normal(0.2), 1.0)
  origin @= _scale(1 / scale, scale)
  origin @= _rotate(draws.maybe(draws.uniform(jnp.pi), 0.0, turn))
  shift = draws.normal(0.125, (2,)) * jnp.array([width, height])
  return origin @ _translate(*draws.maybe(shift, 0.0))


def resample(image: jax.Array, origin: jax.Array) -> jax.Array:
  """Looks every pixel of `[H, W, C]` up; bilinear, edges are mirrored."""
  height, width = image.shape[:2]
  middle = jnp.array([(width - 1) / 2, (height - 1) / 2])
  y, x = jnp.meshgrid(
    jnp.arange(height) - middle[1], jnp.arange(width) - middle[0], indexing='ij'
  )
  at = jnp.einsum('ij,jhw->ihw', origin, jnp.stack([x, y, jnp.ones_like(x)]))
  rows, columns = at[1] + middle[1], at[0] + middle[0]
  return jax.vmap(
    lambda channel: map_coordinates(
      channel, [rows, columns], order=1, mode='mirror'
    ),
    in_axes=-1,
    out_axes=-1,
  )(image)


def recolour(
  image: jax.Array, key: jax.Array, probability: jax.Array
) -> jax.Array:
  """Group c: brightness, contrast; of RGB also luma flip, hue, saturation."""
  draws = _Draws(key, probability)
  channels = image.shape[-1]
  image = image + draws.maybe(draws.normal(0.2), 0.0)
  image = image * draws.maybe(2.0 ** draws.normal(0.5), 1.0)
  if channels != 3:
    return image
  luma = jnp.full((3, 3), 1 / 3)  # projection on the grey axis
  matrix = jnp.eye(3) - 2.0 * luma * draws.maybe(draws.below(2), 0)
  angle = draws.maybe(draws.uniform(jnp.pi), 0.0)
  cross = jnp.array([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / jnp.sqrt(3.0)
  matrix = (
    luma + jnp.cos(angle) * (jnp.eye(3) - luma) + jnp.sin(angle) * cross
  ) @ matrix
  factor = draws.maybe(2.0 ** draws.normal(1.0), 1.0)
  return image @ ((luma + factor * (jnp.eye(3) - luma)) @ matrix).T


def augment(
  images: jax.Array, keys: jax.Array, memory: dict[str, jax.Array]
) -> jax.Array:
  """Augments each image with the probability that D remembers.

  Args:
    images: `[B, H, W, C]` in [-1, 1]; the result may leave this range.
    keys: `[B]`.
    memory: see `first_memory`.
  """
  probability = memory['probability']

  def one(image, key):
    place_key, colour_key = jax.random.split(key)
    origin = placement(place_key, probability, image.shape[:2])
    return recolour(resample(image, origin), colour_key, probability)

  return jax.vmap(one)(images, keys)
