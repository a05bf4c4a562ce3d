// The sequence of a frozen generator's launches. Knows no torch; the stream comes as a pointer.
//
// A convolution takes the activation behind it into its epilogue, and scale, shift and activation that wait
// in front of it into its prologue; the last one writes pixels. What neither can take is a pass over rows.
#include <algorithm>

#include "cuda/correlation.h"
#include "cuda/frozen_generator.h"
#include "cuda/frozen_pass.cuh"

namespace fastgan::cuda {
namespace {

constexpr int64_t kChunk = 256;  // images at a time, which bounds the workspace
constexpr int64_t kAlignment = 256;

int64_t aligned_up(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// What is not yet done to the rows at hand.
struct Pending {
  const float *scale, *shift;
  int64_t channels;
  bool by_label;
  Activation activation;
  float negative_slope;

  bool has_rows() const { return scale != nullptr; }
  bool any() const { return has_rows() || activation != Activation::kNone; }
};

constexpr Pending kNothing{nullptr, nullptr, 0, false, Activation::kNone, 1.0f};

// Images at a time, and what they need.
struct Workspace {
  explicit Workspace(const FrozenGeneratorArguments& a) {
    int64_t row = a.latent_size, pixels = 1;
    for (int64_t i = 0; i < a.step_count; ++i) {
      const FrozenStep& step = a.steps[i];
      row = std::max(row, step.size);
      if (step.kind == FrozenStepKind::kConvolution)
        pixels = std::max({pixels, step.shape.in_pixels(), step.shape.out_pixels()});
    }
    chunk = std::max<int64_t>(1, std::min({kChunk, a.images, kMostPixels / pixels}));
    buffer = aligned_up(chunk * row * element_bytes(a.type));
    labels = a.labels == nullptr ? 0 : aligned_up(chunk * static_cast<int64_t>(sizeof(int64_t)));
  }

  int64_t size() const { return 2 * buffer + labels; }

  int64_t chunk, buffer, labels;
};

template <class In, class Out, int pack>
void launch(const FrozenPass& pass, void* stream) {
  const int64_t threads = pass.images * (pass.size / pack);
  const auto blocks = static_cast<unsigned>((threads + kFrozenThreads - 1) / kFrozenThreads);
  FASTGAN_LAUNCH((frozen_pass_kernel<In, Out, pack>), dim3(blocks), dim3(kFrozenThreads), 0, stream, pass);
}

template <class In, class Out>
void launch(const FrozenPass& pass, void* stream) {
  constexpr int kPack = 16 / static_cast<int>(std::max(sizeof(In), sizeof(Out)));
  const auto is_aligned = [](const void* p, size_t bytes) {
    return reinterpret_cast<uintptr_t>(p) % bytes == 0;
  };
  const bool whole = pass.size % kPack == 0 && is_aligned(pass.input, kPack * sizeof(In)) &&
                     is_aligned(pass.output, kPack * sizeof(Out)) &&
                     (pass.scale == nullptr || (pass.channels % kPack == 0 && is_aligned(pass.scale, 16) &&
                                                is_aligned(pass.shift, 16)));
  whole ? launch<In, Out, kPack>(pass, stream) : launch<In, Out, 1>(pass, stream);
}

// The launches for images first .. first + count.
class Sequence {
 public:
  Sequence(const FrozenGeneratorArguments& a, const Workspace& space, int64_t first, int64_t count,
           void* stream)
      : a_(a),
        first_(first),
        count_(count),
        stream_(stream),
        at_(a.z + first * a.latent_size),
        size_(a.latent_size) {
    auto* const memory = static_cast<unsigned char*>(a.workspace);
    buffers_[0] = memory;
    buffers_[1] = memory + space.buffer;
    labels_ = reinterpret_cast<int64_t*>(memory + 2 * space.buffer);
  }

  const char* run() {
    enter();
    for (int64_t i = 0; i < a_.step_count; ++i) {
      const FrozenStep& step = a_.steps[i];
      switch (step.kind) {
        case FrozenStepKind::kConvolution: {
          const bool activated = i + 1 < a_.step_count && a_.steps[i + 1].kind == FrozenStepKind::kActivation;
          i += activated;
          if (const char* const failure = convolve(step, activated ? &a_.steps[i] : nullptr, i + 1))
            return failure;
          break;
        }
        case FrozenStepKind::kAffine:
          if (pending_.any()) pass(nullptr);
          pending_ = {step.scale, step.shift, step.channels, step.by_label, Activation::kNone, 1.0f};
          break;
        case FrozenStepKind::kActivation:
          if (pending_.activation != Activation::kNone) pass(nullptr);
          pending_.activation = step.activation;
          pending_.negative_slope = static_cast<float>(step.negative_slope);
          break;
        case FrozenStepKind::kPermutation:
          pass(step.index);
          break;
      }
    }
    if (at_ != nullptr) leave();
    return launch_failure("frozen_generator");
  }

 private:
  // The buffer that the rows are not in.
  void* other() const { return at_ == buffers_[0] ? buffers_[1] : buffers_[0]; }

  // Labels that are good for every table, and latents in the type of maps.
  void enter() {
    if (a_.labels == nullptr && a_.type == ElementType::kFloat) return;
    FrozenPass how = described(nullptr);
    if (a_.labels != nullptr) {
      how.labels = a_.labels + first_;
      how.classes = a_.classes;
      how.good_labels = labels_;
    }
    with_map_type([&](auto map) { launch<float, decltype(map)>(how, stream_); });
    arrived(how.output, size_);
  }

  // From step `next` on there is nothing more: then the rows may go to the output.
  const char* convolve(const FrozenStep& step, const FrozenStep* activation, int64_t next) {
    const bool fits = !pending_.has_rows() || pending_.channels == step.shape.in_channels;
    if (!fits || pending_.activation == Activation::kTanh) pass(nullptr);
    const bool last = next == a_.step_count && (a_.pixels || a_.type == ElementType::kFloat);
    AffineActConvArguments c{};
    c.type = a_.type;
    c.precision = a_.precision;
    c.shape = step.shape;
    c.images = count_;
    c.input = at_;
    c.scale = pending_.scale;
    c.shift = pending_.shift;
    c.scale_by_sample = c.shift_by_sample = pending_.by_label;
    c.sample_rows = labels_;
    c.activation = pending_.activation;
    c.negative_slope = pending_.negative_slope;
    c.weight = step.weight;
    c.bias = step.bias;
    c.bias_type = ElementType::kFloat;
    c.output_activation = activation == nullptr ? Activation::kNone : activation->activation;
    c.output_slope = activation == nullptr ? 1.0f : static_cast<float>(activation->negative_slope);
    c.pixels = last && a_.pixels;
    c.output = last ? output() : other();
    if (const char* const failure = fastgan_cuda_affine_act_conv(&c, stream_)) return failure;
    arrived(last ? nullptr : c.output, step.size);
    return nullptr;
  }

  // What is pending, to the other buffer.
  void pass(const int64_t* index) {
    const FrozenPass how = described(index);
    with_map_type([&](auto map) { launch<decltype(map), decltype(map)>(how, stream_); });
    arrived(how.output, size_);
  }

  // What is pending, to the output.
  void leave() {
    FrozenPass how = described(nullptr);
    how.output = output();
    with_map_type([&](auto map) {
      a_.pixels ? launch<decltype(map), uint8_t>(how, stream_) : launch<decltype(map), float>(how, stream_);
    });
  }

  FrozenPass described(const int64_t* index) const {
    FrozenPass how{};
    how.input = at_;
    how.output = other();
    how.images = count_;
    how.size = size_;
    how.index = index;
    how.scale = pending_.scale;
    how.shift = pending_.shift;
    how.channels = pending_.channels;
    how.table_rows = pending_.by_label ? labels_ : nullptr;
    how.activation = pending_.activation;
    how.negative_slope = pending_.negative_slope;
    return how;
  }

  void* output() const {
    const int64_t bytes = a_.pixels ? 1 : static_cast<int64_t>(sizeof(float));
    return static_cast<unsigned char*>(a_.output) + first_ * a_.steps[a_.step_count - 1].size * bytes;
  }

  void arrived(const void* at, int64_t size) {
    at_ = at;
    size_ = size;
    pending_ = kNothing;
  }

  // Calls f with a number of the maps' type.
  template <class F>
  void with_map_type(const F& f) const {
    switch (a_.type) {
      case ElementType::kHalf:
        return f(Half());
      case ElementType::kBFloat16:
        return f(BFloat16());
      default:
        return f(float());
    }
  }

  const FrozenGeneratorArguments& a_;
  int64_t first_, count_;
  void* stream_;
  const void* at_;  // the rows at hand; nullptr once they are in the output
  int64_t size_;    // of a row
  Pending pending_ = kNothing;
  void* buffers_[2];
  int64_t* labels_;
};

}  // namespace
}  // namespace fastgan::cuda

extern "C" const char* fastgan_cuda_frozen_generator(const fastgan::cuda::FrozenGeneratorArguments* arguments,
                                                     void* stream) {
  using namespace fastgan::cuda;
  const FrozenGeneratorArguments& a = *arguments;
  if (a.type == fastgan::ElementType::kDouble)
    return "frozen_generator: maps must be float32, float16 or bfloat16";
  if (a.step_count == 0) return "frozen_generator: a plan must have steps";
  const Workspace space(a);
  for (int64_t first = 0; first < a.images; first += space.chunk) {
    const int64_t count = std::min(space.chunk, a.images - first);
    if (const char* const failure = Sequence(a, space, first, count, stream).run()) return failure;
  }
  return nullptr;
}

extern "C" int64_t fastgan_cuda_frozen_generator_workspace(
    const fastgan::cuda::FrozenGeneratorArguments* arguments) {
  return fastgan::cuda::Workspace(*arguments).size();
}
