#include "text/byte_pair_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <random>
#include <set>
#include <string>

namespace qvl {
namespace {

using Ids = std::vector<std::int64_t>;

struct Vocabulary {
  std::array<std::uint32_t, 256> byte_ids{};
  std::vector<BytePairEncoder::Merge> merges;
};

// Random merges that build on each other, for texts of the first few letters. `shuffled` results are not in
// order of rank.
Vocabulary random_vocabulary(unsigned seed, std::uint32_t letters, std::size_t count, bool shuffled) {
  std::mt19937 random(seed);
  Vocabulary vocabulary;
  std::vector<std::string> contents;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    vocabulary.byte_ids[byte] = byte;
    contents.emplace_back(1, static_cast<char>(static_cast<unsigned char>(byte)));
  }
  std::vector<std::uint32_t> usable;
  for (std::uint32_t i = 0; i < letters; ++i) usable.push_back('a' + i);
  std::set<std::string> known(contents.begin(), contents.end());
  for (int tries = 0; vocabulary.merges.size() < count && tries < 100000; ++tries) {
    const std::uint32_t left = usable[random() % usable.size()];
    const std::uint32_t right = usable[random() % usable.size()];
    if (!known.insert(contents[left] + contents[right]).second) continue;
    const auto result = static_cast<std::uint32_t>(contents.size());
    contents.push_back(contents[left] + contents[right]);
    usable.push_back(result);
    vocabulary.merges.push_back({left, right, result});
  }
  if (shuffled) std::shuffle(vocabulary.merges.begin(), vocabulary.merges.end(), random);
  return vocabulary;
}

// The definition, word for word.
Ids encode_slowly(const Vocabulary& vocabulary, const std::string& piece) {
  Ids ids;
  for (const char c : piece) ids.push_back(vocabulary.byte_ids[static_cast<unsigned char>(c)]);
  while (true) {
    std::size_t best_rank = vocabulary.merges.size();
    std::size_t best_place = 0;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      for (std::size_t rank = 0; rank < best_rank; ++rank) {
        if (vocabulary.merges[rank].left == ids[i] && vocabulary.merges[rank].right == ids[i + 1]) {
          best_rank = rank;
          best_place = i;
        }
      }
    }
    if (best_rank == vocabulary.merges.size()) return ids;
    ids[best_place] = vocabulary.merges[best_rank].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best_place) + 1);
  }
}

TEST(BytePairEncoder, DoesWhatTheDefinitionSays) {
  std::mt19937 random(3);
  BytePairEncoder::Workspace workspace;
  for (unsigned seed = 0; seed < 40; ++seed) {
    const std::uint32_t letters = 1 + seed % 5;
    const Vocabulary vocabulary = random_vocabulary(seed, letters, 5 + seed * 2, seed % 2 == 1);
    const BytePairEncoder encoder(vocabulary.byte_ids, vocabulary.merges);
    // On both sides of the length where the algorithm changes.
    for (const std::size_t length : {1U, 2U, 3U, 7U, 30U, 127U, 128U, 129U, 130U, 200U}) {
      std::string piece;
      for (std::size_t i = 0; i < length; ++i) piece += static_cast<char>('a' + random() % letters);
      Ids ids;
      encoder.encode(piece, workspace, ids);
      EXPECT_EQ(ids, encode_slowly(vocabulary, piece)) << piece << " seed " << seed;
    }
  }
}

TEST(BytePairEncoder, AppendsAndTakesNothing) {
  const BytePairEncoder encoder(random_vocabulary(1, 2, 3, false).byte_ids, {});
  BytePairEncoder::Workspace workspace;
  Ids ids{7};
  encoder.encode("", workspace, ids);
  encoder.encode("b\xFF", workspace, ids);
  EXPECT_EQ(ids, (Ids{7, 'b', 0xFF}));
}

TEST(BytePairEncoder, OfTwoRanksOfAPairTheLaterCounts) {
  Vocabulary vocabulary = random_vocabulary(1, 2, 0, false);
  vocabulary.merges = {{'a', 'b', 256}, {'b', 'c', 257}, {'a', 'b', 256}};
  const BytePairEncoder encoder(vocabulary.byte_ids, vocabulary.merges);
  BytePairEncoder::Workspace workspace;
  Ids ids;
  encoder.encode("abc", workspace, ids);
  EXPECT_EQ(ids, (Ids{'a', 257}));
}

TEST(BytePairEncoder, LongPiecesAreNotQuadratic) {
  const Vocabulary vocabulary = random_vocabulary(9, 2, 60, false);
  const BytePairEncoder encoder(vocabulary.byte_ids, vocabulary.merges);
  BytePairEncoder::Workspace workspace;
  const auto cost = [&](std::size_t length) {
    double best = 1e9;
    for (int round = 0; round < 3; ++round) {
      Ids ids;
      const std::clock_t start = std::clock();  // CPU time: the machine may be busy
      encoder.encode(std::string(length, 'a'), workspace, ids);
      best = std::min(best, static_cast<double>(std::clock() - start));
    }
    return best;
  };
  // 16 times the length: quadratic would be 256 times the time.
  EXPECT_LT(cost(800000), 80 * cost(50000));
}

}  // namespace
}  // namespace qvl
