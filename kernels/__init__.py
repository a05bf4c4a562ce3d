"""Triton kernels and their launchers; nothing of autograd. Installed as `fastgan.kernels`."""
