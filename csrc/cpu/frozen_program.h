// The program of a frozen generator made steps: checked against its numbers, so that no step reaches outside
// them. Knows neither torch nor files; both come to it with programs that nobody vouches for.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "cpu/frozen_generator.h"

namespace fastgan::cpu {

// Integers that a step takes in a program, as encode() of fastgan/reference/frozen_generator.py writes them.
constexpr int64_t kFrozenStepWidth = 16;

// Numbers of a row at most: far beyond any image, and far from where sizes of memory overflow.
constexpr int64_t kLargestRow = int64_t{1} << 28;

// A program that does not fit its numbers, or itself: half a sentence that says where and what.
class FrozenProgramError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Dense numbers on the CPU that steps refer to: floats or indices, the other nullptr.
struct FrozenNumbers {
  const float* floats;
  const int64_t* indices;
  int64_t count;
};

struct FrozenProgram {
  const std::vector<int64_t>* steps;          // kFrozenStepWidth each
  const std::vector<double>* slopes;          // one a step
  const std::vector<FrozenNumbers>* tensors;  // by the places that steps name
  const std::vector<FrozenNumbers>* packed;   // the convolutions' in their order, from pack_frozen_weight
  int64_t latent_size;
  int64_t classes;   // of every table read by label
  int64_t image[3];  // channels, height, width
};

// The steps, which point into the program's numbers. Throws FrozenProgramError.
std::vector<FrozenStep> frozen_steps(const FrozenProgram& program);

// The place of the first label that no table has, -1 if all are good.
int64_t first_bad_label(const int64_t* labels, int64_t images, int64_t classes);

// What a step of kind kConvolution says. Throws FrozenProgramError.
Convolution frozen_convolution(const int64_t* step);

// The sizes of its weight: [out, in, kH, kW], transposed [in, out, kH, kW].
struct FrozenWeightSizes {
  int64_t size[4];
};
FrozenWeightSizes frozen_weight_sizes(const Convolution& shape);

// packed_weight_size(shape) numbers and, behind them, 1 if all of them are finite, else 0. stride: of the
// weight's four dimensions, in elements.
void pack_frozen_weight(const Convolution& shape, const float* weight, const int64_t (&stride)[4],
                        float* packed, ParallelFor pool);

}  // namespace fastgan::cpu
