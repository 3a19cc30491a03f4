// SPDX-License-Identifier: MIT
// One file, from its URLs to its name in the folder.
//
// transfer.cpp has its way through attempts, ranges.cpp moves the bytes, mirrors.cpp asks the
// servers.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <rondo/http/response.hpp>
#include <rondo/sync/event.hpp>
#include <rondo/task.hpp>

#include "downloads.hpp"
#include "failure.hpp"
#include "helping.hpp"
#include "outcome.hpp"
#include "part_file.hpp"
#include "remote.hpp"
#include "segments.hpp"

namespace downloader {

/// Counts a request in downloads::asking for as long as it lives.
struct one_less {
    void operator()(std::size_t* count) const noexcept { --*count; }
};
using request_count = std::unique_ptr<std::size_t, one_less>;

/// A response, and the mirror that gave it.
class answered {
public:
    answered(rondo::http::response given, remote_file describes, std::size_t from, answer is,
             std::uint64_t begin, request_count counted);

    rondo::http::response response;
    remote_file described;
    std::size_t mirror;
    answer what;
    std::uint64_t at;   // where in the file its next byte belongs
    std::uint64_t end;  // of its bytes in the file, if that is known
    request_count asking;
};

/// The part of a response that says which file it has.
inline response_head head_of(const rondo::http::response& response) {
    return {response.status(), response.headers(), response.content_length()};
}

inline answered::answered(rondo::http::response given, remote_file describes, std::size_t from,
                          answer is, std::uint64_t begin, request_count counted)
    : response(std::move(given)),
      described(std::move(describes)),
      mirror(from),
      what(is),
      at(is == answer::part ? begin : 0),
      end(end_of(head_of(response))),
      asking(std::move(counted)) {}

/// A mirror, and what it says of the file without sending it.
using description = std::pair<std::size_t, remote_file>;

class transfer {
public:
    /// `what` must outlive it. `name` is a safe one, which no other file of the run has.
    transfer(downloads& all, const wanted_file& what, std::string name, std::size_t id);

    /// Gets all bytes, with repeated attempts. The bytes of an interrupted or failed transfer are
    /// saved.
    /// Returns: false if nothing is to be done: the file is there already, and complete.
    /// Throws:  std::exception with the reason.
    rondo::task<bool> run();

    /// Checks the file, brings it to the disk and names it.
    /// Returns: false if it has to be downloaded again: what an earlier run had was not right.
    /// Throws:  refused.
    rondo::task<bool> finish();

    /// Saves what is there, if it can be of use, after run() or finish() have thrown.
    rondo::task<> keep();

    /// How it ended, to be completed by the caller.
    outcome& result() { return result_; }
    std::size_t id() const { return id_; }

private:
    // transfer.cpp
    rondo::task<bool> is_there_already();
    rondo::task<std::string> difference(const struct stat* there);
    rondo::task<bool> begin_run();
    void find_part();
    std::uint64_t bytes_there() const;
    bool gives_part_up(const std::exception& error);
    rondo::task<> attempt();
    rondo::task<> begin_again(answered* first);
    void note_encoding(const answered& first);
    rondo::task<> save();
    void choose_alone();
    std::string retry_note(const std::exception& error, backoff::time pause) const;
    void note(std::string_view text);

    // ranges.cpp
    rondo::task<> move_alone(answered first);
    rondo::task<> move_together(answered first);
    rondo::task<> work_all(std::optional<answered> first);
    rondo::task<> work(std::optional<answered> first, std::size_t number);
    rondo::task<> fetch_ranges(std::optional<answered> first, pace* mine);
    rondo::task<> find_segment(pace* mine);
    std::optional<std::size_t> segment_to_help(std::size_t idle);
    void let_go(pace& mine);
    rondo::task<> copy(answered& from, pace& mine);
    rondo::task<> save_often();
    rondo::task<> until_complete();
    std::size_t workers() const;
    bool can_split() const;
    bool can_resume() const;

    // mirrors.cpp
    rondo::task<answered> ask(byte_range range);
    rondo::task<answered> ask_mirror(std::size_t mirror, byte_range range);
    rondo::task<description> ask_description();
    rondo::task<description> describe_mirror(std::size_t mirror);
    std::vector<std::size_t> mirror_order() const;
    bool fits(std::size_t mirror, const remote_file& described);
    std::size_t mirrors() const { return is_alone_ ? 1 : what_.parsed.size(); }
    std::string condition(std::size_t mirror) const;
    void check_length(const remote_file& described) const;

    downloads& all_;
    const wanted_file& what_;
    std::size_t id_;
    part_file part_;
    outcome result_;

    remote_file known_;                             // the file whose bytes are in the part
    std::size_t origin_ = 0;                        // the mirror that described it
    std::vector<std::optional<remote_file>> seen_;  // what each mirror has, if a digest is given
    std::vector<bool> were_wrong_;                  // mirrors that alone gave a wrong digest
    segments segments_{0};
    std::vector<pace> paces_;  // of the tasks that fetch segments
    rondo::event complete_;
    bool has_looked_ = false;  // for the file and its part in the folder
    bool has_begun_ = false;   // the part has bytes, or is open for them
    bool is_alone_ = false;    // one mirror only: the mix of several was not right
    bool ignores_ranges_ = false;
    bool has_given_up_ = false;         // gives_part_up() was true once
    bool asks_whole_ = false;           // until a mirror sends it
    std::uint64_t used_mirrors_ = 0;    // a bit for each of the first 64
    bool is_beginning_anew_ = false;    // a task of this attempt has found that it must
    std::exception_ptr first_failure_;  // of another task
};

}  // namespace downloader
