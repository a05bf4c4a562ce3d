// The dtypes tensors are stored in, and the type each is computed in.
#pragma once

#include <cstdint>

#include "common/half.h"

namespace fastgan {

enum class ElementType : int { kFloat = 0, kDouble, kHalf, kBFloat16 };

inline int64_t element_bytes(ElementType type) {
  if (type == ElementType::kDouble) return 8;
  return type == ElementType::kFloat ? 4 : 2;
}

// In: as stored; T: as computed and as statistics, scale and shift are kept.
template <class In_, class T_>
struct Types {
  using In = In_;
  using T = T_;
};

// Calls f(Types<In, T>()) for the stored type. CUDA has other types of 16 bits.
template <class Half_ = Half, class BFloat16_ = BFloat16, class F>
void with_types(ElementType type, const F& f) {
  switch (type) {
    case ElementType::kFloat:
      return f(Types<float, float>());
    case ElementType::kDouble:
      return f(Types<double, double>());
    case ElementType::kHalf:
      return f(Types<Half_, float>());
    case ElementType::kBFloat16:
      return f(Types<BFloat16_, float>());
  }
}

}  // namespace fastgan
