// frozen_generator for torch through the stable ABI: tensors as the numbers that its program is checked
// against.
#include <algorithm>
#include <optional>
#include <vector>

#include "common/frozen_program.h"
#include "torch/library.h"
#include "torch/tensors.h"
#ifdef FASTGAN_WITH_CPU
#include "cpu/frozen_program.h"
#endif
#ifdef FASTGAN_WITH_CUDA
#include "cuda/frozen_generator.h"
#include "torch/cuda_call.h"
#endif

namespace {

using namespace fastgan;
using Numbers = std::vector<int64_t>;

constexpr const char* kOp = "frozen_generator";

// The order of PRECISIONS in fastgan/reference/frozen_generator.py.
enum class FrozenPrecision : int64_t { kFloat = 0, kTf32, kBFloat16, kHalf };

void check(bool good, const char* what) { STD_TORCH_CHECK(good, kOp, ": ", what); }

FrozenPrecision precision_of(int64_t precision) {
  check(precision >= 0 && precision <= static_cast<int64_t>(FrozenPrecision::kHalf), "no such precision");
  return static_cast<FrozenPrecision>(precision);
}

// Calls f, whose complaints become those of the operator.
template <class F>
auto checked(const F& f) {
  try {
    return f();
  } catch (const FrozenProgramError& error) {
    STD_TORCH_CHECK(false, kOp, ": ", error.what());
  }
}

// What a program may refer to: dense float32 and int64 tensors where `like` is; the others have no numbers.
// Packed weights of CUDA are bytes.
std::vector<FrozenNumbers> numbers_of(const std::vector<Tensor>& tensors, const Tensor& like,
                                      ScalarType floats) {
  std::vector<FrozenNumbers> all;
  for (const Tensor& x : tensors) {
    const void* const data = same_device(x, like) && x.is_contiguous() ? x.const_data_ptr() : nullptr;
    const ScalarType type = x.scalar_type();
    all.push_back({type == floats ? static_cast<const float*>(data) : nullptr,
                   type == ScalarType::Long ? static_cast<const int64_t*>(data) : nullptr, x.numel()});
  }
  return all;
}

// The number of classes of a program's tables, 0 if none is read by label.
int64_t classes_of(const Numbers& program) {
  int64_t classes = 0;
  for (size_t at = 0; at + kFrozenStepWidth <= program.size(); at += kFrozenStepWidth) {
    if (program[at] == static_cast<int64_t>(FrozenStepKind::kAffine))
      classes = std::max(classes, program[at + 4]);
  }
  return classes;
}

const int64_t* labels_of(const std::optional<Tensor>& c, int64_t images, int64_t classes) {
  if (classes == 0) return nullptr;
  check(c.has_value() && c->scalar_type() == ScalarType::Long && c->dim() == 1 && c->size(0) == images,
        "c must be int64 [N]");
  return static_cast<const int64_t*>(c->const_data_ptr());
}

void check_call(const Tensor& z, const std::optional<Tensor>& c, const Numbers& image) {
  check_device(c, z, kOp, "c");
  check(z.dim() == 2 && z.scalar_type() == ScalarType::Float, "z must be float32 [N, F]");
  check(image.size() == 3, "image must be C, H, W");
}

Tensor empty_image(const Tensor& z, const Numbers& image, bool pixels) {
  return pixels ? torch::stable::new_empty(z, {z.size(0), image[1], image[2], image[0]},
                                           std::make_optional(ScalarType::Byte))
                : empty_map(z, ScalarType::Float, z.size(0), image[0], image[1], image[2]);
}

// The convolution of a step that is one, after a look at its weight, whose strides go to `stride`.
Convolution packable(const Tensor& weight, const Numbers& step, int64_t (&stride)[4]) {
  check(step.size() == kFrozenStepWidth && step[0] == static_cast<int64_t>(FrozenStepKind::kConvolution),
        "a convolution is what can be packed");
  const Convolution shape = checked([&] { return frozen_convolution(step.data()); });
  const FrozenWeightSizes wanted = frozen_weight_sizes(shape);
  check(weight.dim() == 4 && weight.scalar_type() == ScalarType::Float, "a weight has another shape");
  for (int i = 0; i < 4; ++i) {
    check(weight.size(i) == wanted.size[i], "a weight has another shape");
    stride[i] = weight.stride(i);
  }
  return shape;
}

#ifdef FASTGAN_WITH_CPU
void check_on_cpu(int64_t precision) {
  check(precision_of(precision) <= FrozenPrecision::kTf32, "the CPU's kernels compute in float32");
}

Tensor frozen_generator_cpu(Tensor z, std::optional<Tensor> c, std::vector<Tensor> tensors,
                            std::vector<Tensor> packed, Numbers program, std::vector<double> slopes,
                            Numbers image, bool pixels, int64_t precision) {
  check_call(z, c, image);
  check_on_cpu(precision);
  const Tensor latents = dense(z);
  const std::optional<Tensor> dense_labels = dense(c);

  cpu::FrozenGeneratorArguments a{};
  a.images = z.size(0);
  a.latent_size = z.size(1);
  a.z = static_cast<const float*>(latents.const_data_ptr());
  const int64_t classes = classes_of(program);
  a.labels = labels_of(dense_labels, a.images, classes);
  if (a.labels != nullptr) {
    const int64_t bad = cpu::first_bad_label(a.labels, a.images, classes);
    STD_TORCH_CHECK(bad < 0, kOp, ": c must hold labels from 0 to ", classes - 1, ", got ", a.labels[bad]);
  }
  const std::vector<FrozenNumbers> numbers = numbers_of(tensors, z, ScalarType::Float),
                                   weights = numbers_of(packed, z, ScalarType::Float);
  const FrozenProgram whole{
      &program, &slopes, &numbers, &weights, a.latent_size, classes, {image[0], image[1], image[2]}};
  const std::vector<cpu::FrozenStep> steps = checked([&] { return cpu::frozen_steps(whole); });
  a.steps = &steps;
  a.image_channels = image[0];
  a.pixels = pixels;
  Tensor output = empty_image(z, image, pixels);
  a.output = output.mutable_data_ptr();
  a.threads = static_cast<int>(torch::stable::get_num_threads());
  cpu::frozen_generator(a, &torch_pool);
  return output;
}

// The weight of the convolution that `step` describes, and behind it 1 if it is finite, else 0.
Tensor frozen_generator_pack_cpu(Tensor weight, Numbers step, int64_t precision) {
  check_on_cpu(precision);
  int64_t stride[4];
  const Convolution shape = packable(weight, step, stride);
  Tensor packed = torch::stable::new_empty(weight, {cpu::packed_weight_size(shape) + 1});
  cpu::pack_frozen_weight(shape, static_cast<const float*>(weight.const_data_ptr()), stride,
                          static_cast<float*>(packed.mutable_data_ptr()), &torch_pool);
  return packed;
}
#endif

#ifdef FASTGAN_WITH_CUDA
ElementType map_type(FrozenPrecision precision) {
  if (precision == FrozenPrecision::kHalf) return ElementType::kHalf;
  return precision == FrozenPrecision::kBFloat16 ? ElementType::kBFloat16 : ElementType::kFloat;
}

cuda::Precision product_precision(FrozenPrecision precision) {
  return precision == FrozenPrecision::kTf32 ? cuda::Precision::kTf32 : cuda::Precision::kExact;
}

// Its numbers lie on the device, where nothing reads them before the kernels do: these look at indices.
struct CudaBackend {
  using Weight = const void*;

  ElementType type;

  int64_t packed_count(const Convolution& shape) const {
    return fastgan_cuda_affine_act_conv_packed_bytes(type, &shape);
  }
  const void* weight(const float* packed, int64_t) const { return packed; }
  bool good_index(const int64_t*, int64_t) const { return true; }
};

Tensor frozen_generator_cuda(Tensor z, std::optional<Tensor> c, std::vector<Tensor> tensors,
                             std::vector<Tensor> packed, Numbers program, std::vector<double> slopes,
                             Numbers image, bool pixels, int64_t precision) {
  check_call(z, c, image);
  const CudaCall call(z);
  const Tensor latents = dense(z);
  const std::optional<Tensor> dense_labels = dense(c);

  cuda::FrozenGeneratorArguments a{};
  a.type = map_type(precision_of(precision));
  a.precision = product_precision(precision_of(precision));
  a.images = z.size(0);
  a.latent_size = z.size(1);
  a.z = static_cast<const float*>(latents.const_data_ptr());
  a.classes = classes_of(program);
  a.labels = labels_of(dense_labels, a.images, a.classes);
  const std::vector<FrozenNumbers> numbers = numbers_of(tensors, z, ScalarType::Float),
                                   weights = numbers_of(packed, z, ScalarType::Byte);
  const FrozenProgram whole{
      &program, &slopes, &numbers, &weights, a.latent_size, a.classes, {image[0], image[1], image[2]}};
  const CudaBackend backend{a.type};
  const std::vector<cuda::FrozenStep> steps = checked([&] { return fastgan::frozen_steps(whole, backend); });
  a.steps = steps.data();
  a.step_count = static_cast<int64_t>(steps.size());
  a.pixels = pixels;
  Tensor output = empty_image(z, image, pixels);
  const Tensor workspace = torch::stable::new_empty(z, {fastgan_cuda_frozen_generator_workspace(&a)},
                                                    std::make_optional(ScalarType::Byte));
  a.output = output.mutable_data_ptr();
  a.workspace = workspace.mutable_data_ptr();
  check_launch(fastgan_cuda_frozen_generator(&a, call.stream()));
  return output;
}

Tensor frozen_generator_pack_cuda(Tensor weight, Numbers step, int64_t precision) {
  const CudaCall call(weight);
  cuda::AffineActConvPackArguments a{};
  a.type = map_type(precision_of(precision));
  a.precision = product_precision(precision_of(precision));
  int64_t stride[4];
  a.shape = packable(weight, step, stride);
  const int out = a.shape.transposed ? 1 : 0;
  for (int i = 0; i < 4; ++i) a.stride[i] = stride[i < 2 ? out ^ i : i];
  a.weight_type = ElementType::kFloat;
  a.weight = weight.const_data_ptr();
  Tensor packed =
      torch::stable::new_empty(weight, {fastgan_cuda_affine_act_conv_packed_bytes(a.type, &a.shape)},
                               std::make_optional(ScalarType::Byte));
  a.packed = packed.mutable_data_ptr();
  check_launch(fastgan_cuda_affine_act_conv_pack(&a, call.stream()));
  return packed;
}
#endif

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(FASTGAN_LIBRARY, m) {
  m.def(
      "frozen_generator(Tensor z, Tensor? c, Tensor[] tensors, Tensor[] packed, int[] program, float[] "
      "slopes, int[] image, bool pixels, int precision=0) -> Tensor");
  m.def("frozen_generator_pack(Tensor weight, int[] step, int precision=0) -> Tensor");
}

#ifdef FASTGAN_WITH_CPU
STABLE_TORCH_LIBRARY_IMPL(FASTGAN_LIBRARY, CPU, m) {
  m.impl("frozen_generator", TORCH_BOX(&frozen_generator_cpu));
  m.impl("frozen_generator_pack", TORCH_BOX(&frozen_generator_pack_cpu));
}
#endif

#ifdef FASTGAN_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(FASTGAN_LIBRARY, FASTGAN_CUDA_KEY, m) {
  m.impl("frozen_generator", TORCH_BOX(&frozen_generator_cuda));
  m.impl("frozen_generator_pack", TORCH_BOX(&frozen_generator_pack_cuda));
}
#endif
