// SPDX-License-Identifier: MIT
// The standard streams: what a terminal can show, and writing to it.
#pragma once

#include <string_view>

#include "bars.hpp"

namespace downloader {

/// Opens /dev/null as each of the descriptors 0 to 2 that is closed. Otherwise a socket would get
/// such a number, and messages would be written into it.
void open_standard_streams();

/// True for a terminal that takes bars.
bool shows_bars(int terminal);
/// Its size and abilities now. The environment is asked for UTF-8 and NO_COLOR.
screen screen_of(int terminal);

/// False if a write would block: the terminal is stopped by Ctrl-S.
bool is_writable(int to);
/// Writes the whole text, or the part that the reader accepts.
/// Returns: 0, or errno if a part was lost.
int write_out(int to, std::string_view text);

}  // namespace downloader
