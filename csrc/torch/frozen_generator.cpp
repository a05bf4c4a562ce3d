// frozen_generator for torch through the stable ABI: tensors as the numbers that its program is checked
// against.
#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "cpu/frozen_program.h"
#include "torch/tensors.h"

namespace {

using namespace fastgan;
using cpu::FrozenNumbers;
using cpu::FrozenStepKind;
using Numbers = std::vector<int64_t>;

constexpr const char* kOp = "frozen_generator";

void check(bool good, const char* what) { STD_TORCH_CHECK(good, kOp, ": ", what); }

// Calls f, whose complaints become those of the operator.
template <class F>
auto checked(const F& f) {
  try {
    return f();
  } catch (const cpu::FrozenProgramError& error) {
    STD_TORCH_CHECK(false, kOp, ": ", error.what());
  }
}

// What a program may refer to: dense float32 and int64 tensors on the CPU; the others have no numbers.
std::vector<FrozenNumbers> numbers_of(const std::vector<Tensor>& tensors) {
  std::vector<FrozenNumbers> all;
  for (const Tensor& x : tensors) {
    const bool dense = x.is_contiguous() && x.is_cpu();
    const void* const data = dense ? x.const_data_ptr() : nullptr;
    const ScalarType type = x.scalar_type();
    all.push_back({type == ScalarType::Float ? static_cast<const float*>(data) : nullptr,
                   type == ScalarType::Long ? static_cast<const int64_t*>(data) : nullptr, x.numel()});
  }
  return all;
}

// The number of classes of a program's tables, 0 if none is read by label.
int64_t classes_of(const Numbers& program) {
  int64_t classes = 0;
  for (size_t at = 0; at + cpu::kFrozenStepWidth <= program.size(); at += cpu::kFrozenStepWidth) {
    if (program[at] == static_cast<int64_t>(FrozenStepKind::kAffine))
      classes = std::max(classes, program[at + 4]);
  }
  return classes;
}

const int64_t* checked_labels(const std::optional<Tensor>& c, int64_t images, int64_t classes) {
  if (classes == 0) return nullptr;
  check(c.has_value() && c->scalar_type() == ScalarType::Long && c->dim() == 1 && c->size(0) == images,
        "c must be int64 [N]");
  const auto* const labels = static_cast<const int64_t*>(c->const_data_ptr());
  const int64_t bad = cpu::first_bad_label(labels, images, classes);
  STD_TORCH_CHECK(bad < 0, kOp, ": c must hold labels from 0 to ", classes - 1, ", got ", labels[bad]);
  return labels;
}

Tensor frozen_generator(Tensor z, std::optional<Tensor> c, std::vector<Tensor> tensors,
                        std::vector<Tensor> packed, Numbers program, std::vector<double> slopes,
                        Numbers image, bool pixels) {
  check(z.dim() == 2 && z.scalar_type() == ScalarType::Float, "z must be float32 [N, F]");
  check(image.size() == 3, "image must be C, H, W");
  const Tensor latents = dense(z);
  const std::optional<Tensor> dense_labels = dense(c);

  cpu::FrozenGeneratorArguments a{};
  a.images = z.size(0);
  a.latent_size = z.size(1);
  a.z = static_cast<const float*>(latents.const_data_ptr());
  const int64_t classes = classes_of(program);
  a.labels = checked_labels(dense_labels, a.images, classes);
  const std::vector<FrozenNumbers> numbers = numbers_of(tensors), weights = numbers_of(packed);
  const cpu::FrozenProgram whole{
      &program, &slopes, &numbers, &weights, a.latent_size, classes, {image[0], image[1], image[2]}};
  const std::vector<cpu::FrozenStep> steps = checked([&] { return cpu::frozen_steps(whole); });
  a.steps = &steps;
  a.image_channels = image[0];
  a.pixels = pixels;
  Tensor output = pixels ? torch::stable::new_empty(z, {a.images, image[1], image[2], image[0]},
                                                    std::make_optional(ScalarType::Byte))
                         : empty_map(z, ScalarType::Float, a.images, image[0], image[1], image[2]);
  a.output = output.mutable_data_ptr();
  a.threads = static_cast<int>(torch::stable::get_num_threads());
  cpu::frozen_generator(a, &torch_pool);
  return output;
}

// The weight of the convolution that `step` describes, and behind it 1 if it is finite, else 0.
Tensor frozen_generator_pack(Tensor weight, Numbers step) {
  check(step.size() == cpu::kFrozenStepWidth && step[0] == static_cast<int64_t>(FrozenStepKind::kConvolution),
        "a convolution is what can be packed");
  const Convolution shape = checked([&] { return cpu::frozen_convolution(step.data()); });
  const cpu::FrozenWeightSizes wanted = cpu::frozen_weight_sizes(shape);
  check(weight.dim() == 4 && weight.scalar_type() == ScalarType::Float, "a weight has another shape");
  int64_t stride[4];
  for (int i = 0; i < 4; ++i) {
    check(weight.size(i) == wanted.size[i], "a weight has another shape");
    stride[i] = weight.stride(i);
  }
  Tensor packed = torch::stable::new_empty(weight, {cpu::packed_weight_size(shape) + 1});
  cpu::pack_frozen_weight(shape, static_cast<const float*>(weight.const_data_ptr()), stride,
                          static_cast<float*>(packed.mutable_data_ptr()), &torch_pool);
  return packed;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(fastgan_C, m) {
  m.def(
      "frozen_generator(Tensor z, Tensor? c, Tensor[] tensors, Tensor[] packed, int[] program, float[] "
      "slopes, "
      "int[] image, bool pixels) -> Tensor");
  m.def("frozen_generator_pack(Tensor weight, int[] step) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(fastgan_C, CPU, m) {
  m.impl("frozen_generator", TORCH_BOX(&frozen_generator));
  m.impl("frozen_generator_pack", TORCH_BOX(&frozen_generator_pack));
}
