// Weights of units in f32, as they are and as their quantized forms give them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <tuple>
#include <vector>

#include "quant/format.h"
#include "replay/model_part.h"

namespace qvl {

// Keeps what was used last, up to a number of bytes; the rest is read and quantized again when asked for.
// Thread-safe.
class WeightStore {
 public:
  using Weight = std::shared_ptr<const std::vector<float>>;

  // `threads` quantize one weight. The parts must outlive it.
  WeightStore(std::span<const std::unique_ptr<ModelPart>> parts, std::uint64_t capacity_bytes, int threads);

  void set_capacity(std::uint64_t bytes) { capacity_bytes_ = bytes; }

  // From now on the unit has this weight, in any format.
  void replace(std::size_t unit, std::vector<float> values);
  // `unit` counts over all parts; `format` null: as it is.
  [[nodiscard]] Weight get(std::size_t unit, const Format* format);
  // Whether all weights that these assignments take can be kept at once.
  [[nodiscard]] bool fits(std::span<const Assignment* const> assignments) const;
  [[nodiscard]] std::uint64_t held_bytes();
  [[nodiscard]] double mean_squared_error(std::size_t unit, const Format& format);

 private:
  using Key = std::tuple<std::size_t, int, std::int64_t>;  // unit, bits (0: as it is), block
  struct Entry {
    Weight weight;
    std::list<Key>::iterator age;
  };
  [[nodiscard]] static Key key_of(std::size_t unit, const Format* format);
  [[nodiscard]] const ModelPart& part_of(std::size_t unit) const;
  [[nodiscard]] Weight find(const Key& key);
  [[nodiscard]] Weight keep(const Key& key, std::vector<float> values);

  std::span<const std::unique_ptr<ModelPart>> parts_;
  std::uint64_t capacity_bytes_;
  int threads_;
  std::mutex making_;  // one weight at a time is made, by all threads
  std::mutex mutex_;   // of what follows
  std::uint64_t held_bytes_ = 0;
  std::map<std::size_t, Weight> replaced_;
  std::map<Key, Entry> entries_;
  std::list<Key> ages_;  // the one used last comes first
};

}  // namespace qvl
