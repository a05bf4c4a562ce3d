// noise/1 in C++. Every step and its order is the one written down in fastgan/noise.py; only + - * / and sqrt
// on double, compiled without contraction to fused multiply-add, so the bits agree.
#include "cpu/noise.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace fastgan::cpu {
namespace {

struct Block {
  uint32_t word[4];
};

Block philox4x32(Block counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {
        {static_cast<uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0, static_cast<uint32_t>(product1),
         static_cast<uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1, static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// Calls use(at, block, n) for each block of each sample: its first n words belong at out[at] and after.
template <class F>
void for_each_block(uint64_t seed, uint32_t stream, uint64_t first, int64_t count, int64_t words,
                    const F& use) {
  const auto key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  for (int64_t r = 0; r < count; ++r) {
    const uint64_t sample = first + static_cast<uint64_t>(r);
    for (int64_t j = 0; j < words; j += 4) {
      const Block counter{{static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32),
                           static_cast<uint32_t>(j / 4), stream}};
      use(r * words + j, philox4x32(counter, key0, key1), std::min<int64_t>(4, words - j));
    }
  }
}

// Coefficients lowest power first.
constexpr double kCentreNum[] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                                 1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                                 3.3430575583588128105e4, 2.5090809287301226727e3};
constexpr double kCentreDen[] = {1.0,
                                 4.2313330701600911252e1,
                                 6.8718700749205790830e2,
                                 5.3941960214247511077e3,
                                 2.1213794301586595867e4,
                                 3.9307895800092710610e4,
                                 2.8729085735721942674e4,
                                 5.2264952788528545610e3};
constexpr double kTailNum[] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                               3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                               2.27238449892691845833e-2, 7.74545014278341407640e-4};
constexpr double kTailDen[] = {1.0,
                               2.05319162663775882187e0,
                               1.67638483018380384940e0,
                               6.89767334985100004550e-1,
                               1.48103976427480074590e-1,
                               1.51986665636164571966e-2,
                               5.47593808499534494600e-4,
                               1.05075007164441684324e-9};
constexpr double kAtanh[] = {1.0 / 1,  1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11,
                             1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23};

template <int n>
double horner(const double (&coefficients)[n], double x) {
  double value = coefficients[n - 1];
  for (int k = n - 2; k >= 0; --k) value = value * x + coefficients[k];
  return value;
}

double log_of(double x) {
  uint64_t pattern;
  std::memcpy(&pattern, &x, sizeof pattern);
  double e = static_cast<double>(pattern >> 52) - 1022.0;
  pattern = (pattern & 0x000FFFFFFFFFFFFFu) | 0x3FE0000000000000u;
  double m;
  std::memcpy(&m, &pattern, sizeof m);
  if (m < 0.70710678118654752440) {
    m = m * 2.0;
    e = e - 1.0;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double log_m = (2.0 * s) * horner(kAtanh, s * s);
  return e * 6.93147180369123816490e-01 + (e * 1.90821492927058770002e-10 + log_m);
}

double inverse_normal_cdf(uint32_t word) {
  const double p = (static_cast<double>(word) + 0.5) * 0x1p-32;
  const double q = p - 0.5;
  if (std::fabs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return (q * horner(kCentreNum, r)) / horner(kCentreDen, r);
  }
  const double r = std::sqrt(-log_of(q < 0 ? p : 1.0 - p)) - 1.6;
  const double quantile = horner(kTailNum, r) / horner(kTailDen, r);
  return q < 0 ? -quantile : quantile;
}

}  // namespace

void philox_bits(uint64_t seed, uint32_t stream, uint64_t first, int64_t count, int64_t words,
                 uint32_t* out) {
  for_each_block(seed, stream, first, count, words, [out](int64_t at, const Block& block, int64_t n) {
    std::memcpy(out + at, block.word, static_cast<size_t>(n) * sizeof(uint32_t));
  });
}

void philox_normal(uint64_t seed, uint32_t stream, uint64_t first, int64_t count, int64_t words, float* out) {
  for_each_block(seed, stream, first, count, words, [out](int64_t at, const Block& block, int64_t n) {
    for (int64_t k = 0; k < n; ++k) out[at + k] = static_cast<float>(inverse_normal_cdf(block.word[k]));
  });
}

}  // namespace fastgan::cpu
