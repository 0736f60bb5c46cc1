"""Terms on D's outputs and features, other than gradient penalties."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.losses import per_example
from gan_jax.tricks.diffaugment import shift
from gan_jax.tricks.terms import Term
from gan_jax.types import InputError

Memory = dict[str, jax.Array]


class LeCam(NamedTuple):
  """The LeCam regularisation.

  Attributes:
    weight: lambda of the paper.
    decay: of the moving averages of D's outputs, per update of D.
  """

  weight: float
  decay: float


def first_memory() -> Memory:
  """Moving averages of D's logits, from 0 on; the paper's alpha_R, alpha_F."""
  return {'real': jnp.zeros(()), 'fake': jnp.zeros(())}


def lecam(
  real_logits: jax.Array,
  fake_logits: jax.Array,
  memory: Memory,
  decay: float,
  axis_name: str | None = None,
) -> tuple[jax.Array, Memory]:
  """E (D(x) - alpha_F)^2 + E (D(G(z)) - alpha_R)^2, and the next averages.

  The term takes the averages as they were before this batch.

  As in the paper's equations. The authors' BigGAN code squares only what is
  positive, relu(D(x) - alpha_F) and relu(alpha_R - D(G(z))), takes the averages
  after this batch, and begins after a number of steps.

  Args:
    real_logits: `[B, ...]`; of a map of logits the mean counts.
    fake_logits: `[B, ...]`.
    memory: see `first_memory`.
    decay: share of the old value.
    axis_name: mapped device axis that shares the batch, or None.

  Reference:
    Tseng et al., Regularizing Generative Adversarial Networks under Limited
    Data, arXiv 2104.03310, eq. 3 and 4.
  """
  real_logits, fake_logits = map(per_example, (real_logits, fake_logits))
  value = jnp.mean((real_logits - memory['fake']) ** 2)
  value += jnp.mean((fake_logits - memory['real']) ** 2)
  means = {'real': jnp.mean(real_logits), 'fake': jnp.mean(fake_logits)}
  if axis_name is not None:
    means = jax.lax.pmean(means, axis_name)
  means = jax.lax.stop_gradient(means)
  return value, {
    name: decay * memory[name] + (1.0 - decay) * means[name] for name in means
  }


def mirror_and_shift(images: jax.Array, keys: jax.Array) -> jax.Array:
  """Mirrors half of the images, moves each by up to an eighth of its size."""

  def change(image, key):
    flip_key, shift_key = jax.random.split(key)
    flip = jax.random.bernoulli(flip_key)
    image = jnp.where(flip, image[:, ::-1], image)
    most = jnp.array([size // 8 for size in image.shape[:2]])
    return shift(image, jax.random.randint(shift_key, (2,), -most, most + 1))

  return jax.vmap(change)(images, keys)


def consistency(
  discriminate: Callable[[jax.Array], jax.Array],
  images: jax.Array,
  logits: jax.Array,
  keys: jax.Array,
) -> jax.Array:
  """E (D(x) - D(T(x)))^2 with T mirroring and shifting x at random.

  Args:
    discriminate: `[B, H, W, C]` -> `[B]`.
    images: of one side, real or fake.
    logits: D's on them, `[B]`.
    keys: `[B]`.

  Reference:
    Zhang et al., Consistency Regularization for Generative Adversarial
    Networks, arXiv 1910.12027, eq. 3 (real); Zhao et al., Improved Consistency
    Regularization for GANs, arXiv 2002.04724, eq. 4 (also on fakes).
  """
  changed = discriminate(mirror_and_shift(images, keys))
  return jnp.mean((logits - changed) ** 2)


class FeatureMatching(NamedTuple):
  """G matches the mean features of a layer of D.

  Attributes:
    weight: on the squared distance.
    layer: hidden layer of D, from 0 on at the image.
    alone: whether it takes the place of the adversarial loss of G.
  """

  weight: float
  layer: int
  alone: bool


def matching_term(matching: FeatureMatching) -> Term:
  """Feature matching as a term of G."""

  def value(scene):
    return feature_distance(
      scene.real.layers[matching.layer],
      scene.fake.layers[matching.layer],
      scene.axis_name,
    )

  return Term(
    'feature_distance',
    matching.weight,
    value,
    layer=matching.layer,
    sees_real=True,
  )


def feature_distance(
  real: jax.Array, fake: jax.Array, axis_name: str | None = None
) -> jax.Array:
  """||E f(x) - E f(G(z))||^2, the sum over all features of squares of means.

  Args:
    real: features `[B, ...]` of real examples.
    fake: of fakes.
    axis_name: mapped device axis that shares the batch, or None.

  Reference:
    Salimans et al., Improved Techniques for Training GANs, arXiv 1606.03498,
    section 3.1.
  """
  means = [jnp.mean(x.astype(jnp.float32), axis=0) for x in (real, fake)]
  if axis_name is not None:
    means = jax.lax.pmean(means, axis_name)
  return jnp.sum((means[0] - means[1]) ** 2)


def layer_number(name: str, num_layers: int) -> int:
  """The number of a hidden layer of D, `hidden_0` being the first.

  Args:
    name: such as hidden_2; '' for the last one.
    num_layers: that D has.

  Raises:
    InputError: there is no such layer; the message lists those that do exist.
  """
  names = [f'hidden_{number}' for number in range(num_layers)]
  if not name and names:
    return num_layers - 1
  if name not in names:
    raise InputError(
      f'tricks.feature_layer: D has no layer {name!r}; valid: '
      f'{", ".join(names)}'
    )
  return names.index(name)


def mixed(
  losses: jax.Array, weight: float, axis_name: str | None = None
) -> jax.Array:
  """One loss of G from those against several discriminators.

  Args:
    losses: `[N]`.
    weight: lambda >= 0 of the softmax over the losses: 0 is their mean, a large
      one the loss against the strictest D.
    axis_name: mapped device axis that shares the batch, or None.

  Reference:
    Durugkar et al., Generative Multi-Adversarial Networks, arXiv 1611.01673,
    section 3.2, eq. 4 to 6 (the softmax of values, arithmetic mean).
  """
  if axis_name is not None:
    losses = jax.lax.pmean(losses, axis_name)
  return jnp.sum(jax.nn.softmax(weight * losses) * losses)
