// Conversions between double and the stored types, by arithmetic.
#include "numbers.h"

#include <cmath>
#include <cstring>

namespace fastgan::test {
namespace {

// A binary format of 16 bits: significant bits with the hidden one, and the exponent of the smallest
// normal number.
struct Format {
  int digits, lowest;
  double largest;
};

constexpr Format kHalfFormat{11, -14, 65504.0}, kBFloat16Format{8, -126, 0x1.fep127};

Format format_of(ElementType type) { return type == ElementType::kHalf ? kHalfFormat : kBFloat16Format; }

double rounded_to(const Format& format, double x) {
  if (!std::isfinite(x) || x == 0) return x;
  const int exponent = std::max(std::ilogb(x), format.lowest) - (format.digits - 1);
  const double result = std::scalbn(std::nearbyint(std::scalbn(x, -exponent)), exponent);
  return std::fabs(result) > format.largest ? std::copysign(INFINITY, x) : result;
}

uint16_t encode(const Format& format, double x) {
  const int fraction_bits = format.digits - 1;
  const int exponent_bits = 15 - fraction_bits;
  const unsigned sign = std::signbit(x) ? 0x8000u : 0u, all_ones = ((1u << exponent_bits) - 1)
                                                                   << fraction_bits;
  if (std::isnan(x)) return static_cast<uint16_t>(all_ones | 1u << (fraction_bits - 1));
  x = std::fabs(rounded_to(format, x));
  if (std::isinf(x)) return static_cast<uint16_t>(sign | all_ones);
  // In units of the smallest subnormal number, the magnitude's bits are a whole number below 2^digits, and
  // each further exponent adds 2^fraction_bits.
  if (x == 0) return static_cast<uint16_t>(sign);
  const int exponent = std::max(std::ilogb(x), format.lowest);
  const auto units = static_cast<unsigned>(std::scalbn(x, fraction_bits - exponent));
  return static_cast<uint16_t>(sign |
                               ((static_cast<unsigned>(exponent - format.lowest) << fraction_bits) + units));
}

double decode(const Format& format, uint16_t bits) {
  const int fraction_bits = format.digits - 1;
  const int exponent = (bits & 0x7fff) >> fraction_bits, fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (exponent == (1 << (15 - fraction_bits)) - 1) return fraction == 0 ? sign * INFINITY : NAN;
  const int units = exponent == 0 ? fraction : fraction + (1 << fraction_bits);
  return sign * std::scalbn(units, (exponent == 0 ? 1 : exponent) - 1 + format.lowest - fraction_bits);
}

}  // namespace

size_t size_of(ElementType type) {
  return type == ElementType::kDouble ? 8 : type == ElementType::kFloat ? 4 : 2;
}

const char* name_of(ElementType type) {
  constexpr const char* kNames[] = {"float32", "float64", "float16", "bfloat16"};
  return kNames[static_cast<int>(type)];
}

ElementType wide(ElementType type) {
  return type == ElementType::kDouble ? ElementType::kDouble : ElementType::kFloat;
}

double epsilon(ElementType type) {
  constexpr double kEpsilons[] = {0x1p-23, 0x1p-52, 0x1p-10, 0x1p-7};
  return kEpsilons[static_cast<int>(type)];
}

double rounded(ElementType type, double x) {
  if (type == ElementType::kDouble) return x;
  if (type == ElementType::kFloat) return static_cast<double>(static_cast<float>(x));
  return rounded_to(format_of(type), x);
}

Numbers rounded(ElementType type, Numbers numbers) {
  for (double& x : numbers) x = rounded(type, x);
  return numbers;
}

void store(ElementType type, double x, void* to) {
  if (type == ElementType::kDouble) {
    std::memcpy(to, &x, 8);
  } else if (type == ElementType::kFloat) {
    const auto narrow = static_cast<float>(x);
    std::memcpy(to, &narrow, 4);
  } else {
    const uint16_t bits = encode(format_of(type), x);
    std::memcpy(to, &bits, 2);
  }
}

double load(ElementType type, const void* from) {
  if (type == ElementType::kDouble) {
    double x;
    std::memcpy(&x, from, 8);
    return x;
  }
  if (type == ElementType::kFloat) {
    float x;
    std::memcpy(&x, from, 4);
    return static_cast<double>(x);
  }
  uint16_t bits;
  std::memcpy(&bits, from, 2);
  return decode(format_of(type), bits);
}

uint64_t Random::bits() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

int64_t Random::integer(int64_t lowest, int64_t highest) {
  return lowest + static_cast<int64_t>(bits() % static_cast<uint64_t>(highest - lowest + 1));
}

Numbers Random::integers(int64_t count, int64_t most, double unit) {
  Numbers numbers(static_cast<size_t>(count));
  for (double& x : numbers) x = unit * static_cast<double>(integer(-most, most));
  return numbers;
}

}  // namespace fastgan::test
