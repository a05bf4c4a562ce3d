// What the bindings of all operators share: dtypes, threads, memory facts, allocation, through the stable
// ABI.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/MemoryFormat.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <optional>
#include <string>

#include "common/element_type.h"
#include "cpu/parallel.h"
#include "cpu/tensor_view.h"

namespace fastgan {

using torch::headeronly::MemoryFormat;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

inline ElementType element_type(const Tensor& x, const char* op) {
  switch (x.scalar_type()) {
    case ScalarType::Float:
      return ElementType::kFloat;
    case ScalarType::Double:
      return ElementType::kDouble;
    case ScalarType::Half:
      return ElementType::kHalf;
    case ScalarType::BFloat16:
      return ElementType::kBFloat16;
    default:
      STD_TORCH_CHECK(false, op, ": tensors must be float32, float64, float16 or bfloat16");
  }
}

// The dtype of statistics, scale and shift that goes with x.
inline ScalarType wide_type(const Tensor& x) {
  return x.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

inline void torch_pool(int64_t count, int64_t grain, cpu::RangeBody body, void* context) {
  torch::stable::parallel_for(0, count, grain,
                              [=](int64_t begin, int64_t end) { body(begin, end, context); });
}

inline Tensor dense(const Tensor& x) { return x.is_contiguous() ? x : torch::stable::contiguous(x); }

inline std::optional<Tensor> dense(const std::optional<Tensor>& x) {
  return x.has_value() ? std::optional<Tensor>(dense(*x)) : std::nullopt;
}

inline const void* data(const std::optional<Tensor>& x) {
  return x.has_value() ? x->const_data_ptr() : nullptr;
}

// A result that is not wanted.
inline Tensor absent(const Tensor& like) { return torch::stable::new_empty(like, {0}); }

// [N, C, H, W] in channels_last memory, on the device of `like`.
inline Tensor empty_map(const Tensor& like, ScalarType type, int64_t images, int64_t channels, int64_t height,
                        int64_t width) {
  return torch::stable::empty({images, channels, height, width}, type, std::nullopt, like.device(),
                              std::nullopt, MemoryFormat::ChannelsLast);
}

inline bool same_device(const Tensor& x, const Tensor& like) {
  return x.device().type() == like.device().type() && x.get_device_index() == like.get_device_index();
}

inline std::string device_name(const Tensor& x) {
  switch (x.device().type()) {
    case torch::headeronly::DeviceType::CPU:
      return "cpu";
    case torch::headeronly::DeviceType::CUDA:
      return "cuda:" + std::to_string(x.get_device_index());
    case torch::headeronly::DeviceType::Meta:
      return "meta";
    default:
      return "a device of another kind";
  }
}

// Memory facts: what a kernel relies on, whatever the caller promised.
inline void check_device(const std::optional<Tensor>& x, const Tensor& like, const char* op,
                         const char* name) {
  STD_TORCH_CHECK(!x.has_value() || same_device(*x, like), op, ": ", name, " must be on ", device_name(like),
                  " as the other tensors are, got one on ", device_name(*x));
}

inline void check_type(const std::optional<Tensor>& x, ScalarType type, const char* op, const char* name) {
  STD_TORCH_CHECK(!x.has_value() || x->scalar_type() == type, op, ": ", name, " has the wrong dtype");
}

inline void check_vector(const std::optional<Tensor>& x, int64_t channels, ScalarType type,
                         const Tensor& like, const char* op, const char* name) {
  check_device(x, like, op, name);
  check_type(x, type, op, name);
  STD_TORCH_CHECK(!x.has_value() || (x->dim() == 1 && x->size(0) == channels), op, ": ", name, " must be [",
                  channels, "]");
}

inline cpu::FeatureMap feature_map(const std::optional<Tensor>& x) {
  cpu::FeatureMap map;
  if (!x.has_value()) return map;
  map.data = x->const_data_ptr();
  for (int64_t i = 0; i < 4; ++i) map.stride[i] = x->stride(i);
  return map;
}

// scale and shift of `like` [N, C, ...], made dense; the tensors here keep what `view()` points to.
class AffineTensors {
 public:
  AffineTensors(const Tensor& like, int64_t samples, int64_t channels, const std::optional<Tensor>& scale,
                const std::optional<Tensor>& shift, int64_t activation, double negative_slope, const char* op)
      : scale_(checked(like, samples, channels, scale, op, "scale")),
        shift_(checked(like, samples, channels, shift, op, "shift")),
        activation_(activation),
        negative_slope_(negative_slope) {
    STD_TORCH_CHECK(activation >= 0 && activation <= static_cast<int64_t>(Activation::kTanh), op,
                    ": activation must be 0 to 3, got ", activation);
  }

  AffineAct view() const {
    return {rows(scale_), rows(shift_), static_cast<Activation>(activation_), negative_slope_};
  }

 private:
  static std::optional<Tensor> checked(const Tensor& like, int64_t samples, int64_t channels,
                                       const std::optional<Tensor>& vector, const char* op,
                                       const char* name) {
    check_device(vector, like, op, name);
    check_type(vector, wide_type(like), op, name);
    STD_TORCH_CHECK(!vector.has_value() || (vector->dim() == 2 && vector->size(1) == channels &&
                                            (vector->size(0) == 1 || vector->size(0) == samples)),
                    op, ": ", name, " must be [1 or N, C]");
    return dense(vector);
  }

  static Rows rows(const std::optional<Tensor>& vector) {
    if (!vector.has_value()) return {};
    return {vector->const_data_ptr(), vector->size(0) == 1 ? 0 : vector->size(1)};
  }

  std::optional<Tensor> scale_, shift_;
  int64_t activation_;
  double negative_slope_;
};

}  // namespace fastgan
