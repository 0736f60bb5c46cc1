"""Files whole or not at all, caches, digests: nothing of GANs."""
