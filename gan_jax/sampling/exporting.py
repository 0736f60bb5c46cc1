"""A generator as a program that needs JAX alone: StableHLO, weights inside.

    draw(latents [b, Z], labels [b], ...) -> images uint8 [b, H, W, C]
    latents(seed, positions [b]) -> latents [b, Z]

Both take any number b of examples. The first is of one set of weights and one
way to truncate; the second draws the latents that `Sampler.latents` does.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import export

from gan_jax.pixels import to_uint8
from gan_jax.rng import example_keys
from gan_jax.sampling.given import as_told
from gan_jax.sampling.sampler import Sampler


class Argument(NamedTuple):
  """One input of the exported generator.

  Attributes:
    name: latents, labels, or that of a column.
    shape: of one example.
    dtype: of its numbers.
    about: what it is, and its range.
  """

  name: str
  shape: tuple[int, ...]
  dtype: str
  about: str


class Exported(NamedTuple):
  """Serialised programs, and what they take.

  Attributes:
    draw: the generator.
    latents: what draws its latents.
    arguments: of `draw`, in their order.
    oldest: calling convention that a reader has to know, see jax.export.
  """

  draw: bytes
  latents: bytes
  arguments: list[Argument]
  oldest: int


def arguments_of(gan: Sampler) -> list[Argument]:
  """What the exported generator takes."""
  found = [
    Argument(
      'latents',
      (gan.latent_dim,),
      'float32',
      f'from latents.jax; {_prior(gan)}',
    )
  ]
  if gan.num_classes:
    about = f'class, from 0 to {gan.num_classes - 1}'
    found.append(Argument('labels', (), 'int32', about))
  for name, column in gan.columns.items():
    picture = len(column.shape) == 3
    dtype = 'uint8' if picture else column.dtype
    about = 'picture, from 0 to 255' if picture else 'as the run was told it'
    found.append(Argument(name, tuple(column.shape), dtype, about))
  return found


def _prior(gan: Sampler) -> str:
  noise = {'normal': 'N(0, I)', 'uniform': 'U[-1, 1]'}.get(gan.prior, gan.prior)
  seeds = f'{gan.num_seeds} whole numbers, then ' * bool(gan.num_seeds)
  codes = f', then codes {gan.codes}' * bool(gan.codes)
  return f'{seeds}{noise}{codes}'


def drawing(gan: Sampler) -> Callable[..., jax.Array]:
  """The function that is exported, over the arguments of `arguments_of`."""
  names = [argument.name for argument in arguments_of(gan)]

  def draw(latents, *rest):
    told = dict(zip(names[1:], rest, strict=True))
    labels = told.pop('labels', None)
    return to_uint8(gan.generator(latents, labels, as_told(told)))

  return draw


def exported(
  gan: Sampler, platforms: Sequence[str], truncation: float = 0.0
) -> Exported:
  """Serialises a generator and its latents.

  Args:
    gan: with weights, truncation of styles and batch norm as they are to be.
    platforms: cpu, cuda, rocm, tpu.
    truncation: of a normal prior, see `Sampler.latents`.
  """
  found = arguments_of(gan)
  (num,) = export.symbolic_shape('b')

  def spec(shape, dtype):
    return jax.ShapeDtypeStruct((num, *shape), dtype)

  specs = [spec(argument.shape, argument.dtype) for argument in found]
  draw = _of_any_number(drawing(gan), specs, platforms)

  def latents(seed, positions):
    keys = example_keys(jax.random.key(seed), positions)
    return gan.latents_of_keys(keys, truncation)

  seed = jax.ShapeDtypeStruct((), jnp.uint32)
  drawn = export.export(jax.jit(latents), platforms=list(platforms))(
    seed, spec((), jnp.int32)
  )
  return Exported(
    bytes(draw.serialize()),
    bytes(drawn.serialize()),
    found,
    draw.calling_convention_version,
  )


def _of_any_number(
  function: Callable[..., jax.Array],
  specs: Sequence[Any],
  platforms: Sequence[str],
) -> export.Exported:
  """Exports a function of any number of examples.

  Networks may ask for the number, which is none while it is a symbol; those are
  traced for one example, and mapped.
  """

  def of_each(*inputs):
    return jax.vmap(lambda *one: function(*(x[None] for x in one))[0])(*inputs)

  try:
    return export.export(jax.jit(function), platforms=list(platforms))(*specs)
  except Exception:  # whatever a network does with a symbol
    return export.export(jax.jit(of_each), platforms=list(platforms))(*specs)
