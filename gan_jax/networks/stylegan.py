"""StyleGAN: a mapping to styles, and a synthesis that each layer is styled in.

What all style-based generators share is here too: latents begin with the seed
of an image's noise, `styles` and `paint` are the two halves of a pass, and in
training styles of two latents are mixed.

Reference:
  Karras et al., A Style-Based Generator Architecture for Generative Adversarial
  Networks, arXiv 1812.04948, figure 1 and appendix C; where it leaves a choice,
  as in the authors' code (training/networks_stylegan.py).
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import conditions, growing, layers, norms, resampling
from gan_jax.networks.growing import BASE, Geometry
from gan_jax.networks.progressive import Discriminator, ToImage
from gan_jax.networks.seeds import Noise, noise_of, split
from gan_jax.networks.style import Style
from gan_jax.types import Given, InputError, Players

MAPPING_RATE = 0.01  # how fast the mapping learns
_AVERAGE_DECAY = 0.995  # of the mean of styles
_ROOT2 = math.sqrt(2.0)


class Mapping(nn.Module):
  """z `[B, Z]`, and what is given -> styles w `[B, width]`.

  Attributes:
    depth: dense layers.
    width: of each.
    style: of the player.
    later: StyleGAN2's way: z and each vector of what is given are normalised by
      themselves, and activations are scaled by sqrt(2), not weights.
  """

  depth: int
  width: int
  style: Style
  later: bool = False

  @nn.compact
  def __call__(
    self, z: jax.Array | None, given: Given | None, *, train: bool
  ) -> jax.Array:
    style = self.style
    parts = self._told(given, train)
    parts = parts if z is None else [z, *parts]
    if self.later:
      h = jnp.concatenate([norms.pixel_norm(x) for x in parts], axis=-1)
    else:
      h = norms.pixel_norm(jnp.concatenate(parts, axis=-1))
    for _ in range(self.depth):
      dense = nn.Dense(self.width, dtype=style.dtype)
      gain = 1.0 if self.later else _ROOT2
      h = style.apply(dense, h, train=train, gain=gain, rate=MAPPING_RATE)
      h = style.activate(h) * (_ROOT2 if self.later else 1.0)
    return h

  def _told(self, given: Given | None, train: bool) -> list[jax.Array]:
    """A vector `[B, width]` of each column."""
    style, told = self.style, self.style.told
    found = []
    if self.later and style.num_classes:
      told = style.columns
      classes = norms.rows(jnp.eye(style.num_classes), given['labels'])
      dense = nn.Dense(self.width, dtype=style.dtype)
      found.append(style.apply(dense, classes, train=train, gain=1.0))
    return [*found, *conditions.vectors(told, given, self.width, style.dtype)]


class StyledGenerator(nn.Module):
  """What style-based generators share; each has its own `synthesise`.

  Latents `[B, 2 + Z]` -> images `[B, H, W, C]`. The first two numbers are the
  seed of the noise, so that an image is a function of its latents.

  In training the mean of styles moves, and with probability `mixing` an image
  has the styles of its latents up to a random layer and those of others after
  it; each image has a layer of its own, where the authors' code has one for the
  batch.

  Attributes:
    channels: of the image.
    geometry: see `Geometry`.
    style: see `Style`.
    depth: of the mapping.
    width: of the styles.
    mixing: see above.
  """

  channels: int
  geometry: Geometry
  style: Style
  depth: int
  width: int
  mixing: float

  @property
  def num_layers(self) -> int:
    """L, of the styles that an image takes."""
    return 2 * len(self.geometry.widths)

  @property
  def noise_sizes(self) -> tuple[int, ...]:
    """Pixels of the maps of noise, in the order of the layers."""
    return tuple(BASE * 2 ** (n // 2) for n in range(self.num_layers))

  def __call__(
    self, latents: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    keys, _ = split(latents)
    styles = self.styles(latents, given, train=train)
    return self.paint(styles, keys, train=train)

  def styles(
    self, latents: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    """Styles `[B, L, W]` of latents; outside of training L equal ones."""
    keys, z = split(latents)
    w = self.mapping(z, given, train=train)
    if train and not self.is_initializing():
      self._follow(w)
    styles = jnp.repeat(w[:, None], self.num_layers, axis=1)
    if train and self.mixing:
      other = jax.vmap(
        lambda key: jax.random.normal(
          jax.random.fold_in(key, 1 << 20), z[0].shape
        )
      )(keys)
      noise = z.shape[1] - sum(self.style.codes)  # codes stay
      other = jnp.concatenate([other[:, :noise], z[:, noise:]], axis=1)
      w = self.mapping(other.astype(z.dtype), given, train=train)
      own = jax.vmap(self._own_layers)(keys)[..., None]
      styles = jnp.where(own, styles, w[:, None])
    return styles

  def _own_layers(self, key: jax.Array) -> jax.Array:
    """Which layers `[L]` of an image have the styles of its own latents."""
    num = 2 * (self.geometry.level + 1)  # that are played with
    cut_key, mix_key = jax.random.split(jax.random.fold_in(key, 2 << 20))
    cut = jax.random.randint(cut_key, (), 1, num)
    cut = jnp.where(jax.random.uniform(mix_key) < self.mixing, cut, num)
    return jnp.arange(self.num_layers) < cut

  def _follow(self, w: jax.Array) -> None:
    """Moves the mean of styles towards that of a batch."""
    mean = w.astype(jnp.float32).mean(axis=0)
    if self.style.axis_name is not None:
      mean = jax.lax.pmean(mean, self.style.axis_name)
    mean = jax.lax.stop_gradient(mean)
    if self.scope.is_mutable_collection(growing.COLLECTION):
      old = self.mean_style.value
      self.mean_style.value = mean + _AVERAGE_DECAY * (old - mean)


class _Layer(nn.Module):
  """A convolution, noise, bias, activation, and adaptive instance norm.

  Attributes:
    width: channels.
    style: of G.
    number: of the layer.
    kind: first (what enters has no convolution before it), plain, or up.
  """

  width: int
  style: Style
  number: int
  kind: str

  @nn.compact
  def __call__(
    self, h: jax.Array, w: jax.Array, keys: Noise, *, train: bool
  ) -> jax.Array:
    style = self.style
    if self.kind != 'first':
      conv = layers.Conv(
        self.width,
        3,
        doubled=self.kind == 'up',
        use_bias=False,
        dtype=style.dtype,
      )
      h = style.apply(conv, h, train=train)
    if self.kind == 'up':
      h = resampling.blur(h, resampling.BINOMIAL)
    strength, bias = (
      self.param(name, nn.initializers.zeros, (self.width,)).astype(h.dtype)
      for name in ('noise', 'bias')
    )
    noise = noise_of(keys, self.number, h.shape[1]).astype(h.dtype)
    h = style.activate(h + strength * noise + bias)
    dense = nn.Dense(2 * self.width, dtype=style.dtype)
    modulation = style.apply(dense, w, train=train, gain=1.0)
    return norms.adain(h, modulation, epsilon=1e-8)


class Generator(StyledGenerator):
  """StyleGAN's: a constant, two layers at each size, growing."""

  def setup(self):
    self.grown = growing.variable(self, self.geometry)
    self.mean_style = self.variable(
      growing.COLLECTION, 'mean_style', jnp.zeros, (self.width,)
    )
    self.mapping = Mapping(self.depth, self.width, self.style)
    widths = self.geometry.widths
    self.constant = self.param(
      'constant', nn.initializers.ones, (BASE, BASE, widths[0])
    )
    kinds = ['first', 'plain'] + ['up', 'plain'] * (len(widths) - 1)
    self.layers = [
      _Layer(widths[number // 2], self.style, number, kind)
      for number, kind in enumerate(kinds)
    ]
    self.to_image = [ToImage(self.channels, self.style) for _ in widths]

  def paint(
    self, styles: jax.Array, keys: Noise, *, train: bool = False
  ) -> jax.Array:
    """Images of styles `[B, L, W]`, with the noise of keys `[B]`."""

    def run(network, level, share, styles, keys):
      return network.images(level, share, styles, keys, train)

    return growing.at_level(self, run, self.geometry, styles, keys, train=train)

  def images(
    self,
    level: int,
    share: jax.Array,
    styles: jax.Array,
    keys: Noise,
    train: bool,
  ) -> jax.Array:
    """Images of full size, by the layers of a level."""
    h = (
      self.constant
      if self.style.dtype is None
      else self.constant.astype(self.style.dtype)
    )
    h = before = jnp.broadcast_to(h, (len(styles), *h.shape))
    for number, layer in enumerate(self.layers[: 2 * (level + 1)]):
      if number % 2 == 0:
        before = h
      h = layer(h, styles[:, number], keys, train=train)
    images = self.to_image[level](h, train=train)
    if level:
      old = self.to_image[level - 1](before, train=train)
      images = growing.faded(layers.upsample(old), images, share)
    return resampling.enlarged(self.style.output(images), self.geometry.size)


def check_mixing(mixing: float) -> float:
  """Raises InputError unless it is a probability."""
  if not 0.0 <= mixing <= 1.0:
    raise InputError(f'network.mixing: {mixing} is no probability in [0, 1]')
  return mixing


def stylegan(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  channel_base: int = 16_384,
  channel_max: int = 512,
  resolution: int | None = None,
  mapping_depth: int = 8,
  style_dim: int = 512,
  mixing: float = 0.9,
) -> Players[nn.Module]:
  """The StyleGAN pair for square images of 8 pixels or more.

  D is Progressive GAN's, with a filter before it halves a map. Told labels, it
  projects them by default; the authors' has an output for each class.

  Args:
    image_shape: see `progressive`, as the next four.
    style: see there.
    channel_base: see there.
    channel_max: see there.
    resolution: see there.
    mapping_depth: layers of the mapping.
    style_dim: of w.
    mixing: probability that styles are mixed in training.

  Raises:
    InputError: an image size or a resolution that doubling does not give, or no
      probability.
  """
  geometry = growing.geometry_of(
    'stylegan', image_shape, channel_base, channel_max, resolution
  )
  gen = Generator(
    image_shape[-1],
    geometry,
    style.gen,
    mapping_depth,
    style_dim,
    check_mixing(mixing),
  )
  hidden = min(channel_base // 2, channel_max)
  disc = Discriminator(geometry, hidden, style.disc, resampling.BINOMIAL)
  return Players(gen, disc)
