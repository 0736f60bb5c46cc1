"""SAGAN: published sizes, where attention is, which weights are normalised."""

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from gan_jax.types import InputError
from tests.helpers import make_pair
from tests.networks import residual_sizes as sizes

WIDTHS = (
  sizes.scaled(64, 16, 16, 8, 4, 2, 1),
  sizes.scaled(64, 1, 2, 4, 8, 16, 16),
)
# Attention at -> its channels in G and D, and the published totals.
PUBLISHED = {
  32: ((256, 128), (42_078_852, 39_463_618)),
  64: ((128, 64), (42_017_412, 39_448_258)),
}


@pytest.mark.parametrize('size', PUBLISHED)
def test_sizes_are_the_published_ones(size):
  channels, published = PUBLISHED[size]
  gen = sizes.gen_blocks(WIDTHS[0], 3, 128, 2 * 1000)
  disc = sizes.disc_blocks(WIDTHS[1], 5, 3, 1000, bias=True, wide=True)
  by_formula = tuple(
    n + sizes.attention(c) for n, c in zip((gen, disc), channels, strict=True)
  )
  found = sizes.sizes_of('sagan', (128, 128, 3), 1000, 128, attention=(size,))
  assert found == by_formula == published


def variables_of(shape, num_classes, **keys):
  pair = make_pair('sagan', shape, num_classes=num_classes, **keys)
  given = {'labels': np.zeros(2, np.int32)} if num_classes else {}
  inputs = np.zeros((2, 4), np.float32), np.zeros((2, *shape), np.float32)
  return pair, [
    jax.eval_shape(
      lambda n=n, x=x: n.init(jax.random.key(0), x, given, train=False)
    )
    for n, x in zip(pair, inputs, strict=True)
  ]


@pytest.mark.parametrize(
  ('size', 'at'), [(8, ()), (16, (8,)), (32, (16,)), (64, (32,)), (128, (32,))]
)
def test_attention_is_at_the_largest_map_up_to_32_unless_told(size, at):
  for player in make_pair('sagan', (size, size, 1), gen_width=8, disc_width=8):
    assert player.attention == at


def test_attention_is_asked_for_by_size():
  keys = dict(gen_width=8, disc_width=8)
  pair = make_pair('sagan', (32, 32, 3), attention=(8, 16), **keys)
  assert pair.gen.attention == pair.disc.attention == (8, 16)
  with pytest.raises(InputError, match=r'attention: .*32 pixels; .*from 8, 16'):
    make_pair('sagan', (32, 32, 3), attention=(32,), **keys)


@pytest.mark.parametrize('num_classes', [0, 5])
def test_spectral_norm_of_every_weight_of_both_and_norms_by_class(num_classes):
  pair, found = variables_of(
    (16, 16, 1), num_classes, gen_width=8, disc_width=8
  )
  for variables in found:
    weights = [
      path
      for path in flatten_dict(variables['params'])
      if path[-1] in ('kernel', 'embedding')
    ]
    vectors = [
      p for p in flatten_dict(variables['batch_stats']) if p[-1][-2:] == '/u'
    ]
    assert len(weights) == len(vectors)
  tables = [
    leaf.shape
    for path, leaf in flatten_dict(found[0]['params']).items()
    if path[-1] == 'scale'
  ]
  of_blocks = (num_classes, 8) if num_classes else (8,)
  assert sorted(tables) == sorted([(8,), *[of_blocks] * 4])
  assert pair.gen.style.norm_momentum == 0.999
