// affine_act_conv on CUDA: what a call is launched with, and the packing of its weight. Knows no torch.
#include <cmath>

#include "cuda/affine_act_conv.h"
#include "cuda/affine_act_conv_pack.cuh"
#include "cuda/affine_act_conv_tiles.h"

namespace fastgan::cuda {
namespace {

constexpr int64_t kIdle = 256;  // tiles below which a large device idles
constexpr int64_t kMostBlocks = (1LL << 31) - 1;

bool aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % kPieceBytes == 0; }

int64_t divided(int64_t count, int64_t by) { return (count + by - 1) / by; }

int64_t rows_of(const Correlation& shape, int64_t images) {
  return images * shape.outputs(0) * shape.outputs(1);
}

int64_t phases_of(const Correlation& shape) {
  return static_cast<int64_t>(shape.phases(0)) * shape.phases(1);
}

// Calls f(a tile) for its kind.
template <class F>
auto with_tile(TileKind kind, const F& f) {
  switch (kind) {
    case TileKind::kWide:
      return f(WideTile());
    case TileKind::kTall:
      return f(TallTile());
    case TileKind::kNarrow:
      return f(NarrowTile());
    default:
      return f(FewTile());
  }
}

struct Grid {
  int64_t down, across, phases;

  int64_t tiles() const { return down * phases; }  // of one block of columns
  int64_t blocks() const { return down * across * phases; }
  // Tiles of a group whose moments are merged first: as many groups as a group has tiles.
  int64_t group_tiles() const {
    return std::max<int64_t>(1, std::llround(std::sqrt(static_cast<double>(tiles()))));
  }
  int64_t groups() const { return divided(tiles(), group_tiles()); }
};

Grid grid_of(const AffineActConvArguments& a, TileKind kind) {
  const Correlation shape = correlation(a.shape);
  return with_tile(kind, [&](auto tile) {
    return Grid{divided(rows_of(shape, a.images), tile.kRows), divided(shape.out_channels, tile.kColumns),
                phases_of(shape)};
  });
}

// Images that a tile's rows can belong to.
int64_t images_of_tile(const Correlation& shape, int64_t images, int64_t rows) {
  const int64_t pixels = static_cast<int64_t>(shape.outputs(0)) * shape.outputs(1);
  const int64_t most = pixels % rows == 0 ? 1 : rows % pixels == 0 ? rows / pixels : (rows - 2) / pixels + 2;
  return std::min(images, most);
}

const char* refusal(const AffineActConvArguments& a) {
  if (a.type == ElementType::kDouble) return "affine_act_conv: maps must be float32, float16 or bfloat16";
  if (a.bias_type != a.type && a.bias_type != ElementType::kFloat)
    return "affine_act_conv: bias must have the maps' type or be float32";
  if (a.activation == Activation::kTanh) return "affine_act_conv: tanh is an output activation only";
  if ((a.mean == nullptr) != (a.var == nullptr)) return "affine_act_conv: mean and var go together";
  if (a.mean != nullptr && (a.pixels || a.output_activation != Activation::kNone))
    return "affine_act_conv: statistics are those of an output that is neither activated nor pixels";
  if (!countable(a.shape, a.images)) return "affine_act_conv: maps must have at most 2^30 pixels in all";
  if (grid_of(a, tile_kind(a)).blocks() > kMostBlocks)
    return "affine_act_conv: more tiles than a grid counts";
  return nullptr;
}

template <class T, class W>
void pack(const PackLaunch& a, void* stream) {
  const auto blocks = static_cast<unsigned>(divided(std::max(a.pieces, a.counter_count), kPackThreads));
  FASTGAN_LAUNCH((affine_act_conv_pack_kernel<T, W>), dim3(blocks), dim3(kPackThreads), 0, stream, a);
}

template <class T>
void pack_as(const PackLaunch& a, bool wide, void* stream) {
  wide ? pack<T, float>(a, stream) : pack<T, T>(a, stream);
}

}  // namespace

TileKind tile_kind(const AffineActConvArguments& a) {
  const Correlation shape = correlation(a.shape);
  const int64_t pixel = shape.in_channels * element_bytes(a.type);
  const bool packs = aligned(a.input) && aligned(a.scale) && aligned(a.shift);
  if (packs && pixel == kPixelBytes) return TileKind::kFewByPixel;
  if (!packs || pixel % kPieceBytes != 0) return TileKind::kFewByElement;
  if (shape.out_channels <= NarrowTile::kColumns) return TileKind::kNarrow;
  if (a.type == ElementType::kFloat && a.precision == Precision::kExact) return TileKind::kFew;
  const TileKind large = shape.out_channels <= TallTile::kColumns ? TileKind::kTall : TileKind::kWide;
  return grid_of(a, large).blocks() >= kIdle ? large : TileKind::kFew;
}

ConvolutionLaunch convolution_launch(const AffineActConvArguments& a, TileKind kind) {
  ConvolutionLaunch to{};
  const Grid grid = grid_of(a, kind);
  const int64_t bytes = element_bytes(a.type), numbers = kRowBytes / bytes;
  to.shape = correlation(a.shape);
  to.images = static_cast<int>(a.images);
  to.input = a.input;
  to.weight = a.weight;
  to.bias = a.bias;
  to.bias_is_float = a.bias_type != a.type;
  to.scale = a.scale;
  to.shift = a.shift;
  to.scale_stride = a.scale_by_sample ? a.shape.in_channels : 0;
  to.shift_stride = a.shift_by_sample ? a.shape.in_channels : 0;
  to.sample_rows = a.scale_by_sample || a.shift_by_sample ? a.sample_rows : nullptr;
  to.activation = a.activation;
  to.negative_slope = a.activation == Activation::kLeakyRelu ? a.negative_slope : 1.0f;
  to.output_activation = a.output_activation;
  to.output_slope = a.output_slope;
  to.pixels = a.pixels;
  to.whole_stores = a.shape.out_channels * bytes % kPieceBytes == 0 && aligned(a.output);
  to.output = a.output;
  to.mean = a.mean;
  to.var = a.var;
  to.partial = static_cast<float*>(a.workspace);
  to.groups = to.partial + grid.tiles() * 4 * a.shape.out_channels;
  to.counters = a.counters;
  to.rows = static_cast<int>(rows_of(to.shape, a.images));
  to.tiles_down = static_cast<int>(grid.down);
  to.tiles_across = static_cast<int>(grid.across);
  to.k_steps = static_cast<int>(k_steps(to.shape, bytes));
  to.step_taps = static_cast<int>(numbers / a.shape.in_channels);
  to.step_channels = static_cast<int>(numbers % a.shape.in_channels);
  to.group_tiles = static_cast<int>(grid.group_tiles());
  to.group_count = static_cast<int>(grid.groups());
  with_tile(kind, [&](auto tile) {
    to.shared_bytes = tile.kSlotsAt;
    const bool by_read = kind == TileKind::kFewByElement || kind == TileKind::kFewByPixel;
    if (by_read || (a.scale == nullptr && a.shift == nullptr)) return;
    const bool by_sample = a.scale_by_sample || a.shift_by_sample;
    const int64_t slots = by_sample ? images_of_tile(to.shape, a.images, tile.kRows) : 1;
    // Two rows that eight threads read side by side lie in different banks.
    to.shift_after = static_cast<int>(divided(a.shape.in_channels + 3 * kPieceBytes / bytes, 32) * 32);
    to.slot_floats = 2 * to.shift_after + (bytes == 4 ? 16 : 4);
    const int64_t wanted = tile.kSlotsAt + slots * to.slot_floats * 4;
    if (wanted > kMostShared) return;
    to.slots = static_cast<int>(slots);
    to.shared_bytes = wanted;
  });
  return to;
}

}  // namespace fastgan::cuda

using namespace fastgan::cuda;
using fastgan::ElementType;

extern "C" const char* fastgan_cuda_affine_act_conv(const AffineActConvArguments* arguments, void* stream) {
  const AffineActConvArguments& a = *arguments;
  if (const char* why = refusal(a)) return why;
  if (a.images == 0) return nullptr;
  const TileKind kind = tile_kind(a);
  const ConvolutionLaunch launch = convolution_launch(a, kind);
  switch (a.type) {
    case ElementType::kHalf:
      launch_affine_act_conv_half(launch, kind, stream);
      break;
    case ElementType::kBFloat16:
      launch_affine_act_conv_bfloat16(launch, kind, stream);
      break;
    default:
      a.precision == Precision::kTf32 ? launch_affine_act_conv_tf32(launch, kind, stream)
                                      : launch_affine_act_conv_exact(launch, kind, stream);
  }
  return launch_failure("affine_act_conv");
}

extern "C" const char* fastgan_cuda_affine_act_conv_pack(const AffineActConvPackArguments* arguments,
                                                         void* stream) {
  const AffineActConvPackArguments& a = *arguments;
  if (a.type == ElementType::kDouble) return "affine_act_conv: maps must be float32, float16 or bfloat16";
  if (a.weight_type != a.type && a.weight_type != ElementType::kFloat)
    return "affine_act_conv: weight must have the maps' type or be float32";
  if (!countable(a.shape, 0)) return "affine_act_conv: weight must have at most 2^30 numbers for a channel";
  PackLaunch to{};
  to.shape = correlation(a.shape);
  to.weight = a.weight;
  std::copy(a.stride, a.stride + 4, to.stride);
  to.packed = a.packed;
  const int64_t bytes = element_bytes(a.type);
  to.pieces = packed_rows(to.shape, bytes) * (kRowBytes / kPieceBytes);
  to.k_steps = static_cast<int>(k_steps(to.shape, bytes));
  to.counters = a.counters;
  to.counter_count = a.counters != nullptr ? a.counter_count : 0;
  to.tf32 = a.type == ElementType::kFloat && a.precision == Precision::kTf32;
  const bool wide = a.weight_type == ElementType::kFloat;
  switch (a.type) {
    case ElementType::kHalf:
      pack_as<Half>(to, wide, stream);
      break;
    case ElementType::kBFloat16:
      pack_as<BFloat16>(to, wide, stream);
      break;
    default:
      pack<float, float>(to, stream);
  }
  return launch_failure("affine_act_conv");
}

extern "C" int64_t fastgan_cuda_affine_act_conv_packed_bytes(ElementType type,
                                                             const fastgan::Convolution* shape) {
  return packed_rows(correlation(*shape), element_bytes(type)) * kRowBytes;
}

extern "C" int64_t fastgan_cuda_affine_act_conv_workspace(const AffineActConvArguments* arguments) {
  if (arguments->mean == nullptr) return 0;
  const Grid grid = grid_of(*arguments, tile_kind(*arguments));
  return (grid.tiles() + grid.groups()) * 4 * arguments->shape.out_channels *
         static_cast<int64_t>(sizeof(float));
}

extern "C" int64_t fastgan_cuda_affine_act_conv_counters(const AffineActConvArguments* arguments) {
  if (arguments->mean == nullptr) return 0;
  const Grid grid = grid_of(*arguments, tile_kind(*arguments));
  return grid.across * (grid.groups() + 1);
}
