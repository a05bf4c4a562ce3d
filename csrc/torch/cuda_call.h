// What a call of a CUDA launcher needs of torch: the tensor's device made current, its stream, and words for
// errors.
#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#ifndef FASTGAN_CUDA_ON_HOST
#include <torch/csrc/stable/accelerator.h>

#include "torch/cuda_stream.h"
#endif

namespace fastgan {

// failure: what a launcher returned, a sentence of its own or nullptr.
inline void check_launch(const char* failure) {
  STD_TORCH_CHECK(failure == nullptr, failure == nullptr ? "" : failure);
}

// For as long as it lives, allocations and launches are for the device of `x`.
#ifdef FASTGAN_CUDA_ON_HOST
class CudaCall {
 public:
  explicit CudaCall(const torch::stable::Tensor&) {}
  void* stream() const { return nullptr; }
};
#else
class CudaCall {
 public:
  explicit CudaCall(const torch::stable::Tensor& x)
      : device_(x.get_device_index()), guard_(x.get_device_index()) {}
  void* stream() const { return current_cuda_stream(device_); }

 private:
  int32_t device_;
  torch::stable::accelerator::DeviceGuard guard_;
};
#endif

}  // namespace fastgan
