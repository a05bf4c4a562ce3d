// What CPU kernels are told about a tensor: raw memory and strides, no more.
#pragma once

#include <cstdint>

#include "common/affine_act_arguments.h"

namespace fastgan::cpu {

using fastgan::AffineAct;
using fastgan::Rows;

// A feature map [N, C, H, W] in any layout, read only; data is nullptr where there is none.
struct FeatureMap {
  const void* data = nullptr;
  int64_t stride[4] = {};  // N, C, H, W, in elements
};

// A dense NHWC feature map.
inline FeatureMap nhwc(const void* data, int64_t channels, int64_t height, int64_t width) {
  return {data, {height * width * channels, 1, width * channels, channels}};
}

}  // namespace fastgan::cpu
