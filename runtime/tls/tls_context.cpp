// SPDX-License-Identifier: MIT
// The public contexts: builders of settings. Texts are checked as they come, so that an error names
// the file that it is about.
#include "tls/settings.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <system_error>

namespace rondo {
inline namespace v0 {

namespace detail {

namespace {

constexpr std::size_t file_limit = 16 * 1024 * 1024;  // a store of certificates is about 200 KiB

struct file_closer {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

std::string read_text(std::string_view verb, std::string_view path) {
    const std::string name(path);
    const std::unique_ptr<std::FILE, file_closer> file(std::fopen(name.c_str(), "re"));
    const auto fail = [&](int error) {
        throw std::system_error(error, std::system_category(), std::string(verb) + ' ' + name);
    };
    if (!file) fail(errno);
    std::string text;
    char piece[16 * 1024];
    while (const std::size_t count = std::fread(piece, 1, sizeof piece, file.get())) {
        text.append(piece, count);
        if (text.size() > file_limit) fail(EFBIG);
    }
    if (std::ferror(file.get()) != 0) fail(errno);
    return text;
}

/// All certificates in the files of a folder. Files without one (keys, notes) are passed over.
std::string read_folder(std::string_view path) {
    std::error_code error;
    std::string all;
    std::filesystem::directory_iterator files(std::filesystem::path(path), error), end;
    for (; !error && files != end; files.increment(error)) {
        std::error_code ignored;
        if (!files->is_regular_file(ignored)) continue;
        const std::string text = read_text("trust", files->path().string());
        if (text.find("-----BEGIN CERTIFICATE-----") != text.npos) (all += text) += '\n';
    }
    if (error) throw std::system_error(error, "trust " + std::string(path));
    return all;
}

void trust(tls_settings& settings, std::string text, std::string_view origin) {
    check_certificates(text, origin);
    settings.trusted.push_back(std::move(text));
}
void trust_alone(tls_settings& settings, std::string text, std::string_view origin) {
    trust(settings, std::move(text), origin);
    settings.system_trust = false;
}

void add_revocations(tls_settings& settings, std::string_view path) {
    std::string text = read_text("revocations", path);
    check_revocations(text, path);
    settings.revocations.push_back(std::move(text));
}

void set_identity(tls_settings& settings, std::string chain, std::string key,
                  std::string_view chain_path, std::string_view key_path) {
    check_identity(chain, key, chain_path, key_path);
    settings.chain = std::move(chain);
    settings.key = std::move(key);
    settings.chain_path = std::string(chain_path);
    settings.key_path = std::string(key_path);
}

void set_minimum(tls_settings& settings, tls::version least) {
    if (least == tls::version::none)
        throw std::invalid_argument("minimum_version: tls_1_2 or tls_1_3");
    settings.minimum = least;
}

void set_key_log(tls_settings& settings, std::string_view path) {
    const std::string name(path);
    const std::unique_ptr<std::FILE, file_closer> file(std::fopen(name.c_str(), "ae"));
    if (!file) throw std::system_error(errno, std::system_category(), "key log " + name);
    settings.key_log = name;
}

void ask_client(tls_settings& settings, std::string text, std::string_view origin,
                bool is_required) {
    trust_alone(settings, std::move(text), origin);
    settings.verifies = true;
    settings.requires_peer = is_required;
}

}  // namespace

std::string alpn_on_wire(const std::vector<std::string_view>& names) {
    std::string wire;
    for (const std::string_view name : names) {
        if (name.empty() || name.size() > 255)
            throw std::invalid_argument("alpn: the name of a protocol has 1 to 255 bytes");
        wire += static_cast<char>(name.size());
        wire += name;
    }
    return wire;
}

std::string alpn_on_wire(std::string_view names) {
    std::vector<std::string_view> parts;
    while (!names.empty()) {
        const std::size_t comma = std::min(names.find(','), names.size());
        parts.push_back(names.substr(0, comma));
        names.remove_prefix(std::min(comma + 1, names.size()));
    }
    return alpn_on_wire(parts);
}

std::shared_ptr<ssl_context> tls_context_state::get() {
    const std::lock_guard guard(lock);
    if (!built) built = build_ssl_context(settings);
    return built;
}

std::shared_ptr<tls_context_state> tls_access::state(const tls::client_context& context) {
    static const auto ordinary = std::make_shared<tls_context_state>();
    return context.state_ ? context.state_ : ordinary;
}

}  // namespace detail

namespace tls {

using detail::tls_access;

std::string_view text(version which) noexcept {
    switch (which) {
        case version::tls_1_2: return "TLS 1.2";
        case version::tls_1_3: return "TLS 1.3";
        case version::none: break;
    }
    return {};
}

// -- client_context -------------------------------------------------------------------------------

client_context& client_context::trust_file(std::string_view path) & {
    std::string text = detail::read_text("trust", path);
    detail::trust_alone(tls_access::change(*this), std::move(text), path);
    return *this;
}
client_context& client_context::trust_folder(std::string_view path) & {
    std::string text = detail::read_folder(path);
    detail::trust_alone(tls_access::change(*this), std::move(text), path);
    return *this;
}
client_context& client_context::trust_text(std::string_view pem) & {
    detail::trust_alone(tls_access::change(*this), std::string(pem), "text");
    return *this;
}
client_context& client_context::add_trust_file(std::string_view path) & {
    std::string text = detail::read_text("trust", path);
    detail::trust(tls_access::change(*this), std::move(text), path);
    return *this;
}
client_context& client_context::add_trust_folder(std::string_view path) & {
    std::string text = detail::read_folder(path);
    detail::trust(tls_access::change(*this), std::move(text), path);
    return *this;
}
client_context& client_context::add_trust_text(std::string_view pem) & {
    detail::trust(tls_access::change(*this), std::string(pem), "text");
    return *this;
}
client_context& client_context::crl_file(std::string_view path) & {
    detail::add_revocations(tls_access::change(*this), path);
    return *this;
}
client_context& client_context::insecure_skip_verification() & {
    tls_access::change(*this).verifies = false;
    return *this;
}
client_context& client_context::certificate(std::string_view chain_path,
                                            std::string_view key_path) & {
    std::string chain = detail::read_text("certificate", chain_path);
    std::string key = detail::read_text("key", key_path);
    detail::set_identity(tls_access::change(*this), std::move(chain), std::move(key), chain_path,
                         key_path);
    return *this;
}
client_context& client_context::certificate_text(std::string_view chain, std::string_view key) & {
    detail::set_identity(tls_access::change(*this), std::string(chain), std::string(key), {}, {});
    return *this;
}
void client_context::alpn_names(std::vector<std::string_view> names) {
    tls_access::change(*this).alpn = detail::alpn_on_wire(names);
}
client_context& client_context::server_name(std::string_view name) & {
    tls_access::change(*this).server_name = name;
    return *this;
}
client_context& client_context::minimum_version(version least) & {
    detail::set_minimum(tls_access::change(*this), least);
    return *this;
}
client_context& client_context::resumption(bool on) & {
    tls_access::change(*this).resumes = on;
    return *this;
}
client_context& client_context::key_log_file(std::string_view path) & {
    detail::set_key_log(tls_access::change(*this), path);
    return *this;
}
client_context& client_context::key_log_from_environment() & {
    const char* path = std::getenv("SSLKEYLOGFILE");
    if (path != nullptr && *path != '\0') key_log_file(path);
    return *this;
}

// -- server_context -------------------------------------------------------------------------------

name_chooser::~name_chooser() = default;

namespace {

std::shared_ptr<detail::tls_context_state> server_state() {
    auto state = std::make_shared<detail::tls_context_state>();
    state->settings.is_server = true;
    state->settings.verifies = false;
    state->settings.system_trust = false;
    return state;
}

}  // namespace

server_context::server_context(std::string_view chain_path, std::string_view key_path)
    : state_(server_state()) {
    detail::set_identity(state_->settings, detail::read_text("certificate", chain_path),
                         detail::read_text("key", key_path), chain_path, key_path);
    state_->get();  // a key that is too weak is found now, not by the first client
}

server_context server_context::from_text(std::string_view chain, std::string_view key) {
    auto state = server_state();
    detail::set_identity(state->settings, std::string(chain), std::string(key), {}, {});
    state->get();
    return tls_access::make_server(std::move(state));
}

void server_context::reload() {
    const detail::tls_settings& old = state_->settings;
    if (old.chain_path.empty())
        throw invalid_state_error(
            "reload: this context was made from texts, so there is no file to read again");
    const std::string chain = detail::read_text("certificate", old.chain_path);
    reload_text(chain, detail::read_text("key", old.key_path));
}

void server_context::reload_text(std::string_view chain, std::string_view key) {
    detail::tls_settings fresh;
    {
        const std::lock_guard guard(state_->lock);
        fresh = state_->settings;
    }
    const std::string chain_path = fresh.chain_path, key_path = fresh.key_path;
    detail::set_identity(fresh, std::string(chain), std::string(key), chain_path, key_path);
    auto built = detail::build_ssl_context(fresh);
    const std::lock_guard guard(state_->lock);
    state_->settings.chain = std::move(fresh.chain);
    state_->settings.key = std::move(fresh.key);
    state_->built = std::move(built);
}

server_context& server_context::set_chooser(std::shared_ptr<name_chooser> chooser) {
    tls_access::change(*this).chooser = std::move(chooser);
    return *this;
}
server_context& server_context::require_client_certificate(std::string_view authority_path) & {
    std::string text = detail::read_text("trust", authority_path);
    detail::ask_client(tls_access::change(*this), std::move(text), authority_path, true);
    return *this;
}
server_context& server_context::require_client_certificate_text(std::string_view authorities) & {
    detail::ask_client(tls_access::change(*this), std::string(authorities), "text", true);
    return *this;
}
server_context& server_context::ask_client_certificate(std::string_view authority_path) & {
    std::string text = detail::read_text("trust", authority_path);
    detail::ask_client(tls_access::change(*this), std::move(text), authority_path, false);
    return *this;
}
server_context& server_context::ask_client_certificate_text(std::string_view authorities) & {
    detail::ask_client(tls_access::change(*this), std::string(authorities), "text", false);
    return *this;
}
server_context& server_context::crl_file(std::string_view path) & {
    detail::add_revocations(tls_access::change(*this), path);
    return *this;
}
void server_context::alpn_names(std::vector<std::string_view> names) {
    tls_access::change(*this).alpn = detail::alpn_on_wire(names);
}
server_context& server_context::minimum_version(version least) & {
    detail::set_minimum(tls_access::change(*this), least);
    return *this;
}
server_context& server_context::key_log_file(std::string_view path) & {
    detail::set_key_log(tls_access::change(*this), path);
    return *this;
}

}  // namespace tls
}  // namespace v0
}  // namespace rondo
