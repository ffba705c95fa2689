#include "replay/weight_store.h"

#include <set>

#include "quant/fake_quantize.h"
#include "qvl/error.h"

namespace qvl {

WeightStore::WeightStore(std::span<const std::unique_ptr<ModelPart>> parts, std::uint64_t capacity_bytes,
                         int threads)
    : parts_(parts), capacity_bytes_(capacity_bytes), threads_(threads) {}

WeightStore::Key WeightStore::key_of(std::size_t unit, const Format* format) {
  return {unit, format == nullptr ? 0 : format->bits, format == nullptr ? 0 : format->block};
}

const ModelPart& WeightStore::part_of(std::size_t unit) const {
  for (std::size_t p = parts_.size(); p-- > 1;) {
    if (unit >= parts_[p]->first_unit) return *parts_[p];
  }
  return *parts_.front();
}

void WeightStore::replace(std::size_t unit, std::vector<float> values) {
  auto weight = std::make_shared<const std::vector<float>>(std::move(values));
  const std::lock_guard lock(mutex_);
  replaced_.insert_or_assign(unit, std::move(weight));
}

WeightStore::Weight WeightStore::find(const Key& key) {
  const std::lock_guard lock(mutex_);
  const auto replaced = replaced_.find(std::get<0>(key));
  if (replaced != replaced_.end()) return replaced->second;
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  ages_.splice(ages_.begin(), ages_, found->second.age);
  return found->second.weight;
}

WeightStore::Weight WeightStore::keep(const Key& key, std::vector<float> values) {
  auto weight = std::make_shared<const std::vector<float>>(std::move(values));
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);  // another thread may have been faster
  if (found != entries_.end()) return found->second.weight;
  ages_.push_front(key);
  entries_.emplace(key, Entry{weight, ages_.begin()});
  held_bytes_ += weight->size() * sizeof(float);
  while (held_bytes_ > capacity_bytes_ && ages_.size() > 1) {
    const auto oldest = entries_.find(ages_.back());
    held_bytes_ -= oldest->second.weight->size() * sizeof(float);
    entries_.erase(oldest);
    ages_.pop_back();
  }
  return weight;
}

WeightStore::Weight WeightStore::get(std::size_t unit, const Format* format) {
  const Key key = key_of(unit, format);
  if (Weight known = find(key)) return known;
  const std::lock_guard lock(making_);  // whoever waits finds it, most likely
  if (Weight known = find(key)) return known;
  const ModelPart& part = part_of(unit);
  const Unit& info = part.units[unit - part.first_unit];
  const Key plain_key{unit, 0, 0};
  Weight plain = find(plain_key);
  if (!plain) plain = keep(plain_key, load_weight(part.graph, info, threads_));
  if (format == nullptr) return plain;
  std::vector<float> values(plain->size());
  try {
    fake_quantize(info.layout, *format, *plain, values, best_isa(), threads_);
  } catch (const InputError& error) {
    throw InputError("the weight " + info.weight + " of " + info.name + ": " + error.what());
  }
  return keep(key, std::move(values));
}

bool WeightStore::fits(std::span<const Assignment* const> assignments) const {
  std::uint64_t bytes = 0;
  for (const auto& part : parts_) {
    for (std::size_t i = 0; i < part->units.size(); ++i) {
      const auto each =
          static_cast<std::uint64_t>(element_count(part->units[i].shape).value_or(0)) * sizeof(float);
      std::set<Key> keys{key_of(part->first_unit + i, nullptr)};  // the others are made from it
      for (const Assignment* const assignment : assignments)
        keys.insert(key_of(part->first_unit + i, assignment->of(part->first_unit + i)));
      bytes += keys.size() * each;
      if (bytes > capacity_bytes_) return false;
    }
  }
  return true;
}

std::uint64_t WeightStore::held_bytes() {
  const std::lock_guard lock(mutex_);
  return held_bytes_;
}

double WeightStore::mean_squared_error(std::size_t unit, const Format& format) {
  const Weight plain = get(unit, nullptr);
  const Weight rounded = get(unit, &format);
  double sum = 0;
  for (std::size_t i = 0; i < plain->size(); ++i) {
    const double d = static_cast<double>((*rounded)[i]) - (*plain)[i];
    sum += d * d;
  }
  return plain->empty() ? 0 : sum / static_cast<double>(plain->size());
}

}  // namespace qvl
