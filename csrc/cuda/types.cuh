// The types that numbers are stored and computed in, as kernels have them.
#pragma once

#include "common/element_type.h"
#include "cuda/device.cuh"

namespace fastgan::cuda {

// Calls f(Types<In, T>()) for the stored type: In as stored, T as computed and as statistics are kept.
template <class F>
void with_stored_types(ElementType type, const F& f) {
  switch (type) {
    case ElementType::kFloat:
      return f(Types<float, float>());
    case ElementType::kDouble:
      return f(Types<double, double>());
    case ElementType::kHalf:
      return f(Types<Half, float>());
    case ElementType::kBFloat16:
      return f(Types<BFloat16, float>());
  }
}

}  // namespace fastgan::cuda
