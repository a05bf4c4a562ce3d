// frozen_generator for torch through the stable ABI: the program made steps, checked against its tensors.
#include "cpu/frozen_generator.h"

#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "torch/tensors.h"

namespace {

using namespace fastgan;
using cpu::FrozenStep;
using cpu::FrozenStepKind;
using Numbers = std::vector<int64_t>;

constexpr const char* kOp = "frozen_generator";
constexpr int64_t kStepWidth = 16;  // as encode() in fastgan/reference/frozen_generator.py
constexpr int64_t kLargest = int64_t{1} << 31;

void check(bool good, const char* what) { STD_TORCH_CHECK(good, kOp, ": ", what); }

// Places in a step of a program, of kind kConvolution.
Convolution convolution(const int64_t* step) {
  Convolution shape{};
  for (int i = 3; i < 15; ++i) check(step[i] >= 0 && step[i] < kLargest, "a geometry is out of range");
  shape.in_channels = step[5];
  shape.out_channels = step[8];
  for (int axis = 0; axis < 2; ++axis) {
    shape.in_size[axis] = step[3 + axis];
    shape.out_size[axis] = step[6 + axis];
    shape.kernel[axis] = step[9 + axis];
    shape.stride[axis] = step[11 + axis];
    shape.padding[axis] = step[13 + axis];
    check(shape.kernel[axis] > 0 && shape.stride[axis] > 0, "a kernel or stride is empty");
  }
  shape.transposed = step[15] != 0;
  return shape;
}

const float* floats(const Tensor& x, int64_t count, const char* what) {
  check(x.scalar_type() == ScalarType::Float && x.is_contiguous() && x.numel() == count && x.is_cpu(), what);
  return static_cast<const float*>(x.const_data_ptr());
}

// The steps of a program; rows of `size` floats come in, and the last step's go out.
class Program {
 public:
  Program(const std::vector<Tensor>& tensors, const std::vector<Tensor>& packed, int64_t size,
          int64_t classes)
      : tensors_(tensors), packed_(packed), size_(size), classes_(classes) {}

  FrozenStep next(const int64_t* numbers, double negative_slope) {
    check(numbers[0] >= 0 && numbers[0] <= 3, "a step is of no kind");
    FrozenStep step{};
    step.kind = static_cast<FrozenStepKind>(numbers[0]);
    switch (step.kind) {
      case FrozenStepKind::kConvolution:
        convolve(numbers, step);
        break;
      case FrozenStepKind::kAffine:
        scale(numbers, step);
        break;
      case FrozenStepKind::kActivation:
        check(numbers[1] >= 0 && numbers[1] <= static_cast<int64_t>(Activation::kTanh), "no such activation");
        step.activation = static_cast<Activation>(numbers[1]);
        step.negative_slope = negative_slope;
        break;
      case FrozenStepKind::kPermutation:
        permute(numbers, step);
        break;
    }
    step.size = size_;
    return step;
  }

  int64_t size() const { return size_; }

 private:
  const Tensor& tensor(int64_t place) const {
    check(place >= 0 && place < static_cast<int64_t>(tensors_.size()), "a step refers to no tensor");
    return tensors_[place];
  }

  void convolve(const int64_t* numbers, FrozenStep& step) {
    step.shape = convolution(numbers);
    check(step.shape.in_pixels() * step.shape.in_channels == size_,
          "a convolution does not read what is there");
    check(convolutions_ < packed_.size(), "a packed weight is missing");
    const int64_t count = cpu::packed_weight_size(step.shape);
    const float* const packed =
        floats(packed_[convolutions_++], count + 1, "a packed weight has another size");
    step.weight = {packed, packed[count] != 0};
    if (numbers[2] >= 0)
      step.bias = floats(tensor(numbers[2]), step.shape.out_channels, "a bias has another size");
    size_ = step.shape.out_pixels() * step.shape.out_channels;
  }

  void scale(const int64_t* numbers, FrozenStep& step) {
    step.channels = numbers[3];
    step.by_label = numbers[4] != 0;
    const int64_t rows = step.by_label ? numbers[4] : 1;
    check(step.channels > 0 && size_ % step.channels == 0, "a scale has another number of channels");
    check(!step.by_label || numbers[4] == classes_, "a table has another number of classes");
    step.scale = floats(tensor(numbers[1]), rows * step.channels, "a scale has another size");
    step.shift = floats(tensor(numbers[2]), rows * step.channels, "a shift has another size");
  }

  void permute(const int64_t* numbers, FrozenStep& step) {
    const Tensor& index = tensor(numbers[1]);
    check(index.scalar_type() == ScalarType::Long && index.is_contiguous() && index.numel() == size_,
          "a permutation has another size");
    step.index = static_cast<const int64_t*>(index.const_data_ptr());
    for (int64_t i = 0; i < size_; ++i)
      check(step.index[i] >= 0 && step.index[i] < size_, "no such place in a row");
  }

  const std::vector<Tensor>& tensors_;
  const std::vector<Tensor>& packed_;
  size_t convolutions_ = 0;
  int64_t size_, classes_;
};

// The number of classes of a program's tables, 0 if none is read by label.
int64_t classes_of(const Numbers& program) {
  int64_t classes = 0;
  for (size_t at = 0; at < program.size(); at += kStepWidth) {
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
  for (int64_t i = 0; i < images; ++i) {
    STD_TORCH_CHECK(labels[i] >= 0 && labels[i] < classes, kOp, ": c must hold labels from 0 to ",
                    classes - 1, ", got ", labels[i]);
  }
  return labels;
}

Tensor frozen_generator(Tensor z, std::optional<Tensor> c, std::vector<Tensor> tensors,
                        std::vector<Tensor> packed, Numbers program, std::vector<double> slopes,
                        Numbers image, bool pixels) {
  check(z.dim() == 2 && z.scalar_type() == ScalarType::Float, "z must be float32 [N, F]");
  check(program.size() == slopes.size() * kStepWidth, "the program has another length than its slopes");
  check(image.size() == 3, "image must be C, H, W");
  const Tensor latents = dense(z);
  const std::optional<Tensor> dense_labels = dense(c);

  cpu::FrozenGeneratorArguments a{};
  a.images = z.size(0);
  a.latent_size = z.size(1);
  a.z = static_cast<const float*>(latents.const_data_ptr());
  const int64_t classes = classes_of(program);
  a.labels = checked_labels(dense_labels, a.images, classes);
  Program reader(tensors, packed, a.latent_size, classes);
  std::vector<FrozenStep> steps;
  for (size_t i = 0; i < slopes.size(); ++i)
    steps.push_back(reader.next(program.data() + i * kStepWidth, slopes[i]));
  check(image[0] > 0 && image[0] * image[1] * image[2] == reader.size(), "the plan gives another image");
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
  check(step.size() == kStepWidth && step[0] == static_cast<int64_t>(FrozenStepKind::kConvolution),
        "a convolution is what can be packed");
  const Convolution shape = convolution(step.data());
  const int64_t out = shape.transposed ? 1 : 0;
  check(weight.dim() == 4 && weight.scalar_type() == ScalarType::Float &&
            weight.size(out) == shape.out_channels && weight.size(1 - out) == shape.in_channels &&
            weight.size(2) == shape.kernel[0] && weight.size(3) == shape.kernel[1],
        "a weight has another shape");
  const int64_t stride[4] = {weight.stride(out), weight.stride(1 - out), weight.stride(2), weight.stride(3)};
  const int64_t count = cpu::packed_weight_size(shape);
  Tensor packed = torch::stable::new_empty(weight, {count + 1});
  auto* const memory = static_cast<float*>(packed.mutable_data_ptr());
  const cpu::PackedWeight made =
      cpu::pack_weight(shape, ElementType::kFloat, weight.const_data_ptr(), stride, memory, &torch_pool);
  memory[count] = made.finite ? 1.0f : 0.0f;
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
