// A SQLite file, with errors that say what a user can do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace qvl {

// Not to be used by several threads at once. All methods throw MachineError when the disk is full or fails,
// InputError when the file is no database, is damaged, is in use by another process or cannot be written.
// SQLite's locks belong to the process and the file: a file that is open here must not be opened and closed
// in other ways at the same time.
class SqliteDatabase {
 public:
  // Alone: no other may read or write the file as long as it is open. Shared: to read only.
  enum class Access { alone, shared };

  // With Access::alone the file is made when it is not there.
  SqliteDatabase(std::filesystem::path path, Access access);

  // One or several statements, without results.
  void run(const char* sql);
  // The first column of the first row; 0 without a row.
  [[nodiscard]] std::int64_t number(const char* sql);
  // False also when SQLite has rolled the transaction back because of an error.
  [[nodiscard]] bool in_transaction() const noexcept;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  friend class SqliteStatement;
  struct Close {
    void operator()(sqlite3* database) const noexcept;
  };

  [[noreturn]] void fail(int code) const;
  void check(int code) const;

  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

// Prepared once, run any number of times. The database must outlive it.
class SqliteStatement {
 public:
  SqliteStatement(const SqliteDatabase& database, const char* sql);

  // The parameters from ?1 on are bound by value; step() then gives the rows one after the other. After the
  // last row, or after reset(), the next run begins. Texts are copied, blobs must live until then.
  void bind(int parameter, std::int64_t value);
  void bind(int parameter, std::string_view text);
  void bind(int parameter, std::span<const std::byte> blob);
  [[nodiscard]] bool step();
  // Runs a statement that gives no rows.
  void run();
  void reset() noexcept;

  // Of the row that step() gave; columns count from 0. Views live until the next step() or reset().
  [[nodiscard]] std::int64_t number(int column) const;
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::span<const std::byte> blob(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };

  const SqliteDatabase* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

}  // namespace qvl
