// The program of a frozen generator made steps of the CPU (common/frozen_program.h): numbers that it can
// read, and weights as its kernels want them.
#pragma once

#include <cstdint>
#include <vector>

#include "common/frozen_program.h"
#include "cpu/frozen_generator.h"

namespace fastgan::cpu {

using fastgan::frozen_convolution;
using fastgan::frozen_weight_sizes;
using fastgan::FrozenNumbers;
using fastgan::FrozenProgram;
using fastgan::FrozenProgramError;
using fastgan::FrozenWeightSizes;
using fastgan::kFrozenStepWidth;
using fastgan::kLargestRow;

// The steps, which point into the program's numbers; packed weights are those of pack_frozen_weight. Throws
// FrozenProgramError.
std::vector<FrozenStep> frozen_steps(const FrozenProgram& program);

// The place of the first label that no table has, -1 if all are good.
int64_t first_bad_label(const int64_t* labels, int64_t images, int64_t classes);

// packed_weight_size(shape) numbers and, behind them, 1 if all of them are finite, else 0. stride: of the
// weight's four dimensions, in elements.
void pack_frozen_weight(const Convolution& shape, const float* weight, const int64_t (&stride)[4],
                        float* packed, ParallelFor pool);

}  // namespace fastgan::cpu
