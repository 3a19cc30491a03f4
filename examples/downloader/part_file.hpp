// SPDX-License-Identifier: MIT
// A file that appears under its name when it is complete, and not before.
//
// At first it has no name at all (O_TMPFILE), so a killed run leaves nothing. With the first save()
// it becomes NAME.part, beside it NAME.part.rondo-get, from which a later run goes on. A part is
// locked while a run writes it. A file NAME.part without a state beside it belongs to others: it is
// left alone, and the part is NAME.part.2 then. commit() gives the file its name; nothing is
// overwritten unless the user says so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/file.hpp>
#include <rondo/http/url.hpp>
#include <rondo/task.hpp>

#include "folder.hpp"
#include "options.hpp"
#include "sidecar.hpp"

namespace downloader {

class file_names;

class part_file {
public:
    /// No part gets one of the names `of_run`, if they are given.
    part_file(const folder& in, std::string name, const file_names* of_run = nullptr)
        : in_(&in), name_(std::move(name)), of_run_(of_run) {}
    /// Removes everything that was not saved.
    ~part_file();
    part_file(const part_file&) = delete;
    part_file& operator=(const part_file&) = delete;

    const std::string& name() const { return name_; }
    bool is_open() const { return number_ >= 0; }

    /// Opens the part that an earlier run has left for one of `urls`. A useless one is removed, and
    /// so is each if `usable` is false.
    /// Returns: its state; nothing if there is none.
    /// Throws: refused if another run writes it.
    std::optional<saved_state> resume(const std::vector<rondo::http::url>& urls, bool usable);

    /// Begins anew, with an empty file; reserves `length` bytes on the disk.
    /// Throws: refused, also if there is no space.
    rondo::task<> begin(std::optional<std::uint64_t> length);

    /// Throws: refused, with the reason of the disk.
    rondo::task<> write(std::string_view bytes, std::uint64_t offset);

    /// Brings all to the disk, and then the state, so that the state never promises more than the
    /// part has. The inode of `state` is filled in.
    /// Throws: refused.
    rondo::task<> save(saved_state state);

    /// Removes everything.
    void discard();

    /// Brings the data to the disk.
    rondo::task<> sync();
    int number() const { return number_; }
    /// Sets the time of the last change.
    void set_time(std::int64_t seconds_since_1970);
    /// Keeps the validator with the file, in an extended attribute, for validator_of().
    void keep_validator(const std::string& validator);
    /// Gives the file its name, or with when_taken::rename a free one.
    /// Throws: refused.
    void commit(when_taken what);

private:
    bool open_slot(std::size_t slot);
    std::string state_text_of(const std::string& part) const;
    std::optional<saved_state> read_state() const;
    void adopt(file_number opened);
    rondo::file& file();
    void close();
    void write_direct(std::string_view bytes, std::uint64_t offset);
    std::string part_name(std::size_t slot) const;
    bool is_claimed(const std::string& name) const;
    bool has_lost_name();
    static std::string state_name(const std::string& part) { return part + ".rondo-get"; }
    rondo::task<int> write_state(const std::string* name, const std::string* text, bool replace);
    rondo::task<bool> publish(const std::string* text);
    int give_name(const std::string& name, bool replace);

    const folder* in_;
    std::string name_;
    const file_names* of_run_;
    file_number opened_;         // until file() is needed, which takes it over
    rondo::file file_;           // for operations of the ring
    int number_ = -1;            // of either, for direct calls
    std::string current_;        // name that the file has now; empty: none
    bool is_published_ = false;  // current_ is a part with a state
};

/// The validator that a complete file was downloaded with; empty if it is not known.
std::string validator_of(const folder& in, const std::string& name);

}  // namespace downloader
