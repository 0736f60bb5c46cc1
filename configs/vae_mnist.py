"""VAE on MNIST: the MLP 784-400-20 of PyTorch's example, 10 epochs.

Paper: Kingma and Welling 2014, arXiv 1312.6114, with a Bernoulli decoder and
ReLU as that example has them: 652,824 parameters. Adam at 2e-3 on a cosine.
Command: python run.py --config=configs/vae_mnist.py
Measured: ELBO of the 10,000 test images -106.9 nats (kl 25.3; one sample each),
in 100 s to 7 min on two CPU cores, by what else they did. At the example's
constant 1e-3 it is -107.4, and at 1e-3 on a cosine -107.8.
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
  config.gen_optimizer.learning_rate = 2e-3
  config.gen_optimizer.schedule = 'cosine'
  return config
