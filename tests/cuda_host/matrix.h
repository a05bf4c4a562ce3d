// ldmatrix and mma.sync: how matrices are spread over the lanes of a warp, and their products.
#pragma once

#include <cstdint>

#include "common/half.h"
#include "place.h"

namespace fastgan::cuda_host {

void load_matrices(uint32_t (&r)[4], const void* row, bool transposed, const Place& place);

// d += a b; m16n8k16 for half types, m16n8k8 for tf32.
void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Half, const Place& place);
void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], BFloat16, const Place& place);
void multiply_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const Place& place);

// Nearest, ties away from zero: cvt.rna.tf32.f32.
uint32_t round_to_tf32(float x);

}  // namespace fastgan::cuda_host
