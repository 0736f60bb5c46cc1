"""BigGAN for 1,000 classes at 128 pixels, at the published size.

Paper: Brock et al. 2019, arXiv 1809.11096, appendix C: hinge loss, batch 2,048
(here as 8 parts of 256), Adam (0, .999, eps 1e-6) with 4e-4 for D and 1e-4 for
G and one update of D a step, as in the authors' PyTorch code (the paper: 2e-4,
5e-5, two updates), an average of G (.9999) from step 20,000 on, orthogonal
weights, attention at 64 pixels. Orthogonal regularisation, 1e-4 in the paper
and 0 in that code, is gen_optimizer.orthogonal_weight. Deviations: D judges
real and fake in two passes, so that its spectral norms take two power
iterations for each part of a batch; half of the images are mirrored; the labels
of fakes are those of the batch.
Command: python run.py --config=configs/biggan_128.py --config.data.dir=FOLDER
Sample with --config.sample.batch_norm=standing, as the paper does.
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
  config.network.name = 'biggan'
  config.latent_dim = 120
  config.loss = 'hinge'
  config.batch_size = 2_048
  config.micro_batch = 256
  config.num_steps = 150_000
  config.ema_decay = 0.9999
  config.ema_start = 20_000
  config.steps_per_dispatch = 1
  base.set_optimizers(config, b1=0.0, b2=0.999, eps=1e-6)
  config.gen_optimizer.learning_rate = 1e-4
  config.disc_optimizer.learning_rate = 4e-4
  return config
