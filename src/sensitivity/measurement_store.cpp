#include "sensitivity/measurement_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <mutex>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "qvl/error.h"
#include "sensitivity/sqlite_database.h"

namespace qvl {
namespace {

constexpr std::int64_t kApplication = 0x71766c6d;  // "qvlm"
constexpr std::int64_t kLayout = 1;

// A key's texts are few and long, and the measurements many: they name texts by number.
constexpr const char* kTables = R"(
  CREATE TABLE identity(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE setting(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE word(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
  CREATE TABLE measurement(id INTEGER PRIMARY KEY, unit INTEGER NOT NULL, format INTEGER NOT NULL,
    kind INTEGER NOT NULL, context INTEGER NOT NULL, sample INTEGER NOT NULL, numbers BLOB NOT NULL,
    UNIQUE(unit, format, kind, context, sample));
)";

// In the order of the columns.
std::array<const std::string*, 5> parts(const MeasurementKey& key) {
  return {&key.unit, &key.format, &key.kind, &key.context, &key.sample};
}

// The file keeps doubles in little-endian order, which is that of both machines that qvl is built for.
static_assert(std::endian::native == std::endian::little);

std::vector<double> numbers_of(std::span<const std::byte> blob, const std::filesystem::path& path) {
  if (blob.size() % sizeof(double) != 0) {
    throw InputError(
        fmt::format("{} is damaged: it has numbers of {} bytes; remove it, or choose another folder",
                    path.string(), blob.size()));
  }
  std::vector<double> numbers(blob.size() / sizeof(double));
  if (!blob.empty()) std::memcpy(numbers.data(), blob.data(), blob.size());
  return numbers;
}

std::string text_or_empty(SqliteDatabase& database, const char* sql) {
  SqliteStatement statement(database, sql);
  return statement.step() ? std::string(statement.text(0)) : std::string();
}

void check_layout(SqliteDatabase& database) {
  if (database.number("PRAGMA application_id") != kApplication) {
    throw InputError(
        fmt::format("{} is a SQLite database, but not one of qvl's measurements; choose another folder",
                    database.path().string()));
  }
  const std::int64_t layout = database.number("PRAGMA user_version");
  if (layout != kLayout) {
    throw InputError(
        fmt::format("{} has layout {}, this qvl knows layout {}; remove the file, or choose another "
                    "folder",
                    database.path().string(), layout, kLayout));
  }
}

void check_model(SqliteDatabase& database, std::string_view sha256, std::string_view name) {
  const std::string other = text_or_empty(database, "SELECT value FROM identity WHERE name = 'model_sha256'");
  if (other == sha256) return;
  throw InputError(fmt::format(
      "{} holds measurements of {} (sha256 {}), not of {} (sha256 {}); choose another folder, "
      "or remove the file",
      database.path().string(),
      text_or_empty(database, "SELECT value FROM identity WHERE name = 'model_name'"), other, name, sha256));
}

}  // namespace

struct MeasurementStore::State {
  State(const std::filesystem::path& path, std::string_view sha256, std::string_view name)
      : model_sha256(sha256), model_name(name), database(path, SqliteDatabase::Access::alone) {}

  // The tables of a file that has none yet.
  void create_tables();
  void prepare();
  void load_words();
  // Statements with an error may have rolled back, and with them words that are known here.
  template <class Work>
  void change(Work&& work);
  // The number of a text; nothing when the file does not have it.
  [[nodiscard]] std::optional<std::int64_t> word(const std::string& text) const;
  [[nodiscard]] std::int64_t word_or_new(const std::string& text);
  // False when some text is new, so that nothing can be there.
  [[nodiscard]] bool bind_known(SqliteStatement& statement, const MeasurementKey& key) const;
  [[nodiscard]] std::optional<std::vector<double>> find(const MeasurementKey& key);
  void put(const MeasurementKey& key, std::span<const double> numbers);
  void merge(SqliteDatabase& other);

  const std::string model_sha256;
  const std::string model_name;
  std::mutex mutex;
  SqliteDatabase database;
  std::unordered_map<std::string, std::int64_t> words;
  std::optional<SqliteStatement> select, insert, insert_word, select_setting, insert_setting;
};

void MeasurementStore::State::create_tables() {
  if (database.number("SELECT count(*) FROM sqlite_master") != 0) return;
  if (database.number("PRAGMA application_id") != 0 || database.number("PRAGMA user_version") != 0) return;
  // In one transaction: a file that a killed process left is empty or whole.
  database.run("BEGIN");
  database.run(kTables);
  database.run(
      fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplication, kLayout).c_str());
  SqliteStatement identity(database, "INSERT INTO identity VALUES(?1, ?2)");
  for (const auto& [name, value] : {std::pair{"model_sha256", &model_sha256}, {"model_name", &model_name}}) {
    identity.bind(1, std::string_view(name));
    identity.bind(2, std::string_view(*value));
    identity.run();
  }
  database.run("COMMIT");
}

void MeasurementStore::State::prepare() {
  select.emplace(
      database,
      "SELECT numbers FROM measurement WHERE unit = ?1 AND format = ?2 AND kind = ?3 AND context = ?4 "
      "AND sample = ?5");
  insert.emplace(
      database,
      "INSERT INTO measurement(unit, format, kind, context, sample, numbers) VALUES(?1, ?2, ?3, ?4, ?5, ?6) "
      "ON CONFLICT DO UPDATE SET numbers = excluded.numbers");
  insert_word.emplace(database, "INSERT INTO word VALUES(?1, ?2)");
  select_setting.emplace(database, "SELECT value FROM setting WHERE name = ?1");
  insert_setting.emplace(
      database, "INSERT INTO setting VALUES(?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value");
}

void MeasurementStore::State::load_words() {
  words.clear();
  SqliteStatement statement(database, "SELECT id, text FROM word");
  while (statement.step()) words.emplace(statement.text(1), statement.number(0));
}

template <class Work>
void MeasurementStore::State::change(Work&& work) {
  const std::scoped_lock lock(mutex);
  if (!database.in_transaction()) database.run("BEGIN");
  try {
    work();
  } catch (...) {
    load_words();
    throw;
  }
}

std::optional<std::int64_t> MeasurementStore::State::word(const std::string& text) const {
  const auto found = words.find(text);
  return found == words.end() ? std::nullopt : std::optional(found->second);
}

std::int64_t MeasurementStore::State::word_or_new(const std::string& text) {
  if (const auto known = word(text)) return *known;
  const auto id = static_cast<std::int64_t>(words.size()) + 1;
  insert_word->bind(1, id);
  insert_word->bind(2, std::string_view(text));
  insert_word->run();
  words.emplace(text, id);
  return id;
}

bool MeasurementStore::State::bind_known(SqliteStatement& statement, const MeasurementKey& key) const {
  int parameter = 0;
  for (const std::string* text : parts(key)) {
    const auto id = word(*text);
    if (!id) return false;
    statement.bind(++parameter, *id);
  }
  return true;
}

std::optional<std::vector<double>> MeasurementStore::State::find(const MeasurementKey& key) {
  if (!bind_known(*select, key) || !select->step()) return std::nullopt;
  const std::span<const std::byte> blob = select->blob(0);
  const std::vector<std::byte> bytes(blob.begin(), blob.end());
  select->reset();
  return numbers_of(bytes, database.path());
}

void MeasurementStore::State::put(const MeasurementKey& key, std::span<const double> numbers) {
  int parameter = 0;
  for (const std::string* text : parts(key)) insert->bind(++parameter, word_or_new(*text));
  insert->bind(6, std::as_bytes(numbers));
  insert->run();
}

void MeasurementStore::State::merge(SqliteDatabase& other) {
  SqliteStatement rows(other,
                       "SELECT u.text, f.text, k.text, c.text, s.text, numbers FROM measurement "
                       "JOIN word u ON u.id = unit JOIN word f ON f.id = format JOIN word k ON k.id = kind "
                       "JOIN word c ON c.id = context JOIN word s ON s.id = sample ORDER BY measurement.id");
  const auto text = [&](int column) { return std::string(rows.text(column)); };
  while (rows.step()) {
    const MeasurementKey key{text(4), text(0), text(1), text(2), text(3)};
    const std::vector<double> numbers = numbers_of(rows.blob(5), other.path());
    const auto known = find(key);
    if (!known) {
      put(key, numbers);
    } else if (!std::ranges::equal(std::as_bytes(std::span(*known)), std::as_bytes(std::span(numbers)))) {
      throw InputError(fmt::format(
          "{} and {} have different numbers ({}) of unit {} in {} for sample {}; they are not "
          "of one run",
          database.path().string(), other.path().string(), key.kind, key.unit, key.format, key.sample));
    }
  }
}

MeasuredModel MeasurementStore::model_of(const std::filesystem::path& path) {
  SqliteDatabase database(path, SqliteDatabase::Access::shared);
  check_layout(database);
  return {text_or_empty(database, "SELECT value FROM identity WHERE name = 'model_sha256'"),
          text_or_empty(database, "SELECT value FROM identity WHERE name = 'model_name'")};
}

MeasurementStore::MeasurementStore(const std::filesystem::path& path, std::string_view model_sha256,
                                   std::string_view model_name)
    : state_(std::make_unique<State>(path, model_sha256, model_name)) {
  state_->create_tables();
  check_layout(state_->database);
  check_model(state_->database, model_sha256, model_name);
  state_->prepare();
  state_->load_words();
}

MeasurementStore::~MeasurementStore() {
  try {
    flush();
  } catch (const Error&) {  // as the header says
  }
}

std::optional<std::vector<double>> MeasurementStore::find(const MeasurementKey& key) const {
  const std::scoped_lock lock(state_->mutex);
  return state_->find(key);
}

bool MeasurementStore::has(const MeasurementKey& key) const {
  const std::scoped_lock lock(state_->mutex);
  const bool there = state_->bind_known(*state_->select, key) && state_->select->step();
  state_->select->reset();
  return there;
}

void MeasurementStore::put(const MeasurementKey& key, std::span<const double> numbers) {
  state_->change([&] { state_->put(key, numbers); });
}

void MeasurementStore::flush() {
  const std::scoped_lock lock(state_->mutex);
  if (!state_->database.in_transaction()) return;
  try {
    state_->database.run("COMMIT");
  } catch (...) {
    state_->load_words();
    throw;
  }
}

void MeasurementStore::merge_from(const std::filesystem::path& other) {
  std::error_code ignored;
  if (std::filesystem::equivalent(other, state_->database.path(), ignored)) {
    throw InputError(fmt::format("{} cannot be merged into itself", other.string()));
  }
  SqliteDatabase source(other, SqliteDatabase::Access::shared);
  check_layout(source);
  check_model(source, state_->model_sha256, state_->model_name);
  state_->change([&] {
    state_->database.run("SAVEPOINT merge");
    try {
      state_->merge(source);
    } catch (...) {
      if (state_->database.in_transaction()) state_->database.run("ROLLBACK TO merge; RELEASE merge");
      throw;
    }
    state_->database.run("RELEASE merge");
  });
}

std::optional<std::string> MeasurementStore::setting(std::string_view name) const {
  const std::scoped_lock lock(state_->mutex);
  SqliteStatement& select = *state_->select_setting;
  select.bind(1, name);
  if (!select.step()) return std::nullopt;
  std::string value(select.text(0));
  select.reset();
  return value;
}

void MeasurementStore::set_setting(std::string_view name, std::string_view value) {
  state_->change([&] {
    state_->insert_setting->bind(1, name);
    state_->insert_setting->bind(2, value);
    state_->insert_setting->run();
  });
}

std::int64_t MeasurementStore::size() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->database.number("SELECT count(*) FROM measurement");
}

}  // namespace qvl
