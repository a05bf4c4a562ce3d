// fp16 and bf16 bit patterns to float on the host, where neither is a C++ type.
#pragma once

#include <cstdint>
#include <cstring>

namespace fastgan {

struct Half {
  uint16_t bits;
};

struct BFloat16 {
  uint16_t bits;
};

inline float float_from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline float to_compute(BFloat16 x) { return float_from_bits(static_cast<uint32_t>(x.bits) << 16); }

// Shift exponent and mantissa into place and rescale by 2^112; that also makes subnormals right. Inf and NaN
// come out as 65536 and above, and get the all-ones exponent.
inline float to_compute(Half x) {
  const uint32_t magnitude = x.bits & 0x7fffu;
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16;
  const float scaled = float_from_bits(magnitude << 13) * float_from_bits((127u + 112u) << 23);
  uint32_t bits;
  std::memcpy(&bits, &scaled, sizeof bits);
  bits |= magnitude >= 0x7c00u ? 0x7f800000u : 0u;
  return float_from_bits(bits | sign);
}

inline float to_compute(float x) { return x; }
inline double to_compute(double x) { return x; }

}  // namespace fastgan
