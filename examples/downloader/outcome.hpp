// SPDX-License-Identifier: MIT
// How a file ended, for the display, the summary and --json.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace downloader {

enum class ending : unsigned char { done, skipped, failed, interrupted };

struct outcome {
    outcome() = default;

    ending how = ending::failed;
    std::string name;              ///< of the file
    std::string url;               ///< that was asked for, without password
    std::string reason;            ///< why it failed, or was skipped
    std::string sha256;            ///< if it was checked
    std::string encoding;          ///< of its bytes, if the server has encoded them: "gzip"
    std::uint64_t bytes = 0;       ///< of the file
    std::uint64_t received = 0;    ///< by this run
    std::uint64_t resumed_at = 0;  ///< bytes that an earlier run had
    std::chrono::nanoseconds took{};
};

/// One line, an object in JSON. `folder` is put before the name.
std::string json_line(const outcome& end, const std::string& folder);

}  // namespace downloader
