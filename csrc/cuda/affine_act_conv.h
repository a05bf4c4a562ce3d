// Convolution and transposed convolution of act(scale * x + shift) on CUDA, forward: plain-C launchers.
//
// The op of cpu/affine_act_conv.h; every pointer is device memory unless it says otherwise. Launchers queue
// on `stream`, allocate nothing and do not synchronise, so that a stream can be captured; they return
// nullptr, or in one sentence what is wrong.
#pragma once

#include <cstdint>

#include "common/affine_act.h"
#include "common/convolution.h"
#include "common/element_type.h"

namespace fastgan::cuda {

// How products of float are formed: by multiply-adds, or on tensor cores from operands rounded to tf32. Sums
// are float in both, and for half types, whose products are exact.
enum class Precision : int { kExact = 0, kTf32 };

struct AffineActConvArguments {
  ElementType type;     // of input and output: kFloat, kHalf or kBFloat16
  Precision precision;  // of kFloat; without meaning for the others
  Convolution shape;
  int64_t images;
  const void* input;  // dense NHWC
  // [in_channels], or [rows, in_channels] where by_sample is true; nullptr for none.
  const float* scale;
  const float* shift;
  bool scale_by_sample, shift_by_sample;
  const int64_t* sample_rows;  // the row that each image reads; nullptr for its own
  Activation activation;       // not kTanh
  float negative_slope;
  const void* weight;     // as fastgan_cuda_affine_act_conv_pack wrote it for type, precision and shape
  const void* bias;       // [out_channels] or nullptr
  ElementType bias_type;  // `type`, or kFloat, which counts as rounded to `type`
  // Of the output, after the bias.
  Activation output_activation;
  float output_slope;
  bool pixels;   // the output is uint8: to_pixel (common/pixel.h) of what would be stored otherwise
  void* output;  // dense NHWC
  // Of the stored output less bias, [out_channels], var biased; both nullptr if not wanted, which they must
  // be with an output activation or pixels.
  float* mean;
  float* var;
  void* workspace;    // fastgan_cuda_affine_act_conv_workspace bytes, aligned to 16
  int32_t* counters;  // fastgan_cuda_affine_act_conv_counters numbers, zero before and zero again after
};

struct AffineActConvPackArguments {
  ElementType type;     // of the maps
  Precision precision;  // as above
  Convolution shape;
  ElementType weight_type;  // `type`, or kFloat, which is rounded to `type`
  const void* weight;
  // In elements: of the output channel, the input channel, the kernel's row and its column.
  int64_t stride[4];
  void* packed;  // fastgan_cuda_affine_act_conv_packed_bytes, aligned to 16
  // Cleared as well, which saves a launch; nullptr for none.
  int32_t* counters;
  int64_t counter_count;
};

}  // namespace fastgan::cuda

extern "C" {

const char* fastgan_cuda_affine_act_conv(const fastgan::cuda::AffineActConvArguments* arguments,
                                         void* stream);
const char* fastgan_cuda_affine_act_conv_pack(const fastgan::cuda::AffineActConvPackArguments* arguments,
                                              void* stream);

// Sizes, from what the arguments say other than pointers (mean counts as wanted where it is not nullptr).
// Those of scratch memory are 0 without statistics. What is scratch in one launch may be so in the next on
// the same stream.
int64_t fastgan_cuda_affine_act_conv_packed_bytes(fastgan::ElementType type,
                                                  const fastgan::Convolution* shape);
int64_t fastgan_cuda_affine_act_conv_workspace(const fastgan::cuda::AffineActConvArguments* arguments);
int64_t fastgan_cuda_affine_act_conv_counters(const fastgan::cuda::AffineActConvArguments* arguments);

}  // extern "C"
