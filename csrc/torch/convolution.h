// Geometry of a convolution from what an operator is called with.
#pragma once

#include <vector>

#include "common/convolution.h"
#include "torch/tensors.h"

namespace fastgan {

using Sizes = std::vector<int64_t>;

inline Sizes image_size(const Tensor& map, const char* op) {
  STD_TORCH_CHECK(map.dim() == 4, op, ": feature maps and weights must have four dimensions");
  return {map.size(2), map.size(3)};
}

// The forward pass's geometry. A weight is [out, in, kH, kW], of a transposed convolution [in, out, kH, kW].
inline Convolution geometry(int64_t in_channels, int64_t out_channels, const Sizes& in_size,
                            const Sizes& out_size, const Sizes& kernel, const Sizes& stride,
                            const Sizes& padding, bool transposed, const char* op) {
  Convolution shape{};
  shape.in_channels = in_channels;
  shape.out_channels = out_channels;
  shape.transposed = transposed;
  const auto fill = [op](const Sizes& from, int64_t (&to)[2], int64_t least, const char* name) {
    STD_TORCH_CHECK(from.size() == 2 && from[0] >= least && from[1] >= least, op, ": ", name,
                    " must be two numbers >= ", least);
    to[0] = from[0];
    to[1] = from[1];
  };
  fill(in_size, shape.in_size, 0, "input size");
  fill(out_size, shape.out_size, 0, "output size");
  fill(kernel, shape.kernel, 1, "kernel size");
  fill(stride, shape.stride, 1, "stride");
  fill(padding, shape.padding, 0, "padding");
  return shape;
}

}  // namespace fastgan
