// affine_act and its gradients on the CPU: one pass over dense feature maps.
#pragma once

#include "common/element_type.h"
#include "cpu/map_tiles.h"
#include "cpu/parallel.h"
#include "cpu/tensor_view.h"

namespace fastgan::cpu {

struct AffineActArguments {
  ElementType type;
  MapShape shape;
  const void* input;
  AffineAct affine;
  bool pixels;   // output is uint8 pixels in NHWC memory, whatever the layout of input
  void* output;  // else as input
};

void affine_act(const AffineActArguments& arguments, ParallelFor pool);

struct AffineActBackwardArguments {
  ElementType type;
  MapShape shape;  // of grad_output, input and d_input alike
  const void* grad_output;
  const void* input;  // read for an activation and for d_scale only
  AffineAct affine;
  // Outputs, nullptr where not wanted.
  void* d_input;
  void* d_scale;  // in the compute type, in the shape of affine.scale
  void* d_shift;  // ... of affine.shift
};

void affine_act_backward(const AffineActBackwardArguments& arguments, ParallelFor pool);

void affine_act_default(const AffineActArguments& arguments, ParallelFor pool);
void affine_act_avx2(const AffineActArguments& arguments, ParallelFor pool);
void affine_act_avx512(const AffineActArguments& arguments, ParallelFor pool);
void affine_act_backward_default(const AffineActBackwardArguments& arguments, ParallelFor pool);
void affine_act_backward_avx2(const AffineActBackwardArguments& arguments, ParallelFor pool);
void affine_act_backward_avx512(const AffineActBackwardArguments& arguments, ParallelFor pool);

}  // namespace fastgan::cpu
