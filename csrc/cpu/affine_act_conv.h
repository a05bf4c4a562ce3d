// Convolution and transposed convolution of act(scale * x + shift), and their gradients, on the CPU.
//
// One kernel runs both convolutions, forward and as each other's input gradient: see common/convolution.h.
// Same inputs, same bits, whatever the pool does; and an image's results do not depend on the other images.
#pragma once

#include <cstdint>

#include "common/convolution.h"
#include "common/element_type.h"
#include "cpu/minimal_tile.h"
#include "cpu/parallel.h"
#include "cpu/tensor_view.h"

namespace fastgan::cpu {

// Output channels of a panel of packed weights: a multiple of every vector's lanes, so that one packing
// serves every capability.
constexpr int64_t kPanel = 16;

inline int64_t panels(int64_t channels) { return (channels + kPanel - 1) / kPanel; }

// A weight as the kernels read it: [panel][phase][tap][in_channels][kPanel] in the compute type, zeros where
// a panel has more channels than there are. Taps outside the image are reached as 0 * weight, which is wrong
// for an infinite weight: `finite` says that there is none.
struct PackedWeight {
  const void* data = nullptr;
  bool finite = true;
};

// Numbers, not bytes, in a packed weight.
inline int64_t packed_weight_size(const Convolution& shape) {
  return panels(shape.out_channels) * phase_taps(shape) * shape.in_channels * kPanel;
}

// Images that kernels like to have at a time: with fewer they read the weights more often than they must, and
// transform them. The larger the weights are, and the more there is to transform, the more.
inline int64_t images_at_once(const Convolution& shape) {
  constexpr int64_t kWeights = int64_t{1} << 20;
  const int64_t phases = shape.transposed ? shape.stride[0] * shape.stride[1] : 1;
  const int64_t outputs = std::max<int64_t>(1, shape.out_pixels() / phases);
  const int64_t wanted = minimal_tile(shape) == 4 ? 1024 : packed_weight_size(shape) < kWeights ? 256 : 512;
  return (wanted + outputs - 1) / outputs;
}

// Packs `weight` for `shape` into `packed`, packed_weight_size(shape) numbers of the compute type.
// stride: in elements, of the output channel, the input channel, the kernel's row and its column.
PackedWeight pack_weight(const Convolution& shape, ElementType type, const void* weight,
                         const int64_t (&stride)[4], void* packed, ParallelFor pool);

struct AffineActConvArguments {
  ElementType type;  // of input, bias and output
  Convolution shape;
  int64_t images;
  FeatureMap input;
  AffineAct affine;  // kNone, kLeakyRelu or kRelu
  PackedWeight weight;
  const void* bias;  // [out_channels] or nullptr
  // Outputs.
  void* output;  // dense NHWC
  // Of the stored output less bias, per channel, in the compute type; nullptr if not wanted.
  void* mean;  // [out_channels]
  void* var;   // [out_channels], biased
};

void affine_act_conv(const AffineActConvArguments& arguments, ParallelFor pool);

// The gradient that reaches a convolution's output, formed as it is read:
// dy = grad_output + grad_mean / count + 2 grad_var (output - bias - mean) / count. What is absent is zero;
// output, mean and bias are read only with grad_var.
struct OutputGradient {
  FeatureMap grad_output;
  const void* grad_mean;  // [C], this and the next two in the compute type
  const void* grad_var;   // [C]
  const void* mean;       // [C]
  FeatureMap output;
  const void* bias;  // [C] in the stored type, or nullptr
  int64_t count;     // N * H * W of output
};

struct AffineActConvInputGradArguments {
  ElementType type;
  Convolution shape;  // of the gradient: the forward pass's backward()
  int64_t images;
  OutputGradient gradient;
  PackedWeight weight;  // packed for `shape`
  FeatureMap input;     // of the forward pass; read for an activation and for d_scale only
  AffineAct affine;
  // Outputs, nullptr where not wanted.
  void* d_input;  // dense NHWC
  void* d_scale;  // in the compute type, in the shape of affine.scale
  void* d_shift;  // ... of affine.shift
};

void affine_act_conv_input_grad(const AffineActConvInputGradArguments& arguments, ParallelFor pool);

struct AffineActConvWeightGradArguments {
  ElementType type;
  Convolution shape;  // of the forward pass
  int64_t images;
  OutputGradient gradient;
  FeatureMap input;
  AffineAct affine;
  void* d_weight;  // contiguous, in the layout of the weight: [out, in, kH, kW], transposed [in, out, kH, kW]
};

void affine_act_conv_weight_grad(const AffineActConvWeightGradArguments& arguments, ParallelFor pool);

// The arguments of pack_weight.
struct PackWeightArguments {
  Convolution shape;
  ElementType type;
  const void* weight;
  int64_t stride[4];
  void* packed;
};

bool pack_weight_default(const PackWeightArguments& arguments, ParallelFor pool);  // these return `finite`
bool pack_weight_avx2(const PackWeightArguments& arguments, ParallelFor pool);
bool pack_weight_avx512(const PackWeightArguments& arguments, ParallelFor pool);
void affine_act_conv_default(const AffineActConvArguments& arguments, ParallelFor pool);
void affine_act_conv_avx2(const AffineActConvArguments& arguments, ParallelFor pool);
void affine_act_conv_avx512(const AffineActConvArguments& arguments, ParallelFor pool);
void affine_act_conv_input_grad_default(const AffineActConvInputGradArguments& arguments, ParallelFor pool);
void affine_act_conv_input_grad_avx2(const AffineActConvInputGradArguments& arguments, ParallelFor pool);
void affine_act_conv_input_grad_avx512(const AffineActConvInputGradArguments& arguments, ParallelFor pool);
void affine_act_conv_weight_grad_default(const AffineActConvWeightGradArguments& arguments, ParallelFor pool);
void affine_act_conv_weight_grad_avx2(const AffineActConvWeightGradArguments& arguments, ParallelFor pool);
void affine_act_conv_weight_grad_avx512(const AffineActConvWeightGradArguments& arguments, ParallelFor pool);

}  // namespace fastgan::cpu
