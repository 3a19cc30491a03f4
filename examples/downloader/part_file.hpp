// SPDX-License-Identifier: MIT
// A file that appears under its name when it is complete, and not before.
//
// It is written as .NAME.part, which must not be a link: so another user of the folder cannot make
// us write elsewhere. names.hpp gives no name that begins with a dot or contains a slash, so the
// folder is the only path that is followed. A part is locked while it is written; an unlocked one
// was left by a killed run, and is replaced. Opening, locking and renaming are direct system calls
// of microseconds: a thread for them would cost more, and so would io_uring, which uses one.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <rondo/file.hpp>

namespace downloader {

/// A file that is being downloaded.
class part_file {
public:
    /// `replace`: an existing file or part of this name is replaced.
    part_file(const std::string& folder, const std::string& name, bool replace)
        : path_(folder + '/' + name),
          part_path_(folder + "/." + name + ".part"),
          replace_(replace) {}
    /// Removes the part, unless commit() was called.
    ~part_file();
    part_file(const part_file&) = delete;
    part_file& operator=(const part_file&) = delete;

    /// Checks the name before the server is asked for the file.
    /// Throws: std::system_error if the name is taken.
    void check_name() const;

    /// Throws: std::system_error; EBUSY if another run writes it.
    rondo::task<> create();
    auto write_all(std::string_view bytes) { return file_.write_all(bytes); }
    /// Throws: std::system_error; also if the name was taken meanwhile.
    rondo::task<> commit();

private:
    rondo::descriptor lock_part();

    std::string path_;
    std::string part_path_;
    rondo::descriptor lock_;
    rondo::file file_;
    bool replace_;
    bool exists_ = false;  // the part
};

}  // namespace downloader
