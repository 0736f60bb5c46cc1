"""Data: names in, batches out. See `load_dataset` and `make_feed`."""

from gan_jax.data.dataset import Dataset, DatasetInfo, load_dataset
from gan_jax.data.examples import Images, labelled_only
from gan_jax.data.feeds import Feed, check_batch_size, make_feed

__all__ = [
  'Dataset',
  'DatasetInfo',
  'Feed',
  'Images',
  'check_batch_size',
  'labelled_only',
  'load_dataset',
  'make_feed',
]
