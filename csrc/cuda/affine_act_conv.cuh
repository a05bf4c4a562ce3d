// affine_act_conv on CUDA: one implicit GEMM for each output phase (cuda/correlation.h), all in one launch.
//
// A block makes one tile of one phase. K goes by stages of 64 bytes a row, of which kStages - 1 are on their
// way while one is multiplied; one barrier a stage. An output's sum takes its products in the order of K
// whatever the tile, so its bits depend neither on the tile nor on the other images.
#pragma once

#include "cuda/affine_act_conv_epilogue.cuh"

namespace fastgan::cuda {

constexpr int kGroupRows = 8;  // rows of tiles at a time, so that neighbouring blocks share operands in L2

struct BlockPlace {
  int phase_h, phase_w, down, across;
};

// Phases run fastest: they read the same inputs.
__device__ inline BlockPlace block_place(const ConvolutionLaunch& a) {
  const int phases = a.shape.phases(0) * a.shape.phases(1);
  const int phase = blockIdx.x % phases, tile = blockIdx.x / phases;
  const int group = tile / (kGroupRows * a.tiles_across), in_group = tile % (kGroupRows * a.tiles_across);
  const int first = group * kGroupRows, left = a.tiles_down - first;
  const int rows = left < kGroupRows ? left : kGroupRows;
  return {phase / a.shape.phases(1), phase % a.shape.phases(1), first + in_group % rows, in_group / rows};
}

template <class T, Products products, class Tile, class Input>
__global__ void __launch_bounds__(Tile::kThreads,
                                  products == Products::kExact ? Tile::kExactBlocks : Tile::kBlocks)
    affine_act_conv_kernel(const ConvolutionLaunch a) {
  FASTGAN_SHARED(memory);
  const TileRows rows{reinterpret_cast<Row*>(memory + Tile::kInputsAt),
                      reinterpret_cast<int*>(memory + Tile::kOutputsAt)};
  float* const slots = reinterpret_cast<float*>(memory + Tile::kSlotsAt);
  constexpr int kNumbers = kRowBytes / sizeof(T);

  const BlockPlace place = block_place(a);
  const PhaseTaps taps{axis_taps(a.shape, 0, place.phase_h), axis_taps(a.shape, 1, place.phase_w)};
  const int phase = place.phase_h * a.shape.phases(1) + place.phase_w;
  const int first_row = place.down * Tile::kRows, first_column = place.across * Tile::kColumns;
  const int depth = taps.count() * a.shape.in_channels, steps = (depth + kNumbers - 1) / kNumbers;
  const int64_t first_step = static_cast<int64_t>(phase) * a.k_steps;

  fill_rows<Tile>(a, taps, place.phase_h, place.phase_w, first_row, rows);
  if (steps > 0)
    fill_vectors<Tile, kPieceBytes / sizeof(T)>(a, first_row / (a.shape.outputs(0) * a.shape.outputs(1)),
                                                slots);
  __syncthreads();

  Sums<Tile> sums{};
  Input input(a, taps, rows, slots);
  // Brings a step's operands on their way to a stage.
  const auto start = [&](int step, unsigned char* stage) {
    if (step < steps) {
      input.start(stage);
      start_weight<T, Tile>(a, step, depth, (first_step + step) * a.shape.out_channels + first_column,
                            first_column, stage + Tile::kRows * kRowBytes);
    }
    commit_copies();  // an empty group, too: waits count groups
  };
  unsigned char* const end = memory + Tile::kStages * Tile::kStageBytes;
  unsigned char* filled = memory;  // the stage that the next step's operands come to
#pragma unroll 1
  for (int step = 0; step < Tile::kStages - 1; ++step) {
    start(step, filled);
    if (step < steps) input.store(filled);
    filled += Tile::kStageBytes;
  }
  const int warp = threadIdx.x / 32;
  const int rows_at = warp / Tile::kWarpsAcross * Tile::kWarpRows * kRowBytes;
  const int columns_at = (Tile::kRows + warp % Tile::kWarpsAcross * Tile::kWarpColumns) * kRowBytes;
  unsigned char* stage = memory;
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    wait_copies<Tile::kStages - 2>();
    input.land(stage);
    __syncthreads();  // this stage is there for all, and nobody reads the one before any more
    const int next = step + Tile::kStages - 1;
    start(next, filled);
    if constexpr (products == Products::kExact) {
      multiply_stage_exactly(stage + rows_at, stage + columns_at, sums);
    } else {
      multiply_stage<T, products>(stage + rows_at, stage + columns_at, sums);
    }
    if (next < steps) input.store(filled);
    stage = stage + Tile::kStageBytes == end ? memory : stage + Tile::kStageBytes;
    filled = filled + Tile::kStageBytes == end ? memory : filled + Tile::kStageBytes;
  }

  const PassMemory work{reinterpret_cast<float*>(memory), reinterpret_cast<float*>(memory + Tile::kBiasAt),
                        rows.outputs};
  double* const totals = reinterpret_cast<double*>(memory + Tile::kSumsAt);
  const int tile = phase * a.tiles_down + place.down;
#pragma unroll 1
  for (int pass = 0; pass < Tile::kColumns / Tile::kPassColumns; ++pass) {
    const int first = first_column + pass * Tile::kPassColumns;
    __syncthreads();  // stages, or the pass before, may still be read
    stage_sums<T>(a, sums, pass, first, work);
    __syncthreads();
    if (a.whole_stores) {
      store_pieces<T, Tile>(a, first, work);
    } else {
      store_numbers<T, Tile>(a, first, work);
    }
    if (a.mean != nullptr)
      write_tile_moments<T, Tile>(a, first, work, tile, reinterpret_cast<float*>(totals));
  }
  if (a.mean == nullptr) return;
  const MomentsPlan plan{a.partial,
                         a.groups,
                         a.counters + place.across * (a.group_count + 1),
                         a.tiles_down * a.shape.phases(0) * a.shape.phases(1),
                         a.group_tiles,
                         a.group_count,
                         a.shape.out_channels,
                         a.mean,
                         a.var};
  finish_moments<Tile::kThreads, Tile::kPassColumns, Tile::kColumns>(plan, tile, first_column, totals);
}

template <class T, Products products, class Tile, class Input>
void queue(const ConvolutionLaunch& a, void* stream) {
  const int64_t blocks =
      static_cast<int64_t>(a.shape.phases(0)) * a.shape.phases(1) * a.tiles_down * a.tiles_across;
  FASTGAN_LAUNCH((affine_act_conv_kernel<T, products, Tile, Input>), dim3(static_cast<unsigned>(blocks)),
                 dim3(Tile::kThreads), static_cast<size_t>(a.shared_bytes), stream, a);
}

template <class T, Products products>
void queue(const ConvolutionLaunch& a, TileKind kind, void* stream) {
  constexpr bool tf32 = products == Products::kTf32;
  switch (kind) {
    case TileKind::kWide:
      if constexpr (products != Products::kExact)
        queue<T, products, WideTile, WholeInput<T, tf32, WideTile>>(a, stream);
      return;
    case TileKind::kTall:
      if constexpr (products != Products::kExact)
        queue<T, products, TallTile, WholeInput<T, tf32, TallTile>>(a, stream);
      return;
    case TileKind::kFew:
      return queue<T, products, FewTile, WholeInput<T, tf32, FewTile>>(a, stream);
    case TileKind::kFewByElement:
      return queue<T, products, FewTile, ElementInput<T, tf32, FewTile, 1>>(a, stream);
    case TileKind::kFewByPixel:
      return queue<T, products, FewTile, ElementInput<T, tf32, FewTile, kPixelBytes / sizeof(T)>>(a, stream);
    case TileKind::kNarrow:
      return queue<T, products, NarrowTile, WholeInput<T, tf32, NarrowTile>>(a, stream);
  }
}

}  // namespace fastgan::cuda
