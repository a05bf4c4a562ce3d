// What a call of a CUDA launcher needs of torch: the tensor's device made current, its stream, and words for
// errors.
#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#ifndef FASTGAN_CUDA_ON_HOST
#include <torch/csrc/stable/accelerator.h>

#include "torch/cuda_stream.h"
#include "torch/tensors.h"
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
  explicit CudaCall(const torch::stable::Tensor& x) : device_(index_of(x)), guard_(device_) {}
  void* stream() const { return current_cuda_stream(device_); }

 private:
  // Torch takes the CUDA half of an operator for any tensor that is on CUDA, which may be another one.
  static int32_t index_of(const torch::stable::Tensor& x) {
    STD_TORCH_CHECK(x.is_cuda(), "the first tensor of a CUDA operator must be on a CUDA device, got one on ",
                    device_name(x));
    return x.get_device_index();
  }

  int32_t device_;
  torch::stable::accelerator::DeviceGuard guard_;
};
#endif

}  // namespace fastgan
