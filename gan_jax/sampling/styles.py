"""The two halves of a style-based generator: to styles, and from them.

Mixing and truncation act between the two.

Styles are pulled to their mean: of images that are told nothing, as training
has followed it; of others, to that of the same condition. The authors' codes
have one mean for all conditions, near which an image is of none of them.

References:
  Karras et al., A Style-Based Generator Architecture for Generative Adversarial
  Networks, arXiv 1812.04948, section 3.1 and appendix B.
  Mokady et al., Self-Distilled StyleGAN, arXiv 2202.12211, section 4 (several
  means).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.pixels import to_uint8
from gan_jax.sampling.batches import batched
from gan_jax.sampling.given import as_told
from gan_jax.types import Given, InputError


class Styled(NamedTuple):
  """A style-based G, as functions of its variables.

  Attributes:
    styles: (variables, latents, given) -> styles w `[B, L, W]`.
    paint: (variables, styles, noise) -> images; noise is that of latents, or
      maps as `noise` makes them.
    mean: variables -> the mean of styles `[W]`.
    noise: latents -> maps of noise, `[B, S, S, 1]` for each layer.
    num_layers: L.
  """

  styles: Callable[..., jax.Array]
  paint: Callable[..., jax.Array]
  mean: Callable[[Any], jax.Array]
  noise: Callable[[jax.Array], tuple[jax.Array, ...]]
  num_layers: int


class Truncation(NamedTuple):
  """How far styles are pulled to their mean, and in which layers.

  Attributes:
    psi: 1 leaves them, 0 is the mean.
    cutoff: the first so many layers; 0 for all.
  """

  psi: float = 1.0
  cutoff: int = 0


WHOLE = Truncation()
NUM_ANCHORS = 256  # latents behind the mean of a condition
_ANCHOR_SEED = 2**31 - 1  # of these


def truncated(
  styles: jax.Array, mean: jax.Array, truncation: Truncation
) -> jax.Array:
  """Styles pulled to their mean, mean + psi (w - mean) in the first layers.

  Args:
    styles: `[B, L, W]`.
    mean: `[W]`, or `[B, 1, W]` of each.
    truncation: see `Truncation`.
  """
  psi, cutoff = truncation
  moved = mean + psi * (styles - mean)
  early = jnp.arange(styles.shape[1]) < (cutoff or styles.shape[1])
  return jnp.where(early[:, None], moved, styles)


def centres(
  styled: Styled, variables: Any, given: Given, anchors: jax.Array
) -> jax.Array:
  """What styles are pulled to: `[W]` of all, or `[B, 1, W]` by condition.

  Args:
    styled: the generator.
    variables: of it.
    given: what B images are told; nothing has the mean of training.
    anchors: latents `[A, Z]`, whose styles under an image's own condition are
      averaged.
  """
  if not given:
    return styled.mean(variables)

  def of_one(told):
    shared = jax.tree.map(
      lambda x: jnp.broadcast_to(x, (len(anchors), *x.shape)), told
    )
    styles = styled.styles(variables, anchors, shared)
    return styles[:, :1].mean(axis=0)

  return jax.lax.map(of_one, given, batch_size=16)


def truncating(
  styled: Styled, truncation: Truncation, anchors: jax.Array
) -> Callable[..., Any]:
  """A generator of truncated styles, see gan_jax.games.Generate.

  Args:
    styled: the generator.
    truncation: see `Truncation`.
    anchors: see `centres`.
  """

  def generate(variables, latents, given, *, train=False):
    del train  # no batch norm
    styles = styled.styles(variables, latents, given)
    mean = centres(styled, variables, given, anchors)
    styles = truncated(styles, mean, truncation)
    return styled.paint(variables, styles, latents), variables

  return generate


def check(truncation: Truncation, styled: Styled | None) -> None:
  """Checks a truncation.

  Raises:
    InputError: G has no styles, or not as many layers.
  """
  psi, cutoff = truncation
  if truncation == WHOLE:
    return
  if styled is None:
    raise InputError(
      f'psi: {psi}, in psi_cutoff={cutoff or "all"} layers, pulls styles to '
      'their mean, and this generator has none; leave both out, or take '
      'truncation, which is of latents'
    )
  check_psi(psi, cutoff)
  if cutoff > styled.num_layers:
    raise InputError(
      f'psi_cutoff: {cutoff} is not between 0, for all, and the '
      f'{styled.num_layers} layers of this generator'
    )


def check_psi(psi: float, cutoff: int, section: str = '') -> None:
  """Raises InputError for values that no generator takes."""
  prefix = f'{section}.' if section else ''
  if not 0.0 <= psi <= 2.0:
    raise InputError(f'{prefix}psi: {psi} is not between 0 and 2')
  if cutoff < 0:
    raise InputError(f'{prefix}psi_cutoff: {cutoff} is negative')


class Styling:
  """What a `Sampler` can do whose generator is style-based."""

  _styled: Styled | None
  _variables: Any
  truncation: Truncation

  @property
  def variables(self) -> Any:
    """G's, as it draws with them."""
    return self._variables

  def styles(
    self,
    latents: np.ndarray,
    labels: np.ndarray | None = None,
    given: Given | None = None,
  ) -> np.ndarray:
    """Styles w `[N, L, W]` of latents `[N, Z]`, L equal ones each.

    Args:
      latents: `[N, Z]`.
      labels: int32 `[N]`; None goes through all classes in turn.
      given: see `Sampler.sample`.

    Raises:
      InputError: the generator has none.
    """
    styled = self._checked()
    labels = self.labels(len(latents)) if labels is None else labels
    return batched(
      lambda latents, given: styled.styles(
        self._variables, latents, as_told(given)
      ),
      latents,
      self._given(len(latents), labels, given),
    )

  def paint(self, styles: np.ndarray, latents: Any) -> np.ndarray:
    """Images uint8 `[N, H, W, C]` of styles `[N, L, W]`.

    Args:
      styles: as `styles` gives them, changed at will.
      latents: `[N, Z]`, of which the noise is; N times the same one keeps it
        fixed. Or maps of noise, see `noise`.

    Raises:
      InputError: the generator has none.
    """
    styled = self._checked()

    def images(styles, latents):
      return to_uint8(styled.paint(self._variables, styles, latents))

    return batched(images, styles, latents)

  def noise(self, latents: np.ndarray) -> tuple[jax.Array, ...]:
    """Maps of noise `[N, S, S, 1]`, one for each layer that has it."""
    return self._checked().noise(latents)

  def painter(self, styles: jax.Array, latents: Any) -> jax.Array:
    """As `paint`, in [-1, 1]; it can be differentiated and compiled."""
    return self._checked().paint(self._variables, styles, latents)

  @property
  def num_layers(self) -> int:
    """L, of the styles that an image takes."""
    return self._checked().num_layers

  @property
  def has_styles(self) -> bool:
    """Whether the generator has them."""
    return self._styled is not None

  def mixed(
    self, coarse: np.ndarray, fine: np.ndarray, layer: int
  ) -> np.ndarray:
    """Styles of one up to a layer, and of another from there on.

    Args:
      coarse: `[N, L, W]`.
      fine: `[N, L, W]`.
      layer: the first one that is of `fine`, from 1 to L - 1.

    Raises:
      InputError: there is no such layer.
    """
    num = self._checked().num_layers
    if not 1 <= layer < num:
      raise InputError(
        f'layer: {layer} leaves nothing to mix; take one from 1 to {num - 1} '
        f'of the {num} layers'
      )
    return np.concatenate([coarse[:, :layer], fine[:, layer:]], axis=1)

  def mean_style(
    self, labels: np.ndarray | None = None, given: Given | None = None
  ) -> np.ndarray:
    """What psi pulls styles to: `[W]`, or `[N, 1, W]` of each condition.

    Args:
      labels: int32 `[N]`; None for the mean over all classes, as training has
        followed it.
      given: see `Sampler.sample`.
    """
    styled = self._checked()
    if labels is None and not given:
      return np.asarray(styled.mean(self._variables))
    num = len(next(iter((given or {'labels': labels}).values())))
    told = self._given(num, labels, given)
    centre = centres(styled, self._variables, as_told(told), self._anchors())
    return np.asarray(centre)

  def _anchors(self) -> np.ndarray:
    """Latents `[A, Z]` of the means of conditions."""
    return self.latents(NUM_ANCHORS, seed=_ANCHOR_SEED)

  def _checked(self) -> Styled:
    if self._styled is None:
      raise InputError(
        'styles: this generator has none; stylegan and stylegan2 have'
      )
    return self._styled
