// One convolution with everything that goes in, run forward and backward against the definition.
#pragma once

#include <string>

#include "common/convolution.h"
#include "definition.h"
#include "layouts.h"

namespace fastgan::test {

// Numbers for which no algorithm may take a short cut.
enum class Special {
  kNone,
  kInput,     // infinities and NaN among the inputs,
  kWeight,    // the weights,
  kScale,     // the scales,
  kGradient,  // and the gradients
  kHuge,  // numbers of opposite sign whose differences overflow, with weights for which the results do not
};

struct ConvolutionCase {
  Convolution shape;
  int64_t images = 1;
  ElementType type = ElementType::kFloat;
  Layout layout = Layout::kPixels;
  Activation activation = Activation::kNone;
  int64_t scale_rows = 0, shift_rows = 0;  // 0, 1 or images
  bool bias = false, statistics = false;
  bool grad_output = true, grad_mean = false, grad_var = false;
  bool weight_by_pixel = false;  // its memory in the order [.., kH, kW, ..]
  Special special = Special::kNone;

  std::string name() const;
};

void check_convolution(const ConvolutionCase& one);

// The shape with the output size that belongs to it.
Convolution convolution(bool transposed, int64_t in_channels, int64_t out_channels, int64_t height,
                        int64_t width, int64_t kernel, int64_t stride, int64_t padding,
                        int64_t output_padding = 0);

}  // namespace fastgan::test
