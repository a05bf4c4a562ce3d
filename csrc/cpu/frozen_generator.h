// A frozen generator on the CPU: its plan as data, and the loop that runs it over packed weights.
//
// Between two steps an image is a row of floats (common/frozen_program.h). An image's bytes depend neither on
// the other images nor on threads.
#pragma once

#include <cstdint>
#include <vector>

#include "common/frozen_program.h"
#include "cpu/affine_act_conv.h"

namespace fastgan::cpu {

using fastgan::FrozenStepKind;
using FrozenStep = FrozenStepOf<PackedWeight>;

struct FrozenGeneratorArguments {
  const std::vector<FrozenStep>* steps;
  int64_t images;
  const float* z;  // [images, latent_size]
  int64_t latent_size;
  const int64_t* labels;  // [images], each good for every table, or nullptr
  int64_t image_channels;
  bool pixels;  // output is uint8, else float; both NHWC
  void* output;
  int threads;  // of the pool: says only how work is shared
};

void frozen_generator(const FrozenGeneratorArguments& arguments, ParallelFor pool);

}  // namespace fastgan::cpu
