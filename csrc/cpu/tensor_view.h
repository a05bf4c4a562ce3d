// What CPU kernels are told about a tensor: raw memory and strides, no more.
#pragma once

#include <cstdint>

#include "common/affine_act.h"

namespace fastgan::cpu {

// A feature map [N, C, H, W] in any layout, read only; data is nullptr where there is none.
struct FeatureMap {
  const void* data = nullptr;
  int64_t stride[4] = {};  // N, C, H, W, in elements
};

// A dense NHWC feature map.
inline FeatureMap nhwc(const void* data, int64_t channels, int64_t height, int64_t width) {
  return {data, {height * width * channels, 1, width * channels, channels}};
}

// scale or shift in the compute type: [1, C] (row_stride 0) or [N, C] (row_stride C); nullptr for none.
struct Rows {
  const void* data = nullptr;
  int64_t row_stride = 0;
};

struct AffineAct {
  Rows scale, shift;
  Activation activation = Activation::kNone;
  double negative_slope = 1.0;
};

}  // namespace fastgan::cpu
