// SPDX-License-Identifier: MIT
// libcurl inside rondo, by its "multi socket" interface. libcurl says which descriptors it waits
// for and when it must be called next; the loop waits, for any number of transfers.
//
// Callbacks run inside curl_multi_socket_action, where libcurl forbids most calls into it. So they
// only set promises, and the waiting task resumes in a later turn.
#pragma once

#include <curl/curl.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include <rondo/rondo.hpp>

/// A transfer failed, with libcurl's code and text.
struct curl_error : std::runtime_error {
    curl_error(CURLcode why, const std::string& url)
        : std::runtime_error("perform " + url + ": " + curl_easy_strerror(why)), code(why) {}
    CURLcode code;
};

/// Transfers that share connections. Make and destroy it on its loop's thread, while the loop runs.
/// It must outlive its transfers.
class curl_session {
public:
    curl_session() : multi_(curl_multi_init()) {
        if (multi_ == nullptr) throw std::bad_alloc();
        curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &on_socket);
        curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
        curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &on_timer);
        curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    }
    curl_session(const curl_session&) = delete;
    curl_session& operator=(const curl_session&) = delete;
    ~curl_session() {
        curl_multi_cleanup(multi_);  // closes the connections, and calls on_socket for each
        timer_.cancel();
    }

    /// Runs the transfer that `easy` describes. The caller keeps the handle.
    /// Throws: curl_error; std::logic_error if the handle is in use.
    /// Cancel: removes the transfer at once and closes its connection. Bytes that came before went
    ///         to the handle's write function. A transfer that has ended by then is returned as
    ///         done. If libcurl is looking up a name on its own thread, this waits for that thread,
    ///         unless CURLOPT_QUICK_EXIT is set.
    rondo::task<> perform(CURL* easy) {
        if (rondo::cancel_requested()) throw rondo::cancelled();
        rondo::promise<CURLcode> ended = loop_.create_promise<CURLcode>();
        auto result = ended.get_future();
        if (!transfers_.emplace(easy, &ended).second)
            throw std::logic_error("perform: the handle is in use");
        const running here{this, easy};
        if (const CURLMcode added = curl_multi_add_handle(multi_, easy); added != CURLM_OK)
            throw std::logic_error(std::string("perform: ") + curl_multi_strerror(added));
        try {
            co_await result;
        } catch (const rondo::cancelled&) {
            if (!result.done() || result.cancelled()) throw;
        }
        if (const CURLcode code = result.result(); code != CURLE_OK)
            throw curl_error(code, url_of(easy));
    }

    /// The number of transfers that run.
    std::size_t transfers() const noexcept { return transfers_.size(); }

private:
    /// Removes the transfer, however perform ends.
    struct running {
        curl_session* session;
        CURL* easy;
        running(curl_session* s, CURL* e) noexcept : session(s), easy(e) {}
        running(const running&) = delete;
        running& operator=(const running&) = delete;
        ~running() {
            session->transfers_.erase(easy);
            curl_multi_remove_handle(session->multi_, easy);
        }
    };

    static std::string url_of(CURL* easy) {
        const char* url = nullptr;
        curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url);
        return url != nullptr ? url : "";
    }

    /// libcurl's callback: watch the socket for the events in `what` from now on.
    static int on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) noexcept {
        auto& session = *static_cast<curl_session*>(self);
        try {
            if ((what & CURL_POLL_REMOVE) == CURL_POLL_REMOVE) what = CURL_POLL_NONE;
            if ((what & CURL_POLL_IN) != 0)
                session.loop_.add_reader(fd, [&session, fd] { session.act(fd, CURL_CSELECT_IN); });
            else
                session.loop_.remove_reader(fd);
            if ((what & CURL_POLL_OUT) != 0)
                session.loop_.add_writer(fd, [&session, fd] { session.act(fd, CURL_CSELECT_OUT); });
            else
                session.loop_.remove_writer(fd);
            return 0;
        } catch (...) {
            session.report("watching a socket for libcurl");
            return -1;  // makes libcurl abort all transfers
        }
    }

    /// libcurl's callback: call it after this time; -1: not at all.
    static int on_timer(CURLM*, long milliseconds, void* self) noexcept {
        auto& session = *static_cast<curl_session*>(self);
        try {
            session.timer_.cancel();
            if (milliseconds >= 0)
                session.timer_ = session.loop_.call_later(
                    std::chrono::milliseconds(milliseconds),
                    [&session] { session.act(CURL_SOCKET_TIMEOUT, 0); });
            return 0;
        } catch (...) {
            session.report("setting a timer for libcurl");
            return -1;
        }
    }

    void act(curl_socket_t fd, int ready) {
        int still_running = 0;
        curl_multi_socket_action(multi_, fd, ready, &still_running);
        int queued = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi_, &queued)) {
            const auto found = transfers_.find(message->easy_handle);
            if (message->msg == CURLMSG_DONE && found != transfers_.end() && !found->second->done())
                found->second->set_value(message->data.result);
        }
    }

    void report(const char* what) noexcept {
        loop_.call_exception_handler({what, std::current_exception()});
    }

    rondo::loop& loop_ = rondo::running_loop();
    CURLM* multi_;
    rondo::call_handle timer_;
    std::unordered_map<CURL*, rondo::promise<CURLcode>*> transfers_;
};
