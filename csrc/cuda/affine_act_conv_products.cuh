// Products of a stage: 64 bytes of K of a block's rows times those of its columns, by warps.
//
// However they are formed, a thread's sums are those of mma.sync's accumulator: sums[i][j] holds rows
// 16 i + lane / 4 and 8 below, of each columns 8 j + 2 (lane % 4) and the next. A sum takes its stages in
// the order of K.
#pragma once

#include "cuda/affine_act_conv_operands.cuh"

namespace fastgan::cuda {

enum class Products { kHalves, kTf32, kExact };

template <class Tile>
struct Sums {
  static constexpr int kDown = Tile::kWarpRows / 16, kAcross = Tile::kWarpColumns / 8;
  float values[kDown][kAcross][4];
};

template <class T, Products products>
__device__ inline void multiply(float (&sums)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (products == Products::kTf32) {
    multiply_1688_tf32(sums, a, b);
  } else {
    multiply_16816<T>(sums, a, b);
  }
}

// On tensor cores: two pieces of K at a time, which are 16 halves or 8 of tf32.
template <class T, Products products, class Tile>
__device__ inline void multiply_stage(const unsigned char* a, const unsigned char* b, Sums<Tile>& sums) {
  const int lane = threadIdx.x % 32;
  const int at_a = swizzled(lane % 16, lane / 16), at_b = swizzled(lane % 8, lane / 8);
  uint32_t right[Sums<Tile>::kAcross][kPieces];
#pragma unroll
  for (int j = 0; j < Sums<Tile>::kAcross; ++j) load_matrices(right[j], b + at_b + 8 * kRowBytes * j);
#pragma unroll
  for (int pair = 0; pair < kPieces / 2; ++pair) {
#pragma unroll
    for (int i = 0; i < Sums<Tile>::kDown; ++i) {
      uint32_t left[4];
      load_matrices(left, a + (at_a ^ 2 * kPieceBytes * pair) + 16 * kRowBytes * i);
#pragma unroll
      for (int j = 0; j < Sums<Tile>::kAcross; ++j)
        multiply<T, products>(sums.values[i][j], left, {right[j][2 * pair], right[j][2 * pair + 1]});
    }
  }
}

// By multiply-adds in float. A stage's products are added up on their own first: the error of a sum then
// grows with the root of the stages and not of the products, as it does in the blocked sums of a library.
template <class Tile>
__device__ inline void multiply_stage_exactly(const unsigned char* a, const unsigned char* b,
                                              Sums<Tile>& sums) {
  constexpr int kRows = 2 * Sums<Tile>::kDown;
  const int lane = threadIdx.x % 32;
  Sums<Tile> of_stage{};
#pragma unroll 1
  for (int piece = 0; piece < kPieces; ++piece) {
    const int at_a = swizzled(lane / 4, piece);
    const int at_b[2] = {swizzled(2 * (lane % 4), piece), swizzled(2 * (lane % 4) + 1, piece)};
    Pack<float> left[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      left[r] = load_16(reinterpret_cast<const float*>(a + at_a + 8 * kRowBytes * r));
#pragma unroll
    for (int j = 0; j < Sums<Tile>::kAcross; ++j) {
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const Pack<float> right = load_16(reinterpret_cast<const float*>(b + at_b[c] + 8 * kRowBytes * j));
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          float& sum = of_stage.values[r / 2][j][r % 2 * 2 + c];
#pragma unroll
          for (int e = 0; e < 4; ++e) sum += left[r].values[e] * right.values[e];
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < Sums<Tile>::kDown; ++i) {
#pragma unroll
    for (int j = 0; j < Sums<Tile>::kAcross; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums.values[i][j][e] += of_stage.values[i][j][e];
    }
  }
}

}  // namespace fastgan::cuda
