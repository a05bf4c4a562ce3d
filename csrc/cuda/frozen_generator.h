// A frozen generator on CUDA: its plan as a fixed sequence of launches over packed weights; plain C.
//
// An image's bytes depend on no other image: what is launched for it differs by the number of images in tiles
// alone, and no sum's order depends on the tile (cuda/affine_act_conv.cuh).
#pragma once

#include <cstdint>

#include "common/frozen_program.h"
#include "cuda/affine_act_conv.h"

namespace fastgan::cuda {

// Its weight is as fastgan_cuda_affine_act_conv_pack wrote it; bias, tables and indices are device memory.
using FrozenStep = FrozenStepOf<const void*>;

struct FrozenGeneratorArguments {
  const FrozenStep* steps;  // on the host
  int64_t step_count;
  ElementType type;     // of the maps between steps: kFloat, kHalf or kBFloat16
  Precision precision;  // of products of kFloat
  int64_t images;
  const float* z;  // [images, latent_size]
  int64_t latent_size;
  const int64_t* labels;  // [images], or nullptr where no table is read by label
  int64_t classes;
  bool pixels;      // output is uint8, else float; both NHWC
  void* output;     // of an image whose label no table has: NaN, pixels 0
  void* workspace;  // fastgan_cuda_frozen_generator_workspace bytes, aligned to 256
};

}  // namespace fastgan::cuda

extern "C" {

// Queues the launches on `stream`; allocates nothing and does not synchronise, so that it can be captured.
// Returns nullptr, or in one sentence what is wrong.
const char* fastgan_cuda_frozen_generator(const fastgan::cuda::FrozenGeneratorArguments* arguments,
                                          void* stream);

// From what the arguments say other than output and workspace.
int64_t fastgan_cuda_frozen_generator_workspace(const fastgan::cuda::FrozenGeneratorArguments* arguments);

}  // extern "C"
