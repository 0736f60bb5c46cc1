"""BigGAN on CIFAR-10, as the authors' script trains it.

Paper: Brock et al. 2019, arXiv 1809.11096; the recipe is that of the CIFAR
script of the authors' PyTorch code: ch 64, no shared embedding and no
hierarchy, N(0, .02), batch 50, four updates of D a step, Adam 2e-4 (0, .999),
500 epochs, an average of G (.9999) from step 1,000 on. Deviations: as in
biggan_128; tables of norms start at 1 and 0.
Command: python run.py --config=configs/biggan_32.py
Measured: not run here; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'cifar10'
  config.data.flip = True
  config.conditional = True
  config.network.name = 'biggan'
  config.network.gen_width = 64
  config.network.disc_width = 64
  config.network.shared_embedding = False
  config.network.hierarchy = False
  config.network.init = 'normal'
  config.latent_dim = 128
  config.loss = 'hinge'
  config.disc_steps = 4
  config.batch_size = 50
  config.num_steps = 125_000  # 500 epochs of D's images
  config.ema_decay = 0.9999
  config.ema_start = 1_000
  config.steps_per_dispatch = 5
  base.set_optimizers(config, b1=0.0, b2=0.999)
  return config
