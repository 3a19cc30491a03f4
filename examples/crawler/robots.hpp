// SPDX-License-Identifier: MIT
// robots.txt, as RFC 9309 has it: a text becomes the rules that hold for one crawler. No I/O.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crawler {

/// The rules of one site for one crawler. By default everything is allowed.
class robots_rules {
public:
    /// Bytes of a robots.txt that are read; the rest is ignored.
    static constexpr std::size_t text_max = std::size_t{500} * 1024;

    robots_rules() = default;

    /// Rules of a text, for the crawler whose product token is `agent` ("rondo-crawler"). The
    /// groups that name it hold together; without one, those of "*" do. Lines that are not
    /// understood are skipped.
    robots_rules(std::string_view text, std::string_view agent);

    /// Rules that forbid everything: of a site that cannot say what it allows.
    static robots_rules forbid_all();

    /// True if the crawler may ask for this target ("/a/b?q=1"). The longest rule that matches
    /// wins, and of equal ones the one that allows.
    bool allows(std::string_view target) const;

    /// The time between two requests that the site asks for. RFC 9309 does not have it.
    std::optional<std::chrono::milliseconds> crawl_delay() const noexcept { return delay_; }

    /// URLs of sitemaps, as they stand.
    const std::vector<std::string>& sitemaps() const noexcept { return sitemaps_; }

private:
    struct rule {
        std::string pattern;  // in the form of comparable()
        bool allow;
    };

    std::vector<rule> rules_;
    std::optional<std::chrono::milliseconds> delay_;
    std::vector<std::string> sitemaps_;
};

/// True if `pattern` matches the beginning of `target`. '*' stands for any characters, '$' at the
/// end for the end of the target. Takes time in proportion to the product of the lengths at most.
bool robots_match(std::string_view pattern, std::string_view target);

/// The product token of a User-Agent: "rondo-crawler" of "rondo-crawler/0.1 (+https://...)".
std::string_view product_token(std::string_view user_agent);

}  // namespace crawler
