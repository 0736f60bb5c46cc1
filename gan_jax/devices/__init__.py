"""Devices: pmap, sharding, precision, how a batch is divided."""
