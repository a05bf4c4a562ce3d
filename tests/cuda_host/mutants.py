"""Mistakes that the kernels and the shim could have, each with the check that has to notice it. Data alone.

One text that a file holds once, and what stands there instead. Of a kernel `check` is one of pass_checks.CHECKS; of a
frozen generator, one of frozen_checks.CHECKS; of the shim, the small wrong kernel that it then says nothing of, or
shim_checks.THREADS.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    check: str


KERNELS = (
    Mutant(
        "rows of a block are added up before all have stored theirs",
        "cuda/affine_act_backward.cuh",
        "  rows.store(sums);\n  __syncthreads();\n",
        "  rows.store(sums);\n",
        "gradients_in_nhwc",
    ),
    Mutant(
        "groups of rows are added up before all are there",
        "cuda/affine_act_backward.cuh",
        "    __syncthreads();\n    if (thread >= kPlanes * span_",
        "    if (thread >= kPlanes * span_",
        "gradients_in_nhwc",
    ),
    Mutant(
        "parts are merged before all groups have theirs",
        "cuda/affine_act_backward.cuh",
        "  sums[thread] = sum;\n  __syncthreads();\n",
        "  sums[thread] = sum;\n",
        "gradients_in_nhwc",
    ),
    Mutant(
        "folded channels without their folds",
        "cuda/affine_act_backward.cuh",
        "f < t.fold",
        "f < 1",
        "gradients_of_3_channels",
    ),
    Mutant(
        "an image's sums go on into the next image's",
        "cuda/affine_act_backward.cuh",
        "first + t.tiles;",
        "t.images * t.tiles;",
        "gradients_by_image",
    ),
    Mutant(
        "half of a strip's lanes are left out",
        "cuda/affine_act_backward.cuh",
        "int bit = t.columns / 2;",
        "int bit = t.columns / 4;",
        "gradients_in_nchw",
    ),
    Mutant(
        "a block goes on into the next one's pixels",
        "cuda/map_threads.cuh",
        "packs_between(first, t.rows, (p.tile + 1) * t.tile, t.pixels)",
        "packs_between(first, t.rows, t.pixels, t.pixels)",
        "gradients_in_nhwc",
    ),
    Mutant(
        "channels do not begin again in a fold",
        "cuda/affine_act_packs.cuh",
        "row[(first + i) % channels]",
        "row[first % channels + i]",
        "values_of_3_channels",
    ),
    Mutant(
        "folds where the pixels are not a multiple",
        "cuda/map_tiling.h",
        "t.pixels % fold == 0 ? pack : 1",
        "pack",
        "values_of_3_channels",
    ),
    Mutant(
        "one number a strip, its channel's neighbour's",
        "cuda/map_threads.cuh",
        "strip % t.channels",
        "(strip + 1) % t.channels",
        "values_in_nchw",
    ),
    Mutant(
        "pixels stay apart by channel",
        "cuda/affine_act_forward.cuh",
        "out[i * a.shape.channels]",
        "out[i]",
        "pixels_in_nchw",
    ),
    Mutant(
        "16 bytes at a time from anywhere",
        "cuda/affine_act.cu",
        "  if (!aligned) return 1;\n",
        "",
        "values_not_aligned",
    ),
    Mutant(
        "no row more than one is given",
        "cuda/affine_act.cu",
        "affine.scale.row_stride != 0 || affine.shift.row_stride != 0",
        "affine.shift.row_stride != 0",
        "gradients_by_image",
    ),
    Mutant(
        "logits 16 bytes at a time from anywhere",
        "cuda/gan_loss.cuh",
        "reinterpret_cast<uintptr_t>(memory) % 16 == 0",
        "memory != nullptr",
        "losses_not_aligned",
    ),
    Mutant(
        "the tree of a sum ends early",
        "cuda/gan_loss.cuh",
        "int offset = 16; offset > 0;",
        "int offset = 16; offset > 1;",
        "losses",
    ),
    Mutant(
        "the next sum overwrites one that is still read",
        "cuda/gan_loss.cuh",
        "  __syncthreads();  // the previous sum may still be read\n",
        "",
        "losses",
    ),
)

_PASS = "cuda/frozen_pass.cuh"
_SEQUENCE = "cuda/frozen_generator.cu"
_MANY = "more_images_than_at_a_time"
FROZEN = (
    Mutant("threads behind the last image", _PASS, "  if (image >= a.images) return;\n", "", "whole_packs"),
    Mutant("one block too few", _SEQUENCE, "(threads + kFrozenThreads - 1) /", "threads /", "whole_packs"),
    Mutant("an index has no end", _PASS, "place >= 0 && place < a.size", "place >= 0", "places_outside_a_row"),
    Mutant("an index has no beginning", _PASS, "good = place >= 0 && ", "good = ", "places_outside_a_row"),
    Mutant("one bad place spoils its pack", _PASS, "    good = true;\n", "", "places_outside_a_row"),
    Mutant("a label more than there are", _PASS, "label < a.classes", "label <= a.classes", "tables_by_label"),
    Mutant("rows of tables half as far apart", _PASS, "row * channels +", "row * (channels / 2) +", "tables_by_label"),
    Mutant("labels of the first images again", _SEQUENCE, "a_.labels + first_", "a_.labels", _MANY),
    Mutant("the first images are overwritten", _SEQUENCE, "first_ * a_.steps", "0 * a_.steps", _MANY),
    Mutant("images as far apart as rows of bytes", _SEQUENCE, "a_.pixels ? 1 :", "!a_.pixels ? 1 :", _MANY),
    Mutant("channels of where a number goes", _PASS, "place % a.channels", "(first + i) % a.channels", "permutations"),
    Mutant(
        "rows change places where they are",
        _SEQUENCE,
        "? buffers_[1] : buffers_[0]",
        "? buffers_[0] : buffers_[0]",
        "permutations",
    ),
    Mutant(
        "packs go on into the next row's channels", _SEQUENCE, "(pass.channels % kPack == 0 && ", "(", "single_numbers"
    ),
    Mutant("the end of a row is left out", _SEQUENCE, "pass.size % kPack == 0 && ", "", "single_numbers"),
    Mutant(
        "16 bytes at a time from anywhere",
        _SEQUENCE,
        "is_aligned(pass.input, kPack * sizeof(In)) &&",
        "",
        "single_numbers",
    ),
    Mutant(
        "memory for one buffer", _SEQUENCE, "return 2 * buffer + labels;", "return buffer + labels;", "permutations"
    ),
    Mutant(
        "an affine map replaces the one before",
        _SEQUENCE,
        "          if (pending_.any()) pass(nullptr);\n",
        "",
        "steps_that_wait_for_none",
    ),
    Mutant(
        "an activation replaces the one before",
        _SEQUENCE,
        "          if (pending_.activation != Activation::kNone) pass(nullptr);\n",
        "",
        "steps_that_wait_for_none",
    ),
    Mutant(
        "a convolution is offered a tanh", _SEQUENCE, "|| pending_.activation == Activation::kTanh", "", "convolutions"
    ),
    Mutant(
        "a convolution has labels' rows of its own",
        _SEQUENCE,
        "c.sample_rows = labels_;",
        "c.sample_rows = nullptr;",
        "convolutions",
    ),
)
# These only read elsewhere, and what they read has no effect: sanitizers and the emulator see it, results do not.
FROZEN_READS = (
    Mutant("a label that no table has is followed", _PASS, "good ? label : 0;", "label;", "tables_by_label"),
)

SHIM = (
    Mutant(
        "copies land at once",
        "copies.cpp",
        "  std::memset(shared, kPoison, kBytes);  // hardware may write from now on: nobody may still read here\n",
        "  if (valid) std::memcpy(shared, global, kBytes);\n",
        "copy_without_wait",
    ),
    Mutant(
        "copies destroy nothing before they land",
        "copies.cpp",
        "  std::memset(shared, kPoison, kBytes);  // hardware may write from now on: nobody may still read here\n",
        "",
        "copy_over_what_is_read",
    ),
    Mutant(
        "shared memory is that of the block before",
        "block.cpp",
        "  shared_memory().begin_block();\n",
        "",
        "never_written",
    ),
    Mutant(
        "any two barriers meet",
        "block.cpp",
        "} else if (place_ != place) {",
        "} else if (false) {",
        "divergent_barrier",
    ),
    Mutant(
        "any two operations of a warp meet",
        "warp.cpp",
        "} else if (meeting.place != place) {",
        "} else if (false) {",
        "divergent_shuffle",
    ),
    Mutant(
        "no warp runs ahead",
        "schedule.h",
        "return number_ != 0 && number_ % 2 == 0;",
        "return false;",
        "missing_barrier_after_zero",
    ),
    Mutant(
        "every address is aligned",
        "cuda_on_host.h",
        "if (reinterpret_cast<uintptr_t>(memory) % bytes == 0) return;",
        "if (reinterpret_cast<uintptr_t>(memory) % 2 == 0) return;",
        "misaligned_copy",
    ),
    Mutant(
        "half a warp multiplies",
        "matrix.cpp",
        "  if (meeting.took_part != kAllLanes) fail(",
        "  if (false) fail(",
        "product_of_half_a_warp",
    ),
    Mutant(
        "shared memory has no end",
        "shared_memory.cpp",
        "  if (this->bytes() + bytes > kSharedLimit) return nullptr;\n",
        "",
        "too_many_static_bytes",
    ),
    Mutant(
        "launches of two threads overlap",
        "launch.cpp",
        "  static std::mutex one_at_a_time;",
        "  static thread_local std::mutex one_at_a_time;",
        "launches_of_threads",
    ),
    Mutant(
        "a thread is told of another one's mistake",
        "launch.cpp",
        "thread_local std::string first_error,",
        "std::string first_error,",
        "launches_of_threads",
    ),
)
