// SPDX-License-Identifier: MIT
// A server for tests of the client: it speaks the protocol over the simulated network, knows a few
// commands, and does what a test tells it to do.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rondo/net.hpp>
#include <rondo/race.hpp>
#include <rondo/redis.hpp>
#include <rondo/serve.hpp>
#include <rondo/sleep.hpp>
#include <rondo/wait_queue.hpp>

#include "support/core_tools.hpp"

namespace rondo_tests {

using words = std::vector<std::string>;

// -- the protocol, from the server's side ---------------------------------------------------------
namespace resp {
inline std::string bulk(std::string_view text) {
    return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}
inline std::string number(std::int64_t value) { return ":" + std::to_string(value) + "\r\n"; }
inline std::string list(const std::vector<std::string>& encoded) {
    std::string all = "*" + std::to_string(encoded.size()) + "\r\n";
    for (const std::string& each : encoded) all += each;
    return all;
}
inline const std::string ok = "+OK\r\n";
inline const std::string nil = "$-1\r\n";
inline std::string error(std::string_view text) { return "-" + std::string(text) + "\r\n"; }
}  // namespace resp

class fake_redis {
public:
    /// A connection of a client, from the server's side.
    class peer {
    public:
        int number = 0;
        std::string user = "default";
        bool is_unblocked = false;
        rondo::wait_queue blocked;
    };
    /// Replies to a command, or not: then the server does.
    using script = std::function<std::optional<std::string>(const words&, peer&)>;
    /// The same for commands that wait.
    using slow_script = std::function<rondo::task<std::optional<std::string>>(words, peer&)>;

    fake_redis()
        : listener_(rondo::tcp_listener::bind({"127.0.0.1", 0})), where_(listener_.local()) {}

    std::string url(std::string_view user = "") const {
        return "redis://" + std::string(user) + where_.text();
    }
    rondo::endpoint where() const { return where_; }

    script answers;
    slow_script waits;
    std::string password;        // empty: none is asked for
    std::vector<words> commands;  // as they came
    int connections = 0;          // so far
    int open = 0;
    std::map<std::string, std::string> keys;

    /// The names of the commands, without those of the greeting.
    std::string names() const {
        std::string all;
        for (const words& each : commands)
            if (each[0] != "PING") all += (all.empty() ? "" : " ") + each[0];
        return all;
    }

    /// Runs `client` while the server serves.
    template <class Client>
    rondo::task<> run(Client client) {
        auto serving = serve_all();
        auto asking = client();
        co_await rondo::race(std::move(serving), std::move(asking));
    }

    /// Wakes the peer of that number in its BLPOP.
    bool unblock(int number) {
        const auto at = peers_.find(number);
        if (at == peers_.end() || at->second->blocked.empty()) return false;
        at->second->is_unblocked = true;
        return at->second->blocked.unpark_one();
    }
    /// Gives `text` to the first peer that waits in a BLPOP.
    bool push(std::string text) {
        for (auto& [number, each] : peers_) {
            if (each->blocked.empty()) continue;
            pushed_ = std::move(text);
            each->blocked.unpark_one();
            return true;
        }
        return false;
    }

private:
    class counted {
    public:
        explicit counted(fake_redis& of, peer& one) : of_(of), one_(one) {
            one_.number = ++of_.connections;
            ++of_.open;
            of_.peers_[one_.number] = &one_;
        }
        counted(const counted&) = delete;
        ~counted() {
            --of_.open;
            of_.peers_.erase(one_.number);
        }

    private:
        fake_redis& of_;
        peer& one_;
    };

    rondo::task<> serve_all() {
        auto handler = [this](rondo::tcp_stream stream) { return talk(std::move(stream)); };
        co_await rondo::serve(std::move(listener_), handler);
    }

    rondo::task<> talk(rondo::tcp_stream stream) {
        peer one;
        const counted among(*this, one);
        try {
            for (;;) {
                auto command = co_await read_command(stream);
                if (!command) co_return;
                commands.push_back(*command);
                const std::string reply = co_await reply_to(std::move(*command), one);
                if (reply == "hang up") co_return;
                co_await stream.write_all(reply);
            }
        } catch (const rondo::incomplete_read_error&) {
        } catch (const std::system_error&) {
        }
    }

    static rondo::task<std::optional<words>> read_command(rondo::tcp_stream& stream) {
        const auto head = co_await stream.read_line();
        if (!head) co_return std::nullopt;
        REQUIRE(head->at(0) == '*');
        words all;
        for (int i = std::stoi(head->substr(1)); i > 0; --i) {
            const auto size = co_await stream.read_line();
            if (!size) co_return std::nullopt;
            REQUIRE(size->at(0) == '$');
            std::string text = co_await stream.read_exactly(std::stoul(size->substr(1)) + 2);
            text.resize(text.size() - 2);
            all.push_back(std::move(text));
        }
        co_return all;
    }

    rondo::task<std::string> reply_to(words command, peer& one) {
        if (answers) {
            auto reply = answers(command, one);
            if (reply) co_return *reply;
        }
        if (waits) {
            auto reply = co_await waits(command, one);
            if (reply) co_return *reply;
        }
        if (command[0] == "BLPOP") co_return co_await pop(one);
        co_return answer(command, one);
    }

    rondo::task<std::string> pop(peer& one) {
        one.is_unblocked = false;
        pushed_.reset();
        co_await one.blocked.park();
        if (one.is_unblocked) co_return "*-1\r\n";
        const std::string text = *std::exchange(pushed_, std::nullopt);
        co_return resp::list({resp::bulk("list"), resp::bulk(text)});
    }

    std::string answer(const words& command, peer& one) {
        const std::string& name = command[0];
        if (name == "AUTH") {
            if (command.back() != password)
                return resp::error("WRONGPASS invalid username-password pair or user is disabled.");
            one.user = command.size() > 2 ? command[1] : "known";
            return resp::ok;
        }
        if (!password.empty() && one.user == "default")
            return resp::error("NOAUTH Authentication required.");
        if (name == "PING") return "+PONG\r\n";
        if (name == "SELECT") return resp::ok;
        if (name == "ECHO") return resp::bulk(command.at(1));
        if (name == "CLIENT") {
            if (command.at(1) == "ID") return resp::number(one.number);
            return resp::number(unblock(std::stoi(command.at(2))) ? 1 : 0);
        }
        if (name == "SET") return keys[command.at(1)] = command.at(2), resp::ok;
        if (name == "GET") {
            const auto found = keys.find(command.at(1));
            return found == keys.end() ? resp::nil : resp::bulk(found->second);
        }
        if (name == "INCRBY") {
            std::string& text = keys[command.at(1)];
            text = std::to_string(std::stoi("0" + text) + std::stoi(command.at(2)));
            return resp::number(std::stoi(text));
        }
        if (name == "DEL") return resp::number(static_cast<int>(keys.erase(command.at(1))));
        return resp::error("ERR unknown command '" + name + "'");
    }

    rondo::tcp_listener listener_;
    rondo::endpoint where_;
    std::map<int, peer*> peers_;
    std::optional<std::string> pushed_;
};

/// The text of the error that `work` ends with; "no error" if it does not.
template <class T>
rondo::task<std::string> redis_error_of(rondo::task<T> work) {
    try {
        co_await std::move(work);
    } catch (const std::exception& error) {
        co_return error.what();
    }
    co_return "no error";
}

}  // namespace rondo_tests
