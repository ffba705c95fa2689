#include "models/decoder_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/convert.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr const char* kIds = "input_ids";
constexpr const char* kMask = "attention_mask";
constexpr const char* kEmbeds = "image_embeds";

Tensor mask_of(const Tensor& mask, DType dtype) {
  if (dtype == DType::i64) return mask;
  Tensor narrow(dtype, mask.shape());
  std::ranges::transform(mask.as<std::int64_t>(), narrow.as<std::uint8_t>().begin(),
                         [](std::int64_t x) { return static_cast<std::uint8_t>(x != 0 ? 1 : 0); });
  return narrow;
}

// How many rows all features have.
std::int64_t rows_of(std::span<const TensorView> features, std::int64_t hidden_size) {
  std::int64_t rows = 0;
  for (const TensorView& view : features) {
    if (view.dtype != DType::f32 || view.shape.size() != 2 || view.shape[1] != hidden_size) {
      throw InputError(fmt::format(
          "the vision artifact gives {} {}; F32 [image tokens, {}] is expected: it does not belong "
          "to the text artifact",
          name(view.dtype), to_string(view.shape), hidden_size));
    }
    const auto bytes = static_cast<std::size_t>(view.shape[0] * hidden_size) * sizeof(float);
    if (view.bytes.size() != bytes) {
      throw InputError(
          fmt::format("{} bytes of picture features; {} are expected", view.bytes.size(), bytes));
    }
    rows += view.shape[0];
  }
  return rows;
}

// The places of the image tokens.
std::vector<std::int64_t> pictured(const TokenBatch& tokens, std::int64_t image_token_id) {
  std::vector<std::int64_t> places = tokens.tokens();
  const auto ids = tokens.ids.as<std::int64_t>();
  std::erase_if(places,
                [&](std::int64_t place) { return ids[static_cast<std::size_t>(place)] != image_token_id; });
  return places;
}

// [batch, more] behind [batch, seq], of one row.
Tensor longer(const Tensor& tensor) {
  Shape shape = tensor.shape();
  ++shape[1];
  Tensor grown(tensor.dtype(), shape);
  std::ranges::copy(tensor.bytes(), grown.bytes().begin());
  return grown;
}

}  // namespace

TokenBatch TokenBatch::of(std::span<const TokenIds> rows, PaddingSide side, std::int64_t padding) {
  std::size_t length = 0;
  for (const TokenIds& row : rows) length = std::max(length, row.size());
  const Shape shape{static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(length)};
  TokenBatch batch{Tensor(DType::i64, shape), Tensor(DType::i64, shape)};
  std::ranges::fill(batch.ids.as<std::int64_t>(), padding);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const std::size_t begin = r * length + (side == PaddingSide::left ? length - rows[r].size() : 0);
    std::ranges::copy(rows[r], batch.ids.as<std::int64_t>().begin() + static_cast<std::ptrdiff_t>(begin));
    std::fill_n(batch.mask.as<std::int64_t>().begin() + static_cast<std::ptrdiff_t>(begin), rows[r].size(),
                1);
  }
  return batch;
}

TokenBatch TokenBatch::of_row(std::span<const std::int64_t> ids) {
  const std::vector<TokenIds> rows{TokenIds(ids.begin(), ids.end())};
  return of(rows, PaddingSide::right, 0);
}

std::vector<std::int64_t> TokenBatch::tokens_of(std::int64_t row) const {
  std::vector<std::int64_t> places;
  for (std::int64_t i = row * length(); i < (row + 1) * length(); ++i) {
    if (mask.as<std::int64_t>()[static_cast<std::size_t>(i)] != 0) places.push_back(i);
  }
  return places;
}

std::vector<std::int64_t> TokenBatch::tokens() const {
  std::vector<std::int64_t> places;
  for (std::int64_t row = 0; row < batch(); ++row) {
    const std::vector<std::int64_t> more = tokens_of(row);
    places.insert(places.end(), more.begin(), more.end());
  }
  return places;
}

std::optional<DecoderPorts> DecoderPorts::of(std::span<const PortSpec> inputs) {
  const auto find = [&](const char* name) { return std::ranges::find(inputs, name, &PortSpec::name); };
  const auto mask = find(kMask);
  const auto embeds = find(kEmbeds);
  if (find(kIds) == inputs.end() || mask == inputs.end()) return std::nullopt;
  DecoderPorts ports{mask->dtype, std::nullopt};
  if (embeds != inputs.end()) ports.embeds = embeds->dtype;
  return ports;
}

DecoderInputs DecoderInputs::of(TokenBatch tokens, std::span<const TensorView> features,
                                const DecoderPorts& ports, const ModelFacts& facts) {
  const std::int64_t rows = rows_of(features, facts.hidden_size);
  const std::vector<std::int64_t> places =
      ports.embeds ? pictured(tokens, facts.image_token_id) : std::vector<std::int64_t>{};
  if (rows != static_cast<std::int64_t>(places.size())) {
    throw InputError(
        fmt::format("{} image tokens and {} embeddings for them; as many are expected", places.size(), rows));
  }
  DecoderInputs inputs{std::move(tokens), {}, std::nullopt};
  inputs.mask = mask_of(inputs.tokens.mask, ports.mask);
  if (!ports.embeds) return inputs;
  Tensor embeds(*ports.embeds, {inputs.tokens.batch(), inputs.tokens.length(), facts.hidden_size});
  const std::size_t from_bytes = static_cast<std::size_t>(facts.hidden_size) * sizeof(float);
  const std::size_t to_bytes = static_cast<std::size_t>(facts.hidden_size) * size_bytes(*ports.embeds);
  std::size_t used = 0;
  for (const TensorView& view : features) {
    for (std::size_t at = 0; at < view.bytes.size(); at += from_bytes) {
      const auto place = static_cast<std::size_t>(places[used++]);
      convert(DType::f32, view.bytes.subspan(at, from_bytes), *ports.embeds,
              embeds.bytes().subspan(place * to_bytes, to_bytes));
    }
  }
  inputs.embeds = std::move(embeds);
  return inputs;
}

void DecoderInputs::append(std::int64_t id) {
  if (tokens.batch() != 1) throw UsageError("a token can be appended to one row, not to several");
  const DType dtype = mask.dtype();
  tokens.ids = longer(tokens.ids);
  tokens.ids.as<std::int64_t>().back() = id;
  tokens.mask = longer(tokens.mask);
  tokens.mask.as<std::int64_t>().back() = 1;
  mask = mask_of(tokens.mask, dtype);
  if (embeds) embeds = longer(*embeds);
}

std::vector<NamedTensor> DecoderInputs::named() const {
  std::vector<NamedTensor> named{{kIds, tokens.ids.view()}, {kMask, mask.view()}};
  if (embeds) named.push_back({kEmbeds, embeds->view()});
  return named;
}

}  // namespace qvl
