// affine_act_conv on CUDA for torch through the stable ABI: checks of memory facts, allocation. Its gradients
// are not the native part's here.
#include <optional>
#include <tuple>

#include "torch/convolution.h"
#include "torch/library.h"
#include "torch/tensors.h"
#ifdef FASTGAN_WITH_CUDA
#include "cuda/affine_act_conv.h"
#include "torch/cuda_call.h"

namespace {

using namespace fastgan;
using Three = std::tuple<Tensor, Tensor, Tensor>;

constexpr const char* kOp = "affine_act_conv";

Tensor bytes(const Tensor& like, int64_t count) {
  return torch::stable::new_empty(like, {count}, std::make_optional(ScalarType::Byte));
}

// weight and bias: of the input's dtype or float32, which counts as rounded to it.
Three affine_act_conv(Tensor input, Tensor weight, std::optional<Tensor> bias, std::optional<Tensor> scale,
                      std::optional<Tensor> shift, int64_t activation, double negative_slope, Sizes stride,
                      Sizes padding, Sizes output_size, bool transposed, bool statistics, bool tf32) {
  const Sizes kernel = image_size(weight, kOp), in_size = image_size(input, kOp);
  const int64_t images = input.size(0), in_channels = input.size(1), out_channels = weight.size(transposed);
  const auto type = input.scalar_type();
  STD_TORCH_CHECK(weight.size(!transposed) == in_channels, kOp,
                  ": weight does not match the input's channels");
  check_device(weight, input, kOp, "weight");
  if (weight.scalar_type() != ScalarType::Float) check_type(weight, type, kOp, "weight");
  if (bias.has_value())
    check_vector(bias, out_channels, bias->scalar_type() == ScalarType::Float ? ScalarType::Float : type,
                 input, kOp, "bias");
  const CudaCall call(input);
  const AffineTensors affine(input, images, in_channels, scale, shift, activation, negative_slope, kOp);
  const std::optional<Tensor> dense_bias = dense(bias);
  const Tensor maps = torch::stable::contiguous(input, MemoryFormat::ChannelsLast);
  Tensor output = empty_map(input, type, images, out_channels, output_size[0], output_size[1]);
  const auto vector = [&] {
    return torch::stable::new_empty(input, {statistics ? out_channels : 0},
                                    std::make_optional(ScalarType::Float));
  };
  Tensor mean = vector(), var = vector();

  cuda::AffineActConvArguments a{};
  a.type = element_type(input, kOp);
  a.precision = tf32 ? cuda::Precision::kTf32 : cuda::Precision::kExact;
  a.shape =
      geometry(in_channels, out_channels, in_size, output_size, kernel, stride, padding, transposed, kOp);
  a.images = images;
  a.input = maps.const_data_ptr();
  const AffineAct view = affine.view();
  a.scale = static_cast<const float*>(view.scale.data);
  a.shift = static_cast<const float*>(view.shift.data);
  a.scale_by_sample = view.scale.row_stride != 0;
  a.shift_by_sample = view.shift.row_stride != 0;
  a.activation = view.activation;
  a.negative_slope = static_cast<float>(view.negative_slope);
  a.bias = data(dense_bias);
  a.bias_type = bias.has_value() ? element_type(*bias, kOp) : a.type;
  a.output = output.mutable_data_ptr();
  a.mean = statistics ? static_cast<float*>(mean.mutable_data_ptr()) : nullptr;
  a.var = statistics ? static_cast<float*>(var.mutable_data_ptr()) : nullptr;
  if (images == 0) return {output, mean, var};

  const int64_t counters = fastgan_cuda_affine_act_conv_counters(&a);
  const Tensor packed = bytes(input, fastgan_cuda_affine_act_conv_packed_bytes(a.type, &a.shape));
  const Tensor scratch = bytes(input, fastgan_cuda_affine_act_conv_workspace(&a));
  const Tensor counted = torch::stable::new_empty(input, {counters}, std::make_optional(ScalarType::Int));
  a.weight = packed.const_data_ptr();
  a.workspace = scratch.mutable_data_ptr();
  a.counters = static_cast<int32_t*>(counted.mutable_data_ptr());
  cuda::AffineActConvPackArguments p{};
  p.type = a.type;
  p.precision = a.precision;
  p.shape = a.shape;
  p.weight_type = element_type(weight, kOp);
  p.weight = weight.const_data_ptr();
  const int64_t out = transposed ? 1 : 0;
  const int64_t strides[4] = {weight.stride(out), weight.stride(1 - out), weight.stride(2), weight.stride(3)};
  std::copy(strides, strides + 4, p.stride);
  p.packed = packed.mutable_data_ptr();
  p.counters = a.counters;
  p.counter_count = counters;
  check_launch(fastgan_cuda_affine_act_conv_pack(&p, call.stream()));
  check_launch(fastgan_cuda_affine_act_conv(&a, call.stream()));
  return {output, mean, var};
}

}  // namespace
#endif

STABLE_TORCH_LIBRARY_FRAGMENT(FASTGAN_LIBRARY, m) {
  m.def(
      "affine_act_conv_cuda(Tensor input, Tensor weight, Tensor? bias, Tensor? scale, Tensor? shift, "
      "int activation, float negative_slope, int[] stride, int[] padding, int[] output_size, bool "
      "transposed, "
      "bool statistics, bool tf32) -> (Tensor, Tensor, Tensor)");
}

#ifdef FASTGAN_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(FASTGAN_LIBRARY, FASTGAN_CUDA_KEY, m) {
  m.impl("affine_act_conv_cuda", TORCH_BOX(&affine_act_conv));
}
#endif
