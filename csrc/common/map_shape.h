// Dense feature maps [N, C, ...] as passes over every element see them.
#pragma once

#include <cstdint>

namespace fastgan {

// In memory [N, pixels, C] where channels_last, else [N, C, pixels].
struct MapShape {
  int64_t images, channels, pixels;
  bool channels_last;

  int64_t size() const { return images * channels * pixels; }
};

}  // namespace fastgan
