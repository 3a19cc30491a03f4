// SPDX-License-Identifier: MIT
// SHA-256 of files, by OpenSSL.
#pragma once

#include <string>

namespace downloader {

/// Reads all of an open file, and returns the digest in hexadecimal digits. Blocks: for a thread.
/// Throws: std::system_error; refused if the program was built without OpenSSL.
std::string sha256_of(int number);

}  // namespace downloader
