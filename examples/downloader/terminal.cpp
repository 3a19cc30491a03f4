// SPDX-License-Identifier: MIT
// Calls of the system about terminals.
#include "terminal.hpp"

#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace downloader {

void open_standard_streams() {
    for (int number = 0; number <= 2; ++number)
        if (::fcntl(number, F_GETFD) < 0 && errno == EBADF)
            ::open("/dev/null", O_RDWR);  // gets the lowest free number, which is this one
}

bool shows_bars(int terminal) {
    return ::isatty(terminal) != 0 && moves_cursor(std::getenv("TERM"));
}

screen screen_of(int terminal) {
    screen result;
    winsize size{};
    if (::ioctl(terminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        result.columns = size.ws_col;
        result.rows = size.ws_row;
    }
    result.unicode =
        is_utf8_locale(std::getenv("LC_ALL"), std::getenv("LC_CTYPE"), std::getenv("LANG"));
    const char* const no_colour = std::getenv("NO_COLOR");  // https://no-color.org
    result.colour = no_colour == nullptr || *no_colour == '\0';
    return result;
}

bool is_writable(int to) {
    pollfd asked{to, POLLOUT, 0};
    return ::poll(&asked, 1, 0) == 1;
}

int write_out(int to, std::string_view text) {
    while (!text.empty()) {
        const auto size = ::write(to, text.data(), text.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN) {  // the program that started us has made it so
            pollfd asked{to, POLLOUT, 0};
            ::poll(&asked, 1, -1);
            continue;
        }
        if (size <= 0) return size < 0 ? errno : EIO;
        text.remove_prefix(static_cast<std::size_t>(size));
    }
    return 0;
}

}  // namespace downloader
