"""A generator read back from a run, with the discriminator it has played."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.features import image_set
from gan_jax.games.passes import of_member
from gan_jax.pixels import from_uint8
from gan_jax.sampling.batches import batched
from gan_jax.sampling.given import as_told
from gan_jax.sampling.sampler import Sampler
from gan_jax.sampling.weights import (
  discriminator_variables,
  generator_variables,
)
from gan_jax.tricks.views import pack
from gan_jax.types import Column, InputError, TrainState


class TrainedGAN(Sampler):
  """A `Sampler` with the discriminator that its generator has played with.

  Of a game with one player, the sampler alone.

  Attributes:
    has_disc: whether there is one.
  """

  def __init__(
    self, trained: Any, *, ema: bool, back: bool = False, **drawing: Any
  ):
    """Takes both players from a run.

    Args:
      trained: a `gan_jax.workdir.trained.Trained`, see its `sampler`.
      ema: see there.
      back: likewise.
      **drawing: of `Sampler`.
    """
    model, state, self._plan = trained.model, trained.state, trained.plan
    self._ema = ema
    told = Column(tuple(trained.info.image_shape)) if back else None
    super().__init__(
      step=int(state.step),
      **drawing,
      **model.drawn_from(state, ema=ema, back=told),
    )
    self._image_shape = tuple(trained.info.image_shape)
    self._disc_variables = discriminator_variables(state)

    self._plays_two = 'disc' in model.game.players
    self.has_disc = self._plays_two and bool(state.params.disc)

    def logits_of(variables, images, given):
      return self._judge(model.networks.disc, variables, images, given)

    self._logits_of = jax.jit(logits_of)

  def with_state(self, state: TrainState) -> 'TrainedGAN':
    """The same players with another member's weights, not compiled again."""
    other = self.with_variables(generator_variables(state, self._ema))
    other._disc_variables = discriminator_variables(state)
    return other

  def discriminate(
    self,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    given: Mapping[str, Any] | None = None,
  ) -> np.ndarray:
    """D's logits `[N]`, with running statistics; the mean of several D.

    Args:
      images: uint8 `[N, H, W, C]`. Of D's that judge packs, each image has the
        logit of its pack: images next to each other.
      labels: int `[N]`, if the run is conditional, or the name of a class
        for all; see `labels`.
      given: what else the run is told of each image, see `sample`.

    Raises:
      InputError: images of another kind or shape, or not what is given; or
        there is no D.
    """
    if not self.has_disc:
      why = f'game={self._plan.game} has one player, and no discriminator'
      if self._plays_two:
        why = 'this is an export, which has left out the discriminator'
      raise InputError(f'discriminate: {why}')
    if image_set(images).image_shape != self._image_shape:
      raise InputError(
        f'images: {images.shape}; this D judges [N, '
        f'{", ".join(map(str, self._image_shape))}]'
      )
    if self.num_classes:
      labels = self._checked_labels(labels, len(images))
    elif labels is not None:
      raise InputError('labels: the model is not conditional; leave them out')
    return batched(
      lambda *inputs: self._logits_of(self._disc_variables, *inputs),
      images,
      self._given(len(images), labels, given),
    )

  def _checked_labels(self, labels, num) -> np.ndarray:
    """Labels int32 `[num]`, each of a class."""
    if labels is None:
      labels = ()
    if isinstance(labels, str):
      return self.labels(num, labels)
    labels = np.asarray(labels)
    whole = labels.shape == (num,) and labels.dtype.kind in 'iu'
    if not whole or labels.min() < 0 or labels.max() >= self.num_classes:
      raise InputError(
        f'labels: the model is conditional: integers from 0 to '
        f'{self.num_classes - 1} are wanted, one for each of {num} images, or '
        'the name of a class for all'
      )
    return labels.astype(np.int32)

  def _judge(self, disc, variables, images, given) -> jax.Array:
    """Logits `[N]` of uint8 images `[N, H, W, C]`."""
    num, packing = len(images), self._plan.packing
    rows = jnp.arange(num + -num % packing) % num  # whole packs
    packs = pack(from_uint8(images)[rows], packing)

    if isinstance(disc, dict):  # two domains; this one's
      variables, disc = of_member(variables, 'images'), disc['images']

    def apply(variables):
      return disc.apply(variables, packs, as_told(given), train=False).logits

    if self._plan.num_discs > 1:
      logits = jax.vmap(apply)(variables).mean(axis=0)
    else:
      logits = apply(variables)
    return logits.repeat(packing)[:num]  # each image by its pack's
