"""SAGAN for 1,000 classes at 128 pixels, at the published size.

Paper: Zhang et al. 2019, arXiv 1805.08318, section 4: hinge loss, one update of
D a step, batch 256, Adam (0, .9) with 4e-4 for D and 1e-4 for G, attention at
32 pixels, 1,000,000 steps. Deviations: the last norm of G has the momentum of
the others (.999; .9999 in the authors' code); the labels of fakes are those of
the batch.
Command: python run.py --config=configs/sagan_128.py --config.data.dir=FOLDER
Measured: not run here; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'folder'  # one subfolder per class
  config.data.image_size = 128
  config.data.flip = True
  config.conditional = True
  config.network.name = 'sagan'
  config.latent_dim = 128
  config.loss = 'hinge'
  config.batch_size = 256
  config.num_steps = 1_000_000
  config.ema_decay = 0.9999
  config.steps_per_dispatch = 5
  base.set_optimizers(config, b1=0.0, b2=0.9)
  config.gen_optimizer.learning_rate = 1e-4
  config.disc_optimizer.learning_rate = 4e-4
  return config
