"""Layers that let a discriminator compare the examples of a batch.

Both see the batch that a pass is given, over all devices together: a batch
shared among several gives what one device would. They add features that do not
belong to one example alone, so D(x) depends on the rest of the batch.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp


class StandardDeviation(nn.Module):
  """Appends one feature: how much the batch varies.

  `[B, ..., C]` -> `[B, ..., C + 1]`: the standard deviation over the batch of
  every feature at every place, averaged over them all, the same value
  everywhere. Biased, with 1e-8 under the root. One group, the whole batch, as
  in the paper; or groups, each with a value of its own: of N examples in groups
  of G, example i goes with i + N/G, i + 2 N/G, ..., as in the authors' code.

  Attributes:
    axis_name: mapped device axis that shares the batch, or None.
    group: G, or the largest number below it that divides the batch; 0 for the
      whole batch.

  Reference:
    Karras et al., Progressive Growing of GANs, arXiv 1710.10196, section 3.
  """

  axis_name: str | None = None
  group: int = 0

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    axis_name = None if self.is_initializing() else self.axis_name
    if self.group:
      value = _of_groups(y, self.group, axis_name)
      value = value.reshape(len(x), *[1] * (x.ndim - 1))
    else:
      mean = _over_devices(y.mean(axis=0), axis_name)
      variance = _over_devices(((y - mean) ** 2).mean(axis=0), axis_name)
      value = jnp.sqrt(variance + 1e-8).mean()
    value = value.astype(x.dtype)
    return jnp.concatenate(
      [x, jnp.broadcast_to(value, (*x.shape[:-1], 1))], axis=-1
    )


class Discrimination(nn.Module):
  """Appends `kernels` features: how close each example is to the others.

  f `[B, A]`, an example's features, becomes M = f T of shape `[kernels, dim]`;
  feature b of example i is sum_j exp(-||M_ib - M_jb||_1) over all j, i itself
  among them, as the paper has it. `[B, ..., C]` -> `[B, ..., C + kernels]`; the
  new features are the same at every place of a map.

  Attributes:
    kernels: the paper's B.
    dim: the paper's C.
    axis_name: mapped device axis that shares the batch, or None.

  Reference:
    Salimans et al., Improved Techniques for Training GANs, arXiv 1606.03498,
    section 3.2.
  """

  kernels: int
  dim: int
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    flat = x.reshape(len(x), -1)
    tensor = self.param(
      'tensor',
      nn.initializers.normal(0.05),
      (flat.shape[-1], self.kernels * self.dim),
    )
    own = (flat @ tensor.astype(flat.dtype)).astype(jnp.float32)
    own = own.reshape(len(x), self.kernels, self.dim)
    every = own
    if self.axis_name is not None and not self.is_initializing():
      every = jax.lax.all_gather(own, self.axis_name, tiled=True)
    distances = jnp.abs(own[:, None] - every[None]).sum(axis=-1)
    closeness = jnp.exp(-distances).sum(axis=1).astype(x.dtype)
    places = (len(x), *[1] * (x.ndim - 2), self.kernels)
    shape = (*x.shape[:-1], self.kernels)
    return jnp.concatenate(
      [x, jnp.broadcast_to(closeness.reshape(places), shape)], axis=-1
    )


def _of_groups(y: jax.Array, group: int, axis_name: str | None) -> jax.Array:
  """`[B]`: the mean standard deviation in the group of each example."""
  share, start = len(y), 0
  if axis_name is not None:
    y = jax.lax.all_gather(y, axis_name, tiled=True)
    start = share * jax.lax.axis_index(axis_name)
  size = next(n for n in range(min(group, len(y)), 0, -1) if len(y) % n == 0)
  y = y.reshape(size, len(y) // size, -1)
  variance = ((y - y.mean(axis=0)) ** 2).mean(axis=0)
  value = jnp.tile(jnp.sqrt(variance + 1e-8).mean(axis=-1), size)
  return jax.lax.dynamic_slice_in_dim(value, start, share)


def _over_devices(mean: jax.Array, axis_name: str | None) -> jax.Array:
  """The mean over the whole batch from that over a device's share."""
  return mean if axis_name is None else jax.lax.pmean(mean, axis_name)
