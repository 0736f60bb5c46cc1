"""Pictures of a run as somebody turns its knobs, one request after another."""

import functools
import pathlib
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax.config.plan import Plan
from gan_jax.data.shapes import FITS, convert
from gan_jax.metrics.attributes import ATTRIBUTES
from gan_jax.metrics.psnr import psnr
from gan_jax.modes import told
from gan_jax.pixels import to_uint8
from gan_jax.sampling import exporting, inversion, spaces
from gan_jax.sampling.editing import Direction
from gan_jax.sampling.inversion import Inverted
from gan_jax.sampling.styles import Truncation, truncated
from gan_jax.types import InputError
from gan_jax.workdir import directions as kept_lib
from gan_jax.workdir.finding import Finder
from gan_jax.workdir.trained import Trained

INVERSION_STEPS = 200
MOST_FRAMES = 120
_MOST_KEPT = 32  # seeds whose latents are kept
_REACH = 6.0  # standard deviations along a direction


class Wish(NamedTuple):
  """What a picture is asked for.

  Attributes:
    seed: of the latents.
    label: class of all images; None for all classes in turn.
    text: for all, of a run that is told texts.
    truncation: of the latents; 0 for none.
    psi: of a style-based G: how far styles are from their mean.
    mix: seed of whose styles the later layers are; None for one's own.
    layer: the first of these.
    amounts: how far along each direction, in standard deviations.
  """

  seed: int = 0
  label: int | None = None
  text: str = ''
  truncation: float = 0.0
  psi: float = 1.0
  mix: int | None = None
  layer: int = 1
  amounts: tuple[tuple[str, float], ...] = ()


class Explorer:
  """A generator that draws as it is wished; safe for several threads.

  Attributes:
    gan: the generator.
    num: images of a picture.
    directions: that can be moved along, by name.
  """

  def __init__(self, trained: Trained, asked: Plan, path: pathlib.Path):
    """Takes a run.

    Args:
      trained: the run.
      asked: what is asked for, with its section `explore`.
      path: its workdir.

    Raises:
      InputError: a direction that the run does not have.
    """
    keys = asked.explore
    self.trained, self.num = trained, keys.num
    self.gan = trained.sampler_of(keys)
    self._asked, self._path = asked, path
    self._finder = Finder(self.gan, trained, asked, path)
    self.directions: dict[str, Direction] = {}
    self._lock = threading.Lock()
    self._latents = functools.lru_cache(_MOST_KEPT)(self._latents_of)
    self._styles = functools.lru_cache(_MOST_KEPT)(self._styles_of)
    self._given = functools.lru_cache(_MOST_KEPT)(self._given_of)
    self._draw = jax.jit(exporting.drawing(self.gan))
    self._cutoff = keys.psi_cutoff
    self._has_styles = self.gan.has_styles and self.can_edit
    self._paint = jax.jit(lambda *x: to_uint8(self.gan.painter(*x)))
    names = ','.join(keys.directions).split(',')
    for name in filter(None, (part.strip() for part in names)):
      self.add(name)

  # --- What there is to turn --------------------------------------------------

  @property
  def pictured(self) -> str | None:
    """Name of the picture that the run is told, to be uploaded; None."""
    for name, column in self.gan.columns.items():
      if len(column.shape) == 3:
        return name
    return None

  @property
  def takes_text(self) -> bool:
    """Whether the run is told texts."""
    return 'text' in self.trained.plan.given

  @property
  def can_edit(self) -> bool:
    """Whether directions and inversion make sense."""
    return not self.gan.columns

  def suggested(self) -> list[str]:
    """Directions that can be had: kept ones, attributes, components."""
    if not self.can_edit:
      return []
    kept = [
      name.removesuffix(kept_lib.SUFFIX).rpartition(',')[0]
      for name in kept_lib.kept(self._path)
    ]
    components = [f'{kind}_{i}' for kind in ('pca', 'sefa') for i in range(3)]
    names = [*kept, *ATTRIBUTES, *components]
    return [n for n in dict.fromkeys(names) if n not in self.directions]

  def add(self, name: str) -> Direction:
    """Finds a direction, or reads it where it is kept.

    Raises:
      InputError: the run has none of this name.
    """
    if not self.can_edit:
      raise InputError(
        f'explore.directions: this run is told {", ".join(self.gan.columns)}; '
        'say there what is to change'
      )
    with self._lock:
      found = self._finder.of(name)
    self.directions[found.name] = found
    return found

  # --- Pictures ---------------------------------------------------------------

  def images(self, wish: Wish, inverted: Inverted | None = None) -> np.ndarray:
    """Images uint8 `[N, H, W, C]`, or one of an inverted image.

    Raises:
      InputError: what this run cannot do.
    """
    with self._lock:
      if inverted is not None:
        return self._of_inverted(wish, inverted)
      latents = self._moved(wish)
      if not self._has_styles:
        return self._of_latents(wish, latents)
      styles, mean = self._styles(wish.seed, wish.label, wish.truncation)
      if list(self._wanted(wish, 'z')):
        styles, mean = self._styled(latents, wish)
      return self._of_styles(wish, latents, styles, mean)

  def walk(self, wish: Wish, frames: int = 48) -> np.ndarray:
    """A walk from the wish's seed to the next and back: `[F, N, H, W, C]`."""
    frames = min(max(2, frames), MOST_FRAMES)
    ends = wish._replace(seed=wish.seed + 1)
    shares = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frames) / frames)
    with self._lock:
      start, end = self._moved(wish), self._moved(ends)
      return np.stack(
        [self._at(wish, self._between(start, end, t)) for t in shares]
      )

  def _at(self, wish: Wish, latents: np.ndarray) -> np.ndarray:
    if not self._has_styles:
      return self._of_latents(wish, latents)
    return self._of_styles(wish, latents, *self._styled(latents, wish))

  def _between(
    self, start: np.ndarray, end: np.ndarray, share: float
  ) -> np.ndarray:
    """Latents on the way; seeds and codes stay those of the start."""
    own = spaces.free(self.gan)
    a, b = start[:, own], end[:, own]
    mixed = (1 - share) * a + share * b
    if self.gan.prior == 'normal':  # as long as either
      mixed /= np.sqrt((1 - share) ** 2 + share**2)
    return spaces.with_noise(self.gan, start, np.float32(mixed))

  def _of_latents(self, wish: Wish, latents: np.ndarray) -> np.ndarray:
    """What G draws of latents, with what it is told."""
    rest = []
    if self.gan.num_classes:
      rest.append(self._labels(wish, len(latents)))
    given = self._given(wish.text) if self.gan.columns else {}
    rest += [given[name] for name in self.gan.columns]
    return np.asarray(self._draw(latents, *rest))

  def _of_styles(
    self,
    wish: Wish,
    latents: np.ndarray,
    styles: np.ndarray,
    mean: np.ndarray,
  ) -> np.ndarray:
    """What G paints of styles, mixed, pulled to their mean, and moved."""
    if wish.mix is not None:
      other, _ = self._styles(wish.mix, wish.label, wish.truncation)
      layer = min(max(1, wish.layer), styles.shape[1] - 1)
      styles = self.gan.mixed(styles, other, layer)
    truncation = Truncation(wish.psi, self._cutoff)
    styles = np.asarray(truncated(styles, mean, truncation))
    return np.asarray(self._paint(self._shifted(styles, wish), latents))

  def _of_inverted(self, wish: Wish, found: Inverted) -> np.ndarray:
    """An uploaded image, moved along the directions."""
    if found.styles is None:
      moved = self._along(found.latents, wish, 'z')
      return self.gan.generate(moved, found.labels)
    return self.gan.paint(self._shifted(found.styles, wish), found.noise)

  def _shifted(self, styles: np.ndarray, wish: Wish) -> np.ndarray:
    for name, amount in self._wanted(wish, 'w'):
      direction = self.directions[name]
      styles = styles + amount * direction.spread * direction.vector
    return np.float32(styles)

  def _moved(self, wish: Wish) -> np.ndarray:
    """Latents of a seed, moved along directions in z."""
    return self._along(self._latents(wish.seed, wish.truncation), wish, 'z')

  def _along(self, latents: np.ndarray, wish: Wish, space: str) -> np.ndarray:
    own = spaces.free(self.gan)
    noise = latents[:, own]
    for name, amount in self._wanted(wish, space):
      direction = self.directions[name]
      noise = noise + amount * direction.spread * direction.vector
    if self.gan.prior == 'uniform':
      noise = np.clip(noise, -1.0, 1.0)
    return spaces.with_noise(self.gan, latents, np.float32(noise))

  def _wanted(self, wish: Wish, space: str) -> list[tuple[str, float]]:
    """Directions of a space that are moved along.

    Raises:
      InputError: one that is not there, or too far.
    """
    for name, amount in wish.amounts:
      if name not in self.directions:
        raise InputError(f'explore: there is no direction {name!r} here')
      if not abs(amount) <= _REACH:
        raise InputError(f'explore: {name} goes from {-_REACH:g} to {_REACH:g}')
    return [
      (name, amount)
      for name, amount in wish.amounts
      if amount and self.directions[name].space == space
    ]

  def _labels(self, wish: Wish, num: int) -> np.ndarray:
    return self.gan.labels(num, wish.label)

  def _latents_of(self, seed: int, truncation: float) -> np.ndarray:
    return self.gan.latents(self.num, seed=seed, truncation=truncation)

  def _styles_of(
    self, seed: int, label: int | None, truncation: float
  ) -> tuple[np.ndarray, np.ndarray]:
    wish = Wish(seed, label, truncation=truncation)
    return self._styled(self._latents(seed, truncation), wish)

  def _styled(
    self, latents: np.ndarray, wish: Wish
  ) -> tuple[np.ndarray, np.ndarray]:
    """Styles of latents, and the means that psi pulls them to."""
    labels = self._labels(wish, len(latents)) if self.gan.num_classes else None
    return self.gan.styles(latents, labels), self.gan.mean_style(labels)

  def _given_of(self, text: str) -> Mapping[str, Any]:
    """What the run is told of the first held-out images, and a text."""
    given, _ = told.prompted(
      self.trained, self._asked, self._path, self.num, text
    )
    return self.gan.told(self.num, None, given)

  # --- Uploads ----------------------------------------------------------------

  def _fitted(self, image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    fit = FITS[self.trained.plan.dataset()['fit']]
    return convert(image, shape, fit)[None]

  def invert(self, image: np.ndarray) -> tuple[Inverted, float]:
    """Finds what draws an image.

    Args:
      image: uint8 `[h, w, C]` of any size.

    Returns:
      What draws it, and the PSNR, in dB.

    Raises:
      InputError: the run is told more than labels.
    """
    if not self.can_edit:
      raise InputError('explore: this run is told what it draws')
    target = self._fitted(image, self.gan.image_shape)
    with self._lock:
      found = inversion.invert(
        self.gan,
        target,
        space=spaces.AUTO,
        distance=inversion.pixel_distance,
        num_steps=INVERSION_STEPS,
        learning_rate=0.1,
      )
    return found, float(psnr(found.images, target)[0])

  def translate(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the run makes of an image: source and result, `[1, h, w, c]` each.

    Raises:
      InputError: it is told no picture, or more than one.
    """
    if self.pictured is None:
      raise InputError('explore: this run takes no picture')
    source = self._fitted(image, self.gan.columns[self.pictured].shape)
    with self._lock:
      return source, self.gan.translate(source)
