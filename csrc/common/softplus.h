// softplus and sigmoid from one exponential, for CPU and CUDA alike.
//
// float uses polynomials of our own: no libm, so the bits do not depend on the C library, and no branch, so
// the host compiler vectorises the loops around it. double uses the library's exp and log1p.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "common/macros.h"

namespace fastgan {

template <class T>
struct SoftplusSigmoid {
  T softplus;  // log(1 + exp(x))
  T sigmoid;   // 1 / (1 + exp(-x)), its derivative
};

// 2^-k as a float, 0 <= k <= 126. `k` is unsigned so that a NaN's garbage bits wrap instead of overflowing.
FASTGAN_HOST_DEVICE inline float power_of_two_reciprocal(uint32_t k) {
  const uint32_t bits = (127u - k) << 23;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// exp(-a) for a >= 0, to about 1 ulp down to the smallest subnormal; NaN stays NaN.
// exp(-a) = 2^-k * exp(-r), |r| <= ln(2)/2, the latter by its Taylor sum to degree 7 (truncation 5e-9).
FASTGAN_HOST_DEVICE inline float exp_of_negative(float a) {
  a = a > 104.0f ? 104.0f : a;       // exp(-104) rounds to zero; written so that NaN passes
  const float kShift = 12582912.0f;  // 1.5 * 2^23: adding it leaves round(x) in the low mantissa bits
  const float shifted = a * 1.44269504f + kShift;
  const float k = shifted - kShift;
  const float r = (a - k * 0.693359375f) - k * -2.12194440e-4f;  // ln 2 in two parts, the first exact times k
  float p = -1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r - 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r - 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r - 1.0f;
  p = p * r + 1.0f;
  uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  const uint32_t exponent = (bits & 0x7fffffu) - 0x400000u;
  const uint32_t half = exponent >> 1;  // two factors, since 2^-150 itself is not a float
  return p * power_of_two_reciprocal(half) * power_of_two_reciprocal(exponent - half);
}

FASTGAN_HOST_DEVICE inline double exp_of_negative(double a) { return std::exp(-a); }

// log(1 + e) for 0 <= e <= 1 as 2 atanh(s), s = e / (2 + e): relatively exact for tiny e (truncation 2e-9).
FASTGAN_HOST_DEVICE inline float log1p_unit(float e) {
  const float s = e / (2.0f + e);
  const float z = s * s;
  float p = 1.0f / 15.0f;
  p = p * z + 1.0f / 13.0f;
  p = p * z + 1.0f / 11.0f;
  p = p * z + 1.0f / 9.0f;
  p = p * z + 1.0f / 7.0f;
  p = p * z + 1.0f / 5.0f;
  p = p * z + 1.0f / 3.0f;
  return 2.0f * (s + s * (z * p));
}

FASTGAN_HOST_DEVICE inline double log1p_unit(double e) { return std::log1p(e); }

template <class T>
FASTGAN_HOST_DEVICE inline SoftplusSigmoid<T> softplus_sigmoid(T x) {
  const T e = exp_of_negative(x < T(0) ? -x : x);
  const T larger = T(1) / (T(1) + e);  // sigmoid(|x|)
  return {(x > T(0) ? x : T(0)) + log1p_unit(e), x < T(0) ? e * larger : larger};
}

}  // namespace fastgan
