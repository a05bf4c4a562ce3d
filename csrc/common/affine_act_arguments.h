// affine_act and its gradients: the plain structs that every backend of the op takes.
#pragma once

#include <cstdint>

#include "common/affine_act.h"
#include "common/element_type.h"
#include "common/map_shape.h"

namespace fastgan {

// scale or shift in the compute type: [1, C] (row_stride 0) or [N, C] (row_stride C); nullptr for none.
struct Rows {
  const void* data = nullptr;
  int64_t row_stride = 0;
};

struct AffineAct {
  Rows scale, shift;
  Activation activation = Activation::kNone;
  double negative_slope = 1.0;
};

struct AffineActArguments {
  ElementType type;
  MapShape shape;
  const void* input;
  AffineAct affine;
  bool pixels;   // output is uint8 pixels in NHWC memory, whatever the layout of input
  void* output;  // else as input
};

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

}  // namespace fastgan
