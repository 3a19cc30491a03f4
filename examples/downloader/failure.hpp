// SPDX-License-Identifier: MIT
// Failures: which of them may go away by themselves, how long to wait before the next attempt, and
// how they are told.
#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

namespace downloader {

/// A failure that another attempt does not mend. The text is for the user.
class refused : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The bytes that are there cannot be completed: the text says why. The file is downloaded anew.
class begin_anew : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A status that may be another one later: 408, 425, 429, 500, 502, 503, 504.
class busy_server : public std::runtime_error {
public:
    busy_server(const std::string& what, std::optional<std::chrono::seconds> wait)
        : std::runtime_error(what), retry_after(wait) {}
    std::optional<std::chrono::seconds> retry_after;  ///< what the server asks for
};

bool is_busy_status(int status);

/// How promising another attempt is.
enum class hope {
    none,    ///< it would fail as well
    little,  ///< no connection was made: one more attempt, if none was made before
    good,
};
hope hope_after(const std::exception& error);

/// The text of an error, without the request: "404 Not Found". Safe for a terminal.
std::string reason_of(const std::exception& error);

/// The pauses between attempts: 0.5 s, 1 s, 2 s, … 30 s, less up to a quarter at random, so that
/// many downloads do not come back at once.
class backoff {
public:
    using time = std::chrono::milliseconds;
    static constexpr std::chrono::seconds retry_after_max{300};

    explicit backoff(unsigned retries) : retries_(retries) {}

    /// `error` ended an attempt. `chance` is a random number from 0 to 1.
    /// Returns: how long to wait; nothing if this was the last attempt.
    std::optional<time> next(const std::exception& error, double chance);
    /// The attempts are counted anew: a server has answered, or bytes have come.
    void restart() { failed_ = 0; }
    void connected() { was_connected_ = true; }
    unsigned failed() const { return failed_; }

private:
    unsigned retries_;
    unsigned failed_ = 0;
    bool was_connected_ = false;
};

}  // namespace downloader
