// fp16 and bf16 bit patterns to float and back on the host, where neither is a C++ type.
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

inline uint32_t bits_from_float(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float to_compute(BFloat16 x) { return float_from_bits(static_cast<uint32_t>(x.bits) << 16); }

// Shift exponent and mantissa into place and rescale by 2^112; that also makes subnormals right. Inf and NaN
// come out as 65536 and above, and get the all-ones exponent.
inline float to_compute(Half x) {
  const uint32_t magnitude = x.bits & 0x7fffu;
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16;
  const float scaled = float_from_bits(magnitude << 13) * float_from_bits((127u + 112u) << 23);
  const uint32_t special = magnitude >= 0x7c00u ? 0x7f800000u : 0u;
  return float_from_bits(bits_from_float(scaled) | special | sign);
}

inline float to_compute(float x) { return x; }
inline double to_compute(double x) { return x; }

// Rounding to the stored type, nearest even; NaN stays NaN.
template <class To>
struct Rounded;

template <>
struct Rounded<float> {
  static float from(float x) { return x; }
};

template <>
struct Rounded<double> {
  static double from(double x) { return x; }
};

template <>
struct Rounded<BFloat16> {
  static BFloat16 from(float x) {
    const uint32_t bits = bits_from_float(x);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return {static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded)};
  }
};

// Normal results: round the mantissa in place and rebias the exponent; what overflows becomes infinity.
// Subnormal ones: adding 1/2 makes the float unit do the rounding, since 2^-24, the smallest half, is an ulp
// of 1/2.
template <>
struct Rounded<Half> {
  static Half from(float x) {
    const uint32_t bits = bits_from_float(x);
    const uint32_t magnitude = bits & 0x7fffffffu;
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    const uint32_t subnormal = bits_from_float(float_from_bits(magnitude) + 0.5f) - bits_from_float(0.5f);
    uint32_t result = magnitude < (113u << 23) ? subnormal : normal;
    result = magnitude >= 0x477ff000u ? 0x7c00u : result;  // 65520 and above
    result = magnitude > 0x7f800000u ? 0x7e00u : result;
    return {static_cast<uint16_t>(result | sign)};
  }
};

}  // namespace fastgan
