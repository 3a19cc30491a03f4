// SPDX-License-Identifier: MIT
// The setters of a request. They only note what is wanted; send.cpp does it.
#include <rondo/http/request_builder.hpp>

#include "http/auth.hpp"
#include "http/client/request_spec.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

using kind = rondo::detail::http_request::body_kind;

void check_body(const rondo::detail::http_request& spec, kind wanted) {
    if (spec.body == kind::none || spec.body == wanted) return;
    throw error("a request has one body: it was given a second one of another kind", spec.method,
                {});
}

}  // namespace

body_source::~body_source() = default;

request_builder::request_builder(std::shared_ptr<rondo::detail::http_session> session,
                                 std::string_view method, url_or_text url)
    : spec_(std::make_unique<rondo::detail::http_request>()) {
    if (!is_token(method)) throw error("a method is letters and digits: it was given another text");
    spec_->session = std::move(session);
    spec_->method = method;
    if (url.parsed() != nullptr)
        spec_->parsed = *url.parsed();
    else
        spec_->url = url.text();
}
request_builder::request_builder(std::unique_ptr<rondo::detail::http_request> spec) noexcept
    : spec_(std::move(spec)) {}
request_builder::request_builder(const request_builder& other)
    : spec_(std::make_unique<rondo::detail::http_request>(*rondo::detail::not_empty(other.spec_))) {
}
request_builder::request_builder(request_builder&&) noexcept = default;
request_builder& request_builder::operator=(request_builder other) noexcept {
    spec_.swap(other.spec_);
    return *this;
}
request_builder::~request_builder() = default;

rondo::detail::http_request& request_builder::changed() {
    RONDO_ASSERT(spec_, "this request was moved from");
    return *spec_;
}

request_builder& request_builder::header(std::string_view name, std::string_view value) {
    changed().headers.set(name, value);
    return *this;
}

request_builder& request_builder::query(std::string_view name, std::string_view value) {
    changed().query.emplace_back(name, value);
    return *this;
}

request_builder& request_builder::body(std::string bytes, std::string_view content_type) {
    check_body(changed(), kind::none);
    spec_->body = kind::bytes;
    spec_->bytes = std::move(bytes);
    return content_type.empty() ? *this : header("content-type", content_type);
}

request_builder& request_builder::body(std::shared_ptr<body_source> source,
                                       std::string_view content_type) {
    check_body(changed(), kind::none);
    RONDO_ASSERT(source, "request_builder::body was given a null body_source");
    spec_->body = kind::source;
    spec_->source = std::move(source);
    spec_->source_was_sent = std::make_shared<bool>(false);
    return content_type.empty() ? *this : header("content-type", content_type);
}

request_builder& request_builder::body_file(std::string_view path, std::string_view content_type) {
    check_body(changed(), kind::none);
    spec_->body = kind::file;
    spec_->bytes = path;
    return content_type.empty() ? *this : header("content-type", content_type);
}

request_builder& request_builder::form(std::string_view name, std::string_view value) {
    check_body(changed(), kind::form);
    if (spec_->body == kind::none) header("content-type", "application/x-www-form-urlencoded");
    spec_->body = kind::form;
    if (!spec_->bytes.empty()) spec_->bytes += '&';
    spec_->bytes += percent_encode(name) + '=' + percent_encode(value);
    return *this;
}

request_builder& request_builder::part(std::string_view name, std::string_view value) {
    check_body(changed(), kind::parts);
    spec_->body = kind::parts;
    spec_->parts.push_back({std::string(name), std::string(value), {}, {}, false});
    return *this;
}

request_builder& request_builder::part_file(std::string_view name, std::string_view path,
                                            std::string_view content_type,
                                            std::string_view filename) {
    check_body(changed(), kind::parts);
    spec_->body = kind::parts;
    if (filename.empty()) filename = path.substr(path.rfind('/') + 1);
    spec_->parts.push_back({std::string(name), std::string(path), std::string(content_type),
                            std::string(filename), true});
    return *this;
}

request_builder& request_builder::basic_auth(std::string_view user, std::string_view password) {
    return header("authorization", basic_credentials(user, password));
}

request_builder& request_builder::bearer(std::string_view token) {
    return header("authorization", bearer_credentials(token));
}

request_builder& request_builder::digest_auth(std::string_view user, std::string_view password) {
    if (!is_field_value(user)) throw error("a user of Digest has no control characters");
    changed().digest_user = user;
    changed().digest_password = password;
    return *this;
}

request_builder& request_builder::range(std::uint64_t first, std::optional<std::uint64_t> last) {
    return header("range", "bytes=" + std::to_string(first) + '-' +
                               (last ? std::to_string(*last) : std::string()));
}

request_builder& request_builder::timeout(rondo::detail::time_limit total) {
    changed().timeout = total;
    return *this;
}
request_builder& request_builder::redirects(int count) {
    if (count < 0) throw error("the number of redirects must not be negative");
    changed().redirects = count;
    return *this;
}
request_builder& request_builder::decode(bool on) {
    changed().decode = on;
    return *this;
}
request_builder& request_builder::version(http::version which) {
    if (which == http::version::http_1_0)
        throw error("version: requests are sent in HTTP/1.1 or HTTP/2", changed().method, {});
    changed().version = which;
    return *this;
}
request_builder& request_builder::retries(retry_policy policy) {
    if (policy.attempts < 1) throw error("retries: attempts must be at least 1");
    changed().retries = policy;
    return *this;
}
request_builder& request_builder::proxy(std::string_view url) {
    changed().proxy = url;
    return *this;
}
request_builder& request_builder::resolve_to(const endpoint& address) {
    changed().address = address;
    return *this;
}

std::string_view request_builder::method() const noexcept {
    return rondo::detail::not_empty(spec_)->method;
}
http::url request_builder::url() const { return rondo::detail::not_empty(spec_)->whole_url(); }
const fields& request_builder::headers() const noexcept {
    return rondo::detail::not_empty(spec_)->headers;
}

task<response> request_builder::send() const& { return request_builder(*this).send_now(); }
task<response> request_builder::send() && { return send_now(); }
task<response> request_builder::send_now() {
    RONDO_ASSERT(spec_, "this request was moved from");
    return rondo::detail::send_request(std::move(spec_));
}
rondo::detail::task_awaiter<response> request_builder::rondo_awaiter() const& {
    return rondo::detail::task_awaiter<response>(&send().release());
}
rondo::detail::task_awaiter<response> request_builder::rondo_awaiter() && {
    return rondo::detail::task_awaiter<response>(&send_now().release());
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
