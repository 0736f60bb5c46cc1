"""VAE on MNIST: the MLP 784-400-20 of PyTorch's example, 10 epochs.

Paper: Kingma and Welling 2014, arXiv 1312.6114, with a Bernoulli decoder, ReLU
and Adam at 1e-3, as that example has them: 652,824 parameters.
Command: python run.py --config=configs/vae_mnist.py
Measured: no full run yet. In the first 100 steps minus the ELBO of a batch
falls to 153 nats; 10 ms a step on two CPU cores that other work shared.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'mnist'
  config.game = 'vae'
  config.solver = 'descent'
  config.network.name = 'mlp'
  config.network.gen_widths = (400,)
  config.latent_dim = 20
  config.batch_size = 128
  config.num_steps = 4_690  # 10 epochs
  config.gen_optimizer.learning_rate = 1e-3
  return config
