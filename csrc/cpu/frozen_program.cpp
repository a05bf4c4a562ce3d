// The checks of a frozen generator's program against numbers that the CPU can read.
#include "cpu/frozen_program.h"

namespace fastgan::cpu {
namespace {

struct Backend {
  using Weight = PackedWeight;

  // Behind the weight stands whether it is finite.
  int64_t packed_count(const Convolution& shape) const { return packed_weight_size(shape) + 1; }
  PackedWeight weight(const float* packed, int64_t count) const { return {packed, packed[count - 1] != 0}; }
  bool good_index(const int64_t* index, int64_t size) const {
    for (int64_t i = 0; i < size; ++i) {
      if (index[i] < 0 || index[i] >= size) return false;
    }
    return true;
  }
};

}  // namespace

void pack_frozen_weight(const Convolution& shape, const float* weight, const int64_t (&stride)[4],
                        float* packed, ParallelFor pool) {
  const int out = shape.transposed ? 1 : 0;
  const int64_t in_order[4] = {stride[out], stride[1 - out], stride[2], stride[3]};
  const PackedWeight made = pack_weight(shape, ElementType::kFloat, weight, in_order, packed, pool);
  packed[packed_weight_size(shape)] = made.finite ? 1.0f : 0.0f;
}

std::vector<FrozenStep> frozen_steps(const FrozenProgram& program) {
  return fastgan::frozen_steps(program, Backend());
}

int64_t first_bad_label(const int64_t* labels, int64_t images, int64_t classes) {
  for (int64_t i = 0; i < images; ++i) {
    if (labels[i] < 0 || labels[i] >= classes) return i;
  }
  return -1;
}

}  // namespace fastgan::cpu
