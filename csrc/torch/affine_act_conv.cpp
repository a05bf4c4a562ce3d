// affine_act_conv and its gradients for torch through the stable ABI: checks of memory facts, allocation.
#include "cpu/affine_act_conv.h"

#include <torch/csrc/stable/library.h>

#include <tuple>
#include <vector>

#include "torch/convolution.h"
#include "torch/tensors.h"

namespace {

using namespace fastgan;
using Three = std::tuple<Tensor, Tensor, Tensor>;

constexpr const char* kOp = "affine_act_conv";

// `weight` packed for a convolution of `shape`; which of its first two dimensions is the output's is told by
// `out_dimension`.
struct Packed {
  Packed(const Convolution& shape, const Tensor& weight, int64_t out_dimension)
      : memory(torch::stable::new_empty(weight, {cpu::packed_weight_size(shape)},
                                        std::make_optional(wide_type(weight)))) {
    const int64_t stride[4] = {weight.stride(out_dimension), weight.stride(1 - out_dimension),
                               weight.stride(2), weight.stride(3)};
    view = cpu::pack_weight(shape, element_type(weight, kOp), weight.const_data_ptr(), stride,
                            memory.mutable_data_ptr(), &torch_pool);
  }
  Tensor memory;
  cpu::PackedWeight view;
};

Three affine_act_conv(Tensor input, Tensor weight, std::optional<Tensor> bias, std::optional<Tensor> scale,
                      std::optional<Tensor> shift, int64_t activation, double negative_slope, Sizes stride,
                      Sizes padding, Sizes output_size, bool transposed, bool statistics) {
  const Sizes kernel = image_size(weight, kOp), in_size = image_size(input, kOp);
  const int64_t images = input.size(0), in_channels = input.size(1), out_channels = weight.size(transposed);
  const auto type = input.scalar_type();
  STD_TORCH_CHECK(weight.size(!transposed) == in_channels, kOp,
                  ": weight does not match the input's channels");
  check_device(weight, input, kOp, "weight");
  check_type(weight, type, kOp, "weight");
  check_vector(bias, out_channels, type, input, kOp, "bias");
  const AffineTensors affine(input, images, in_channels, scale, shift, activation, negative_slope, kOp);
  const std::optional<Tensor> dense_bias = dense(bias);

  const Convolution shape =
      geometry(in_channels, out_channels, in_size, output_size, kernel, stride, padding, transposed, kOp);
  Tensor output = empty_map(input, type, images, out_channels, output_size[0], output_size[1]);
  const auto vector = [&] {
    return torch::stable::new_empty(input, {statistics ? out_channels : 0},
                                    std::make_optional(wide_type(input)));
  };
  Tensor mean = vector(), var = vector();
  const Packed packed(shape, weight, transposed);
  cpu::AffineActConvArguments a{};
  a.type = element_type(input, kOp);
  a.shape = shape;
  a.images = images;
  a.input = feature_map(input);
  a.affine = affine.view();
  a.weight = packed.view;
  a.bias = data(dense_bias);
  a.output = output.mutable_data_ptr();
  a.mean = statistics ? mean.mutable_data_ptr() : nullptr;
  a.var = statistics ? var.mutable_data_ptr() : nullptr;
  cpu::affine_act_conv(a, &torch_pool);
  return {output, mean, var};
}

// dy of a forward pass, from the tensors that are there; what it points to is kept here.
struct Gradient {
  Gradient(const std::optional<Tensor>& grad_output, const std::optional<Tensor>& grad_mean,
           const std::optional<Tensor>& grad_var, const std::optional<Tensor>& output,
           const std::optional<Tensor>& mean, const std::optional<Tensor>& bias)
      : map(first_of(grad_output, output)),
        grad_mean(dense(grad_mean)),
        grad_var(dense(grad_var)),
        mean(dense(mean)),
        bias(dense(bias)) {
    check_device(output, map, kOp, "output");
    size = image_size(map, kOp);
    images = map.size(0);
    channels = map.size(1);
    const auto type = map.scalar_type();
    if (grad_var.has_value()) {
      STD_TORCH_CHECK(output.has_value() && mean.has_value(), kOp, ": grad_var needs output and mean");
      check_type(output, type, kOp, "output");
      STD_TORCH_CHECK(
          image_size(*output, kOp) == size && output->size(0) == images && output->size(1) == channels, kOp,
          ": output must have the shape of grad_output");
      check_vector(mean, channels, wide_type(map), map, kOp, "mean");
      check_vector(bias, channels, type, map, kOp, "bias");
    }
    check_vector(grad_mean, channels, wide_type(map), map, kOp, "grad_mean");
    check_vector(grad_var, channels, wide_type(map), map, kOp, "grad_var");
    view.grad_output = feature_map(grad_output);
    view.grad_mean = data(this->grad_mean);
    view.grad_var = data(this->grad_var);
    view.mean = data(this->mean);
    view.output = feature_map(output);
    view.bias = data(this->bias);
    view.count = images * size[0] * size[1];
  }

  Tensor map;  // the one of grad_output and output that is there, on whose device all tensors must be
  std::optional<Tensor> grad_mean, grad_var, mean, bias;
  Sizes size;
  int64_t images = 0, channels = 0;
  cpu::OutputGradient view{};

 private:
  static Tensor first_of(const std::optional<Tensor>& grad_output, const std::optional<Tensor>& output) {
    STD_TORCH_CHECK(grad_output.has_value() || output.has_value(), kOp,
                    ": one of grad_output and output must be given");
    return grad_output.has_value() ? *grad_output : *output;
  }
};

Three affine_act_conv_input_grad(std::optional<Tensor> grad_output, std::optional<Tensor> grad_mean,
                                 std::optional<Tensor> grad_var, std::optional<Tensor> output,
                                 std::optional<Tensor> mean, std::optional<Tensor> bias, Tensor weight,
                                 std::optional<Tensor> input, std::optional<Tensor> scale,
                                 std::optional<Tensor> shift, int64_t activation, double negative_slope,
                                 Sizes stride, Sizes padding, Sizes input_size, bool transposed,
                                 bool need_input, bool need_scale, bool need_shift) {
  const Gradient gradient(grad_output, grad_mean, grad_var, output, mean, bias);
  const Sizes kernel = image_size(weight, kOp);
  const int64_t images = gradient.images, channels = weight.size(!transposed);
  STD_TORCH_CHECK(weight.size(transposed) == gradient.channels, kOp,
                  ": weight does not match the output's channels");
  check_device(weight, gradient.map, kOp, "weight");
  check_device(input, gradient.map, kOp, "input");
  check_type(grad_output, weight.scalar_type(), kOp, "grad_output");
  check_type(output, weight.scalar_type(), kOp, "output");
  check_type(input, weight.scalar_type(), kOp, "input");
  const AffineTensors affine(weight, images, channels, scale, shift, activation, negative_slope, kOp);
  STD_TORCH_CHECK(input.has_value() || !(activation != 0 || need_scale), kOp,
                  ": an activation and d_scale need input");
  STD_TORCH_CHECK((!need_scale || scale.has_value()) && (!need_shift || shift.has_value()), kOp,
                  ": there is no gradient for a scale or shift that is absent");
  STD_TORCH_CHECK(!input.has_value() || (image_size(*input, kOp) == input_size && input->size(0) == images &&
                                         input->size(1) == channels),
                  kOp, ": input must have the shape of its gradient");

  const Convolution shape = geometry(channels, gradient.channels, input_size, gradient.size, kernel, stride,
                                     padding, transposed, kOp)
                                .backward();
  Tensor d_input =
      need_input ? empty_map(weight, weight.scalar_type(), images, channels, input_size[0], input_size[1])
                 : absent(weight);
  const auto rows = [&](bool needed, const std::optional<Tensor>& like) {
    return needed ? torch::stable::new_empty(*like, like->sizes()) : absent(weight);
  };
  Tensor d_scale = rows(need_scale, scale), d_shift = rows(need_shift, shift);
  const Packed packed(shape, weight, !transposed);
  cpu::AffineActConvInputGradArguments a{};
  a.type = element_type(weight, kOp);
  a.shape = shape;
  a.images = images;
  a.gradient = gradient.view;
  a.weight = packed.view;
  a.input = feature_map(input);
  a.affine = affine.view();
  a.d_input = need_input ? d_input.mutable_data_ptr() : nullptr;
  a.d_scale = need_scale ? d_scale.mutable_data_ptr() : nullptr;
  a.d_shift = need_shift ? d_shift.mutable_data_ptr() : nullptr;
  cpu::affine_act_conv_input_grad(a, &torch_pool);
  return {d_input, d_scale, d_shift};
}

Tensor affine_act_conv_weight_grad(std::optional<Tensor> grad_output, std::optional<Tensor> grad_mean,
                                   std::optional<Tensor> grad_var, std::optional<Tensor> output,
                                   std::optional<Tensor> mean, std::optional<Tensor> bias, Tensor input,
                                   std::optional<Tensor> scale, std::optional<Tensor> shift,
                                   int64_t activation, double negative_slope, Sizes stride, Sizes padding,
                                   Sizes kernel_size, bool transposed) {
  const Gradient gradient(grad_output, grad_mean, grad_var, output, mean, bias);
  const int64_t images = gradient.images, channels = input.size(1);
  STD_TORCH_CHECK(input.size(0) == images, kOp, ": input must have as many images as grad_output");
  check_device(input, gradient.map, kOp, "input");
  check_type(grad_output, input.scalar_type(), kOp, "grad_output");
  check_type(output, input.scalar_type(), kOp, "output");
  const AffineTensors affine(input, images, channels, scale, shift, activation, negative_slope, kOp);
  const Convolution shape = geometry(channels, gradient.channels, image_size(input, kOp), gradient.size,
                                     kernel_size, stride, padding, transposed, kOp);
  const int64_t small = transposed ? channels : gradient.channels,
                large = transposed ? gradient.channels : channels;
  Tensor d_weight = torch::stable::new_empty(input, {small, large, kernel_size[0], kernel_size[1]});
  cpu::AffineActConvWeightGradArguments a{};
  a.type = element_type(input, kOp);
  a.shape = shape;
  a.images = images;
  a.gradient = gradient.view;
  a.input = feature_map(input);
  a.affine = affine.view();
  a.d_weight = d_weight.mutable_data_ptr();
  cpu::affine_act_conv_weight_grad(a, &torch_pool);
  return d_weight;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(fastgan_C, m) {
  m.def(
      "affine_act_conv(Tensor input, Tensor weight, Tensor? bias, Tensor? scale, Tensor? shift, int "
      "activation, "
      "float negative_slope, int[] stride, int[] padding, int[] output_size, bool transposed, bool "
      "statistics) "
      "-> (Tensor, Tensor, Tensor)");
  m.def(
      "affine_act_conv_input_grad(Tensor? grad_output, Tensor? grad_mean, Tensor? grad_var, Tensor? output, "
      "Tensor? mean, Tensor? bias, Tensor weight, Tensor? input, Tensor? scale, Tensor? shift, int "
      "activation, "
      "float negative_slope, int[] stride, int[] padding, int[] input_size, bool transposed, bool "
      "need_input, "
      "bool need_scale, bool need_shift) -> (Tensor, Tensor, Tensor)");
  m.def(
      "affine_act_conv_weight_grad(Tensor? grad_output, Tensor? grad_mean, Tensor? grad_var, Tensor? output, "
      "Tensor? mean, Tensor? bias, Tensor input, Tensor? scale, Tensor? shift, int activation, float "
      "negative_slope, int[] stride, int[] padding, int[] kernel_size, bool transposed) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(fastgan_C, CPU, m) {
  m.impl("affine_act_conv", TORCH_BOX(&affine_act_conv));
  m.impl("affine_act_conv_input_grad", TORCH_BOX(&affine_act_conv_input_grad));
  m.impl("affine_act_conv_weight_grad", TORCH_BOX(&affine_act_conv_weight_grad));
}
