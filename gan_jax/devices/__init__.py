"""Devices: pmap, sharding, compiling, precision, how a batch is divided."""
