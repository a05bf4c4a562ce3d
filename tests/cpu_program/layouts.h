// Feature maps in the memory layouts that callers bring.
#pragma once

#include "common/element_type.h"
#include "cpu/tensor_view.h"
#include "tensors.h"

namespace fastgan::test {

// The last two have numbers between theirs that are nobody's business.
enum class Layout { kPixels, kPlanes, kWidePixels, kWidePlanes };
constexpr Layout kLayouts[] = {Layout::kPixels, Layout::kPlanes, Layout::kWidePixels, Layout::kWidePlanes};

// Maps as they lie in memory, and where.
struct StoredMaps {
  Stored memory;
  int64_t stride[4] = {};  // N, C, H, W, in elements

  cpu::FeatureMap view(Tensors& tensors, const char* name) const {
    return {tensors.optional_input(name, memory), {stride[0], stride[1], stride[2], stride[3]}};
  }
};

// `maps` [N, H, W, C] in `layout`, without a number after the last one; NaN between them.
inline StoredMaps stored_maps(ElementType type, const Numbers& maps, int64_t channels,
                              const int64_t (&size)[2], Layout layout) {
  if (maps.empty()) return {};
  const int64_t extra = layout == Layout::kWidePixels || layout == Layout::kWidePlanes ? 3 : 0;
  StoredMaps result;
  auto& stride = result.stride;
  if (layout == Layout::kPixels || layout == Layout::kWidePixels) {
    stride[1] = 1, stride[3] = channels + extra, stride[2] = size[1] * stride[3] + extra;
    stride[0] = size[0] * stride[2];
  } else {
    stride[3] = 1, stride[2] = size[1] + extra, stride[1] = size[0] * stride[2] + extra;
    stride[0] = channels * stride[1];
  }
  const auto images = static_cast<int64_t>(maps.size()) / (size[0] * size[1] * channels);
  const int64_t last = (images - 1) * stride[0] + (channels - 1) * stride[1] + (size[0] - 1) * stride[2] +
                       (size[1] - 1) * stride[3];
  Numbers memory(static_cast<size_t>(last + 1), NAN);
  const double* from = maps.data();
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t y = 0; y < size[0]; ++y) {
      for (int64_t x = 0; x < size[1]; ++x) {
        double* const pixel = memory.data() + n * stride[0] + y * stride[2] + x * stride[3];
        for (int64_t c = 0; c < channels; ++c) pixel[c * stride[1]] = *from++;
      }
    }
  }
  result.memory = stored(type, memory);
  return result;
}

}  // namespace fastgan::test
