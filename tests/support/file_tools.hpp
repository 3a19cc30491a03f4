// SPDX-License-Identifier: MIT
// A folder for tests of files, on the file system of the test's kernel.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <string>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/testing.hpp>

namespace rondo_tests {

/// A folder that is removed at the end of the test. The simulator's ends with its world.
class folder {
public:
    folder() {
        const bool made = rondo::testing::simulated()
                              ? rondo::detail::make_directories(*rondo::detail::system_here(),
                                                                name_) == 0
                              : ::mkdtemp(name_) != nullptr;
        if (!made) throw std::runtime_error("mkdtemp");
    }
    ~folder() {
        if (!rondo::testing::simulated()) std::filesystem::remove_all(name_);
    }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    std::string operator/(const char* name) const { return std::string(name_) + '/' + name; }

private:
    char name_[32] = "/tmp/test-file-XXXXXX";
};

/// A folder of the real file system, with a name of our choice, that is removed at the end.
class named_folder {
public:
    explicit named_folder(const char* name = "files")
        : path_(std::filesystem::temp_directory_path() /
                ("rondo-" + (name + ('-' + std::to_string(::getpid()))))) {
        std::filesystem::remove_all(path_);
        std::filesystem::create_directories(path_);
    }
    ~named_folder() { std::filesystem::remove_all(path_); }
    named_folder(const named_folder&) = delete;
    named_folder& operator=(const named_folder&) = delete;
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }
    std::string path() const { return path_.string(); }
    std::size_t size() const {
        const auto count = std::distance(std::filesystem::directory_iterator(path_), {});
        return static_cast<std::size_t>(count);
    }

private:
    std::filesystem::path path_;
};

}  // namespace rondo_tests
