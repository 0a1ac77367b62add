#include "cmd/agent_role.h"

#include "cmd/progress.h"

namespace skiff::cmd {

int run_agent(const std::vector<std::string>&) { return complain("the agent is being put together"); }

}   // namespace skiff::cmd
