"""Our convolutions are lax's, and so are their gradients' gradients.

All inputs are small integers, so float32 sums are exact in any order and
every comparison is bit for bit.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax.networks import convolution, forms, layers
from tests.helpers import sampled

NHWC = ('NHWC', 'HWIO', 'NHWC')
BATCH, CHANNELS, FEATURES = 2, 2, 3


@pytest.fixture(params=[1, 100], ids=['of many channels', 'of few'])
def each_form(request, monkeypatch):
  """Maps as they are of many channels, and of few."""
  monkeypatch.setattr(forms, 'FEW', request.param)


def integers(seed, *shape):
  draws = np.random.default_rng(seed).integers(-2, 3, shape)
  return draws.astype(np.float32)


def derivatives(function, *, scanned=False):
  """Value, first and second derivatives of a map of images and kernels.

  Args:
    function: (x, w) -> y.
    scanned: whether to go through several batches of images in a loop.

  Returns:
    Compiled (x, w) -> (y, the gradients of sum(c y^2), and those of a sum
    over the gradients).
  """

  def loss(x, w):
    y = function(x, w)
    return jnp.sum(integers(1, *y.shape[1:]) * y**2)

  def of_gradients(x, w):
    by_x, by_w = jax.grad(loss, (0, 1))(x, w)
    return jnp.sum(integers(2, *x.shape) * by_x) + jnp.sum(
      integers(3, *w.shape) * by_w
    )

  def all_of(x, w):
    return (
      function(x, w),
      *jax.grad(loss, (0, 1))(x, w),
      *jax.grad(of_gradients, (0, 1))(x, w),
    )

  if scanned:
    return jax.jit(lambda xs, w: lax.map(lambda x: all_of(x, w), xs))
  return jax.jit(all_of)


def assert_same(ours, theirs):
  """Equal in all derivatives, none of which is trivial or inexact."""
  assert len(ours) == len(theirs) == 5
  for our, their in zip(ours, theirs, strict=True):
    np.testing.assert_array_equal(our, their)
    assert 0 < np.abs(their).max() < 2**24


def reference_conv(strides, padding, **others):
  return lambda x, w: lax.conv_general_dilated(
    x, w, strides, padding, dimension_numbers=NHWC, **others
  )


def our_conv(strides, padding, **others):
  return lambda x, w: convolution.conv_general_dilated(
    x, w, strides, padding, dimension_numbers=NHWC, **others
  )


def inputs(size, kernel, seed=0, channels=CHANNELS):
  """Images `[B, H, W, C]` and a kernel `[kh, kw, C, O]`."""
  x = integers(seed, BATCH, *size, channels)
  return x, integers(seed + 10, *kernel, channels, FEATURES)


PADDINGS = ('SAME', 'VALID', ((1, 2), (0, 1)))


@pytest.mark.usefixtures('each_form')
@pytest.mark.parametrize('padding', PADDINGS, ids=str)
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('kernel', sampled([3, 4, 5], 4))
def test_convolution(kernel, stride, padding):
  x, w = inputs((7, 6), (kernel, kernel))
  strides = (stride, stride)
  assert_same(
    derivatives(our_conv(strides, padding))(x, w),
    derivatives(reference_conv(strides, padding))(x, w),
  )


@pytest.mark.usefixtures('each_form')
@pytest.mark.parametrize(
  ('size', 'kernel', 'strides', 'padding'),
  [
    ((5, 7), (3, 4), (2, 1), 'SAME'),
    ((6, 5), (1, 1), (2, 2), 'SAME'),
    ((7, 6), (4, 3), (2, 1), 'SAME'),  # squares of 2 x 1
    ((9, 7), (4, 4), (2, 2), ((0, 1), (2, 0))),  # a last row in no square
    ((6, 6), (2, 2), (2, 2), 'VALID'),  # squares that are the kernel
    ((8, 8), (2, 2), (3, 3), 'VALID'),  # some pixels meet no weight
    ((4, 4), (4, 4), (1, 1), 'VALID'),  # down to one pixel
    ((3, 3), (3, 3), (1, 1), ((4, 3), (3, 4))),  # pads beyond the kernel
  ],
)
@pytest.mark.parametrize(
  'channels', sampled([CHANNELS, FEATURES + 1], FEATURES + 1)
)
def test_unusual_geometry(size, kernel, strides, padding, channels):
  """With more channels than features, the features are taken by patches."""
  x, w = inputs(size, kernel, channels=channels)
  assert_same(
    derivatives(our_conv(strides, padding))(x, w),
    derivatives(reference_conv(strides, padding))(x, w),
  )


RESIZED = {
  'doubled': lambda x, convolve: convolve(layers.upsample(x)),
  'halved': lambda x, convolve: layers.mean_pool(convolve(x)),
}


@pytest.mark.usefixtures('each_form')
@pytest.mark.parametrize('backend', sampled(['cpu', 'gpu'], 'cpu'))
@pytest.mark.parametrize('kernel', sampled([1, 3, 5], 3))
@pytest.mark.parametrize('way', RESIZED)
def test_convolution_and_change_of_size_in_one(
  monkeypatch, way, kernel, backend
):
  """As one after the other, in all derivatives; where lax's are used, too."""
  x, w = inputs((4, 6), (kernel, kernel))
  layer = layers.Conv(FEATURES, kernel, use_bias=False, **{way: True})

  def together(x, w):
    return layer.apply({'params': {'kernel': w}}, x)

  def apart(x, w):
    return RESIZED[way](x, lambda x: reference_conv((1, 1), 'SAME')(x, w))

  expected = derivatives(apart)(x, w)
  monkeypatch.setattr(jax, 'default_backend', lambda: backend)
  assert_same(derivatives(together)(x, w), expected)


def test_doubling_and_halving_save_products():
  """4 / 9 of those of a kernel of 3, a quarter of those of 1."""

  def products(way, kernel):
    layer = layers.Conv(16, kernel, use_bias=False, **way)
    x, w = jnp.zeros((1, 16, 16, 16)), jnp.zeros((kernel, kernel, 16, 16))
    apply = jax.jit(lambda x, w: layer.apply({'params': {'kernel': w}}, x))
    return apply.lower(x, w).compile().cost_analysis()['flops']

  for kernel, share in ((3, 4 / 9), (1, 1 / 4)):
    halved = products({'halved': True}, kernel)
    assert halved < 1.15 * share * products({}, kernel)
    doubled = products({'doubled': True}, kernel)
    assert doubled < 1.15 * share * 4 * products({}, kernel)


def reference_transpose(strides, padding):
  return lambda y, w: lax.conv_transpose(y, w, strides, padding)


def our_transpose(strides, padding):
  return lambda y, w: convolution.conv_transpose(y, w, strides, padding)


@pytest.mark.usefixtures('each_form')
@pytest.mark.parametrize('padding', ['SAME', 'VALID'])
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('kernel', sampled([3, 4, 5], 4))
def test_transposed_convolution(kernel, stride, padding):
  y, w = inputs((3, 4), (kernel, kernel))
  strides = (stride, stride)
  assert_same(
    derivatives(our_transpose(strides, padding))(y, w),
    derivatives(reference_transpose(strides, padding))(y, w),
  )


@pytest.mark.usefixtures('each_form')
@pytest.mark.parametrize(
  ('size', 'kernel', 'strides', 'padding'),
  [
    ((3, 2), (3, 4), (2, 1), 'SAME'),
    ((2, 3), (2, 2), (3, 4), 'SAME'),  # strides beyond the kernel
    ((2, 3), (2, 2), (3, 4), 'VALID'),
    ((1, 1), (4, 4), (1, 1), 'VALID'),  # a latent to a base
  ],
)
def test_unusual_transposed_geometry(size, kernel, strides, padding):
  y, w = inputs(size, kernel)
  assert_same(
    derivatives(our_transpose(strides, padding))(y, w),
    derivatives(reference_transpose(strides, padding))(y, w),
  )


@pytest.mark.usefixtures('each_form')
@pytest.mark.parametrize(
  ('ours', 'reference'),
  [(our_conv, reference_conv), (our_transpose, reference_transpose)],
)
def test_inside_scan(ours, reference):
  """As a training step that runs several times in one dispatch."""
  strides, padding = (2, 2), 'SAME'
  xs, w = inputs((5, 4), (4, 4))
  xs = np.stack([xs, -np.flip(xs, 1), xs + 1])
  scanned = derivatives(ours(strides, padding), scanned=True)(xs, w)
  alone = derivatives(reference(strides, padding))
  for i, x in enumerate(xs):
    assert_same([values[i] for values in scanned], alone(x, w))


@pytest.mark.parametrize(
  'others',
  [
    {'rhs_dilation': (2, 1)},
    {'lhs_dilation': (1, 2)},
    {'lhs_dilation': (1, 1), 'rhs_dilation': (1, 1)},
    {'lhs_dilation': None, 'feature_group_count': 1},
  ],
  ids=str,
)
def test_dilated_convolutions_are_those_of_lax(others):
  x, w = inputs((6, 7), (3, 3))
  geometry = (1, 1), ((1, 1), (1, 2))
  assert_same(
    derivatives(our_conv(*geometry, **others))(x, w),
    derivatives(reference_conv(*geometry, **others))(x, w),
  )


@pytest.mark.parametrize('strides', [(1, 1), (2, 1)], ids=str)
@pytest.mark.parametrize(
  ('groups', 'features'), [(2, 6), (2, 2), (4, 4), (4, 8)]
)
def test_grouped_convolutions_are_those_of_lax(groups, features, strides):
  x = integers(0, BATCH, 6, 7, 4)
  w = integers(10, 3, 4, 4 // groups, features)
  geometry = {'padding': ((1, 0), (1, 2)), 'feature_group_count': groups}
  assert_same(
    derivatives(our_conv(strides, **geometry))(x, w),
    derivatives(reference_conv(strides, **geometry))(x, w),
  )


def test_convolutions_along_one_axis_are_those_of_lax():
  numbers = ('NWC', 'WIO', 'NWC')
  x, w = integers(0, 2, 9, 2), integers(1, 3, 2, 4)
  np.testing.assert_array_equal(
    convolution.conv_general_dilated(
      x, w, (2,), 'SAME', dimension_numbers=numbers
    ),
    lax.conv_general_dilated(x, w, (2,), 'SAME', dimension_numbers=numbers),
  )


@pytest.mark.parametrize(
  ('function', 'size'), [(our_conv, (5, 4)), (our_transpose, (3, 2))]
)
def test_only_the_cpu_has_gradients_of_our_own(monkeypatch, function, size):
  """Forward-mode tells the two apart: only lax's convolutions have it."""
  x, w = inputs(size, (3, 3))
  mapped = function((2, 2), 'SAME')
  ours = mapped(x, w)
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  value, tangent = jax.jvp(mapped, (x, w), (x, w))
  np.testing.assert_array_equal(value, ours)
  np.testing.assert_array_equal(tangent, 2 * ours)  # bilinear
  monkeypatch.setattr(jax, 'default_backend', lambda: 'cpu')
  with pytest.raises(TypeError, match='forward-mode'):
    jax.jvp(mapped, (x, w), (x, w))


@pytest.mark.parametrize('use_bias', [True, False])
@pytest.mark.parametrize('padding', ['SAME', 'VALID'])
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('kind', ['Conv', 'ConvTranspose'])
def test_layers_are_those_of_flax(kind, stride, padding, use_bias):
  """The same parameters by name and shape, and the same images from them."""
  ours = getattr(layers, kind)(
    FEATURES, 4, stride, padding=padding, use_bias=use_bias
  )
  theirs = getattr(nn, kind)(
    FEATURES, (4, 4), (stride, stride), padding=padding, use_bias=use_bias
  )
  x = integers(0, BATCH, 5, 6, CHANNELS)
  shapes = [
    jax.tree.map(
      lambda leaf: (leaf.shape, leaf.dtype),
      jax.eval_shape(layer.init, jax.random.key(0), x),
    )
    for layer in (ours, theirs)
  ]
  assert shapes[0] == shapes[1]
  params = {'kernel': integers(1, 4, 4, CHANNELS, FEATURES)}
  if use_bias:
    params['bias'] = integers(2, FEATURES)
    assert params['bias'].any()
  images = [layer.apply({'params': params}, x) for layer in (ours, theirs)]
  np.testing.assert_array_equal(*images)


@pytest.mark.parametrize('kind', ['Conv', 'ConvTranspose'])
def test_layers_start_as_those_of_flax(kind):
  """LeCun's normal kernels and zero biases, unless told."""
  ours = getattr(layers, kind)(16, 4)
  x = jnp.zeros((1, 4, 4, 16))
  params = ours.init(jax.random.key(0), x)['params']
  np.testing.assert_array_equal(params['bias'], 0)
  # 4,096 draws: their deviation is known to 1.1 %.
  np.testing.assert_allclose(
    params['kernel'].std(), (4 * 4 * 16) ** -0.5, rtol=0.05
  )
  told = getattr(layers, kind)(16, 4, kernel_init=nn.initializers.ones)
  np.testing.assert_array_equal(
    told.init(jax.random.key(0), x)['params']['kernel'], 1
  )


# --- Against float64 --------------------------------------------------------


class Reference:
  """A convolution and its two adjoints in NumPy, tap by tap, in float64."""

  def __init__(self, size, kernel, stride, padding):
    strides = (stride, stride)
    if isinstance(padding, str):
      padding = lax.padtype_to_pads(size, (kernel, kernel), strides, padding)
    self.size, self.kernel, self.stride, self.pads = (
      size,
      kernel,
      stride,
      padding,
    )
    self.out = [
      (n + low + high - kernel) // stride + 1
      for n, (low, high) in zip(size, padding, strict=True)
    ]

  def padded(self, x):
    return np.pad(x, ((0, 0), *self.pads, (0, 0)))

  def taps(self):
    """Index of each weight, and of the padded pixels that it meets."""
    for i, j in np.ndindex(self.kernel, self.kernel):
      rows = slice(i, i + self.stride * (self.out[0] - 1) + 1, self.stride)
      columns = slice(j, j + self.stride * (self.out[1] - 1) + 1, self.stride)
      yield (i, j), (slice(None), rows, columns)

  def convolve(self, x, w):
    padded = self.padded(x)
    return sum(padded[pixels] @ w[tap] for tap, pixels in self.taps())

  def transpose(self, y, w):
    x = np.zeros((len(y), *self.size, w.shape[2]))
    padded = self.padded(x)
    for tap, pixels in self.taps():
      padded[pixels] += y @ w[tap].T
    (top, _), (left, _) = self.pads
    return padded[:, top : top + self.size[0], left : left + self.size[1]]

  def correlate(self, x, y):
    padded = self.padded(x)
    w = np.zeros((self.kernel, self.kernel, x.shape[-1], y.shape[-1]))
    for tap, pixels in self.taps():
      w[tap] = np.einsum('bijc,bijo->co', padded[pixels], y)
    return w


@pytest.mark.parametrize('padding', PADDINGS, ids=str)
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('kernel', sampled([3, 4, 5], 3, 4))
def test_values_and_two_derivatives_are_those_of_float64(
  kernel, stride, padding
):
  """For sum(y ** 2) / 2: its gradients, and those of <gradient, v>."""
  size, channels, features = (7, 6), 16, 5
  rng = np.random.default_rng(kernel)
  x, v = rng.normal(size=(2, BATCH, *size, channels))
  w = rng.normal(size=(kernel, kernel, channels, features))
  exact = Reference(size, kernel, stride, padding)
  y, of_v = exact.convolve(x, w), exact.convolve(v, w)
  expected = (
    y,
    exact.transpose(y, w),
    exact.correlate(x, y),
    exact.transpose(of_v, w),
    exact.correlate(v, y) + exact.correlate(x, of_v),
  )

  def loss(x, w):
    return jnp.sum(our_conv((stride, stride), padding)(x, w) ** 2) / 2

  def along(x, w):
    return jnp.sum(np.float32(v) * jax.grad(loss)(x, w))

  @jax.jit
  def found(x, w):
    return (
      our_conv((stride, stride), padding)(x, w),
      *jax.grad(loss, (0, 1))(x, w),
      *jax.grad(along, (0, 1))(x, w),
    )

  for our, their in zip(found(*map(np.float32, (x, w))), expected, strict=True):
    error = np.abs(our - their).max() / np.abs(their).max()
    assert error < 1e-5


def test_what_slides_over_a_map_is_no_larger_than_it(monkeypatch):
  """Not before padding either: XLA is slow there.

  A kernel's gradient of 64 -> 3 channels at 34 pixels without padding took
  154 ms; 3 since the other map is padded by itself.
  """
  plain, sizes = lax.conv_general_dilated, []

  def recorded(image, window, *arguments, **keys):
    sizes.append((image.shape[1:3], window.shape[:2]))
    return plain(image, window, *arguments, **keys)

  monkeypatch.setattr(lax, 'conv_general_dilated', recorded)
  x, kernel = jnp.ones((2, 10, 10, 8)), jnp.ones((3, 3, 8, 2))

  def loss(kernel):
    y = convolution.conv_general_dilated(
      x, kernel, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    return y.sum()

  jax.make_jaxpr(jax.grad(loss))(kernel)
  assert len(sizes) > 1
  for image, window in sizes:
    assert all(w <= n for n, w in zip(image, window, strict=True))
