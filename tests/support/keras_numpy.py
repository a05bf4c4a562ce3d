"""Keras layers of a DCGAN in plain NumPy float64, written from their definitions and without torch.

Images are NHWC. Convolutions are 4x4 (or any kernel) with padding "same" as TensorFlow defines it:
out = ceil(in / stride), pad_total = max((out - 1) * stride + kernel - in, 0), pad_before = pad_total // 2.
"""

import numpy as np


def dense(x, kernel, bias=None):
    y = x @ kernel
    return y if bias is None else y + bias


def batch_normalization(x, gamma, beta, moving_mean, moving_variance, epsilon=1e-3):
    return gamma * (x - moving_mean) / np.sqrt(moving_variance + epsilon) + beta


def leaky_relu(x, slope=0.3):
    return np.where(x >= 0, x, slope * x)


def conv2d_same(x, kernel, bias=None, stride=2):
    """x [N, H, W, in], kernel [kh, kw, in, out]."""
    samples, height, width, _ = x.shape
    kernel_height, kernel_width, _, channels = kernel.shape
    rows, top = _same(height, kernel_height, stride)
    columns, left = _same(width, kernel_width, stride)
    y = np.zeros((samples, rows, columns, channels))
    for i in range(rows):
        for j in range(columns):
            for di in range(kernel_height):
                for dj in range(kernel_width):
                    r, c = i * stride + di - top, j * stride + dj - left
                    if 0 <= r < height and 0 <= c < width:
                        y[:, i, j] += x[:, r, c] @ kernel[di, dj]
    return y if bias is None else y + bias


def conv2d_transpose_same(x, kernel, bias=None, stride=2):
    """x [N, H, W, in], kernel [kh, kw, out, in]: pixels are scattered where `conv2d_same` would read it."""
    samples, height, width, _ = x.shape
    kernel_height, kernel_width, channels, _ = kernel.shape
    rows, columns = height * stride, width * stride
    _, top = _same(rows, kernel_height, stride)
    _, left = _same(columns, kernel_width, stride)
    y = np.zeros((samples, rows, columns, channels))
    for i in range(height):
        for j in range(width):
            for di in range(kernel_height):
                for dj in range(kernel_width):
                    r, c = i * stride + di - top, j * stride + dj - left
                    if 0 <= r < rows and 0 <= c < columns:
                        y[:, r, c] += x[:, i, j] @ kernel[di, dj].T
    return y if bias is None else y + bias


def _same(size, kernel, stride):
    out = -(-size // stride)
    return out, max((out - 1) * stride + kernel - size, 0) // 2
