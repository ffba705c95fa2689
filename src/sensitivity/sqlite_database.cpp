#include "sensitivity/sqlite_database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cstring>

#include "core/output_file.h"
#include "qvl/error.h"

namespace qvl {
namespace {

// Somebody who looks into the file for a moment is waited for.
constexpr int kPatienceMs = 2000;

}  // namespace

void SqliteDatabase::Close::operator()(sqlite3* database) const noexcept { sqlite3_close_v2(database); }

SqliteDatabase::SqliteDatabase(std::filesystem::path path, Access access) : path_(std::move(path)) {
  const bool alone = access == Access::alone;
  if (alone) {
    (void)output_place(path_);
  } else if (!std::filesystem::is_regular_file(path_)) {
    throw InputError(fmt::format("there is no file {}", path_.string()));
  }
  const std::string absolute = std::filesystem::absolute(path_).string();
  sqlite3* handle = nullptr;
  // A reader, too, must be able to write: it rolls back what a killed process left. Where it may not, SQLite
  // opens the file to read only.
  const int opened = sqlite3_open_v2(
      absolute.c_str(), &handle,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (alone ? SQLITE_OPEN_CREATE : 0), nullptr);
  handle_.reset(handle);
  check(opened);
  sqlite3_extended_result_codes(handle, 1);
  check(sqlite3_busy_timeout(handle, kPatienceMs));
  // The file may come from anywhere: nothing in its schema may do more than hold data.
  check(sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr));
  check(sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr));
  run("PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL;");
  if (alone) run("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;");
}

void SqliteDatabase::fail(int code) const {
  const std::string place = path_.string();
  const std::string what = sqlite3_errstr(code);
  const int error = handle_ ? sqlite3_system_errno(handle_.get()) : 0;
  const std::string reason = error != 0 ? fmt::format("{} ({})", what, std::strerror(error)) : what;
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw InputError(fmt::format(
          "{} is in use by another process; wait until it ends, or choose another folder", place));
    case SQLITE_NOTADB:
      throw InputError(
          fmt::format("{} is not a SQLite database; remove it, or choose another folder", place));
    case SQLITE_CORRUPT:
      throw InputError(fmt::format("{} is damaged; remove it, or choose another folder", place));
    case SQLITE_FULL:
      throw MachineError(
          fmt::format("cannot write {}: the disk is full; free some space or choose another place", place));
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
      throw MachineError(fmt::format("cannot read or write {}: {}", place, reason));
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      throw InputError(
          fmt::format("cannot open or write {}: {}; choose a place that can be written", place, reason));
    default:
      // The statements are ours: when the tables are not, something else made the file.
      throw InputError(fmt::format("{} is not what it must be: {}", place,
                                   handle_ ? sqlite3_errmsg(handle_.get()) : what.c_str()));
  }
}

void SqliteDatabase::check(int code) const {
  if (code != SQLITE_OK) fail(code);
}

void SqliteDatabase::run(const char* sql) {
  check(sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr));
}

std::int64_t SqliteDatabase::number(const char* sql) {
  SqliteStatement statement(*this, sql);
  return statement.step() ? statement.number(0) : 0;
}

bool SqliteDatabase::in_transaction() const noexcept { return sqlite3_get_autocommit(handle_.get()) == 0; }

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const noexcept {
  sqlite3_finalize(statement);
}

SqliteStatement::SqliteStatement(const SqliteDatabase& database, const char* sql) : database_(&database) {
  sqlite3_stmt* statement = nullptr;
  database.check(sqlite3_prepare_v2(database.handle_.get(), sql, -1, &statement, nullptr));
  handle_.reset(statement);
}

void SqliteStatement::bind(int parameter, std::int64_t value) {
  database_->check(sqlite3_bind_int64(handle_.get(), parameter, value));
}

void SqliteStatement::bind(int parameter, std::string_view text) {
  // A null pointer would be bound as NULL.
  database_->check(sqlite3_bind_text64(handle_.get(), parameter, text.empty() ? "" : text.data(), text.size(),
                                       SQLITE_TRANSIENT, SQLITE_UTF8));
}

void SqliteStatement::bind(int parameter, std::span<const std::byte> blob) {
  database_->check(
      blob.empty() ? sqlite3_bind_zeroblob(handle_.get(), parameter, 0)
                   : sqlite3_bind_blob64(handle_.get(), parameter, blob.data(), blob.size(), SQLITE_STATIC));
}

bool SqliteStatement::step() {
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  reset();
  if (code != SQLITE_DONE) database_->fail(code);
  return false;
}

void SqliteStatement::run() { (void)step(); }

void SqliteStatement::reset() noexcept { sqlite3_reset(handle_.get()); }

std::int64_t SqliteStatement::number(int column) const { return sqlite3_column_int64(handle_.get(), column); }

std::string_view SqliteStatement::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
  return text == nullptr
             ? std::string_view()
             : std::string_view(text, static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column)));
}

std::span<const std::byte> SqliteStatement::blob(int column) const {
  const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(handle_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
  return data == nullptr ? std::span<const std::byte>() : std::span(data, size);
}

}  // namespace qvl
