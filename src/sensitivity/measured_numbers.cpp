#include "sensitivity/measured_numbers.h"

namespace qvl {

Wanted MeasuredNumbers::missing(const WantedOf& want, const Candidate& candidate, std::size_t sample) const {
  Wanted wanted = want(candidate, sample);
  const std::string& hash = program_.samples[sample].sha256;
  if (!candidate.unit) {
    wanted.to_end = wanted.to_end && !store_.has(keys_.of_whole(hash, *candidate.format));
    return wanted;
  }
  const std::string& unit = program_.unit(*candidate.unit).name;
  const auto has = [&](const char* kind) {
    return store_.has(keys_.of(hash, unit, *candidate.format, kind));
  };
  wanted.inside = wanted.inside && !candidate.out && !(has("unit") && has("block"));
  wanted.to_end = wanted.to_end && !has(candidate.out ? "out" : "in");
  return wanted;
}

void MeasuredNumbers::put_inside(const Attempt& attempt) {
  if (attempt.candidate.out) return;
  const std::string& unit = program_.unit(*attempt.candidate.unit).name;
  for (std::size_t i = 0; i < attempt.wanted.size(); ++i) {
    const std::size_t sample = attempt.samples[i];
    if (!attempt.wanted[i].inside) continue;
    LocalSums at_unit;
    LocalSums at_block;
    const bool in_pictures =
        program_.parts.size() > 1 && *attempt.candidate.unit < program_.parts.back()->first_unit;
    const std::vector<std::size_t> own{sample};
    for (const std::size_t item : in_pictures ? program_.samples[sample].pictures : own) {
      at_unit += attempt.at_unit.at(item);
      at_block += attempt.at_block.at(item);
    }
    const std::string& hash = program_.samples[sample].sha256;
    store_.put(keys_.of(hash, unit, *attempt.candidate.format, "unit"), at_unit.numbers());
    store_.put(keys_.of(hash, unit, *attempt.candidate.format, "block"), at_block.numbers());
    measured_ += 2;
    if (!attempt.wanted[i].to_end) done_samples(1);
  }
}

void MeasuredNumbers::put_end(const Attempt& attempt) {
  const Candidate& candidate = attempt.candidate;
  for (std::size_t i = 0; i < attempt.wanted.size(); ++i) {
    if (!attempt.wanted[i].to_end) continue;
    const std::size_t sample = attempt.samples[i];
    const std::string& hash = program_.samples[sample].sha256;
    const MeasurementKey key = candidate.unit ? keys_.of(hash, program_.unit(*candidate.unit).name,
                                                         *candidate.format, candidate.out ? "out" : "in")
                                              : keys_.of_whole(hash, *candidate.format);
    store_.put(key, attempt.at_end.at(sample).numbers());
    ++measured_;
    if (candidate.unit) done_samples(1);
  }
}

MeasurementKey MeasuredNumbers::key_of(const NamedAssignment& named, std::size_t sample) const {
  MeasurementKey key = keys_.of_plain(program_.samples[sample].sha256, "assignment");
  key.context = named.key + (key.context.empty() ? "" : "; " + key.context);
  return key;
}

bool MeasuredNumbers::has(const NamedAssignment& named, std::size_t sample) const {
  return store_.has(key_of(named, sample));
}

OutputSums MeasuredNumbers::of(const NamedAssignment& named, std::size_t sample) const {
  return OutputSums::of(store_.find(key_of(named, sample)).value());
}

void MeasuredNumbers::put(const NamedAssignment& named, std::size_t sample, const OutputSums& sums) {
  store_.put(key_of(named, sample), sums.numbers());
  ++measured_;
}

std::optional<std::vector<double>> MeasuredNumbers::plain(std::size_t sample, const std::string& kind) const {
  return store_.find(keys_.of_plain(program_.samples[sample].sha256, kind));
}

void MeasuredNumbers::put_plain(std::size_t sample, const std::string& kind,
                                std::span<const double> numbers) {
  store_.put(keys_.of_plain(program_.samples[sample].sha256, kind), numbers);
}

void MeasuredNumbers::begin(const std::string& stage, double units) {
  progress_ = {stage, 0, units};
  done(0);
}

void MeasuredNumbers::done(double units) {
  progress_.units_done += units;
  if (options_.on_progress) options_.on_progress(progress_);
}

void MeasuredNumbers::done_samples(std::size_t units) {
  done(static_cast<double>(units) / static_cast<double>(program_.samples.size()));
}

void MeasuredNumbers::end() {
  if (progress_.units - progress_.units_done > 1e-6) done(progress_.units - progress_.units_done);
}

}  // namespace qvl
