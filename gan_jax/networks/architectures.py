"""The table of architectures: which there are, and the styles they may have."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from gan_jax.networks.autoencoder import conv_autoencoder, mlp_autoencoder
from gan_jax.networks.biggan import biggan
from gan_jax.networks.conv import conv
from gan_jax.networks.cyclegan import cyclegan
from gan_jax.networks.dcgan import dcgan, scale_init
from gan_jax.networks.heads import WAYS
from gan_jax.networks.hologan import hologan
from gan_jax.networks.layers import Style
from gan_jax.networks.maxout import maxout, uniform
from gan_jax.networks.mlp import mlp, mlp_bn
from gan_jax.networks.norms import BATCH_NORMS, OF_MAPS, OF_VECTORS
from gan_jax.networks.pigan import pigan
from gan_jax.networks.pix2pix import pix2pix
from gan_jax.networks.progressive import progressive
from gan_jax.networks.r3gan import r3gan
from gan_jax.networks.sagan import sagan
from gan_jax.networks.seeds import NUM_SEEDS
from gan_jax.networks.sngan import sngan
from gan_jax.networks.srgan import esrgan, msrresnet, srgan
from gan_jax.networks.stackgan import stackgan
from gan_jax.networks.stylegan import stylegan
from gan_jax.networks.stylegan2 import stylegan2
from gan_jax.networks.unet import unet
from gan_jax.networks.upconv import upconv
from gan_jax.networks.weights import WEIGHTS
from gan_jax.networks.wgan_gp_resnet import wgan_gp_resnet
from gan_jax.types import Players


class Architecture(NamedTuple):
  """A factory, and the styles that its networks may have.

  Attributes:
    make: `(image_shape, style, *, keys) -> Players`.
    style: of both players by default; None for the D of a coalition.
    disc_norms: norms that D may have.
    gen_norms: norms that G may have.
    gen_style_of_labels: G's by default where the players see labels; None for
      the same.
    weights: what both players' weights may be.
    labels_by: how D can take labels; a D that ends in `heads.verdict` can do
      all of gan_jax.networks.heads.WAYS.
    num_seeds: numbers at the start of G's latents, see
      gan_jax.sampling.priors.
    lacks: keys of styles, under `network`, that its networks do not read.
    fades: of a pair that grows, whether layers can fade in.
  """

  make: Callable[..., Any]
  style: Players[Style | None]
  disc_norms: tuple[str, ...] = OF_VECTORS
  gen_norms: tuple[str, ...] = OF_VECTORS
  weights: tuple[str, ...] = WEIGHTS
  gen_style_of_labels: Style | None = None
  labels_by: tuple[str, ...] = ('concat',)
  num_seeds: int = 0
  lacks: tuple[str, ...] = ()
  fades: bool = True


_DCGAN = Players(
  Style('relu', 'batch', scale_init=scale_init),
  Style('leaky_relu', 'batch', scale_init=scale_init),
)
_SNGAN = Style('relu', 'batch', norm_epsilon=2e-5)  # of G
# Of G in SAGAN; its last norm has a momentum of .9999 in the authors' code.
_SAGAN = Style('relu', 'batch', 'spectral', norm_momentum=0.999)
_PROJECTION = Style('relu', weights='spectral', labels_by='projection')
# D of growing pairs: guesses labels, if there are any.
_COMPARING = Style(
  weights='equalised',
  minibatch='stddev',
  minibatch_group=4,
  labels_by='classifier',
)
_POSED_DISC = Style('leaky_relu', 'instance', 'spectral')
_COMPARISONS = ('disc_minibatch', 'minibatch_kernels', 'minibatch_dim')
_COMPARISONS += ('minibatch_group',)
# Norms of maps that go by no labels and no reference.
_MAPS_ALONE = tuple(n for n in OF_MAPS if n not in ('conditional', 'virtual'))


def _enlarging(
  make: Callable[..., Any], norm: str, norms: tuple[str, ...]
) -> Architecture:
  """Of super-resolution: G has activations of its own, and no other column."""
  return Architecture(
    make,
    Players(Style(norm=norm), Style(norm='batch')),
    disc_norms=_MAPS_ALONE,
    gen_norms=norms,
    lacks=(*_COMPARISONS, 'embed_dim', 'disc_labels_by', 'gen_activation'),
  )


NETWORKS: dict[str, Architecture] = {
  'mlp': Architecture(mlp, Players(Style(), Style()), labels_by=WAYS),
  'mlp_bn': Architecture(
    mlp_bn,
    Players(Style(norm='batch', norm_momentum=0.8), Style()),
    labels_by=WAYS,
  ),
  'maxout': Architecture(
    maxout,
    Players(
      Style('relu', dense_init=uniform(0.05)), Style(dense_init=uniform(0.005))
    ),
    labels_by=WAYS,
    lacks=('disc_activation',),
  ),
  'conv': Architecture(
    conv,
    Players(Style(norm='batch'), Style()),
    disc_norms=OF_MAPS,
    labels_by=WAYS,
  ),
  'dcgan': Architecture(
    dcgan,
    _DCGAN,
    disc_norms=OF_MAPS,
    gen_norms=OF_MAPS,
    labels_by=WAYS,
  ),
  'upconv': Architecture(
    upconv,
    Players(Style('relu', 'batch', norm_momentum=0.8), Style()),
    disc_norms=OF_MAPS,
    gen_norms=OF_MAPS,
    labels_by=WAYS,
  ),
  'wgan_gp_resnet': Architecture(
    wgan_gp_resnet,
    Players(Style('relu', 'batch'), Style('relu')),
    disc_norms=tuple(n for n in OF_MAPS if n not in BATCH_NORMS),
    gen_norms=OF_MAPS,
    labels_by=WAYS,
  ),
  'sngan': Architecture(
    sngan,
    Players(_SNGAN, _PROJECTION),
    disc_norms=OF_MAPS,
    gen_norms=OF_MAPS,
    gen_style_of_labels=dataclasses.replace(_SNGAN, norm='conditional'),
    labels_by=WAYS,
  ),
  'sagan': Architecture(
    sagan,
    Players(_SAGAN, _PROJECTION),
    disc_norms=OF_MAPS,
    gen_norms=OF_MAPS,
    gen_style_of_labels=dataclasses.replace(_SAGAN, norm='conditional'),
    labels_by=WAYS,
  ),
  'biggan': Architecture(
    biggan,
    Players(
      Style('relu', 'conditional', 'spectral', embed_dim=128), _PROJECTION
    ),
    disc_norms=OF_MAPS,
    gen_norms=('conditional', 'adain'),
    labels_by=WAYS,
  ),
  'progressive': Architecture(
    progressive,
    Players(Style(norm='pixel', weights='equalised'), _COMPARING),
    disc_norms=('none',),
    gen_norms=('none', 'pixel', 'layer', 'instance'),
    labels_by=WAYS,
  ),
  'stylegan': Architecture(
    stylegan,
    Players(
      Style(norm='adain', weights='equalised'),
      dataclasses.replace(_COMPARING, labels_by='projection'),
    ),
    disc_norms=('none',),
    gen_norms=('adain',),
    weights=('equalised',),
    labels_by=WAYS,
    num_seeds=NUM_SEEDS,
    lacks=('embed_dim',),
  ),
  'stylegan2': Architecture(
    stylegan2,
    Players(
      Style(weights='equalised'),
      dataclasses.replace(_COMPARING, labels_by='projection'),
    ),
    disc_norms=('none',),
    gen_norms=('none',),
    weights=('equalised',),
    labels_by=WAYS,
    num_seeds=NUM_SEEDS,
    lacks=('embed_dim',),
  ),
  'r3gan': Architecture(
    r3gan,
    Players(Style(), Style(labels_by='projection')),
    disc_norms=('none',),
    gen_norms=('none',),
    weights=('none',),
    labels_by=('projection', 'concat'),
    lacks=(*_COMPARISONS, 'embed_dim'),
  ),
  'pix2pix': Architecture(
    pix2pix,
    _DCGAN,
    disc_norms=OF_MAPS,
    gen_norms=OF_MAPS,
    num_seeds=NUM_SEEDS,
    lacks=(*_COMPARISONS, 'embed_dim'),
  ),
  'stackgan': Architecture(
    stackgan,
    _DCGAN,
    num_seeds=NUM_SEEDS,
    lacks=(*_COMPARISONS, 'embed_dim', 'disc_labels_by'),
    fades=False,
  ),
  'hologan': Architecture(
    hologan,
    Players(Style(norm='adain'), _POSED_DISC),
    disc_norms=OF_MAPS,
    gen_norms=('adain', 'none', 'pixel', 'instance', 'layer'),
    labels_by=WAYS,
    num_seeds=NUM_SEEDS,
  ),
  'pigan': Architecture(
    pigan,
    Players(Style(), _POSED_DISC),
    disc_norms=OF_MAPS,
    gen_norms=('none',),
    labels_by=WAYS,
    num_seeds=NUM_SEEDS,
    lacks=('gen_norm', 'gen_weights', 'gen_activation'),
  ),
  'srgan': _enlarging(srgan, 'batch', _MAPS_ALONE),
  'msrresnet': _enlarging(msrresnet, 'none', ('none',)),
  'esrgan': _enlarging(esrgan, 'none', ('none',)),
}
_alone = dict(
  style=Players(Style('relu'), None), gen_norms=('none', 'batch', 'layer')
)
AUTOENCODERS: dict[str, Architecture] = {
  'mlp': Architecture(mlp_autoencoder, **_alone),
  'conv': Architecture(conv_autoencoder, **_alone),
}
DENOISERS: dict[str, Architecture] = {
  'unet': Architecture(
    unet,
    Players(Style('silu', 'group'), None),
    gen_norms=('group', 'none', 'layer', 'instance'),
    weights=('none',),
    num_seeds=NUM_SEEDS,
    lacks=('embed_dim', 'gen_weights', 'norm_momentum', 'reference_size'),
  ),
}
_INSTANCE = Style('relu', 'instance')
TRANSLATORS: dict[str, Architecture] = {
  'cyclegan': Architecture(
    cyclegan,
    Players(_INSTANCE, Style('leaky_relu', 'instance')),
    disc_norms=_MAPS_ALONE,
    gen_norms=_MAPS_ALONE,
    lacks=(*_COMPARISONS, 'embed_dim', 'disc_labels_by'),
  ),
}
