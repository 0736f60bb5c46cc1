"""Priors, the sampler, walks between latents."""
