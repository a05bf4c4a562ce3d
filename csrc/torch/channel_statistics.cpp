// channel_statistics and its gradient for torch through the stable ABI: checks of memory facts, allocation.
#include "cpu/channel_statistics.h"

#include <torch/csrc/stable/library.h>

#include <tuple>

#include "torch/dense_map.h"
#include "torch/tensors.h"

namespace {

using namespace fastgan;

constexpr const char* kOp = "channel_statistics";

std::tuple<Tensor, Tensor> channel_statistics(Tensor output, std::optional<Tensor> bias) {
  const DenseMap map(output, kOp);
  check_vector(bias, map.shape.channels, output.scalar_type(), output, kOp, "bias");
  const std::optional<Tensor> dense_bias = dense(bias);
  const auto vector = [&] {
    return torch::stable::new_empty(output, {map.shape.channels}, std::make_optional(wide_type(output)));
  };
  Tensor mean = vector(), var = vector();
  cpu::ChannelStatisticsArguments a{};
  a.type = element_type(output, kOp);
  a.shape = map.shape;
  a.output = map.tensor.const_data_ptr();
  a.bias = data(dense_bias);
  a.mean = mean.mutable_data_ptr();
  a.var = var.mutable_data_ptr();
  cpu::channel_statistics(a, &torch_pool);
  return {mean, var};
}

Tensor channel_statistics_backward(std::optional<Tensor> grad_output, std::optional<Tensor> grad_mean,
                                   std::optional<Tensor> grad_var, std::optional<Tensor> output,
                                   std::optional<Tensor> mean, std::optional<Tensor> bias) {
  STD_TORCH_CHECK(grad_output.has_value() || output.has_value(), kOp,
                  ": one of grad_output and output must be given");
  STD_TORCH_CHECK(!grad_var.has_value() || (output.has_value() && mean.has_value()), kOp,
                  ": grad_var needs output and mean");
  // The layout is that of output, a dense feature map, where it is there: grad_output may be expanded.
  const Tensor& like = output.has_value() ? *output : *grad_output;
  const DenseMap map(like, kOp);
  const ScalarType wide = wide_type(like);
  check_vector(grad_mean, map.shape.channels, wide, like, kOp, "grad_mean");
  check_vector(grad_var, map.shape.channels, wide, like, kOp, "grad_var");
  check_vector(mean, map.shape.channels, wide, like, kOp, "mean");
  check_vector(bias, map.shape.channels, like.scalar_type(), like, kOp, "bias");
  std::optional<Tensor> dense_grad;
  if (grad_output.has_value()) dense_grad = map.like(*grad_output, kOp, "grad_output");
  const auto by_mean = dense(grad_mean), by_var = dense(grad_var), means = dense(mean), biases = dense(bias);
  Tensor d_output = map.empty();
  cpu::ChannelStatisticsBackwardArguments a{};
  a.type = element_type(like, kOp);
  a.shape = map.shape;
  a.grad_output = data(dense_grad);
  a.grad_mean = data(by_mean);
  a.grad_var = data(by_var);
  a.mean = data(means);
  a.output = map.tensor.const_data_ptr();
  a.bias = data(biases);
  a.d_output = d_output.mutable_data_ptr();
  cpu::channel_statistics_backward(a, &torch_pool);
  return d_output;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(fastgan_C, m) {
  m.def("channel_statistics(Tensor output, Tensor? bias) -> (Tensor, Tensor)");
  m.def(
      "channel_statistics_backward(Tensor? grad_output, Tensor? grad_mean, Tensor? grad_var, Tensor? output, "
      "Tensor? mean, Tensor? bias) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(fastgan_C, CPU, m) {
  m.impl("channel_statistics", TORCH_BOX(&channel_statistics));
  m.impl("channel_statistics_backward", TORCH_BOX(&channel_statistics_backward));
}
