// The checks of a frozen generator's program, and the steps that come of it.
#include "cpu/frozen_program.h"

#include <initializer_list>
#include <string>

namespace fastgan::cpu {
namespace {

constexpr int64_t kLargest = int64_t{1} << 31;  // what a program says is below it, so that products fit
constexpr int64_t kMostPhases = int64_t{1} << 16;

void check(bool good, const char* what) {
  if (!good) throw FrozenProgramError(what);
}

// The product of numbers from 0 to kLargest.
int64_t row_size(std::initializer_list<int64_t> factors) {
  int64_t size = 1;
  for (const int64_t factor : factors) {
    size *= factor;
    check(size <= kLargestRow, "a row is too long");
  }
  return size;
}

// Whether the result is what torch gives: a transposed convolution's with an output padding below the stride.
bool fits(const Convolution& shape, int axis) {
  const int64_t in = shape.in_size[axis], out = shape.out_size[axis], kernel = shape.kernel[axis];
  const int64_t stride = shape.stride[axis], both = 2 * shape.padding[axis];
  if (!shape.transposed) return in + both >= kernel && (in + both - kernel) / stride + 1 == out;
  const int64_t output_padding = out - ((in - 1) * stride - both + kernel);
  return output_padding >= 0 && output_padding < stride;
}

// The kernels walk over every phase, and over the input with its padding.
void check_work(const Convolution& shape) {
  int64_t phases = 1;
  for (int axis = 0; axis < 2; ++axis) {
    if (shape.transposed) phases *= shape.in_size[axis] == 1 ? shape.out_size[axis] : shape.stride[axis];
    check(phases <= kMostPhases, "a stride is too long");
  }
  row_size({input_extent(shape, 0).count, input_extent(shape, 1).count, shape.in_channels});
}

const float* floats(const FrozenNumbers& numbers, int64_t count, const char* what) {
  check(numbers.floats != nullptr && numbers.count == count, what);
  return numbers.floats;
}

// Takes step after step; rows of `size` floats come in, and the last step's go out.
class Reader {
 public:
  explicit Reader(const FrozenProgram& program)
      : tensors_(*program.tensors),
        packed_(*program.packed),
        classes_(program.classes),
        size_(program.latent_size) {}

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
  const FrozenNumbers& tensor(int64_t place) const {
    check(place >= 0 && place < static_cast<int64_t>(tensors_.size()), "a step refers to no tensor");
    return tensors_[static_cast<size_t>(place)];
  }

  void convolve(const int64_t* numbers, FrozenStep& step) {
    step.shape = frozen_convolution(numbers);
    check(step.shape.in_pixels() * step.shape.in_channels == size_,
          "a convolution does not read what is there");
    check(convolutions_ < packed_.size(), "a packed weight is missing");
    const int64_t count = packed_weight_size(step.shape);
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
    check(!step.by_label || (rows == classes_ && rows < kLargest), "a table has another number of classes");
    step.scale = floats(tensor(numbers[1]), rows * step.channels, "a scale has another size");
    step.shift = floats(tensor(numbers[2]), rows * step.channels, "a shift has another size");
  }

  void permute(const int64_t* numbers, FrozenStep& step) {
    const FrozenNumbers& index = tensor(numbers[1]);
    check(index.indices != nullptr && index.count == size_, "a permutation has another size");
    step.index = index.indices;
    for (int64_t i = 0; i < size_; ++i)
      check(step.index[i] >= 0 && step.index[i] < size_, "no such place in a row");
  }

  const std::vector<FrozenNumbers>&tensors_, &packed_;
  size_t convolutions_ = 0;
  int64_t classes_, size_;
};

}  // namespace

Convolution frozen_convolution(const int64_t* step) {
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
    check(shape.in_size[axis] > 0 && shape.out_size[axis] > 0, "a map is empty");
  }
  shape.transposed = step[15] != 0;
  check(shape.in_channels > 0 && shape.out_channels > 0, "a map is empty");
  row_size({shape.in_size[0], shape.in_size[1], shape.in_channels});
  row_size({shape.out_size[0], shape.out_size[1], shape.out_channels});
  check(fits(shape, 0) && fits(shape, 1), "a convolution gives another map");
  check_work(shape);
  return shape;
}

FrozenWeightSizes frozen_weight_sizes(const Convolution& shape) {
  const int64_t out = shape.out_channels, in = shape.in_channels;
  return {{shape.transposed ? in : out, shape.transposed ? out : in, shape.kernel[0], shape.kernel[1]}};
}

void pack_frozen_weight(const Convolution& shape, const float* weight, const int64_t (&stride)[4],
                        float* packed, ParallelFor pool) {
  const int out = shape.transposed ? 1 : 0;
  const int64_t in_order[4] = {stride[out], stride[1 - out], stride[2], stride[3]};
  const PackedWeight made = pack_weight(shape, ElementType::kFloat, weight, in_order, packed, pool);
  packed[packed_weight_size(shape)] = made.finite ? 1.0f : 0.0f;
}

std::vector<FrozenStep> frozen_steps(const FrozenProgram& program) {
  const std::vector<int64_t>& numbers = *program.steps;
  const std::vector<double>& slopes = *program.slopes;
  check(numbers.size() == slopes.size() * kFrozenStepWidth, "the program has another length than its slopes");
  Reader reader(program);
  std::vector<FrozenStep> steps;
  for (size_t i = 0; i < slopes.size(); ++i) {
    try {
      steps.push_back(reader.next(numbers.data() + i * kFrozenStepWidth, slopes[i]));
    } catch (const FrozenProgramError& error) {
      throw FrozenProgramError("step " + std::to_string(i) + ": " + error.what());
    }
  }
  const int64_t* const image = program.image;
  for (int i = 0; i < 3; ++i) check(image[i] > 0 && image[i] < kLargest, "the plan gives another image");
  check(row_size({image[0], image[1], image[2]}) == reader.size(), "the plan gives another image");
  return steps;
}

int64_t first_bad_label(const int64_t* labels, int64_t images, int64_t classes) {
  for (int64_t i = 0; i < images; ++i) {
    if (labels[i] < 0 || labels[i] >= classes) return i;
  }
  return -1;
}

}  // namespace fastgan::cpu
