"""Compiles Triton kernels without a GPU, runs their PTX on numpy and holds what they need against budgets."""
