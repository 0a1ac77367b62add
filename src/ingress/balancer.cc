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

// `shared` is the truth for all workers, those of an older configuration too. What each request
// needs of it stands in plain memory that the master maps once and all workers inherit: a lock and
// a look-up a request would cost more than all else here. A worker counts its requests in a row of
// its own, so that no two write to one place.
constexpr std::string_view text = R"lua(
local balancer = require "ngx.balancer"
local base = require "resty.core.base"
local ffi = require "ffi"
local shared = ngx.shared.endpoints
local find, time, get_request = string.find, ngx.time, base.get_request
local M = {}
local known = {}   -- upstreams, by name

local rows, slots = 64, 16384   -- of counts
ffi.cdef[[
struct skiff_memory {
    int32_t version;        // of all endpoints together
    int32_t draining;       // up to this generation, clients are asked to come back
    int32_t draining_end;   // until then, in seconds
    int32_t counts[64][16384];   // requests under way, by worker and server
};
void *mmap(void *address, size_t length, int protection, int flags, int descriptor, long offset);
]]
local memory, counts, generation

-- Of requests under way, by their address: the server, and what decides on one.
local busy, cookies, hashes = {}, {}, {}
local function this_request()
    return tonumber(ffi.cast("uintptr_t", get_request()))
end

local function parse(list)
    local servers = {}
    for server in list:gmatch("%S+") do
        local host, port = server:match("^(.*):(%d+)$")
        servers[#servers + 1] = {
            host = host, port = tonumber(port), slot = shared:get("s:" .. server) or 0,
            id = ngx.md5(server):sub(1, 16), index = #servers + 1,
        }
    end
    return servers
end

local function look(name)
    local one = known[name]
    if not one then
        one = {version = -1, own_version = 0, servers = {}, last = math.random(0, 1000),
               version_key = "v:" .. name, servers_key = "e:" .. name}
        known[name] = one
    end
    one.version = memory.version
    local own = shared:get(one.version_key) or 0
    if own ~= one.own_version then
        one.servers = parse(shared:get(one.servers_key) or "")
        one.own_version = own
    end
    return one
end

local function by_cookie(servers, name)
    local id = ngx.var["cookie_" .. name]
    if not id then return nil end
    for i = 1, #servers do
        if servers[i].id == id then return servers[i] end
    end
end

-- The server with the highest number: few keys move when one comes or goes.
local function by_hash(servers, key)
    local best, chosen = -1, nil
    for i = 1, #servers do
        local number = ngx.crc32_long(ngx.md5_bin(key .. servers[i].id))
        if number > best then best, chosen = number, servers[i] end
    end
    return chosen
end

local function next_of(one, servers)
    local at = one.last % #servers + 1
    one.last = at
    return servers[at]
end

local function chosen_by_request(request, servers)
    local cookie, hash = cookies[request], hashes[request]
    return cookie and by_cookie(servers, cookie) or hash and by_hash(servers, hash)
end

local function tell_cookie(name, server)
    local known_already = ngx.var["cookie_" .. name] == server.id
    ngx.var.sticky = known_already and "" or
        name .. "=" .. server.id .. ngx.var.sticky_attributes
end

-- Of each request, and again when what was chosen did not answer.
function M.balance(name)
    local one = known[name]
    if not one or one.version ~= memory.version then one = look(name) end
    local servers = one.servers
    local request = this_request()
    local before, server = busy[request], nil
    if before then
        counts[before.slot] = counts[before.slot] - 1
        busy[request] = nil
    end
    if #servers == 0 then return ngx.exit(ngx.ERROR) end
    if before then
        server = servers[before.index % #servers + 1]
    else
        server = chosen_by_request(request, servers) or next_of(one, servers)
        balancer.set_more_tries(2)
    end
    busy[request] = server
    counts[server.slot] = counts[server.slot] + 1
    if cookies[request] then tell_cookie(cookies[request], server) end
    balancer.set_current_peer(server.host, server.port)
end

-- Before it: what of the request decides.
function M.by_cookie() cookies[this_request()] = ngx.var.sticky_name end
function M.by_hash(key) hashes[this_request()] = key end

function M.done()
    local request = this_request()
    local server = busy[request]
    if server then
        counts[server.slot] = counts[server.slot] - 1
        busy[request] = nil
    end
    if cookies[request] then cookies[request] = nil end
    if hashes[request] then hashes[request] = nil end
end

-- A server's place among the counts; one that is new counts from nothing, whatever a killed worker
-- left. Places of two servers may be one when there are very many: then one waits for the other.
local function give_slot(server)
    local slot = shared:get("s:" .. server)
    if not slot then
        slot = shared:incr("slots", 1, 0) % slots
        shared:set("s:" .. server, slot)
    end
    for row = 0, rows - 1 do
        if memory.counts[row][slot] ~= 0 then memory.counts[row][slot] = 0 end
    end
end

local function take(lines)
    for name, servers in lines:gmatch("(%S+) ?([^\n]*)\n") do
        local before = " " .. (shared:get("e:" .. name) or "") .. " "
        for server in servers:gmatch("%S+") do
            if not before:find(" " .. server .. " ", 1, true) then give_slot(server) end
        end
        local _, problem = shared:set("e:" .. name, servers)
        if problem then return problem end
        shared:incr("v:" .. name, 1, 0)
    end
    memory.version = shared:incr("version", 1, 0)
end

-- In the master, at each start and reload; its memory lasts as long as it does.
function M.load(path)
    generation = shared:incr("generation", 1, 0)
    local address = shared:get("memory")
    if not address then
        local read_write, shared_anonymous = 3, 0x21
        local made = ffi.C.mmap(nil, ffi.sizeof("struct skiff_memory"), read_write,
                                shared_anonymous, -1, 0)
        address = tonumber(ffi.cast("intptr_t", made))
        if address == -1 then error("no memory for the balancer") end
        shared:set("memory", address)
    end
    memory = ffi.cast("struct skiff_memory *", address)
    local file = io.open(path)
    if not file then return end
    take(file:read("*a"))
    file:close()
end

-- In each worker. One that follows a killed one clears what that has counted.
function M.begin()
    local row = (shared:incr("workers", 1, 0) - 1) % rows
    local key = "w:" .. generation .. ":" .. ngx.worker.id()
    local killed = shared:get(key)
    if killed then ffi.fill(memory.counts[killed], ffi.sizeof(memory.counts[killed])) end
    shared:set(key, row)
    counts = memory.counts[row]
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
    memory.draining_end = time() + 10
    memory.draining = generation
    local until_time = ngx.now() + tonumber(ngx.var.arg_ms) / 1000
    while tonumber(ngx.var.connections_waiting) > 0 and ngx.now() < until_time do
        ngx.sleep(0.01)
    end
    ngx.say("drained")
end

-- The true name is in a variable of its own, which has it from its first use on.
local function call_client(name)
    local _ = ngx.var.user_agent
    ngx.req.set_header("User-Agent", name)
end

-- Of each request, before nginx decides whether its connection is kept: keepalive_disable is the
-- one thing that a request's own headers can decide then, by a browser's name.
function M.enter()
    if memory.draining >= generation and memory.draining_end > time() then
        return call_client("Mac OS X Safari/")
    end
    local agent = ngx.var.http_user_agent
    if agent and find(agent, "Safari/", 1, true) then call_client("any") end
end

-- Answers when none of the servers has a request under way.
function M.idle()
    ngx.req.read_body()
    local until_time = ngx.now() + tonumber(ngx.var.arg_ms) / 1000
    local function under_way(slot)
        local sum = 0
        for row = 0, rows - 1 do sum = sum + memory.counts[row][slot] end
        return sum > 0
    end
    for server in (ngx.req.get_body_data() or ""):gmatch("%S+") do
        local slot = shared:get("s:" .. server)
        while slot and under_way(slot) and ngx.now() < until_time do
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
