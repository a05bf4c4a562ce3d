// Numbers per channel as the elements of a tile see them, for passes over map_tiles.h. For sources of one
// capability.
//
// Needs before it: <algorithm>, <vector>, cpu/map_tiles.h.

namespace fastgan::cpu {
namespace {

// Elements worked on at a time: their buffers stay in the first-level cache.
constexpr int64_t kChunk = 1024;

// The row repeated for the pixels of a chunk, or a single number in a tile of one channel.
template <class T>
class ChannelRow {
 public:
  ChannelRow(const MapTiles& tiles, T absent)
      : channels_(tiles.channels_per_tile()),
        repeats_(channels_ == 1 ? 1 : std::max<int64_t>(1, kChunk / channels_)),
        values_(static_cast<size_t>(channels_ * repeats_), absent) {}

  // nullptr leaves the numbers for an absent row.
  void set(const T* row, const Tile& tile) {
    if (row == nullptr || row + tile.channel == current_) return;
    current_ = row + tile.channel;
    for (int64_t i = 0; i < repeats_; ++i) std::copy_n(current_, channels_, values_.data() + i * channels_);
  }

  const T* data() const { return values_.data(); }

 private:
  int64_t channels_, repeats_;
  std::vector<T> values_;
  const T* current_ = nullptr;
};

// Elements of a chunk: whole pixels where channels go round.
inline int64_t chunk_elements(const MapTiles& tiles) {
  const int64_t channels = tiles.channels_per_tile();
  return std::max<int64_t>(1, kChunk / std::max<int64_t>(1, channels)) * channels;
}

// Whether the tiles' rows hold a single number.
inline bool uniform(const MapTiles& tiles) { return tiles.channels_per_tile() == 1; }

template <bool value>
struct Flag {
  static constexpr bool kValue = value;
};

template <class F>
inline void with_flag(bool value, const F& f) {
  return value ? f(Flag<true>()) : f(Flag<false>());
}

}  // namespace
}  // namespace fastgan::cpu
