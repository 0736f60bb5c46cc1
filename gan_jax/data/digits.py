"""The embedded dataset, and the worked example of a TFDS builder of one's own.

1,797 handwritten digits of 8x8 pixels, the test part of the UCI "Optical
Recognition of Handwritten Digits" data as scikit-learn ships it, so that no
network is needed. To bring a dataset of your own, write such a class, import
it in your config file, and name it there in `data.name`.
"""

import numpy as np
import tensorflow_datasets as tfds


class Digits(tfds.core.GeneratorBasedBuilder):
  """scikit-learn's handwritten digits, uint8 `[8, 8, 1]`, 16 grey levels.

  Every fifth image is held out for the test split.
  """

  VERSION = tfds.core.Version('1.0.0')

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
      builder=self,
      description='Handwritten digits of 8x8 pixels from scikit-learn.',
      features=tfds.features.FeaturesDict(
        {
          # A Tensor, not an Image: encoding PNGs would need TensorFlow, and
          # 64 bytes are smaller than a PNG's header anyway.
          'image': tfds.features.Tensor(shape=(8, 8, 1), dtype=np.uint8),
          'label': tfds.features.ClassLabel(num_classes=10),
        }
      ),
      supervised_keys=('image', 'label'),
      homepage='https://archive.ics.uci.edu/dataset/80',
    )

  def _split_generators(self, dl_manager):
    del dl_manager  # nothing to download
    return {
      'train': self._generate_examples(held_out=False),
      'test': self._generate_examples(held_out=True),
    }

  def _generate_examples(self, held_out: bool):
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    for i, (image, label) in enumerate(zip(pixels, digits.target, strict=True)):
      if (i % 5 == 4) == held_out:
        yield i, {'image': image[..., None], 'label': int(label)}
