// affine_act and its gradients for torch through the stable ABI: checks of memory facts, layouts, allocation.
#include <tuple>

#include "common/affine_act_arguments.h"
#include "torch/dense_map.h"
#include "torch/library.h"
#include "torch/tensors.h"
#ifdef FASTGAN_WITH_CPU
#include "cpu/affine_act.h"
#endif
#ifdef FASTGAN_WITH_CUDA
#include "cuda/affine_act.h"
#include "torch/cuda_call.h"
#endif

namespace {

using namespace fastgan;
using Three = std::tuple<Tensor, Tensor, Tensor>;

constexpr const char* kOp = "affine_act";

#ifdef FASTGAN_WITH_CPU
struct OnCpu {
  explicit OnCpu(const Tensor&) {}
  void run(const AffineActArguments& a) const { cpu::affine_act(a, &torch_pool); }
  void run(const AffineActBackwardArguments& a) const { cpu::affine_act_backward(a, &torch_pool); }
};
#endif

#ifdef FASTGAN_WITH_CUDA
class OnCuda {
 public:
  explicit OnCuda(const Tensor& x) : x_(x), call_(x) {}
  void run(const AffineActArguments& a) const { check_launch(fastgan_cuda_affine_act(&a, call_.stream())); }
  void run(const AffineActBackwardArguments& a) const {
    const Tensor partial = torch::stable::new_empty(x_, {fastgan_cuda_affine_act_partial(&a)},
                                                    std::make_optional(ScalarType::Double));
    check_launch(fastgan_cuda_affine_act_backward(&a, partial.mutable_data_ptr(), call_.stream()));
  }

 private:
  const Tensor& x_;
  CudaCall call_;
};
#endif

template <class Device>
Tensor affine_act(Tensor input, std::optional<Tensor> scale, std::optional<Tensor> shift, int64_t activation,
                  double negative_slope, bool uint8) {
  const Device device(input);
  const DenseMap map(input, kOp);
  STD_TORCH_CHECK(!uint8 || input.dim() == 4, kOp, ": pixels need an input [N, C, H, W]");
  const AffineTensors affine(input, map.shape.images, map.shape.channels, scale, shift, activation,
                             negative_slope, kOp);
  Tensor output =
      uint8 ? empty_map(input, ScalarType::Byte, input.size(0), input.size(1), input.size(2), input.size(3))
            : map.empty();
  AffineActArguments a{};
  a.type = element_type(input, kOp);
  a.shape = map.shape;
  a.input = map.tensor.const_data_ptr();
  a.affine = affine.view();
  a.pixels = uint8;
  a.output = output.mutable_data_ptr();
  device.run(a);
  return output;
}

template <class Device>
Three affine_act_backward(Tensor grad_output, std::optional<Tensor> input, std::optional<Tensor> scale,
                          std::optional<Tensor> shift, int64_t activation, double negative_slope,
                          bool need_input, bool need_scale, bool need_shift) {
  const Device device(grad_output);
  // The layout of what is read most wins: input is a dense feature map, grad_output may be expanded.
  const bool reads_input = activation != 0 || need_scale;
  STD_TORCH_CHECK(input.has_value() || !reads_input, kOp, ": an activation and d_scale need input");
  const DenseMap grad(grad_output, kOp, reads_input ? &*input : nullptr);
  const AffineTensors affine(grad_output, grad.shape.images, grad.shape.channels, scale, shift, activation,
                             negative_slope, kOp);
  STD_TORCH_CHECK((!need_scale || scale.has_value()) && (!need_shift || shift.has_value()), kOp,
                  ": there is no gradient for a scale or shift that is absent");
  std::optional<Tensor> dense_input;
  if (reads_input) dense_input = grad.like(*input, kOp, "input");
  Tensor d_input = need_input ? grad.empty() : absent(grad_output);
  const auto rows = [&](bool needed, const std::optional<Tensor>& like) {
    return needed ? torch::stable::new_empty(*like, like->sizes()) : absent(grad_output);
  };
  Tensor d_scale = rows(need_scale, scale), d_shift = rows(need_shift, shift);
  AffineActBackwardArguments a{};
  a.type = element_type(grad_output, kOp);
  a.shape = grad.shape;
  a.grad_output = grad.tensor.const_data_ptr();
  a.input = data(dense_input);
  a.affine = affine.view();
  a.d_input = need_input ? d_input.mutable_data_ptr() : nullptr;
  a.d_scale = need_scale ? d_scale.mutable_data_ptr() : nullptr;
  a.d_shift = need_shift ? d_shift.mutable_data_ptr() : nullptr;
  device.run(a);
  return {d_input, d_scale, d_shift};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(FASTGAN_LIBRARY, m) {
  m.def(
      "affine_act(Tensor input, Tensor? scale, Tensor? shift, int activation, float negative_slope, bool "
      "uint8) "
      "-> Tensor");
  m.def(
      "affine_act_backward(Tensor grad_output, Tensor? input, Tensor? scale, Tensor? shift, int activation, "
      "float negative_slope, bool need_input, bool need_scale, bool need_shift) -> (Tensor, Tensor, Tensor)");
}

#ifdef FASTGAN_WITH_CPU
STABLE_TORCH_LIBRARY_IMPL(FASTGAN_LIBRARY, CPU, m) {
  m.impl("affine_act", TORCH_BOX(&affine_act<OnCpu>));
  m.impl("affine_act_backward", TORCH_BOX(&affine_act_backward<OnCpu>));
}
#endif

#ifdef FASTGAN_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(FASTGAN_LIBRARY, FASTGAN_CUDA_KEY, m) {
  m.impl("affine_act", TORCH_BOX(&affine_act<OnCuda>));
  m.impl("affine_act_backward", TORCH_BOX(&affine_act_backward<OnCuda>));
}
#endif
