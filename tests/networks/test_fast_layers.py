"""Two hundred steps with our layers end where flax's and lax's own would."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.modes.train import train
from gan_jax.networks import convolution, layers, norms
from gan_jax.workdir.logs import read_metrics
from tests.helpers import tiny_digits, tiny_keys

KEYS = {
  'dcgan': dict(network__gen_width=32, network__disc_width=32),
  'wgan_gp_resnet': dict(
    loss='wasserstein', penalty='wgan_gp', disc_steps=2, ema_decay=0.9
  ),
}


def plain_pool(x):
  b, h, w, c = x.shape
  return x.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


def plain_upsample(x):
  return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


class BatchNorm(nn.BatchNorm):
  """flax's, with the arguments of ours."""

  def __call__(self, x, *, train):
    return super().__call__(x, use_running_average=not train)


def with_plain_layers(monkeypatch):
  """Puts flax and lax in the place of all that was written for speed."""
  monkeypatch.setattr(convolution, 'own_gradients', lambda: False)
  monkeypatch.setattr(layers, 'mean_pool', plain_pool)
  monkeypatch.setattr(layers, 'upsample', plain_upsample)
  monkeypatch.setattr(
    norms,
    'BatchNorm',
    lambda momentum, axis_name, scale_init, epsilon: BatchNorm(
      momentum=momentum,
      axis_name=axis_name,
      scale_init=scale_init,
      epsilon=epsilon,
      name=None,
    ),
  )


def losses(name, workdir):
  widths = dict(network__gen_widths=None, network__disc_widths=None)
  keys = tiny_keys(name) | KEYS[name]
  config = tiny_digits(
    network__name=name,
    num_steps=200,
    log_every=20,
    steps_per_dispatch=20,
    **widths | keys,
  )
  train(config, workdir)
  rows = read_metrics(workdir)
  assert [row['step'] for row in rows] == list(range(20, 201, 20))
  return np.array([[row['disc_loss'], row['gen_loss']] for row in rows])


@pytest.mark.slow  # 200 steps of real widths, twice
@pytest.mark.usefixtures('optimised')
@pytest.mark.parametrize('name', ['dcgan', 'wgan_gp_resnet'])
def test_losses_after_200_steps(name, tmp_path, monkeypatch):
  fast = losses(name, tmp_path / 'fast')
  with_plain_layers(monkeypatch)
  plain = losses(name, tmp_path / 'plain')
  assert (fast != plain).any()  # they are not the same program
  np.testing.assert_allclose(fast, plain, rtol=1e-4)
