// SPDX-License-Identifier: MIT
// The URL of a Redis server.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class redis_url {
public:
    /// Throws: redis::url_error, with no part of the text.
    explicit redis_url(std::string_view text);

    bool is_secure() const noexcept { return is_secure_; }
    bool is_unix() const noexcept { return !path_.empty(); }
    const std::string& path() const noexcept { return path_; }
    const std::string& host() const noexcept { return host_; }
    std::uint16_t port() const noexcept { return port_; }
    const std::string& user() const noexcept { return user_; }
    const std::string& password() const noexcept { return password_; }
    unsigned database() const noexcept { return database_; }
    /// For texts: "localhost:6379", "unix:/run/redis.sock"; and the same with the database.
    const std::string& server() const noexcept { return server_; }
    const std::string& name() const noexcept { return name_; }

private:
    void read_user(std::string_view text);
    void read_host(std::string_view text);
    void read_database(std::string_view text);
    void read_query(std::string_view text);

    std::string path_, user_, password_, server_, name_;
    std::string host_ = "localhost";
    std::uint16_t port_ = 6379;
    unsigned database_ = 0;
    bool is_secure_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
