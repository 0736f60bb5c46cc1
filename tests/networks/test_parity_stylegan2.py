"""StyleGAN2 against modules written in PyTorch, with copied weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from gan_jax.networks.seeds import noise_of, split
from gan_jax.tricks.path_length import path_lengths
from tests.helpers import make_pair

pytestmark = pytest.mark.slow
WIDTHS, STYLES, LATENTS, BATCH = (8, 8, 8, 4), 6, 5, 8


@pytest.fixture(scope='module')
def peer():
  pytest.importorskip('torch')
  from benchmarks import torch_stylegan2
  from tests.networks import torch_sngan

  return torch_sngan, torch_stylegan2


@pytest.fixture(scope='module')
def ours():
  """Both networks with parameters at random, latents and images."""
  keys = dict(channel_base=128, channel_max=8)
  keys |= dict(style_dim=STYLES, mapping_depth=2, mixing=0.0)
  pair = make_pair('stylegan2', (32, 32, 3), **keys)
  assert pair.gen.geometry.widths == pair.disc.widths == WIDTHS
  rng = np.random.default_rng(0)
  seeds = rng.integers(0, 2**24, (BATCH, 2))
  latents = np.concatenate([seeds, rng.normal(size=(BATCH, LATENTS))], axis=1)
  inputs = np.float32(latents), np.float32(rng.normal(size=(BATCH, 32, 32, 3)))
  params = []
  for network, x in zip(pair, inputs, strict=True):
    init = functools.partial(network.init, train=False)
    variables = jax.jit(init)(jax.random.key(0), x)
    params.append(
      jax.tree.map(
        lambda p: p + 0.3 * rng.normal(size=p.shape).astype(np.float32),
        variables['params'],
      )
    )
  buffers = {'mean_style': jnp.zeros(STYLES)}
  return pair, params, inputs, buffers


@pytest.fixture(scope='module')
def theirs(peer, ours):
  copying, module = peer
  _, params, _, _ = ours
  gen = module.Generator(WIDTHS, 3, LATENTS, STYLES, 2)
  disc = module.Discriminator(WIDTHS, 3, 4)
  for network, own in zip((gen, disc), params, strict=True):
    copying.copy(network, own, {})
  return gen, disc


def close(ours, theirs, rtol=1e-4):
  theirs = theirs.detach().numpy()
  bound = rtol * np.abs(theirs).max()
  np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound)


def in_torch(x):
  import torch

  x = np.asarray(x)
  return torch.tensor(np.moveaxis(x, -1, 1) if x.ndim == 4 else x)


def noises(latents):
  keys, _ = split(latents)
  sizes = [4 * 2 ** ((k + 1) // 2) for k in range(2 * len(WIDTHS) - 1)]
  return [in_torch(noise_of(keys, k, size)) for k, size in enumerate(sizes)]


def styles_of(ours):
  (gen, _), (params, _), (latents, _), buffers = ours
  variables = {'params': params, 'buffers': buffers}
  return gen.apply(variables, latents, train=False, method='styles')


def assert_gradients(ours, network, copying, rtol=1e-3):
  largest = max(
    p.grad.abs().max() for p in network.parameters() if p.grad is not None
  )
  for path, leaf, own in copying.named(network, ours):
    expected = np.zeros(own.shape) if own.grad is None else own.grad.numpy()
    found = copying.as_torch(leaf, path[-1], own).numpy()
    scale = max(np.abs(expected).max(), 0.01 * float(largest))
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * scale)


def test_styles_and_images(ours, theirs):
  (gen, _), (params, _), (latents, _), buffers = ours
  styles = styles_of(ours)
  close(styles[:, 0], theirs[0].mapping(in_torch(latents[:, 2:])))
  images = gen.apply(
    {'params': params, 'buffers': buffers}, latents, train=False
  )
  expected = theirs[0].paint(in_torch(styles), noises(latents))
  close(np.moveaxis(np.asarray(images), -1, 1), expected)


def test_logits_and_r1(ours, theirs, peer):
  (_, disc), (_, params), (_, images), _ = ours

  def logits(params, images):
    return disc.apply({'params': params}, images, train=True).logits

  close(logits(params, images), theirs[1](in_torch(images)))

  def r1(params):
    slopes = jax.grad(lambda x: logits(params, x).sum())(images)
    return (slopes**2).sum(axis=(1, 2, 3)).mean()

  value, gradient = jax.jit(jax.value_and_grad(r1))(params)
  expected = peer[1].r1(theirs[1], in_torch(images))
  close(value, expected)
  theirs[1].zero_grad()
  expected.backward()
  assert_gradients(gradient, theirs[1], peer[0])


def test_path_lengths(ours, theirs, peer):
  (gen, _), (params, _), (latents, _), buffers = ours
  styles = np.asarray(styles_of(ours))
  rng = np.random.default_rng(1)
  pixels = np.float32(rng.normal(size=(BATCH, 32, 32, 3)) / 32)
  keys, _ = split(latents)

  def penalty(params):
    def paint(styles):
      variables = {'params': params, 'buffers': buffers}
      return gen.apply(variables, styles, keys, train=True, method='paint')

    _, pull = jax.vjp(paint, jnp.asarray(styles))
    lengths = path_lengths(pull(jnp.asarray(pixels))[0])
    mean = 0.5 + 0.01 * (lengths.mean() - 0.5)
    return ((lengths - mean) ** 2).mean()

  value, gradient = jax.jit(jax.value_and_grad(penalty))(params)
  gen = theirs[0]
  expected, _ = peer[1].path_penalty(
    gen,
    in_torch(styles).requires_grad_(True),
    noises(latents),
    in_torch(pixels),
    0.5,
  )
  close(value, expected)
  gen.zero_grad()
  expected.backward()
  flat = flatten_dict(gradient)
  assert_gradients(
    unflatten_dict({k: v for k, v in flat.items() if k[0] != 'mapping'}),
    gen,
    peer[0],
  )
