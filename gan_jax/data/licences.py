"""Under which terms images may be used, as far as their authors say."""

UNKNOWN = 'not known here: ask whoever made the images'
# By the names of TFDS, and of scikit-learn's digits.
_KNOWN = {
  'digits': 'CC BY 4.0 (Alpaydin and Kaynak, UCI Machine Learning Repository)',
  'mnist': 'CC BY-SA 3.0 (LeCun and Cortes)',
  'fashion_mnist': 'MIT (Zalando SE)',
  'kmnist': 'CC BY-SA 4.0 (Center for Open Data in the Humanities)',
  'cifar10': 'none stated by its authors; collected from the web for research',
  'svhn_cropped': 'non-commercial use (Netzer et al.)',
  'celeb_a': 'non-commercial research (MMLAB, CUHK)',
}


def of_dataset(name: str) -> str:
  """The licence of a dataset by its name, or that none is known."""
  return _KNOWN.get(name.removesuffix('_jpeg'), UNKNOWN)
