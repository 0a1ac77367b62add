// The nginx that a controller drives: its files below one folder, its master process. The process
// outlives whoever started it and is taken over by the next.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/executor.h"
#include "base/os.h"
#include "ingress/balancer.h"
#include "ingress/nginx_conf.h"
#include "net/loop.h"

namespace skiff::ingress {

struct NginxOptions {
    std::string program = "nginx";   // looked up in PATH
    std::string folder;
    std::string log;   // what its error_log says: by this open file its processes are known
};

// A configuration that nginx does not take is Invalid; `refused_line` then says where, 0 if
// unknown.
struct Applied {
    bool reloaded = false;   // or started
    size_t refused_line = 0;
    std::string refusal;   // "" when it was taken
};

class Nginx {
  public:
    // `died` is called on the loop when the process has ended that should run.
    Nginx(NginxOptions options, Executor& executor, net::Loop& loop, std::function<void()> died);
    ~Nginx();   // the process goes on

    // One at a time, each blocks for as long as nginx takes. Starts it, or has it read the new
    // configuration while its connections go on. Endpoints are in force when it returns.
    Result<Applied> apply(const Conf& conf, const std::map<std::string, std::string>& certificates,
                          const Endpoints& endpoints);
    // Of these upstreams alone, with nothing else changed. Unavailable: they are for apply to tell.
    Result<> change_endpoints(const Endpoints& changed);
    void stop();   // connections are served to their end, the ports are free at once
    bool running() const;
    // Nobody else can have the port: the socket waits for the next start.
    bool holds(uint16_t port) const { return listeners_.has(port); }
    void let_go_of_ports() { listeners_.close(); }
    // Workers whose master was killed, and what was stopped and has connections left, are told to
    // let go of the ports. False: there are none.
    bool end_leftovers();

  private:
    Result<> write_files(const std::map<std::string, std::string>& certificates);
    Result<> tell(const Endpoints& endpoints);
    Result<> test(const std::string& file, Applied& applied);
    Result<> start(const Listening& listening);
    Result<pid_t> start_once();
    void follow(pid_t pid, bool child);
    void unfollow();

    NginxOptions options_;
    Executor& executor_;
    net::Loop& loop_;
    std::function<void()> died_;
    std::map<std::string, std::string> certificates_;
    std::string text_;
    std::optional<Endpoints> endpoints_;   // what it was told; absent: unknown
    Listeners listeners_;
    struct Following;
    std::shared_ptr<Following> following_;
};

// Ends what is left of a controller's nginx, its master and workers without one. Blocks.
// True if there was something.
bool end_nginx(const std::string& folder, const std::string& log);

}   // namespace skiff::ingress
