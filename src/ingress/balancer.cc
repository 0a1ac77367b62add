#include "ingress/balancer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/os.h"
#include "base/text.h"

namespace skiff::ingress {
namespace {

using namespace std::chrono_literals;

constexpr Duration answer_time = 2s;
constexpr Duration drain_time = 300ms;   // a busy client asks within it
constexpr size_t answer_bytes_max = 64 * 1024;

// `shared` is the truth for all workers, those of an older configuration too; a worker parses what
// it has not seen yet. An upstream's version tells it.
constexpr std::string_view text = R"lua(
local balancer = require "ngx.balancer"
local shared = ngx.shared.endpoints
local M = {}
local known = {}

local function parse(list)
    local servers = {}
    for server in list:gmatch("%S+") do
        local host, port = server:match("^(.*):(%d+)$")
        servers[#servers + 1] = {
            host = host, port = tonumber(port), active = "n:" .. server,
            id = ngx.md5(server):sub(1, 16),
        }
    end
    return servers
end

local function upstream(name)
    local one = known[name]
    if not one then
        one = {version = 0, servers = {}, last = math.random(0, 1000),
               version_key = "v:" .. name, servers_key = "e:" .. name}
        known[name] = one
    end
    local version = shared:get(one.version_key) or 0
    if version ~= one.version then
        one.servers = parse(shared:get(one.servers_key) or "")
        one.version = version
    end
    return one
end

local function by_cookie(servers, name)
    local id = ngx.var["cookie_" .. name]
    if not id then return nil end
    for i = 1, #servers do
        if servers[i].id == id then return i end
    end
end

-- The server with the highest number: few keys move when one comes or goes.
local function by_hash(servers, key)
    local best, at = -1, nil
    for i = 1, #servers do
        local number = ngx.crc32_long(ngx.md5_bin(key .. servers[i].id))
        if number > best then best, at = number, i end
    end
    return at
end

local function choose(one, ctx)
    local servers = one.servers
    local at = ctx.cookie and by_cookie(servers, ctx.cookie)
        or ctx.hash and by_hash(servers, ctx.hash)
    if at then return at end
    one.last = one.last % #servers + 1
    return one.last
end

-- Of each request, and again when what was chosen did not answer.
function M.balance(name)
    local ctx = ngx.ctx
    local one = upstream(name)
    local servers = one.servers
    local at = ctx.at
    if ctx.server then
        shared:incr(ctx.server.active, -1)
        ctx.server = nil
    end
    if #servers == 0 then return ngx.exit(ngx.ERROR) end
    if at then
        at = at % #servers + 1
    else
        at = choose(one, ctx)
        balancer.set_more_tries(2)
    end
    local server = servers[at]
    ctx.at, ctx.server = at, server
    shared:incr(server.active, 1, 0)
    if ctx.cookie then
        local known_already = ngx.var["cookie_" .. ctx.cookie] == server.id
        ngx.var.sticky = known_already and "" or
            ctx.cookie .. "=" .. server.id .. ngx.var.sticky_attributes
    end
    balancer.set_current_peer(server.host, server.port)
end

-- Before it: what of the request decides.
function M.by_cookie() ngx.ctx.cookie = ngx.var.sticky_name end
function M.by_hash(key) ngx.ctx.hash = key end

function M.done()
    local server = ngx.ctx.server
    if server then shared:incr(server.active, -1) end
end

local function take(lines)
    for name, servers in lines:gmatch("(%S+) ?([^\n]*)\n") do
        local before = " " .. (shared:get("e:" .. name) or "") .. " "
        for server in servers:gmatch("%S+") do
            if not before:find(" " .. server .. " ", 1, true) then
                shared:set("n:" .. server, 0)   -- whatever a killed worker left
            end
        end
        local _, problem = shared:set("e:" .. name, servers)
        if problem then return problem end
        shared:incr("v:" .. name, 1, 0)
    end
end

function M.load(path)
    M.generation = shared:incr("generation", 1, 0)
    local file = io.open(path)
    if not file then return end
    take(file:read("*a"))
    file:close()
end

function M.update()
    ngx.req.read_body()
    local problem = take(ngx.req.get_body_data() or "")
    if problem then
        ngx.status = 500
        return ngx.say(problem)
    end
    ngx.say("done")
end

-- A reload closes the connections that wait for their next request: before it, clients are asked
-- to use theirs no more, by the workers that will end.
function M.drain()
    shared:set("draining", M.generation, 10)
    local until_time = ngx.now() + tonumber(ngx.var.arg_ms) / 1000
    while tonumber(ngx.var.connections_waiting) > 0 and ngx.now() < until_time do
        ngx.sleep(0.01)
    end
    ngx.say("drained")
end

-- Of each request, before nginx decides whether its connection is kept: keepalive_disable is the
-- one thing that a request's own headers can decide then, by a browser's name. The true name is in
-- a variable of its own.
function M.enter()
    if (shared:get("draining") or 0) >= M.generation then
        ngx.req.set_header("User-Agent", "Mac OS X Safari/")
    else
        local agent = ngx.var.user_agent
        if agent and agent:find("Safari/", 1, true) then
            ngx.req.set_header("User-Agent", "any")
        end
    end
end

-- Answers when none of the servers has a request under way.
function M.idle()
    ngx.req.read_body()
    local until_time = ngx.now() + tonumber(ngx.var.arg_ms) / 1000
    for server in (ngx.req.get_body_data() or ""):gmatch("%S+") do
        while (shared:get("n:" .. server) or 0) > 0 and ngx.now() < until_time do
            ngx.sleep(0.01)
        end
    end
    ngx.say("idle")
end

return M
)lua";

// The body of what nginx answers to a small request on its own socket.
Result<std::string> ask(const std::string& folder, std::string_view path, std::string_view body,
                        Duration timeout) {
    const auto socket_path = control_socket(folder);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_path.size() >= sizeof address.sun_path)
        return fail(Reason::Invalid, concat(socket_path, " is too long for a socket's path"));
    std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
    const Fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        return fail_errno(socket_path, errno);
    const auto request =
        concat("POST ", path, " HTTP/1.0\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
    const auto deadline = os_clock().monotonic() + timeout;
    const auto wait = [&](short events) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - os_clock().monotonic());
        pollfd one{.fd = fd.get(), .events = events, .revents = 0};
        return left > 0ms && ::poll(&one, 1, static_cast<int>(left.count())) > 0;
    };
    for (size_t sent = 0; sent < request.size();) {
        if (!wait(POLLOUT)) return fail(Reason::Timeout, "nginx does not take its endpoints");
        const auto size = ::send(fd.get(), request.data() + sent, request.size() - sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size < 0 && errno != EAGAIN) return fail_errno("write to nginx", errno);
        if (size > 0) sent += static_cast<size_t>(size);
    }
    std::string answer;
    std::array<char, 4096> part{};
    while (answer.size() < answer_bytes_max) {
        if (!wait(POLLIN)) return fail(Reason::Timeout, "nginx does not answer on its socket");
        const auto size = ::recv(fd.get(), part.data(), part.size(), MSG_DONTWAIT);
        if (size < 0 && errno != EAGAIN) return fail_errno("read from nginx", errno);
        if (size == 0) break;
        if (size > 0) answer.append(part.data(), static_cast<size_t>(size));
    }
    const auto head = answer.find("\r\n\r\n");
    if (head == answer.npos || !answer.starts_with("HTTP/1.1 200"))
        return fail(Reason::InternalError,
                    concat("nginx answers: ", answer.substr(0, answer.find('\n'))));
    return answer.substr(head + 4);
}

}   // namespace

std::string_view balancer_lua() { return text; }

std::string endpoints_text(const Endpoints& endpoints) {
    std::string lines;
    for (const auto& [name, servers] : endpoints)
        append(lines, name, " ", join(servers, " "), "\n");
    return lines;
}

std::string endpoints_file(const std::string& folder) { return folder + "/endpoints"; }
std::string control_folder(const std::string& folder) { return folder + "/control"; }
std::string control_socket(const std::string& folder) { return control_folder(folder) + "/socket"; }

Result<> tell_endpoints(const std::string& folder, const Endpoints& changed) {
    TRY_OK(ask(folder, "/endpoints", endpoints_text(changed), answer_time));
    return {};
}

void drain_connections(const std::string& folder) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(drain_time).count();
    static_cast<void>(ask(folder, concat("/drain?ms=", ms), "", drain_time + answer_time));
}

void wait_until_idle(const std::string& folder, const std::vector<std::string>& servers,
                     Duration timeout) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
    if (servers.empty() || ms <= 0) return;
    // Without an answer there is no nginx, and no request.
    static_cast<void>(
        ask(folder, concat("/idle?ms=", ms), join(servers, " "), timeout + answer_time));
}

}   // namespace skiff::ingress
