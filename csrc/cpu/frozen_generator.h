// A frozen generator on the CPU: its plan as data, and the loop that runs it over packed weights.
//
// Between two steps an image is a row of floats in the order H, W, C; see
// fastgan/reference/frozen_generator.py, which defines the steps. An image's bytes depend neither on the
// other images nor on threads.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/affine_act_conv.h"

namespace fastgan::cpu {

// The values are the kinds of a program.
enum class FrozenStepKind : int64_t { kConvolution = 0, kAffine, kActivation, kPermutation };

struct FrozenStep {
  FrozenStepKind kind;
  // kConvolution
  Convolution shape;
  PackedWeight weight;
  const float* bias;  // [out_channels] or nullptr
  // kAffine: tables [1 or classes, channels]
  const float *scale, *shift;
  int64_t channels;
  bool by_label;
  // kActivation
  Activation activation;
  double negative_slope;
  // kPermutation
  const int64_t* index;

  int64_t size;  // of the row it writes
};

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
