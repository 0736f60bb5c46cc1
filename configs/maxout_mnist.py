"""The first GAN on MNIST: Goodfellow et al. 2014, Table 1.

Paper: Goodfellow et al. 2014, arXiv 1406.2661, as its authors' configuration
for MNIST has it: the first 50,000 images; G of rectifiers, D of maxout units
with dropout; both move at once by SGD, of which the momentum rises for 250
epochs and the rate falls. Their D minimises half of the sum that ours does, so
that its rate here is half of theirs. Deviation: an average of G is kept beside
it; the raw weights are scored with --config.eval.ema=False.
Command: python run.py --config=configs/maxout_mnist.py
Then, for the score of Table 1:
  python run.py --mode=evaluate --workdir=RUN --config.eval.scores=parzen
Measured: 222.8 +- 4.0 nats over three seeds after 50 epochs, 12 minutes each on
two CPU cores (the paper: 225 +- 2, after epochs that it does not count). After
100 (--config.num_steps=50000) digits are sharper, and the score is 217;
docs/results.md.
"""

from ml_collections import ConfigDict

from configs import base

EPOCH = 500  # steps


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'mnist'
  config.data.validation = 10_000
  config.network.name = 'maxout'
  config.solver = 'simultaneous'
  config.fresh_latents = False
  config.ema_decay = 0.9999  # beside the raw weights, which train alone
  config.batch_size = 100
  base.set_optimizers(
    config,
    name='sgd',
    momentum=0.5,
    schedule='exponential',
    decay_rate=0.1,
    decay_steps=575_646,  # the rate is divided by 1.000004 in each step
  )
  config.gen_optimizer.learning_rate = 0.1
  config.disc_optimizer.learning_rate = 0.05
  config.momentum_end = 0.7
  config.anneal_shape = 'linear'
  config.anneal_steps = 250 * EPOCH
  config.num_steps = 50 * EPOCH
  config.log_every = 100
  config.sample_every = 5 * EPOCH
  config.checkpoint_every = 5 * EPOCH
  config.steps_per_dispatch = 100
  return config
