// Feature maps for passes over every element: a tensor [N, C, ...] as one dense block of memory.
#pragma once

#include "common/map_shape.h"
#include "torch/tensors.h"

namespace fastgan {

// True if x is dense with channels innermost, and not contiguous as well.
inline bool channels_last(const Tensor& x) {
  if (x.dim() != 4 || x.is_contiguous()) return false;
  int64_t expected = 1;
  for (const int64_t dimension : {1, 3, 2, 0}) {
    if (x.size(dimension) != 1 && x.stride(dimension) != expected) return false;
    expected *= x.size(dimension);
  }
  return true;
}

// A map in channels_last memory as it is, in contiguous memory otherwise; in the layout of `like` if given.
struct DenseMap {
  DenseMap(const Tensor& x, const char* op, const Tensor* like = nullptr)
      : last(channels_last(like == nullptr ? x : *like)), tensor(in_layout(x)) {
    STD_TORCH_CHECK(x.dim() >= 2, op, ": a feature map must be [N, C, ...]");
    shape.images = x.size(0);
    shape.channels = x.size(1);
    shape.pixels = 1;
    for (int64_t i = 2; i < x.dim(); ++i) shape.pixels *= x.size(i);
    // A map of single pixels is the same in both layouts, and its channels are better taken as neighbours.
    shape.channels_last = last || shape.pixels == 1;
  }

  // Another tensor in the same layout.
  Tensor like(const Tensor& x, const char* op, const char* name) const {
    check_device(x, tensor, op, name);
    bool same = x.dim() == tensor.dim() && x.scalar_type() == tensor.scalar_type();
    for (int64_t i = 0; same && i < x.dim(); ++i) same = x.size(i) == tensor.size(i);
    STD_TORCH_CHECK(same, op, ": ", name, " must have the shape and dtype of the other feature map");
    return in_layout(x);
  }

  // Fresh memory of this layout.
  Tensor empty() const { return torch::stable::empty_like(tensor); }

  bool last;
  Tensor tensor;
  MapShape shape{};

 private:
  Tensor in_layout(const Tensor& x) const {
    return torch::stable::contiguous(x, last ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous);
  }
};

}  // namespace fastgan
