#include "cmd/image.h"

#include "cmd/progress.h"

namespace skiff::cmd {

int run_image(const std::vector<std::string>&) { return complain("images come with the agent"); }

}   // namespace skiff::cmd
