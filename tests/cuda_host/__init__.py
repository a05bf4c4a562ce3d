"""CUDA kernels compiled by the C++ compiler and run on the CPU, one thread of a block at a time."""
