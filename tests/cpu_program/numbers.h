// Numbers as tensors store them, to and from double; and where test numbers come from.
//
// The conversions are by arithmetic, not by bits as in common/half.h, which is among what is tested.
#pragma once

#include <cstdint>
#include <vector>

#include "common/element_type.h"

namespace fastgan::test {

using Numbers = std::vector<double>;

size_t size_of(ElementType type);
const char* name_of(ElementType type);
// What statistics, scale and shift of maps of `type` are stored in, and sums computed in.
ElementType wide(ElementType type);
// The distance from 1 to the next number.
double epsilon(ElementType type);

// x as `type` holds it: the nearest, ties to even.
double rounded(ElementType type, double x);
Numbers rounded(ElementType type, Numbers numbers);

void store(ElementType type, double x, void* to);
double load(ElementType type, const void* from);

// Reproducible on every machine (splitmix64).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t bits();
  // lowest <= the result <= highest
  int64_t integer(int64_t lowest, int64_t highest);
  template <class T, size_t n>
  T one_of(const T (&choices)[n]) {
    return choices[integer(0, n - 1)];
  }
  // Whole numbers from -most to most, times unit. Small ones: their products and the sums of these are exact
  // in float in any order and by any algorithm, so kernels have no rounding to hide an error behind.
  Numbers integers(int64_t count, int64_t most, double unit = 1.0);

 private:
  uint64_t state_;
};

}  // namespace fastgan::test
