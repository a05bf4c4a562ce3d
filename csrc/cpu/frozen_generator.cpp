// The loop over a frozen generator's plan. Scale, shift and activation wait for the convolution that reads
// them, or for the end; where neither can take them they are applied in place.
//
// The first steps have small maps and large weights, and are run for all images of a chunk at once, threads
// sharing each step. The later ones are run depth first: a thread takes some images of its own to the end,
// the fewer at a time the larger their maps are, so that these stay in its second-level cache; but enough for
// the weights to be read seldom.
#include "cpu/frozen_generator.h"

#include <algorithm>

#include "cpu/affine_act.h"
#include "cpu/scratch.h"
#include "cpu/team.h"

namespace fastgan::cpu {
namespace {

constexpr int64_t kChunk = 64;               // images at a time, which bounds the workspace
constexpr int64_t kGroupBytes = 768 * 1024;  // what a step reads and writes of a group of images

void serial(int64_t count, int64_t, RangeBody body, void* context) { body(0, count, context); }

// Images between two steps.
struct Images {
  int64_t first, count;  // of the batch
  const float* at;       // their rows
  int64_t size;          // of a row
  AffineAct pending;     // not yet applied to them
  int64_t channels;      // of pending's scale and shift

  Images part(int64_t begin, int64_t end) const {
    Images some = *this;
    some.first += begin;
    some.count = end - begin;
    some.at += begin * size;
    for (Rows* rows : {&some.pending.scale, &some.pending.shift}) {
      if (rows->data != nullptr)
        rows->data = static_cast<const float*>(rows->data) + begin * rows->row_stride;
    }
    return some;
  }
};

// What some steps need: rows and, where scale and shift go by label, tables of `images` images.
struct Workspace {
  int64_t images, row, table;
  int64_t size() const { return 2 * images * (row + table); }
};

// Some steps for all images at hand.
class Stage {
 public:
  Stage(const FrozenGeneratorArguments& a, ParallelFor pool, const Images& images, const Workspace& space,
        float* memory)
      : a_(a), pool_(pool), images_(images) {
    for (float*& buffer : buffers_) buffer = memory, memory += space.images * space.row;
    for (float*& table : tables_) table = memory, memory += space.images * space.table;
  }

  void run(size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) {
      const FrozenStep& step = (*a_.steps)[i];
      switch (step.kind) {
        case FrozenStepKind::kConvolution:
          convolve(step);
          break;
        case FrozenStepKind::kAffine:
          if (waits()) apply();
          take_affine(step);
          break;
        case FrozenStepKind::kActivation:
          if (images_.pending.activation != Activation::kNone) apply();
          images_.pending.activation = step.activation;
          images_.pending.negative_slope = step.negative_slope;
          break;
        case FrozenStepKind::kPermutation:
          if (waits()) apply();
          permute(step);
          break;
      }
    }
  }

  // To the output.
  void finish() {
    if (has_rows() && images_.channels != a_.image_channels) apply();
    const int64_t first = images_.first * images_.size;
    if (a_.pixels) {
      pass(a_.image_channels, true, static_cast<uint8_t*>(a_.output) + first);
    } else {
      pass(a_.image_channels, false, static_cast<float*>(a_.output) + first);
    }
  }

  const Images& images() const { return images_; }

 private:
  bool has_rows() const { return images_.pending.scale.data != nullptr; }
  bool waits() const { return has_rows() || images_.pending.activation != Activation::kNone; }

  // The buffer that the rows are not in.
  float* other() const { return buffers_[images_.at == buffers_[0] ? 1 : 0]; }

  void convolve(const FrozenStep& step) {
    const Convolution& shape = step.shape;
    if ((has_rows() && images_.channels != shape.in_channels) ||
        images_.pending.activation == Activation::kTanh) {
      apply();
    }
    float* const to = other();
    AffineActConvArguments a{};
    a.type = ElementType::kFloat;
    a.shape = shape;
    a.images = images_.count;
    a.input = nhwc(images_.at, shape.in_channels, shape.in_size[0], shape.in_size[1]);
    a.affine = images_.pending;
    a.weight = step.weight;
    a.bias = step.bias;
    a.output = to;
    affine_act_conv(a, pool_);
    arrived(to, step.size);
  }

  void take_affine(const FrozenStep& step) {
    images_.channels = step.channels;
    images_.pending.scale = rows(step, step.scale, tables_[0]);
    images_.pending.shift = rows(step, step.shift, tables_[1]);
  }

  // The table's rows of the images at hand.
  Rows rows(const FrozenStep& step, const float* table, float* to) const {
    if (!step.by_label) return {table, 0};
    for (int64_t i = 0; i < images_.count; ++i) {
      const int64_t label = a_.labels[images_.first + i];
      std::copy_n(table + label * step.channels, step.channels, to + i * step.channels);
    }
    return {to, step.channels};
  }

  // What is pending, as a pass over the rows: in place, unless they are somebody else's.
  void apply() {
    const bool own = images_.at == buffers_[0] || images_.at == buffers_[1];
    float* const to = own ? const_cast<float*>(images_.at) : other();
    pass(has_rows() ? images_.channels : 1, false, to);
    arrived(to, images_.size);
  }

  void permute(const FrozenStep& step) {
    const float* const from = images_.at;
    float* const to = other();
    const int64_t size = images_.size;
    parallel_for(pool_, images_.count, /*grain=*/1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t j = 0; j < size; ++j) to[i * size + j] = from[i * size + step.index[j]];
      }
    });
    arrived(to, size);
  }

  void pass(int64_t channels, bool pixels, void* to) const {
    AffineActArguments a{};
    a.type = ElementType::kFloat;
    a.shape = {images_.count, channels, images_.size / channels, /*channels_last=*/true};
    a.input = images_.at;
    a.affine = images_.pending;
    a.pixels = pixels;
    a.output = to;
    affine_act(a, pool_);
  }

  void arrived(const float* at, int64_t size) {
    images_.at = at;
    images_.size = size;
    images_.pending = {};
  }

  const FrozenGeneratorArguments& a_;
  ParallelFor pool_;
  Images images_;
  float *buffers_[2], *tables_[2];
};

class Plan {
 public:
  explicit Plan(const FrozenGeneratorArguments& a) : a_(a), steps_(*a.steps) {
    int64_t group = kChunk, before = a.latent_size;
    for (const FrozenStep& step : steps_) {
      if (step.kind == FrozenStepKind::kConvolution) {
        const int64_t bytes = (before + step.size) * static_cast<int64_t>(sizeof(float));
        group = std::min(group, std::max(kGroupBytes / bytes, images_at_once(step.shape)));
      }
      groups_.push_back(std::max<int64_t>(1, group));
      before = step.size;
    }
  }

  void run(ParallelFor pool) const {
    for (int64_t first = 0; first < a_.images; first += kChunk) {
      const int64_t count = std::min(kChunk, a_.images - first);
      const size_t split = shared_steps(count);
      const Workspace space = workspace(0, split, count);
      const Scratch memory(static_cast<size_t>(space.size()) * sizeof(float));
      const Images all{first, count, a_.z + first * a_.latent_size, a_.latent_size, {}, 0};
      Stage stage(a_, pool, all, space, memory.as<float>());
      stage.run(0, split);
      if (split == steps_.size()) {
        stage.finish();
        continue;
      }
      const int64_t size = own_size(split);
      parallel_for(pool, count, groups_[split], [&](int64_t begin, int64_t end) {
        const Scratch own(static_cast<size_t>(size) * sizeof(float));
        depth_first(stage.images().part(begin, end), split, own.as<float>());
      });
    }
  }

 private:
  // Those before the first one that has a group for every thread.
  size_t shared_steps(int64_t count) const {
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (steps_[i].kind == FrozenStepKind::kConvolution && groups_[i] * a_.threads <= count) return i;
    }
    return steps_.size();
  }

  // From `step` on, those with groups of the same size.
  size_t level_end(size_t step) const {
    size_t end = step;
    while (end < steps_.size() && groups_[end] == groups_[step]) ++end;
    return end;
  }

  Workspace workspace(size_t first, size_t last, int64_t images) const {
    // A pass over somebody else's rows goes to a row of the same size.
    Workspace space{images, first == 0 ? a_.latent_size : steps_[first - 1].size, 0};
    for (size_t i = first; i < last; ++i) {
      space.row = std::max(space.row, steps_[i].size);
      if (steps_[i].kind == FrozenStepKind::kAffine && steps_[i].by_label)
        space.table = std::max(space.table, steps_[i].channels);
    }
    return space;
  }

  int64_t own_size(size_t step) const {
    int64_t size = 0;
    for (size_t end; step < steps_.size(); step = end) {
      end = level_end(step);
      size += workspace(step, end, groups_[step]).size();
    }
    return size;
  }

  void depth_first(const Images& images, size_t step, float* memory) const {
    const int64_t parts = (images.count + groups_[step] - 1) / groups_[step];
    const size_t end = level_end(step);
    const Workspace space = workspace(step, end, groups_[step]);
    for (int64_t i = 0; i < parts; ++i) {
      const Images some = images.part(i * images.count / parts, (i + 1) * images.count / parts);
      Stage stage(a_, &serial, some, space, memory);
      stage.run(step, end);
      if (end == steps_.size()) {
        stage.finish();
      } else {
        depth_first(stage.images(), end, memory + space.size());
      }
    }
  }

  const FrozenGeneratorArguments& a_;
  const std::vector<FrozenStep>& steps_;
  std::vector<int64_t> groups_;  // of each step: images that are run through it together, depth first
};

}  // namespace

void frozen_generator(const FrozenGeneratorArguments& arguments, ParallelFor pool) {
  const Plan plan(arguments);
  Team::run(pool, arguments.threads, [&](ParallelFor team) { plan.run(team); });
}

}  // namespace fastgan::cpu
