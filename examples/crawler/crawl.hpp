// SPDX-License-Identifier: MIT
// A visit to a page: may it be asked for, what does it answer, which pages does it name.
#pragma once

#include <string>
#include <vector>

#include <rondo/http/session.hpp>
#include <rondo/task.hpp>

#include "address.hpp"
#include "frontier.hpp"
#include "gate.hpp"
#include "options.hpp"
#include "output.hpp"
#include "page.hpp"
#include "result.hpp"
#include "robots_cache.hpp"
#include "status.hpp"

namespace crawler {

/// Shared by all visits of a process.
/// Thread: its loop's.
class crawl final : public visitor {
public:
    /// All that is passed must outlive it.
    crawl(const options& wanted, gate& hosts, frontier& work, output& results);

    /// Puts the pages where the crawl begins into the frontier.
    rondo::task<> start();
    rondo::task<> visit(const target& page) override;
    /// Closes the connections.
    rondo::task<> close() { return web_.close(); }

    const crawl_counts& counts() const noexcept { return counts_; }
    /// A line for the user if a page where the crawl begins has led to a host that is not followed.
    const std::string& hint() const noexcept { return hint_; }
    /// The page that was finished last.
    const std::string& last_url() const noexcept { return last_url_; }

private:
    using targets = std::vector<target>;
    struct answer;

    rondo::task<> ask(const target& page, page_result& result, targets& found, host_rules*& host);
    rondo::task<> fetch(const target& page, page_result& result, targets& found);
    rondo::task<> read(answer& from, const target& page, page_result& result, targets& found);
    void follow_redirect(const target& page, const rondo::http::url& to, targets& found);
    void follow_links(const target& page, const page_content& content, page_result& result,
                      targets& found) const;
    void follow(const rondo::http::url& to, unsigned depth, unsigned redirects,
                targets& found) const;
    void name_sitemaps(const rondo::http::url& where, const host_rules& host, targets& found) const;

    const options& wanted_;
    rondo::http::retry_policy retries_;
    std::string agent_;
    gate& gate_;
    frontier& work_;
    output& output_;
    rondo::http::session web_;
    robots_cache robots_;
    host_list hosts_;
    crawl_counts counts_;
    std::string last_url_;
    std::string hint_;
};

}  // namespace crawler
