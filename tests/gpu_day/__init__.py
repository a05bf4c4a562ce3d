"""The day there is a GPU: everything that waits for one, run in one order, into one JSON file and one page.

    python -m tests.gpu_day check|bench [--out gpu-day] [--dry-run]

`make test-gpu` checks, `make bench-gpu` times. With --dry-run the CPU stands in for the device, by Triton's interpreter
and the CUDA kernels compiled for the host, at tiny sizes: that tries this machinery, and says nothing about a GPU.
"""
