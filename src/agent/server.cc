#include "agent/server.h"

#include <algorithm>

#include "agent/server_streams.h"
#include "agent/stats.h"
#include "base/text.h"
#include "codec/json.h"

namespace skiff::agent {

namespace {

constexpr Duration attach_age_min = 200ms;

using net::Request;
using ResponderPtr = std::shared_ptr<net::Responder>;

void answer_text(const ResponderPtr& responder, std::string_view type, std::string text) {
    net::Response response;
    response.headers.set("content-type", type);
    response.body.emplace_back(Bytes{text});
    responder->send(std::move(response));
}

void answer(const ResponderPtr& responder, const Error& error) {
    answer_error(responder, error.http_code != 0 ? error.http_code : http_status(error.reason),
                 error.message);
}

std::string pod_list(Pods& pods) {
    codec::Arena arena;
    auto items = codec::Json::array();
    for (const auto& worker : pods.all()) items.push(arena, api::encode(*worker->pod(), arena));
    auto list = codec::Json::object();
    list.set(arena, "kind", codec::Json::borrowed("PodList"));
    list.set(arena, "apiVersion", codec::Json::borrowed("v1"));
    list.set(arena, "metadata", codec::Json::object());
    list.set(arena, "items", items);
    return codec::to_json(list);
}

}   // namespace

Result<> check_caller(const net::Peer& peer) {
    if (!peer.certificate) {
        return fail(Reason::Unauthorized, peer.certificate_problem.empty()
                                              ? std::string{"a client certificate is required"}
                                              : concat("the client certificate is not accepted: ",
                                                       peer.certificate_problem));
    }
    if (peer.certificate->common_name == api_server_name) return {};
    return fail(Reason::Forbidden, concat("'", peer.certificate->common_name,
                                          "' may not call this node: only the API server may"));
}

class AgentServer::Core : public std::enable_shared_from_this<Core> {
  public:
    explicit Core(ServerParts parts) : parts_{std::move(parts)} {}

    void handle(Request request, ResponderPtr responder) {
        if (const auto allowed = check_caller(*request.peer); !allowed)
            return answer(responder, allowed.error());
        const auto path = split(request.path, '/');   // the first part is empty
        const std::string_view verb = path.size() > 1 ? path[1] : std::string_view{};
        if (verb == "healthz") return answer_text(responder, "text/plain; charset=utf-8", "ok");
        if (verb == "metrics" && path.size() == 3 && path[2] == "resource")
            return resource_usage(responder);
        if (verb == "metrics")
            return answer_text(responder, "text/plain; version=0.0.4", parts_.metrics());
        auto* pods = parts_.pods();
        if (!pods)
            return answer(responder, Error{Reason::ServiceUnavailable, "the agent is starting"});
        if (verb == "pods" || verb == "runningpods")
            return answer_text(responder, "application/json", pod_list(*pods));
        if (verb == "stats") return stats(responder);
        if (path.size() < 4)
            return answer(responder, Error{Reason::NotFound, "404 page not found"});
        auto call = std::make_shared<Call>();
        call->verb = verb;
        call->name_space = net::percent_decoded(path[2]);
        call->pod = net::percent_decoded(path[3]);
        // Upstream also allows a uid between pod and container.
        if (path.size() > 4) call->container = net::percent_decoded(path.back());
        call->query = net::parse_query(request.query);
        call->request = std::move(request);
        call->responder = std::move(responder);
        call->worker = pods->find(call->name_space, call->pod);
        if (!call->worker) {
            return answer(call->responder,
                          Error{Reason::NotFound, concat("pod \"", call->pod, "\" not found")});
        }
        route(call);
    }

  private:
    struct Call {
        std::string verb;
        std::string name_space;
        std::string pod;
        std::string container;
        net::Query query;
        Request request;
        ResponderPtr responder;
        std::shared_ptr<PodWorker> worker;
    };
    using CallPtr = std::shared_ptr<Call>;

    void route(const CallPtr& call) {
        if (call->verb == "containerLogs") return logs(call);
        if (call->verb == "exec") return exec(call);
        if (call->verb == "attach") return attach(call);
        if (call->verb == "portForward") return port_forward(call);
        if (call->verb == "run") return run(call);
        answer(call->responder, Error{Reason::NotFound, "404 page not found"});
    }

    void logs(const CallPtr& call) {
        const auto options = parse_log_options(call->query, parts_.executor.clock().now());
        if (!options) return answer(call->responder, options.error());
        const bool previous = std::ranges::any_of(call->query, [](const auto& entry) {
            return entry.first == "previous" && net::query_switch(entry.second);
        });
        const auto where = call->worker->find_container(call->container, previous);
        const auto bad = [&](std::string message) {
            answer(call->responder, Error{Reason::BadRequest, std::move(message)});
        };
        if (!where.known) {
            return answer(call->responder,
                          Error{Reason::NotFound, concat("container ", call->container,
                                                         " not found in pod ", call->pod)});
        }
        if (where.id.empty() && previous) {
            return bad(concat("previous terminated container \"", call->container, "\" in pod \"",
                              call->pod, "\" not found"));
        }
        if (where.id.empty()) {
            return bad(concat("container \"", call->container, "\" in pod \"", call->pod,
                              "\" is waiting to start: ",
                              where.waiting.empty() ? "ContainerCreating" : where.waiting));
        }
        net::Response response;
        response.headers.set("content-type", "text/plain");
        LogStreamFacts facts{
            .container_id = where.id,
            .path = where.log_path,
            .options = *options,
            .running = [worker = call->worker, name = call->container, id = where.id] {
                const auto now = worker->find_container(name, false);
                return now.id == id && now.running;
            }};
        // The source belongs to the connection's loop, on which handlers are called.
        response.source = stream_log(call->responder->loop(), parts_.followers, std::move(facts));
        call->responder->send(std::move(response));
    }

    // Runs what blocks on the executor, then answers on the caller's loop.
    void ask_url(const CallPtr& call, StreamFacts facts, std::function<Result<std::string>()> ask) {
        if (!is_upgrade(call->request.headers)) {
            return answer(call->responder, Error{Reason::BadRequest, "Upgrade request required"});
        }
        parts_.executor.post([call, facts = std::move(facts), ask = std::move(ask)] {
            auto url = ask();
            call->responder->loop().post([call, facts, url = std::move(url)] {
                if (!url) return answer(call->responder, url.error());
                join_streams(call->request, call->responder, *url, facts);
            });
        });
    }

    // The container a command goes to; answers itself when there is none.
    std::optional<ContainerWhereabouts> running_container(const CallPtr& call) {
        auto where = call->worker->find_container(call->container, false);
        if (where.running) return where;
        if (!where.known) {
            answer(call->responder, Error{Reason::NotFound, concat("container not found (\"",
                                                                   call->container, "\")")});
        } else {
            answer(call->responder,
                   Error{Reason::InternalError, concat("container ", call->container, " in pod ",
                                                       call->pod, " is not running")});
        }
        return std::nullopt;
    }

    void exec(const CallPtr& call) {
        const auto where = running_container(call);
        if (!where) return;
        const auto wanted = exec_request(where->id, call->query);
        ask_url(call,
                {.command = {wanted.stdin, wanted.stdout, wanted.stderr, wanted.tty}, .ports = {}},
                [this, wanted] { return parts_.cri.exec(wanted); });
    }

    // `kubectl run -it -- echo hi` attaches while the container is ending: joined to it, the caller
    // would see nothing; refused, it shows the log. So a very young container is given a moment.
    void attach(const CallPtr& call) {
        const auto where = running_container(call);
        if (!where) return;
        const Duration age = parts_.executor.clock().now() - where->started_at;
        if (age >= attach_age_min) return attach_now(call);
        parts_.executor.after(attach_age_min - age, [self = shared_from_this(), call] {
            call->responder->loop().post([self, call] { self->attach_now(call); });
        });
    }

    void attach_now(const CallPtr& call) {
        const auto where = running_container(call);
        if (!where) return;
        const auto pod = call->worker->pod();
        bool tty = false;
        if (const auto* container = find_container(pod->spec, call->container))
            tty = container->tty;
        for (const auto& container : pod->spec.ephemeralContainers) {
            if (container.name == call->container) tty = container.tty;
        }
        const auto wanted = attach_request(where->id, call->query, tty);
        ask_url(call,
                {.command = {wanted.stdin, wanted.stdout, wanted.stderr, wanted.tty}, .ports = {}},
                [this, wanted] { return parts_.cri.attach(wanted); });
    }

    void port_forward(const CallPtr& call) {
        const auto sandbox = call->worker->sandbox_id();
        if (sandbox.empty()) {
            return answer(call->responder, Error{Reason::InternalError,
                                                 concat("pod ", call->pod, " is not running")});
        }
        const auto ports = forwarded_ports(call->query);
        ask_url(call, {.kind = StreamKind::PortForward, .command = {}, .ports = ports},
                [this, sandbox, ports] {
                    return parts_.cri.port_forward(sandbox, {ports.begin(), ports.end()});
                });
    }

    void run(const CallPtr& call) {
        const auto where = running_container(call);
        if (!where) return;
        std::vector<std::string> command;
        for (const auto& [key, value] : call->query) {
            if (key != "cmd") continue;
            for (const auto word : split(value, ' ')) command.emplace_back(word);
        }
        parts_.executor.post([this, call, id = where->id, command = std::move(command)] {
            const auto result = parts_.cri.exec_sync(id, command, 60s);
            if (!result) return answer(call->responder, result.error());
            answer_text(call->responder, "text/plain", result->stdout + result->stderr);
        });
    }

    void stats(const ResponderPtr& responder) {
        with_usage(responder, "application/json", [this](const auto& containers, const auto& node) {
            return stats_summary(parts_.node_name, containers, node);
        });
    }
    void resource_usage(const ResponderPtr& responder) {
        with_usage(responder, "text/plain; version=0.0.4; charset=utf-8",
                   [](const auto& containers, const auto& node) {
                       return resource_metrics(containers, node);
                   });
    }

    void with_usage(
        const ResponderPtr& responder, std::string_view type,
        std::function<std::string(const std::vector<cri::ContainerStats>&, const NodeUsage&)>
            write) {
        parts_.executor.post([this, responder, type, write = std::move(write)] {
            const auto all = parts_.cri.list_container_stats();
            if (!all) return answer(responder, all.error());
            const auto node = read_node_usage(parts_.executor.clock().now());
            answer_text(responder, type, write(*all, node));
        });
    }

    ServerParts parts_;
};

AgentServer::AgentServer(ServerParts parts) : core_{std::make_shared<Core>(std::move(parts))} {}
AgentServer::~AgentServer() = default;

net::Handler AgentServer::handler() {
    return [core = core_](Request request, ResponderPtr responder) {
        core->handle(std::move(request), std::move(responder));
    };
}

}   // namespace skiff::agent
