// Which tiles the minimal algorithms of minimal_correlation_kernel.h and minimal_weight_grad_kernel.h have
// for a shape.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/convolution.h"

namespace fastgan::cpu {

// Multiplications, for every pair of channels, of four phases of a map with tiles of `side` outputs a side.
inline int64_t minimal_products(int64_t height, int64_t width, int64_t side) {
  return 4 * ((height + side - 1) / side) * ((width + side - 1) / side) * (side + 1) * (side + 1);
}

// Products that a number must be the sum of for tiles of 4: rounding errors of their transforms are then
// small beside those of a direct sum. With fewer they may be more than twice these.
constexpr int64_t kQuadSum = 512;

// The side of a tile: 4 or 2, or 0 where the direct sum is faster. The work is in whole tiles, and round the
// products every channel is moved a few times, which takes some tens of channels on both sides to pay; more
// so with tiles of 4. height, width: of a phase; direct: multiplications of the direct sum; sum: products of
// each.
inline int64_t minimal_side(const Convolution& shape, int64_t height, int64_t width, int64_t direct,
                            int64_t sum) {
  for (int axis = 0; axis < 2; ++axis) {
    if (shape.kernel[axis] != 4 || shape.stride[axis] != 2) return 0;
  }
  if (shape.in_channels < 32 || shape.out_channels < 32) return 0;
  const int64_t pairs = minimal_products(height, width, 2), quads = minimal_products(height, width, 4);
  if (5 * std::min(pairs, quads) > 4 * direct) return 0;
  return sum >= kQuadSum && 10 * quads <= 9 * pairs ? 4 : 2;
}

// Of the correlation's outputs. By the shape alone, so that an image's bits do not depend on how many there
// are.
inline int64_t minimal_tile(const Convolution& shape) {
  for (int axis = 0; axis < 2; ++axis) {
    if (shape.in_size[axis] < 2 || shape.out_size[axis] < 2) return 0;
  }
  const int64_t taps = shape.transposed ? 4 : 16, phases = shape.transposed ? 2 : 1;
  return minimal_side(shape, (shape.out_size[0] + phases - 1) / phases,
                      (shape.out_size[1] + phases - 1) / phases, shape.out_pixels() * taps,
                      shape.in_channels * taps);
}

// Of the small map, for the weight gradient.
inline int64_t minimal_weight_grad_tile(const Convolution& shape, int64_t images) {
  const int64_t* const small = shape.transposed ? shape.in_size : shape.out_size;
  return minimal_side(shape, small[0], small[1], small[0] * small[1] * 16, images * small[0] * small[1]);
}

}  // namespace fastgan::cpu
