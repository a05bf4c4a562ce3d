// Random numbers of format noise/1: the C++ twin of fastgan/noise.py, which defines them. Same bits.
#pragma once

#include <cstdint>

namespace fastgan::cpu {

// Philox4x32-10: out[r * words + j] is word j of sample first + r. Sample i, words 4b .. 4b + 3 are the block
// with key (seed low, seed high) and counter (i low, i high, b, stream).
void philox_bits(uint64_t seed, uint32_t stream, uint64_t first, int64_t count, int64_t words, uint32_t* out);

// The standard normal quantile of (bits + 0.5) * 2^-32 (Wichura's PPND16), rounded once to float.
void philox_normal(uint64_t seed, uint32_t stream, uint64_t first, int64_t count, int64_t words, float* out);

}  // namespace fastgan::cpu
