// Random numbers: Philox against its published test vector and a second writing of it, the normal quantile
// against the distribution function.
#include <cmath>

#include "checks.h"
#include "cpu/noise.h"
#include "report.h"
#include "runs.h"
#include "tensors.h"

namespace fastgan::test {
namespace {

// One word of noise/1, by the recurrence of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// 2011.
uint32_t philox_word(uint64_t seed, uint32_t stream, uint64_t sample, int64_t word) {
  uint32_t counter[4] = {static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32),
                         static_cast<uint32_t>(word / 4), stream};
  uint32_t key[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0], b = uint64_t{0xCD9E8D57} * counter[2];
    const uint32_t high_a = static_cast<uint32_t>(a >> 32), high_b = static_cast<uint32_t>(b >> 32);
    const uint32_t next[4] = {high_b ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
                              high_a ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    for (int i = 0; i < 4; ++i) counter[i] = next[i];
    key[0] += 0x9E3779B9, key[1] += 0xBB67AE85;
  }
  return counter[word % 4];
}

void check(uint64_t seed, uint32_t stream, uint64_t first, int64_t count, int64_t words) {
  report().begin_case(
      text("noise seed %llx stream %u first %llx count %d words %d", static_cast<unsigned long long>(seed),
           stream, static_cast<unsigned long long>(first), static_cast<int>(count), static_cast<int>(words)));
  for (const Guard guard : {Guard::kAfter, Guard::kBefore}) {
    report().begin_run(guard == Guard::kAfter ? "guard after" : "guard before");
    Tensors tensors(guard);
    auto* const bits = static_cast<uint32_t*>(tensors.output("bits", ElementType::kFloat, count * words));
    auto* const normal = static_cast<float*>(tensors.output("normal", ElementType::kFloat, count * words));
    cpu::philox_bits(seed, stream, first, count, words, bits);
    cpu::philox_normal(seed, stream, first, count, words, normal);
    for (int64_t i = 0; i < count * words; ++i) {
      const uint32_t right = philox_word(seed, stream, first + static_cast<uint64_t>(i / words), i % words);
      if (bits[i] != right)
        return report().fail(text("bits[%d] must be %x, got %x", static_cast<int>(i), right, bits[i]));
      // How far the probability moves when the quantile is rounded to float.
      const double p = (right + 0.5) * 0x1p-32, x = static_cast<double>(normal[i]);
      const double slack = std::exp(-x * x / 2) * std::fabs(x) * 0x1p-24 + 1e-14;
      const double got = 0.5 * std::erfc(-x / std::sqrt(2.0));
      if (!(std::fabs(got - p) <= slack))
        return report().fail(text("normal[%d] must be the quantile of %.12g, got %.9g, of %.12g",
                                  static_cast<int>(i), p, x, got));
    }
    tensors.finish();
  }
}

}  // namespace

void check_noise(bool thorough) {
  report().begin_case("noise, the test vector of Philox4x32-10 for zeros");
  uint32_t words[4];
  const uint32_t right[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  cpu::philox_bits(0, 0, 0, 1, 4, words);
  for (int i = 0; i < 4; ++i) {
    if (words[i] != right[i]) report().fail(text("word %d must be %x, got %x", i, right[i], words[i]));
  }
  for (int64_t count = 1; count <= 9; ++count) {
    check(0x0123456789abcdefu, 7, 0xfffffffeu, 3, count);
    check(static_cast<uint64_t>(count), 0, ~uint64_t{0}, count, 5);
  }
  check(1, 2, 3, 0, 5);
  check(1, 2, 3, thorough ? 2000 : 100, 17);
}

}  // namespace fastgan::test
