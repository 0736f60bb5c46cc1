"""Published networks as feature networks, by name."""

import pathlib

import jax

from gan_jax.features import inception, mobilenet, weights
from gan_jax.features.network import FeatureNetwork


def inception_network(
  path: str = '',
  *,
  sha256: str = '',
  download: bool = False,
  cache: pathlib.Path | None = None,
) -> FeatureNetwork:
  """The FID Inception from its published weight file.

  Args:
    path: of the file; '' looks for it in the cache.
    sha256: of another file than the published one; '' for that.
    download: fetch it if it is not in the cache.
    cache: folder of the converted weights; None for the user's.

  Raises:
    InputError: no file, another hash, or another shape.
  """
  variables, digest = weights.load_inception(
    path,
    sha256=sha256 or weights.SHA256,
    cache_dir=cache,
    download=download,
  )
  return FeatureNetwork(
    'inception',
    inception.apply,
    variables,
    digest,
    resize='299 x 299, bilinear as in TensorFlow 1',
    compiler_options=inception.COMPILER_OPTIONS.get(jax.default_backend()),
  )


def mobilenet_network(
  path: str = '',
  *,
  sha256: str = '',
  download: bool = False,
  cache: pathlib.Path | None = None,
) -> FeatureNetwork:
  """MobileNet v1 of ImageNet from its weight file.

  Args:
    path: of the file; '' looks for it in the cache.
    sha256: of another file than the known one; '' for that.
    download: changes nothing; it is there to be called like the others.
    cache: folder where the file is looked for; None for the user's.

  Raises:
    InputError: no file, another hash, or another shape.
  """
  del download
  variables, digest = weights.load_mobilenet(
    path, sha256=sha256 or weights.MOBILENET_SHA256, cache_dir=cache
  )
  return FeatureNetwork(
    'mobilenet', mobilenet.apply, variables, digest, resize=mobilenet.RESIZE
  )


# Networks whose weights are in a file that `eval.weights` names.
PUBLISHED = {'inception': inception_network, 'mobilenet': mobilenet_network}
