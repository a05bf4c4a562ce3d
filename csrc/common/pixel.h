// What networks put out, in [-1, 1], to stored pixels: fastgan/models/pixels.py, to_uint8, bit for bit.
#pragma once

#include <cstdint>

#include "common/macros.h"

namespace fastgan {

// (z + 1) * 127.5, half to even, cut to 0 .. 255; 0 for NaN. Adding 1.5 * 2^23 rounds to an integer.
FASTGAN_HOST_DEVICE inline uint8_t to_pixel(float z) {
  float value = (z + 1.0f) * 127.5f;
  value = value > 0.0f ? value : 0.0f;
  value = value < 255.0f ? value : 255.0f;
  const float kShift = 12582912.0f;
  return static_cast<uint8_t>(static_cast<int32_t>((value + kShift) - kShift));
}

}  // namespace fastgan
