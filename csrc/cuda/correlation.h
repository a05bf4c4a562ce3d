// The convolutions of csrc/common/convolution.h as a kernel counts them: an implicit GEMM for each output
// phase.
//
// Rows are a phase's output pixels, image after image; columns are output channels; K runs over the phase's
// taps and, within a tap, over the input channels, without gaps. All phases count as many rows as the largest
// one has: what lies outside the image is masked.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/convolution.h"
#include "common/macros.h"

namespace fastgan::cuda {

constexpr int kRowBytes = 64;               // of K that are multiplied at a time
constexpr int kPieceBytes = 16;             // of a copy
constexpr int64_t kMostPixels = 1LL << 30;  // of a map: pixels are counted in int, elements in int64_t

struct Correlation {
  int in_channels, out_channels;
  int in_size[2], out_size[2];
  // stride: that of a phase's outputs if transposed, else that of its inputs.
  int kernel[2], stride[2], padding[2];
  bool transposed;

  FASTGAN_HOST_DEVICE int phases(int axis) const { return transposed ? stride[axis] : 1; }
  FASTGAN_HOST_DEVICE int in_step(int axis) const { return transposed ? 1 : stride[axis]; }
  // Outputs and taps of the largest phase along an axis.
  FASTGAN_HOST_DEVICE int outputs(int axis) const { return (out_size[axis] - 1) / phases(axis) + 1; }
  FASTGAN_HOST_DEVICE int most_taps(int axis) const { return (kernel[axis] - 1) / phases(axis) + 1; }
};

// Of one phase along one axis: its outputs phase + i * phases(axis) read in[i * in_step + offset + t] for t <
// taps, times the kernel's tap first + t * step.
struct AxisTaps {
  int taps, offset, first, step;
};

FASTGAN_HOST_DEVICE inline AxisTaps axis_taps(const Correlation& shape, int axis, int phase) {
  const int kernel = shape.kernel[axis], stride = shape.stride[axis], padding = shape.padding[axis];
  if (!shape.transposed) return {kernel, -padding, 0, 1};
  const int lowest = (phase + padding) % stride;
  const int taps = (kernel - 1 - lowest + stride) / stride;
  // The highest tap reads the leftmost input.
  return {taps, (phase + padding - lowest) / stride - (taps - 1), lowest + (taps - 1) * stride, -stride};
}

inline bool countable(const Convolution& shape, int64_t images) {
  constexpr int64_t kMost = 1 << 20;
  bool good = shape.in_channels > 0 && shape.out_channels > 0 && shape.in_channels <= kMost &&
              shape.out_channels <= kMost && shape.taps() * shape.in_channels <= kMostPixels;
  for (int axis = 0; axis < 2; ++axis) {
    good = good && shape.in_size[axis] > 0 && shape.out_size[axis] > 0 && shape.in_size[axis] <= kMost &&
           shape.out_size[axis] <= kMost && shape.kernel[axis] <= kMost && shape.stride[axis] <= kMost &&
           shape.padding[axis] <= kMost;
  }
  return good && images * shape.in_pixels() <= kMostPixels && images * shape.out_pixels() <= kMostPixels;
}

// Of a single input every output of the transposed convolution reads at most one tap: with a stride that no
// two outputs of a phase fit into, each is a phase and no tap is read in vain.
inline Correlation correlation(const Convolution& shape) {
  Correlation to{};
  to.in_channels = static_cast<int>(shape.in_channels);
  to.out_channels = static_cast<int>(shape.out_channels);
  to.transposed = shape.transposed;
  for (int axis = 0; axis < 2; ++axis) {
    to.in_size[axis] = static_cast<int>(shape.in_size[axis]);
    to.out_size[axis] = static_cast<int>(shape.out_size[axis]);
    to.kernel[axis] = static_cast<int>(shape.kernel[axis]);
    to.padding[axis] = static_cast<int>(shape.padding[axis]);
    int64_t stride = shape.stride[axis];
    if (shape.transposed && shape.in_size[axis] == 1)
      stride = std::max(stride, shape.out_size[axis] + shape.padding[axis]);
    to.stride[axis] = static_cast<int>(stride);
  }
  return to;
}

// Steps of kRowBytes that K of the largest phase takes, for elements of that many bytes.
inline int64_t k_steps(const Correlation& shape, int64_t element_bytes) {
  const int64_t taps = static_cast<int64_t>(shape.most_taps(0)) * shape.most_taps(1);
  return (taps * shape.in_channels * element_bytes + kRowBytes - 1) / kRowBytes;
}

// Rows of kRowBytes in a packed weight: [phase][step][output channel].
inline int64_t packed_rows(const Correlation& shape, int64_t element_bytes) {
  return static_cast<int64_t>(shape.phases(0)) * shape.phases(1) * k_steps(shape, element_bytes) *
         shape.out_channels;
}

}  // namespace fastgan::cuda
