"""A search on digits: both rates, both betas, batch and latent size.

search_digits searches ranges by TPE, in programs of ten trials;
search_digits:grid tries the grid of tutorials, two values of each.
Paper: Bergstra et al. 2011, Algorithms for Hyper-Parameter Optimization (TPE).
Measured: 30 trials in 9 min on two cores; fid_classifier 8.6 for 24.0 on fresh
seeds; docs/sharing.md.
Command: python run.py --config=configs/search_digits.py --mode=search
"""

import json

from ml_collections import ConfigDict

from configs import mlp_digits

RATES = ('gen_optimizer.learning_rate', 'disc_optimizer.learning_rate')
BETAS = ('gen_optimizer.b1', 'disc_optimizer.b1')
RANGES = {
  **{key: [1e-4, 3e-3, 'log'] for key in RATES},
  **{key: [0.0, 0.9] for key in BETAS},
}
GRID = {
  **{key: [2e-4, 1e-3] for key in RATES},
  **{key: [0.0, 0.5] for key in BETAS},
  'batch_size': [64, 128],
  'latent_dim': [32, 100],
}


def get_config(sampler: str = 'tpe') -> ConfigDict:
  """Overrides of configs/mlp_digits.py.

  Args:
    sampler: tpe, or grid.
  """
  config = mlp_digits.get_config()
  config.eval.every = 2_500
  config.eval.every_num_samples = 1_000
  config.search.sampler = sampler
  config.search.space = json.dumps(GRID if sampler == 'grid' else RANGES)
  config.search.trials = 64 if sampler == 'grid' else 30
  config.search.together = 1 if sampler == 'grid' else 10
  return config
