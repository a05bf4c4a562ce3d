// What the kernels of affine_act_conv are launched with: tiles, where things lie in shared memory, sizes.
#pragma once

#include "cuda/affine_act_conv.h"
#include "cuda/correlation.h"
#include "cuda/device.cuh"

namespace fastgan::cuda {

// A block makes kRows x kColumns outputs, its warps kWarpRows x kWarpColumns each, from kStages stages of K.
template <int rows, int columns, int warp_rows, int warp_columns, int stages>
struct Tile {
  static constexpr int kRows = rows, kColumns = columns, kWarpRows = warp_rows, kWarpColumns = warp_columns;
  static constexpr int kStages = stages;
  static constexpr int kWarpsDown = rows / warp_rows, kWarpsAcross = columns / warp_columns;
  static constexpr int kThreads = 32 * kWarpsDown * kWarpsAcross;
  // Of a multiprocessor, that registers are left for: on Blackwell one less, or bfloat16 would spill. Where
  // products are exact, a stage's sums are held besides.
  static constexpr int kBlocks = rows * columns > 8192 ? 1 : 512 / kThreads - (kForBlackwell ? 1 : 0);
  static constexpr int kExactBlocks = 512 / kThreads - 1;
  static constexpr int kStageBytes = (rows + columns) * kRowBytes;
  // The epilogue goes through shared memory by passes of so many columns, in rows of kPitch floats: a pitch
  // of 8 modulo 32 words lets a warp store its 2 columns of 8 rows each without a conflict.
  static constexpr int kPassColumns = columns < 64 ? columns : 64;
  static constexpr int kPitch = columns < 64 ? columns : kPassColumns + 8;
  static constexpr int kEpilogueBytes = rows * kPitch * 4;
  // Behind its tile: the bias of a pass, and what statistics sum up in.
  static constexpr int kBiasAt = kEpilogueBytes;
  static constexpr int kSumsAt = kBiasAt + kPassColumns * 4;
  static constexpr int kEpilogueEnd = kSumsAt + kThreads * 8 + 16;
  static constexpr int kWorkBytes =
      kStages * kStageBytes > kEpilogueEnd ? kStages * kStageBytes : kEpilogueEnd;
  // Behind both: for each row where it reads and where it writes, and rows of scale and shift.
  static constexpr int kInputsAt = kWorkBytes;
  static constexpr int kOutputsAt = kInputsAt + rows * 16;
  static constexpr int kSlotsAt = (kOutputsAt + rows * 4 + 127) / 128 * 128;
};

// For many outputs of many channels and of up to 64; for few outputs, and wherever channels are read one by
// one or pixels of 8 bytes; for images.
using WideTile = Tile<128, 128, 64, 32, 3>;
using TallTile = Tile<128, 64, 32, 32, 3>;
using FewTile = Tile<64, 64, 32, 32, 3>;
using NarrowTile = Tile<128, 8, 32, 8, 4>;

enum class TileKind { kWide, kTall, kFew, kFewByElement, kFewByPixel, kNarrow };
constexpr int kPixelBytes = 8;  // of kFewByPixel's

// What a kernel is told; the arguments' names mean what they mean there.
struct ConvolutionLaunch {
  Correlation shape;
  int images;
  const void* input;
  const void* weight;
  const void* bias;
  bool bias_is_float;  // and the maps are not
  const float* scale;
  const float* shift;
  int64_t scale_stride, shift_stride;  // of a row; 0 where all images share one
  const int64_t* sample_rows;
  Activation activation, output_activation;
  float negative_slope, output_slope;
  bool pixels;
  bool whole_stores;  // 16 bytes at a time
  void* output;
  float* mean;
  float* var;
  float* partial;  // [tiles, 4, out_channels]
  float* groups;   // [groups, 4, out_channels]
  int32_t* counters;
  int rows, tiles_down, tiles_across;  // of one phase
  int k_steps;                   // of the phase with most taps: how far apart phases lie in the packed weight
  int step_taps, step_channels;  // by which a step goes on
  int group_tiles, group_count;
  int slots;        // rows of scale and shift that a block keeps in shared memory; 0: it reads global memory
  int shift_after;  // floats from a row's scale to its shift
  int slot_floats;  // from one of these rows to the next
  int64_t shared_bytes;
};

// The tile that a call takes. Its bits do not depend on it: whatever the tile, an output is the sum over the
// same steps in the same order.
TileKind tile_kind(const AffineActConvArguments& arguments);

// Of the arguments and the tile; pointers into the workspace included.
ConvolutionLaunch convolution_launch(const AffineActConvArguments& arguments, TileKind kind);

// Queue it; one source each, since these take longest to compile.
void launch_affine_act_conv_half(const ConvolutionLaunch& launch, TileKind kind, void* stream);
void launch_affine_act_conv_bfloat16(const ConvolutionLaunch& launch, TileKind kind, void* stream);
void launch_affine_act_conv_tf32(const ConvolutionLaunch& launch, TileKind kind, void* stream);
void launch_affine_act_conv_exact(const ConvolutionLaunch& launch, TileKind kind, void* stream);

}  // namespace fastgan::cuda
