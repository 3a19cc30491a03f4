// SPDX-License-Identifier: MIT
// A file that appears under its name when it is complete, and not before.
//
// It is written as NAME.part, which must not exist, not even as a link: whoever can write to the
// folder cannot have us write elsewhere. The name is one segment without a slash (names.hpp sees to
// that), so the folder is the only path that is followed. Renaming it is a system call of
// microseconds, made directly: a thread for it would cost more, and so would io_uring, which gives
// it to one.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <rondo/file.hpp>

namespace downloader {

/// A file on its way.
class part_file {
public:
    /// `replace`: what is there under this name, or is left of an earlier attempt, is replaced.
    part_file(const std::string& folder, const std::string& name, bool replace)
        : path_(folder + '/' + name), part_path_(path_ + ".part"), replace_(replace) {}
    /// Without commit() nothing is left of it.
    ~part_file();
    part_file(const part_file&) = delete;
    part_file& operator=(const part_file&) = delete;

    /// So as not to ask a server for what could not be kept.
    /// Throws: std::system_error if the name is taken.
    void check_name() const;

    /// Throws: std::system_error.
    rondo::task<> create();
    auto write_all(std::string_view bytes) { return file_.write_all(bytes); }
    /// Throws: std::system_error; also if the name was taken meanwhile.
    rondo::task<> commit();

private:
    std::string path_;
    std::string part_path_;
    rondo::file file_;
    bool replace_;
    bool exists_ = false;  // the part
};

}  // namespace downloader
