// SPDX-License-Identifier: MIT
// Numbers as a user reads them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace downloader {

/// "999 B", "1.5 KiB", "412.3 MiB": at most nine characters.
std::string bytes_text(std::uint64_t bytes);

/// "45.6 MiB/s", "676 MiB/s": at most ten characters.
std::string rate_text(double bytes_per_second);
std::string rate_text(std::uint64_t bytes, std::chrono::nanoseconds in);

/// "0:09", "12:34", "1:02:03".
std::string clock_text(std::chrono::seconds time);

/// "0.61 s", "12.3 s", "1:15".
std::string duration_text(std::chrono::nanoseconds time);

/// "1 file", "2 files".
std::string counted(std::size_t count, const char* noun);

double in_seconds(std::chrono::nanoseconds time);

}  // namespace downloader
