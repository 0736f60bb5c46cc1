"""Configs are read here and nowhere else: names become objects, once.

configs/base.py, outside the package, is where every key stands.
"""
