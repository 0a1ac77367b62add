#include "ingress/nginx_conf.h"

#include <algorithm>
#include <map>

#include "base/text.h"

namespace skiff::ingress {
namespace {

constexpr std::string_view module_folder = "/usr/lib/nginx/modules/";
constexpr std::string_view endpoints_memory = "16m";   // used as far as there are endpoints

// In double quotes of nginx; what comes here has no variable that it should not have.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

std::string regex_escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (std::string_view{".[]()*+?^$|\\-"}.find(c) != std::string_view::npos) out += '\\';
        out += c;
    }
    return out;
}

std::string hash_text(std::string_view text) {
    uint64_t hash = 14695981039346656037u;   // FNV-1a
    for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
    std::string bytes;
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(hash >> shift);
    return hex(bytes);
}

class Writer {
  public:
    Writer(const Model& model, const ConfOptions& options) : model_{model}, options_{options} {}

    Conf write() {
        write_front();
        for (const auto& [name, servers] : model_.upstreams) write_upstream(name);
        write_control();
        for (const Server& server : ordered()) {
            if (options_.http_port) write_server(server, false);
            if (options_.https_port && (server.tls || server.host.empty()))
                write_server(server, true);
        }
        close();
        Listening listening{.ports = {}, .ipv6 = options_.ipv6};
        for (const auto port : {options_.http_port, options_.https_port})
            if (port) listening.ports.push_back(port);
        return {std::move(text_), std::move(owners_), std::move(listening)};
    }

  private:
    template <class... Pieces>
    void line(const Pieces&... pieces) {
        const size_t from = text_.size();
        append(text_, std::string(depth_ * 4, ' '), pieces..., "\n");
        lines_ += static_cast<size_t>(
            std::count(text_.begin() + static_cast<std::ptrdiff_t>(from), text_.end(), '\n'));
    }
    template <class... Pieces>
    void open(const Pieces&... pieces) {
        line(pieces..., " {");
        ++depth_;
    }
    void close() {
        --depth_;
        line("}");
    }
    void owned_by(const client::ObjectKey& owner) { owners_.emplace_back(lines_ + 1, owner); }

    // Regular expressions are asked in order: the longer wildcard first.
    std::vector<Server> ordered() const {
        auto servers = model_.servers;
        std::ranges::stable_sort(servers, [](const Server& left, const Server& right) {
            return left.host.size() > right.host.size();
        });
        return servers;
    }

    void write_front() {
        line("# Written by Skiff's ingress controller; what is changed here is lost.");
        line("load_module ", module_folder, "ndk_http_module.so;");
        line("load_module ", module_folder, "ngx_http_lua_module.so;");
        if (!options_.user.empty()) line("user ", options_.user, ";");
        line("worker_processes ", options_.workers, ";");
        line("worker_rlimit_nofile ", options_.open_files, ";");
        line("worker_shutdown_timeout 240s;");
        line("pid ", quoted(options_.folder + "/nginx.pid"), ";");
        line("error_log ", options_.error_log == "stderr" ? "stderr" : quoted(options_.error_log),
             " warn;");
        line("daemon on;");
        open("events");
        line("worker_connections ", std::clamp(options_.open_files / 2, 256ul, 16384ul), ";");
        close();
        open("http");
        for (const std::string_view name : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
            line(name, "_temp_path ", quoted(concat(options_.folder, "/", name)), ";");
        line("# of the balancer ", hash_text(balancer_lua()));   // a new one is a new configuration
        line("lua_package_path ", quoted(options_.folder + "/lua/?.lua;;"), ";");
        line("lua_shared_dict endpoints ", endpoints_memory, ";");
        line("init_worker_by_lua_block { require(\"skiff\").begin() }");
        line("init_by_lua_block { require(\"skiff\").load(",
             quoted(endpoints_file(options_.folder)), ") }");
        line("log_by_lua_block { require(\"skiff\").done() }");
        line("log_format told '$remote_addr - $remote_user [$time_local] \"$request\" '");
        line("    '$status $body_bytes_sent \"$http_referer\" \"$user_agent\"';");
        if (options_.access_log.empty())
            line("access_log off;");
        else
            line("access_log ", quoted(options_.access_log), " told;");
        line(
            "server_tokens off;\ntcp_nodelay on;\nkeepalive_timeout 75s;\n"
            "keepalive_disable safari;\n"   // which no request is, but when clients are to
                                            // reconnect

            "keepalive_requests 10000;\nreset_timedout_connection on;\n"
            "client_header_buffer_size 1k;\nlarge_client_header_buffers 4 16k;\n"
            "server_names_hash_max_size 32768;\nserver_names_hash_bucket_size 512;\n"
            "map_hash_max_size 32768;\nmap_hash_bucket_size 512;\n"
            "variables_hash_max_size 4096;\nvariables_hash_bucket_size 512;\n"
            "proxy_headers_hash_max_size 1024;\nproxy_headers_hash_bucket_size 128;\n"
            "ssl_protocols TLSv1.2 TLSv1.3;\nssl_session_cache shared:ssl:4m;\n"
            "ssl_session_timeout 10m;\nssl_prefer_server_ciphers off;");
        line("map $http_upgrade $connection_upgrade { default upgrade; '' ''; }");
        line("map $http_host $best_host { default $http_host; '' $host; }");
        line(
            "map $http_x_request_id $request_name { default $http_x_request_id; '' $request_id; }");
        line("proxy_http_version 1.1;");
        line("map $http_user_agent $user_agent { default $http_user_agent; }");
        write_headers("$best_host");
        line(
            "proxy_redirect off;\nproxy_next_upstream error timeout;\n"
            "proxy_next_upstream_tries 3;\nproxy_buffer_size 4k;\nproxy_buffers 4 16k;");
    }

    // All of them: what is said of one in a location hides those of the outside.
    void write_headers(std::string_view host) {
        line("proxy_set_header Host ", host, ";");
        for (const std::string_view header :
             {"User-Agent $user_agent", "Upgrade $http_upgrade", "Connection $connection_upgrade",
              "X-Request-ID $request_name", "X-Real-IP $remote_addr",
              "X-Forwarded-For $remote_addr", "X-Forwarded-Host $best_host",
              "X-Forwarded-Port $server_port", "X-Forwarded-Proto $scheme",
              "X-Forwarded-Scheme $scheme", "X-Scheme $scheme",
              "X-Original-Forwarded-For $http_x_forwarded_for", "Proxy ''"})
            line("proxy_set_header ", header, ";");
    }

    // Who its servers are is told to the workers, not written here.
    void write_upstream(const std::string& name) {
        open("upstream ", name);
        line("server 0.0.0.1;");
        line("balancer_by_lua_block { require(\"skiff\").balance(\"", name, "\") }");
        line("keepalive 64;");
        line("keepalive_timeout 4s;");   // less than what Node.js keeps one open
        close();
    }

    void write_control() {
        open("server");
        line("listen ", quoted("unix:" + control_socket(options_.folder)), ";");
        line("access_log off;");
        line("client_max_body_size 0;\nclient_body_buffer_size ", endpoints_memory, ";");
        line("location = /endpoints { content_by_lua_block { require(\"skiff\").update() } }");
        line("location = /drain { content_by_lua_block { require(\"skiff\").drain() } }");
        line("location = /idle { content_by_lua_block { require(\"skiff\").idle() } }");
        close();
    }

    void write_server(const Server& server, bool tls) {
        owned_by({});
        const bool rest = server.host.empty();
        const auto port = tls ? options_.https_port : options_.http_port;
        const auto extra = concat(tls ? " ssl http2" : "", rest ? " default_server" : "",
                                  rest ? " backlog=4096" : "");
        open("server");
        line("listen ", port, extra, ";");
        if (options_.ipv6) line("listen [::]:", port, extra, ";");
        if (rest)
            line("server_name _;");
        else if (server.host.starts_with("*."))
            line("server_name ", quoted("~^[^.]+" + regex_escaped(server.host.substr(1)) + "$"),
                 ";");
        else
            line("server_name ", server.host, ";");
        if (tls) {
            const auto path = quoted(certificate_path(
                options_.folder, server.certificate.empty() ? "default" : server.certificate));
            line("ssl_certificate ", path, ";");
            line("ssl_certificate_key ", path, ";");
        }
        line("set_by_lua_block $entered { require(\"skiff\").enter() }");
        // So the balancer says that there is no endpoint.
        line("error_page 500 =503 @unavailable;");
        line("location @unavailable { return 503; }");
        write_locations(server, tls);
        close();
    }

    void write_locations(const Server& server, bool tls) {
        std::vector<const Location*> regexes;
        std::map<std::string, const Location*> places;   // nginx's words for them
        for (const Location& one : server.locations)
            if (one.match == Match::Exact) places["= " + quoted(one.path)] = &one;
        for (const Location& one : server.locations) {
            if (one.match == Match::Regex) regexes.push_back(&one);
            if (one.match != Match::Prefix) continue;
            if (one.path != "/") places.emplace("= " + quoted(one.path), &one);
            places.emplace(quoted(one.path == "/" ? "/" : one.path + "/"), &one);
        }
        std::ranges::stable_sort(regexes, [](auto* left, auto* right) {
            return left->path.size() > right->path.size();
        });
        const auto root = std::ranges::find_if(
            server.locations, [](const Location& one) { return !one.settings.app_root.empty(); });
        if (root != server.locations.end() && !places.contains("= \"/\"")) {
            owned_by(root->owner);
            open("location = /");
            line("return 302 ", quoted(root->settings.app_root), ";");
            close();
        }
        for (const auto& [words, location] : places) write_location(words, *location, server, tls);
        for (const auto* location : regexes)
            write_location(concat("~* ", quoted("^" + location->path)), *location, server, tls);
        if (server.host.empty() && !places.contains("= \"/healthz\"")) {
            owned_by({});
            line("location = /healthz { return 200; }");
        }
        if (!places.contains("\"/\"")) write_location("/", server.fallback, server, tls);
    }

    // Whether plain HTTP is sent to HTTPS instead.
    bool redirects(const Location& location, const Server& server, bool tls) const {
        if (tls || !options_.https_port) return false;
        const Settings& settings = location.settings;
        return settings.force_ssl_redirect ||
               (server.tls && settings.ssl_redirect.value_or(!location.owner.name.empty()));
    }

    void write_location(const std::string& words, const Location& location, const Server& server,
                        bool tls) {
        owned_by(location.owner);
        open("location ", words);
        write_answer(location, server, tls);
        close();
    }

    void write_answer(const Location& location, const Server& server, bool tls) {
        const Settings& settings = location.settings;
        if (location.built_in) {
            line("default_type text/plain;");
            line("return 404 \"default backend - 404\";");
            return;
        }
        for (const auto& source : settings.allowed_sources) line("allow ", source, ";");
        if (!settings.allowed_sources.empty()) line("deny all;");
        if (settings.refused) return line("return 503;");
        if (redirects(location, server, tls)) {
            const auto port =
                options_.https_port == 443 ? std::string{} : concat(":", options_.https_port);
            return line("return 308 https://$host", port, "$request_uri;");
        }
        if (settings.redirect)
            return line("return ", settings.redirect->code, " ", quoted(settings.redirect->target),
                        ";");
        if (location.upstream.empty()) return line("return 503;");
        write_cors(settings);
        write_proxy(location);
    }

    void write_cors(const Settings& settings) {
        if (settings.cors_origin.empty()) return;
        line("if ($request_method = OPTIONS) {");
        write_cors_headers(settings);
        line("    add_header Access-Control-Max-Age 1728000;");
        line("    return 204;");
        line("}");
        write_cors_headers(settings);
    }
    void write_cors_headers(const Settings& settings) {
        line("    add_header Access-Control-Allow-Origin ", quoted(settings.cors_origin),
             " always;");
        if (settings.cors_origin != "*")
            line("    add_header Access-Control-Allow-Credentials true always;");
        line(
            "    add_header Access-Control-Allow-Methods \"GET, PUT, POST, DELETE, PATCH, "
            "OPTIONS\" always;");
        line(
            "    add_header Access-Control-Allow-Headers \"DNT,Keep-Alive,User-Agent,"
            "X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,"
            "Authorization\" always;");
    }

    void write_rewrite(const Location& location) {
        const auto& rewrite = location.settings.rewrite;
        if (!rewrite) return;
        if (rewrite->whole) {
            const auto path =
                location.match == Match::Regex ? location.path : regex_escaped(location.path);
            return line(
                "rewrite ",
                quoted("(?i)^" + path + (location.match == Match::Regex ? "" : "(?:/.*)?$")), " ",
                quoted(rewrite->target), " break;");
        }
        // As of old: the rest of the path goes behind the target.
        const auto base = rewrite->target.ends_with('/')
                              ? rewrite->target.substr(0, rewrite->target.size() - 1)
                              : rewrite->target;
        const auto path = location.path == "/" ? std::string{} : regex_escaped(location.path);
        line("rewrite ", quoted("(?i)^" + path + "/(.*)$"), " ", quoted(base + "/$1"), " break;");
        line("rewrite ", quoted("(?i)^" + path + "$"), " ", quoted(rewrite->target), " break;");
    }

    void write_proxy(const Location& location) {
        const Settings& settings = location.settings;
        if (!settings.upstream_host.empty()) write_headers(quoted(settings.upstream_host));
        write_choice(settings);
        write_rewrite(location);
        line("client_max_body_size ", settings.body_size, ";");
        const std::string_view kind = settings.grpc_backend ? "grpc" : "proxy";
        line(kind, "_connect_timeout ", settings.connect_seconds, "s;");
        line(kind, "_read_timeout ", settings.read_seconds, "s;");
        line(kind, "_send_timeout ", settings.send_seconds, "s;");
        if (!settings.grpc_backend) {
            line("proxy_buffering ", settings.buffering ? "on" : "off", ";");
            line("proxy_request_buffering ", settings.request_buffering ? "on" : "off", ";");
        }
        const auto& to = location.upstream;
        if (settings.grpc_backend)
            line("grpc_pass ", settings.https_backend ? "grpcs://" : "grpc://", to, ";");
        else
            line("proxy_pass ", settings.https_backend ? "https://" : "http://", to, ";");
    }

    void write_choice(const Settings& settings) {
        if (settings.affinity) {
            line("set $sticky_name ", quoted(settings.affinity->name), ";");
            line("set $sticky_attributes ", quoted(settings.affinity->attributes), ";");
            line("set $sticky '';");
            line("rewrite_by_lua_block { require(\"skiff\").by_cookie() }");
            line("add_header Set-Cookie $sticky always;");
        } else if (!settings.hash_by.empty()) {   // one of a fixed list of variables
            line("rewrite_by_lua_block { require(\"skiff\").by_hash(ngx.var.",
                 settings.hash_by.substr(1), ") }");
        }
    }

    const Model& model_;
    const ConfOptions& options_;
    std::string text_;
    size_t lines_ = 0;
    size_t depth_ = 0;
    std::vector<std::pair<size_t, client::ObjectKey>> owners_;
};

}   // namespace

client::ObjectKey Conf::owner_of(size_t line) const {
    client::ObjectKey owner;
    for (const auto& [from, key] : owners)
        if (from <= line) owner = key;
    return owner;
}

Conf nginx_conf(const Model& model, const ConfOptions& options) {
    return Writer{model, options}.write();
}

std::string certificate_path(const std::string& folder, const std::string& id) {
    return concat(folder, "/tls/", id, ".pem");
}

}   // namespace skiff::ingress
